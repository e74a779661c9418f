"""Before a model call: tools synced, prompt built, and once a turn `before_turn`."""

from __future__ import annotations

from typing import Final

from ..contexts import PromptContext
from ..dispatch.directives import apply
from ..dispatch.live import Live
from ..effects import Prepare
from ..errors import PluginConflict, PluginFault
from ..events import Event, TurnAborted, TurnPrepared, TurnStopped
from ..messages import Message
from ..outcomes import Issue
from ..prompt import PromptLayer, PromptPart
from ..turn import Turn

BEFORE_TURN: Final = frozenset(("snapshot", "tool_state", "lifecycle", "trace"))
PROMPT: Final = frozenset(("snapshot", "catalogue", "tasks", "direct"))


async def prepare(live: Live, turn: Turn, effect: Prepare) -> Event:
    """
    Return that the turn is prepared, or that a plugin refused or ended it.

    A provider of tools that fails once the turn has begun ends it: what was done
    is kept.

    Raises:
        PluginFault: `before_turn` failed, or at the start a provider of tools.
        PluginConflict: At the start, two tools have one name.
    """
    messages: tuple[Message, ...] = ()
    if effect.first and live.plans.before_turn is not None:
        ctx = live.turn_context(turn, BEFORE_TURN)
        applied = await apply(ctx, "before_turn", await live.plans.before_turn(ctx))
        if applied.abort is not None:
            plugin, abort = applied.abort
            return TurnAborted(
                key=effect.key, plugin=plugin.name, code=abort.code, message=abort.message
            )
        messages = applied.messages
    try:
        sync_tools(live)
    except (PluginConflict, PluginFault) as error:
        if effect.first:
            raise
        issue = Issue(kind="plugin", code="reconfigure_failed", message=str(error))
        return TurnStopped(reason="runtime_error", issue=issue)
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


def build_prompt(live: Live, turn: Turn, instructions: str, extra: str | None) -> str:
    """
    Return the prompt: protocol, plugins, application, and *extra* for this turn.

    The same inputs return the same object.
    """
    layers: list[PromptLayer] = []
    if preamble := live.protocol.preamble(turn.state):
        layers.append(_said(preamble, "execution"))
    if live.plans.provide_prompt is not None:
        ctx = PromptContext(live, turn.id, live.toolbox.shown, roles=PROMPT)
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
