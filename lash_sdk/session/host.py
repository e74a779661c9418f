"""What the kernel does for a host of several sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..dispatch.live import Live
from ..errors import InvalidInput, SessionBusy
from ..journal import Deed
from ..plugins.state import save, states
from ..ports import JournalRow, Model, SessionSpec, Store
from ..usage import UsageRow
from .changes import commit
from .handle import Session
from .lane import Lane
from .recovery import SPENT


@dataclass(frozen=True, slots=True)
class Host:
    """The `SessionHost` of one `Lash`."""

    store: Store
    model: Callable[[str | Model], Model]
    open: Callable[[SessionSpec], Awaitable[Session]]
    lanes: Mapping[str, Lane]

    def live(self, id: str) -> Live | None:
        """Return an open session's `Live`; None if it isn't open."""
        lane = self.lanes.get(id)
        return None if lane is None or lane.closed else lane.live

    def relay(self, id: str, rows: Sequence[UsageRow], origin: str = "child") -> None:
        """Take in what others spent for a session; a running turn puts it on record."""
        live = self.lane(id).live
        fresh = tuple([row for row in rows if live.owe(row, origin)])
        if fresh and live.aside is not None:
            live.seam.did(Deed(usage=fresh))

    async def spend(self, id: str, rows: Sequence[UsageRow], origin: str = "child") -> None:
        """
        Take in what others spent for a session: with its turn, or durable at once.

        No revision moves. A row that's there already isn't taken in again.
        """
        self.relay(id, rows, origin)
        lane = self.lane(id)
        live = lane.live
        kept = [
            JournalRow(turn=SPENT, key=row.id, kind="deed", body=Deed(usage=(row,)))
            for row in rows
            if row.usage and row.id not in live.ledger
        ]
        if live.aside is not None or not kept or "journal" not in live.store.capabilities:
            return
        with suppress(SessionBusy):  # then a turn has begun, and commits them
            async with lane.door.held() as claim:
                if claim is not None:
                    await live.store.journal_put(claim, kept)

    async def commit(self, id: str, operation: str, children: Sequence[str] = ()) -> None:
        """Commit, outside a turn, what plugins remember, and that *children* were made."""
        lane = self.lane(id)
        live = lane.live
        async with lane.door.held() as claim:
            changed = save(live.instances, live.saved) if live.instances else []
            if changed or children:
                parts = {"components": tuple(changed), "children": tuple(children)}
                await commit(lane, claim, operation=operation, **parts)
                live.saved = states(live.instances)

    def lane(self, id: str) -> Lane:
        """
        Return an open session's lane.

        Raises:
            InvalidInput: It isn't open.
        """
        lane = self.lanes.get(id)
        if lane is None:
            raise InvalidInput(f"no open session {id!r}")
        return lane
