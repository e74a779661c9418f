"""What turn hooks ask for: each directive applied, or refused where it isn't legal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..errors import InvalidInput, PluginFault
from ..hooks.answers import AbortTurn, CreateSession, EmitEvents, EmitTrace, EnqueueMessages
from ..messages import Message
from ..plugins.registered import Registered
from .live import Live

WELCOME: Final = ("user", "system")
"""Roles that a plugin may speak in; others are dropped."""


@dataclass(slots=True)
class Applied:
    """
    What a hook's directives came to.

    Attributes:
        abort: The last abort, with the plugin that asked for it.
    """

    messages: tuple[Message, ...] = ()
    abort: tuple[Registered, AbortTurn] | None = None


async def apply(
    live: Live, hook: str, found: Iterable[tuple[Registered, object]], *, may_abort: bool = True
) -> Applied:
    """
    Apply what a turn hook asks for, in order; an abort doesn't stop the rest.

    Raises:
        PluginFault: A directive isn't legal in this hook; those before it stay
            applied.
    """
    applied = Applied()
    for plugin, directive in found:
        try:
            match directive:
                case AbortTurn() if may_abort:
                    applied.abort = (plugin, directive)
                case EnqueueMessages():
                    applied.messages += welcome(plugin.name, directive.messages)
                case EmitEvents():
                    for name, body in directive.events:
                        live.emit(plugin.name, name, body)
                case EmitTrace():
                    live.trace(plugin.name, directive.name, directive.payload)
                case CreateSession():
                    await live.role("lifecycle").create(directive.request)
                case _:
                    raise InvalidInput(f"{type(directive).__name__} isn't legal here")
        except Exception as error:
            fault = PluginFault(plugin.name, plugin.version, hook, cause=error, session=live.id)
            live.faults.pending.append((fault, False))
            raise fault from error
    return applied


def welcome(plugin: str, messages: Iterable[Message]) -> tuple[Message, ...]:
    """
    Return those of a plugin's messages that it may say, signed with its name.

    Raises:
        InvalidInput: One isn't a message.
        InvalidHistory: A message's parts don't fit its role.
    """
    kept: list[Message] = []
    for message in messages:
        if not isinstance(message, Message):
            raise InvalidInput(f"expected a Message, found {message!r}")
        if message.role in WELCOME:
            kept.append(replace(message.check(), origin=plugin))
    return tuple(kept)
