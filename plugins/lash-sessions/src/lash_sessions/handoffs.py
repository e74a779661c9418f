"""Handoffs: a session's later turns run in its successor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lash_sdk.messages import File, Image, Text
from lash_sdk.outcomes import HandedOff
from lash_sdk.ports import SessionSpec
from lash_sdk.session import Session, TurnRecord

from .creating import take_first_turn_input
from .errors import HandoffMissing
from .state import recall

if TYPE_CHECKING:
    from lash_sdk.dispatch.live import Live
    from lash_sdk.messages import UserPart

    from .tree import Tree


async def route(tree: Tree, live: Live) -> Session | None:
    """
    Return a handle of the last successor of *live*; None if it has none.

    Successors that lead back to one before them are passed over.

    Raises:
        HandoffMissing: A successor is gone.
    """
    if live.aside is not None:
        return None  # the turn that runs may be the one that hands off
    seen = [live.id]
    while (successor := recall(live).successor) is not None:
        if successor in seen:
            return None
        seen.append(successor)
        made = await tree.reopen(successor)
        found: Live | None = tree.host.live(successor) if made is None else made.live
        if found is None:
            raise HandoffMissing(successor, "handoff_successor_missing")
        live = found
    if len(seen) == 1:
        return None
    known = tree.made.get(live.id)
    handle: Session
    if known is not None:
        handle = known.session
    else:
        handle = await tree.host.open(SessionSpec(id=live.id, unseen=True))
    return handle


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedTurn:
    """The turns that one input came to, across handoffs, in their order."""

    turns: tuple[TurnRecord, ...]

    @property
    def final(self) -> TurnRecord:
        """The turn that handed off no more."""
        return self.turns[-1]

    @property
    def handoffs(self) -> int:
        """How often the conversation was handed on."""
        return len(self.turns) - 1


async def follow(tree: Tree, live: Live, input: str | Sequence[UserPart]) -> FollowedTurn:
    """
    Run a turn, and those of its successors, until one doesn't hand off.

    Raises:
        HandoffMissing: A successor is gone, or nothing waits for its first turn.
    """
    async with await tree.host.open(SessionSpec(id=live.id, unseen=True)) as session:
        turns = [await session.run(input)]
    while isinstance(outcome := turns[-1].outcome, HandedOff):
        made = await tree.reopen(outcome.session)
        if made is None:
            raise HandoffMissing(outcome.session, "handoff_successor_missing")
        seed = take_first_turn_input(made.live)
        if seed is None:
            raise HandoffMissing(outcome.session, "handoff_missing_first_turn")
        parts = [part for part in seed.parts if isinstance(part, (Text, Image, File))]
        turns.append(await made.session.run(parts))
    return FollowedTurn(turns=tuple(turns))
