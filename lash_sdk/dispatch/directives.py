"""What hooks ask for: each directive applied, or refused where it isn't legal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..contexts import Scope, SessionContext
from ..errors import InvalidInput, PluginFault
from ..hooks.answers import AbortTurn, CreateSession, EmitEvents, EmitTrace, EnqueueMessages
from ..messages import Message
from ..plugins.registered import Registered

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
    ctx: SessionContext,
    hook: str,
    found: Iterable[tuple[Registered, object]],
    *,
    may_abort: bool = True,
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
                case _:
                    await follow(ctx, plugin, directive)
        except Exception as error:
            raise noted(ctx.scope, plugin, hook, error) from error
    return applied


async def follow(ctx: SessionContext, plugin: Registered, directive: object) -> None:
    """
    Do what a directive asks for that's legal in every hook.

    Raises:
        InvalidInput: It isn't one, or what it holds isn't JSON.
        Unavailable: There's nobody to make a session.
    """
    match directive:
        case EmitEvents():
            for name, body in directive.events:
                ctx.scope.emit(plugin.name, name, body)
        case EmitTrace():
            name = f"plugin.{plugin.name}.{directive.name}"
            ctx.scope.emit(plugin.name, name, directive.payload)
        case CreateSession():
            await ctx.scope.role("lifecycle", ctx).create(directive.request)
        case _:
            raise InvalidInput(f"{type(directive).__name__} isn't legal here")


def noted(scope: Scope, plugin: Registered, hook: str, cause: BaseException | str) -> PluginFault:
    """Return a fault of what a plugin returned, once it's noted for `on_fault`."""
    fault = PluginFault(plugin.name, plugin.version, hook, cause=cause, session=scope.id)
    scope.faults.pending.append((fault, False))
    return fault


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
