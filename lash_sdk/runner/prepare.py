"""
Between two steps of a turn: hooks are asked, and what waits is let in.

Before a model call tools are synced and the prompt is built; `before_turn` is asked
once a turn, `at_checkpoint` at each checkpoint.
"""

from __future__ import annotations

from typing import Final

from .. import events
from ..contexts import PromptContext
from ..dispatch.directives import apply
from ..dispatch.live import Live
from ..effects import PassCheckpoint, Prepare
from ..errors import PluginConflict, PluginFault
from ..json import maker
from ..messages import Message
from ..outcomes import Issue
from ..prompt import PromptLayer, PromptPart
from ..turn import Turn

BEFORE_TURN: Final = frozenset(("snapshot", "tool_state", "lifecycle", "trace"))
CHECKPOINT: Final = frozenset(("lifecycle", "trace"))
PROMPT: Final = frozenset(("snapshot", "catalogue", "tasks", "direct"))


async def prepare(live: Live, turn: Turn, effect: Prepare) -> events.Event:
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
        messages, refusal = await apply(ctx, "before_turn", await live.plans.before_turn(ctx))
        if refusal is not None:
            plugin, abort = refusal
            return events.TurnAborted(
                key=effect.key, plugin=plugin.name, code=abort.code, message=abort.message
            )
    try:
        sync_tools(live)
    except (PluginConflict, PluginFault) as error:
        if effect.first:
            raise
        issue = Issue(kind="plugin", code="reconfigure_failed", message=str(error))
        return events.TurnStopped(reason="runtime_error", issue=issue)
    return events.TurnPrepared(key=effect.key, messages=messages)


async def checkpoint(live: Live, turn: Turn, effect: PassCheckpoint) -> events.Event:
    """
    Return what enters the turn here, or that a plugin ended it.

    What waited, here or in the inbox, is taken only once the hooks have
    answered, so that it isn't lost with a hook that fails.
    """
    messages = tuple(live.injections)
    waited = len(messages)
    if live.plans.at_checkpoint is not None:
        ctx = live.turn_context(turn, CHECKPOINT)
        ctx.checkpoint = effect.checkpoint
        try:
            found = await live.plans.at_checkpoint(ctx)
            added, refusal = await apply(ctx, "at_checkpoint", found)
        except PluginFault as fault:
            issue = Issue(kind="plugin", code="plugin_checkpoint", message=str(fault))
            return events.CheckpointAborted(key=effect.key, issue=issue)
        if refusal is not None:
            _plugin, abort = refusal
            issue = Issue(kind="plugin", code=abort.code, message=abort.message)
            return events.CheckpointAborted(key=effect.key, issue=issue)
        messages += added
    del live.injections[:waited]
    inbox: tuple[str, ...] = ()
    for item in await live.store.pending(live.id) if live.store.may_wait(live.id) else ():
        if item.turn is None and item.key not in turn.inbox:  # nobody's own, and not taken yet
            messages += (item.message,)
            inbox += (item.key,)
    if messages and live.watch is not None:
        live.watch(events.MessagesAdded(turn=turn.id, messages=messages))
    return _passed(key=effect.key, messages=messages, inbox=inbox)


_passed: Final = maker(events.CheckpointPassed)


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
