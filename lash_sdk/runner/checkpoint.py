"""Between two steps of a turn: what waits is let in, and hooks are asked."""

from __future__ import annotations

from typing import Final

from ..contexts import TurnContext
from ..dispatch.directives import apply
from ..dispatch.live import Live
from ..effects import PassCheckpoint
from ..errors import PluginFault
from ..events import CheckpointAborted, CheckpointPassed, Event, MessagesAdded
from ..messages import Message
from ..outcomes import Issue
from ..ports import InboxItem
from ..turn import Turn

ROLES: Final = frozenset(("lifecycle", "trace"))


async def checkpoint(live: Live, turn: Turn, effect: PassCheckpoint) -> Event:
    """
    Return what enters the turn here, or that a plugin ended it.

    What waited, here or in the inbox, is taken only once the hooks have
    answered, so that it isn't lost with a hook that fails.
    """
    waiting = tuple(live.injections)
    added: tuple[Message, ...] = ()
    if live.plans.at_checkpoint is not None:
        ctx = TurnContext(live, turn, live.turns + 1, checkpoint=effect.checkpoint, roles=ROLES)
        try:
            found = await live.plans.at_checkpoint(ctx)
            applied = await apply(ctx, "at_checkpoint", found)
        except PluginFault as fault:
            issue = Issue(kind="plugin", code="plugin_checkpoint", message=str(fault))
            return CheckpointAborted(key=effect.key, issue=issue)
        if applied.abort is not None:
            _plugin, abort = applied.abort
            issue = Issue(kind="plugin", code=abort.code, message=abort.message)
            return CheckpointAborted(key=effect.key, issue=issue)
        added = applied.messages
    del live.injections[: len(waiting)]
    sent = await from_inbox(live, turn.inbox)
    messages = (*waiting, *added, *[item.message for item in sent])
    if messages and live.watch is not None:
        live.watch(MessagesAdded(turn=turn.id, messages=messages))
    return CheckpointPassed(
        key=effect.key, messages=messages, inbox=tuple([item.key for item in sent])
    )


async def from_inbox(live: Live, taken: tuple[str, ...]) -> list[InboxItem]:
    """Return what waits in the inbox for any turn and isn't *taken* yet."""
    waiting = await live.store.pending(live.id) if live.inbox else ()
    return [item for item in waiting if item.turn is None and item.key not in taken]
