"""What an interrupted turn left behind, and what a session knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..dispatch.live import Live
from ..errors import InvalidInput, SessionBusy, StoreCorrupt
from ..events import ModelAnswered, ModelFailed, usage_row
from ..journal import INPUT, Began, Deed, Heard, read_row, rebased
from ..json import frozen
from ..ports import JournalRow, Store
from ..usage import UsageRow

SPENT = "/spent"  # no turn's id: see `asks.TURN`
"""Stands for a turn in the journal, for rows of what was spent outside of any."""


@frozen
class Unfinished:
    """
    A turn that's in the journal.

    Attributes:
        turn: Its id.
        began: How it began.
        rows: All of its rows, in their order.
    """

    turn: str
    began: Began
    rows: tuple[JournalRow, ...]

    @property
    def deeds(self) -> tuple[Deed, ...]:
        """What it did beside its effects."""
        return tuple([deed for deed in map(read_row, self.rows) if isinstance(deed, Deed)])

    def owed(self, session: str) -> tuple[UsageRow, ...]:
        """Return what it cost, as far as that's on record."""
        others = tuple([row for deed in self.deeds for row in deed.usage])
        return others + tuple(
            usage_row(heard.event, self.turn, session)
            for heard in map(read_row, self.rows)
            if isinstance(heard, Heard)
            and isinstance(heard.event, (ModelAnswered, ModelFailed))
            and heard.event.usage
        )


async def unfinished(live: Live) -> Unfinished | None:
    """
    Return the turn that can be finished: the one that builds on the head.

    Others have lost to somebody else's commit; they wait to be discarded.

    Raises:
        StoreCorrupt: A turn has no row that says how it began.
    """
    for found in _turns(await live.store.journal(live.id)):
        if found.began.revision == live.revision:
            return found
    return None


async def left_over(live: Live) -> tuple[str | None, dict[str, tuple[UsageRow, ...]]]:
    """
    Return the turn that can be finished, if nobody is at it, and what each turn cost.

    What the session owes from outside its turns is taken in.

    Raises:
        StoreCorrupt: A turn has no row that says how it began.
    """
    if "journal" not in live.store.capabilities:
        return None, {}
    rows = await live.store.journal(live.id)
    live.pending += [row for row in spent(rows) if row.id not in live.ledger]
    if not (turns := _turns(rows)):
        return None, {}
    mine = next((each.turn for each in turns if each.began.revision == live.revision), None)
    owed = {each.turn: each.owed(live.id) for each in turns}
    try:
        await live.store.release(await live.store.claim(live.id))
    except SessionBusy:
        owed.pop(mine or "", None)  # its own process counts it
        return None, owed
    return mine, owed


def spent(rows: Iterable[JournalRow]) -> Iterator[UsageRow]:
    """Yield what was spent outside turns."""
    for row in rows:
        deed = read_row(row) if row.turn == SPENT else None
        if isinstance(deed, Deed):
            yield from deed.usage


async def take_up(live: Live, deeds: Sequence[Deed]) -> None:
    """Take in what a turn did beside its effects, and let what it began elsewhere end."""
    for deed in deeds:
        live.take(deed)
    manager = None if live.roles is None else live.roles.manager
    if manager is not None and live.aside is not None and live.aside.away:
        await manager.recover(live, deeds, closing=live.seam.closing)


async def rows_of(store: Store, session: str, turn: str) -> Unfinished:
    """
    Return what the journal of *session* has of *turn*.

    Raises:
        InvalidInput: It has nothing.
    """
    for found in _turns(await store.journal(session)):
        if found.turn == turn:
            return found
    raise InvalidInput(f"no turn {turn!r} in the journal of session {session!r}")


async def fork_journal(live: Live, id: str, turn: str) -> None:
    """
    Make session *id* where a lost *turn* of *live* began, and give it that turn.

    Raises:
        SessionExists: There's a session *id*.
        SessionBusy: Somebody runs a turn in *live*.
        InvalidInput: The journal has no such turn.
    """
    store = live.store
    found = await rows_of(store, live.id, turn)
    origin = await store.claim(live.id)
    try:
        if found.began.leaf is not None:
            await store.fork(live.id, id, at=found.began.leaf)
        to = await store.claim(id)
        try:
            await store.journal_put(to, [rebased(row, to.revision) for row in found.rows])
        finally:
            await store.release(to)
        await store.journal_drop(origin, turn)
    finally:
        await store.release(origin)


def _turns(rows: Iterable[JournalRow]) -> list[Unfinished]:
    turns = []
    left = [row for row in rows if row.turn != SPENT]
    for turn in dict.fromkeys([row.turn for row in left]):
        kept = tuple([row for row in left if row.turn == turn])
        if kept[0].kind != INPUT:
            raise StoreCorrupt(f"the journal of turn {turn!r} doesn't say how it began")
        began = read_row(kept[0])
        assert isinstance(began, Began)  # noqa: S101 - by its kind
        turns.append(Unfinished(turn=turn, began=began, rows=kept))
    return turns
