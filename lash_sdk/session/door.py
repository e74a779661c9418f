"""Who may change a session: one at a time, in this process and among all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from ..dispatch.live import Live
from ..errors import SessionBusy, SessionClosed
from ..ports import Claim


class Door:
    """
    The way to change a live session.

    Attributes:
        closed: Whether nobody gets in any more.
    """

    __slots__ = ("_live", "_lock", "_refresh", "closed")

    def __init__(self, live: Live, refresh: Callable[[], Awaitable[None]]) -> None:
        """Take the session, and what reads it anew."""
        self.closed = False
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

    async def enter(self, *, wait: bool = False) -> Claim | None:
        """
        Return the session's claim once nothing else runs in it.

        The session is then as the store has it, whoever committed last.

        Raises:
            SessionBusy: Something runs, and it isn't waited for.
            SessionClosed: It was closed, maybe meanwhile.
        """
        live = self._live
        self._check_open()
        if not wait and self._lock.locked():
            raise SessionBusy(live.id)
        await self._lock.acquire()
        claim = None
        try:
            self._check_open()
            if "journal" in live.store.capabilities:
                claim = await self._claim(wait=wait)
                if claim.revision != live.revision:
                    await self._refresh()
        except BaseException:
            await self.leave(claim)
            raise
        return claim

    async def leave(self, claim: Claim | None) -> None:
        """Let the next one in."""
        try:
            if claim is not None:
                await self._live.store.release(claim)
        finally:
            self._lock.release()

    async def _claim(self, *, wait: bool) -> Claim:
        """Return the claim; with *wait*, once another process gives it back."""
        pause = 0.005
        while True:
            try:
                return await self._live.store.claim(self._live.id)
            except SessionBusy:
                if not wait:
                    raise
            await asyncio.sleep(pause)
            self._check_open()
            pause = min(pause * 2, 0.1)

    def _check_open(self) -> None:
        if self.closed:
            raise SessionClosed(self._live.id)
