"""Turns of sessions that others made: started, watched, awaited once, cancelled."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lash_sdk.errors import SessionBusy
from lash_sdk.events import OfChild, SessionEvent
from lash_sdk.journal import Deed
from lash_sdk.outcomes import Stopped
from lash_sdk.policy import Policy
from lash_sdk.session import Stream, TurnRecord
from lash_sdk.usage import NOTHING

from . import spending
from .errors import UnknownTurn
from .past import read_back

if TYPE_CHECKING:
    from lash_sdk.messages import UserPart
    from lash_sdk.ports import Asker

    from .tree import Made, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnHandle:
    """
    A turn that was started.

    Attributes:
        events: What is seen of it, to iterate; leaving them unread costs nothing.
    """

    turn_id: str
    session_id: str
    policy: Policy
    events: Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a turn is asked for with."""

    input: str | Sequence[UserPart]
    output: Any = None
    model: Any = None
    instructions: str | None = None


class Running:
    """
    A turn that was started, until somebody takes its result.

    Attributes:
        asker: The session and the turn that started it; the turn is empty outside of one.
        derived: Whether its id is the same on every replay.
        task: What runs it.
        waiting: How many wait for its result.
    """

    def __init__(
        self, tree: Tree, made: Made, order: Order, id: str, asker: tuple[str, str]
    ) -> None:
        self.id = id
        self.asker = asker
        self.derived = bool(asker[1])
        self._tree = tree
        self.made = made
        self._order = order
        self.waiting = 0
        self._cancelled = False
        self._waiting: asyncio.Task[bool] | None = None  # for its slot
        self.task: asyncio.Task[TurnRecord]

    def begin(self) -> None:
        """Run the turn; nobody watches it."""
        self.task = self._tree.spawn(self._run(), f"lash-child-{self.id}")
        self.task.add_done_callback(_seen)

    def begin_watched(self) -> Stream:
        """Run the turn; return its events."""
        stream = Stream(self._watched)
        self.task = self._tree.spawn(stream.result(), f"lash-child-{self.id}")
        self.task.add_done_callback(_seen)
        return stream

    def cancel(self) -> None:
        """Tell the turn to stop, and return; a second call does nothing."""
        if not self._cancelled and not self.task.done():
            self._cancelled = True
            if self._waiting is not None:
                self._waiting.cancel()
            self._tree.spawn(self._stop(), f"lash-cancel-{self.id}")

    def drop(self) -> None:
        """Stop the turn; unless somebody waits for its result, nobody wants it."""
        self.cancel()
        self.task.add_done_callback(lambda _task: None if self.waiting else self.taken())

    def taken(self) -> None:
        """Let the session go on to another turn: the result was taken."""
        self._tree.turns.pop(self.id, None)
        if self.made.running is self:
            self.made.running = None

    async def _watched(self, watch: Callable[[SessionEvent], None]) -> TurnRecord:
        stop = self.made.session.listen(watch)
        try:
            return await self._run()
        finally:
            stop()

    async def _run(self) -> TurnRecord:
        """Return the turn's record; whoever watches the maker sees the turn's events too."""
        made = self.made
        maker: Any = self._tree.host.live(made.maker)
        watched = maker is not None and maker.watch is not None
        stop = made.session.listen(self._tell) if watched else None
        try:
            slot = self._tree.slot(made.maker)
            held = await self._enter(slot)
            try:
                return await self._turn()
            finally:
                if held:
                    slot.release()
        finally:
            if stop is not None:
                stop()
            await spending.pass_on(self._tree, made)

    async def _enter(self, slot: asyncio.Semaphore) -> bool:
        """Return once the turn may run; False if it was cancelled while it waited for that."""
        if not slot.locked():
            return await slot.acquire()
        waiting = self._waiting = asyncio.create_task(slot.acquire())
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:  # nobody wants its end any more
            if not waiting.cancel() and not waiting.cancelled():
                slot.release()
            raise
        return not waiting.cancelled()

    def _tell(self, event: SessionEvent) -> None:
        maker: Any = self._tree.host.live(self.made.maker)
        if maker is not None and maker.watch is not None:
            of = OfChild(child=self.made.live.id, of=event)
            maker.watch(event if isinstance(event, OfChild) else of)

    async def _turn(self) -> TurnRecord:
        """Return the turn's record: from the store, finished, or run now."""
        live, session, order = self.made.live, self.made.session, self._order
        if self.derived and (past := await read_back(live, self.id)) is not None:
            return past
        if session.interrupted:
            record = await session.resume(output=order.output)
            if record is not None and record.id == self.id:
                return record
        if self._cancelled:
            return _never(self)
        return await session.run(
            order.input,
            output=order.output,
            model=order.model,
            instructions=order.instructions,
            turn=self.id,
        )

    async def _stop(self) -> None:
        """Cancel the turn as soon as it can be."""
        session = self.made.session
        while not self.task.done():
            if session.running:
                await session.cancel()
            await asyncio.wait([self.task], timeout=0.01)


def ready(tree: Tree, asker: Asker, id: str, order: Order) -> Running:
    """
    Return a turn of a session that was made here; nobody else begins one there now.

    Raises:
        UnknownSession: There's none of that id.
        SessionBusy: A turn of its runs, or its result wasn't taken.
    """
    made = tree.find(id)
    if made.running is not None:
        raise SessionBusy(id)
    live, aside = asker.live, asker.live.aside
    turn = os.urandom(12).hex()
    if aside is not None and asker.key is not None:
        ordinal = tree.count(aside.turn, (asker.key, asker.attempt, "turn", id))
        text = f"lash-turn:{asker.key}:{id}:{ordinal}"
        turn = hashlib.sha256(text.encode()).hexdigest()[:24]
    if aside is not None:
        live.do(Deed(child=id, turn=turn))
    by = (live.id, aside.turn if aside is not None and asker.key is not None else "")
    made.running = tree.turns[turn] = Running(tree, made, order, turn, by)
    return made.running


def start(tree: Tree, asker: Asker, id: str, order: Order) -> TurnHandle:
    """Start a turn of a session that was made here, and return at once."""
    running = ready(tree, asker, id, order)
    return TurnHandle(
        turn_id=running.id,
        session_id=id,
        policy=running.made.live.policy,
        events=running.begin_watched(),
    )


def go_on(tree: Tree, made: Made, turn: str) -> None:
    """Run an interrupted turn to its end, in the background; it can be awaited like any."""
    running = Running(tree, made, Order(input=""), turn, (made.maker, ""))
    running.derived = True
    made.running = tree.turns[turn] = running
    running.begin()


async def take(tree: Tree, turn: str) -> TurnRecord:
    """
    Return a turn's record, once it's over; once taken it's gone.

    Cancelling the wait changes nothing: the turn goes on and can be awaited again.

    Raises:
        UnknownTurn: Nobody started it here, or its result was taken.
        LashError: The turn's own.
    """
    running = tree.turns.get(turn)
    if running is None:
        raise UnknownTurn(turn)
    running.waiting += 1
    try:
        await asyncio.wait([running.task])
    finally:
        running.waiting -= 1
    if tree.turns.get(turn) is not running:
        raise UnknownTurn(turn)  # somebody else was quicker
    running.taken()
    return running.task.result()


def drop(tree: Tree, turn: str) -> None:
    """Stop a turn whose result nobody wants, and return at once; an unknown one is."""
    running = tree.turns.get(turn)
    if running is not None:
        running.drop()


def cancel(tree: Tree, turn: str) -> None:
    """
    Tell a turn to stop, and return at once.

    Raises:
        UnknownTurn: Nobody started it here, or its result was taken.
    """
    running = tree.turns.get(turn)
    if running is None:
        raise UnknownTurn(turn)
    running.cancel()


def _never(running: Running) -> TurnRecord:
    """Return the record of a turn that was cancelled before it began."""
    live = running.made.live
    return TurnRecord(
        id=running.id,
        session=live.id,
        index=live.turns + 1,
        revision=live.revision,
        committed=False,
        outcome=Stopped(reason="cancelled", message="cancelled before it began"),
        messages=(),
        value=None,
        usage=NOTHING,
        children_usage=NOTHING,
        tool_calls=(),
        issues=(),
    )


def _seen(task: asyncio.Task[TurnRecord]) -> None:
    """Take a task's error, so that nobody is told of one that's never awaited."""
    if not task.cancelled():
        task.exception()
