"""Who may change a session: one at a time, in this process and among all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from ..dispatch.live import Live
from ..errors import LashError, SessionBusy, SessionClosed, StoreError
from ..messages import Message
from ..ports import Claim
from .line import Place, first, join
from .recovery import SPENT, spent

PAUSE: Final = 0.005
LONGEST: Final = 0.1
"""Seconds between two looks at a session that another process holds."""

LINE: Final = frozenset(("inbox", "journal"))
"""What a store has to have for a line that other processes know of."""

log = logging.getLogger("lash.session")


class Door:
    """
    The way to change a live session.

    Attributes:
        closed: Whether nobody gets in any more.
        waiting: The turns that wait in line here.
    """

    __slots__ = ("_live", "_lock", "_refresh", "closed", "waiting")

    def __init__(self, live: Live, refresh: Callable[[], Awaitable[None]]) -> None:
        """Take the session, and what reads it anew."""
        self.closed = False
        self.waiting: set[str] = set()
        self._live = live
        self._refresh = refresh
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[Claim | None]:
        """Keep everybody else out; with the claim, where the store has any."""
        claim = await self.enter()
        try:
            yield claim
        finally:
            await self.leave(claim)

    async def enter(self, *, politely: bool = False) -> Claim | None:
        """
        Return the session's claim if nothing else runs in it.

        The session is then as the store has it, whoever committed last.

        Raises:
            SessionBusy: Something runs, or *politely*, somebody waits in line.
            SessionClosed: It was closed.
        """
        live = self._live
        self._check_open()
        if self._lock.locked():
            raise SessionBusy(live.id)
        await self._lock.acquire()
        claim = None
        try:
            if "journal" in live.store.capabilities:
                claim = await live.store.claim(live.id)
                if politely and claim.waiting and await first(live, self.waiting):
                    raise SessionBusy(live.id)
                await self._catch_up(claim)
        except BaseException:
            await self.leave(claim)
            raise
        return claim

    async def line_up(self, turn: str, message: Message) -> tuple[Place | None, Claim | None]:
        """
        Return *turn*'s place in the line once it's its turn, and the session's claim.

        Raises:
            SessionClosed: It was closed meanwhile.
        """
        live, place = self._live, None
        if live.store.capabilities >= LINE:
            place = await join(live, turn, message)
            self.waiting.add(turn)
        try:
            while True:
                claim = None
                await self._lock.acquire()
                try:
                    if place is None or await self._comes(turn):
                        claim = await self._claim()
                        await self._catch_up(claim)
                        return place, claim
                except BaseException:
                    await self.leave(claim)
                    raise
                self._lock.release()
                await asyncio.sleep(0)
        except BaseException:
            await self.step_out(place)
            raise

    async def emptied(self) -> None:
        """Return once nobody waits in line; the door is closed."""
        while self.waiting:  # noqa: ASYNC110 - they notice by looking too
            await asyncio.sleep(PAUSE)

    async def step_out(self, place: Place | None) -> None:
        """Give up a place in the line, used or not."""
        if place is not None:
            try:
                await place.leave()
            finally:
                self.waiting.discard(place.turn)

    async def leave(self, claim: Claim | None) -> None:
        """Let the next one in; what was spent outside turns is off the record once paid."""
        live = self._live
        try:
            if claim is not None and claim.unfinished:
                with suppress(LashError):
                    rows = spent(await live.store.journal(live.id))
                    if all(row.id in live.ledger for row in rows):  # also what others spent
                        await live.store.journal_drop(claim, SPENT)
            if claim is not None:
                await live.store.release(claim)
        except StoreError as error:  # what was done is done
            log.warning("session %r: its claim wasn't given back: %s", live.id, error)
        finally:
            self._lock.release()

    async def _comes(self, turn: str) -> bool:
        """Return once no other process comes before; whether no one here does either."""
        pause = PAUSE
        while True:
            self._check_open()
            next = await first(self._live, self.waiting)
            if next is None or next in self.waiting:
                return next in (None, turn)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST)

    async def _claim(self) -> Claim | None:
        """Return the claim once whoever has it gives it back; None where there are none."""
        live, pause = self._live, PAUSE
        while "journal" in live.store.capabilities:
            self._check_open()
            with suppress(SessionBusy):
                return await live.store.claim(live.id)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST)
        return None

    async def _catch_up(self, claim: Claim | None) -> None:
        """Return once the session is as the store has it."""
        if claim is not None and claim.revision != self._live.revision:
            await self._refresh()

    def _check_open(self) -> None:
        if self.closed:
            raise SessionClosed(self._live.id)
