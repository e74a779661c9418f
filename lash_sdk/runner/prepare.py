"""Before a model call: tools synced, prompt built, and once a turn `before_turn`."""

from __future__ import annotations

from typing import Final

from ..contexts import PromptContext, TurnContext
from ..effects import Prepare
from ..events import Event, TurnAborted, TurnPrepared
from ..messages import Message
from ..prompt import PromptLayer, PromptPart
from ..turn import Turn
from .directives import apply
from .live import Live

BEFORE_TURN: Final = frozenset(("snapshot", "tool_state", "lifecycle", "trace"))
PROMPT: Final = frozenset(("snapshot", "catalogue", "tasks", "direct"))


async def prepare(live: Live, turn: Turn, effect: Prepare) -> Event:
    """
    Return that the turn is prepared, or that a plugin refused it.

    Raises:
        PluginFault: `before_turn` or a provider of tools failed.
    """
    messages: tuple[Message, ...] = ()
    if effect.first and live.plans.before_turn is not None:
        ctx = TurnContext(
            live,
            turn.id,
            index=live.turns + 1,
            messages=turn.messages,
            usage=turn.usage,
            roles=BEFORE_TURN,
        )
        applied = await apply(live, "before_turn", await live.plans.before_turn(ctx))
        if applied.abort is not None:
            plugin, abort = applied.abort
            return TurnAborted(
                key=effect.key, plugin=plugin.name, code=abort.code, message=abort.message
            )
        messages = applied.messages
    sync_tools(live)
    return TurnPrepared(key=effect.key, messages=messages)


def sync_tools(live: Live) -> None:
    """
    Ask plugins for their tools again, if any provides some.

    Raises:
        PluginFault: A provider failed.
        PluginConflict: Two tools have one name.
    """
    plans = live.plans
    if plans.provide_tools is not None or plans.provide_availability is not None:
        live.toolbox.sync(live.context(), plans)


def build_prompt(live: Live, turn: str, instructions: str, extra: str | None) -> str:
    """
    Return the prompt: protocol, plugins, application, and *extra* for this turn.

    The same inputs return the same object.
    """
    layers: list[PromptLayer] = []
    if preamble := live.protocol.preamble(live.protocol_state):
        layers.append(_said(preamble, "execution"))
    if live.plans.provide_prompt is not None:
        ctx = PromptContext(live, turn, live.toolbox.shown, PROMPT)
        for _plugin, parts in live.plans.provide_prompt(ctx):
            layers.append(PromptLayer(parts=tuple(parts)))
    if live.parts:
        layers.append(PromptLayer(parts=live.parts))
    if instructions:
        layers.append(_said(instructions, "intro"))
    if extra:
        layers.append(_said(extra, "environment"))
    return live.prompt.build(layers, live.toolbox.names) if layers else ""


def _said(text: str, slot: str) -> PromptLayer:
    part = PromptPart(text=text, slot=slot)  # type: ignore[arg-type]
    return PromptLayer(parts=(part,))
