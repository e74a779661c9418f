"""Connections lent to one caller at a time, made when they're needed, so many at most."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from psycopg.pq import TransactionStatus

from lash_sdk.errors import StoreBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from .schema import Connection


QUEUE: Final = 60.0
"""Seconds that a caller waits for others to give a connection back."""


class Lender:
    """The connections of one open store."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(most)
        self._idle: list[Connection] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """
        Lend a connection; it's kept for the next caller if it's as good as before.

        Raises:
            StoreBusy: All of them stayed lent for a minute.
            StoreError: The server can't be reached.
        """
        try:
            async with asyncio.timeout(QUEUE):
                await self._free.acquire()
        except TimeoutError:
            raise StoreBusy("all connections stayed busy: try again") from None
        try:
            db = self._idle.pop() if self._idle else await self._connect()
            try:
                yield db
            finally:
                if not self._closed and _sound(db):
                    self._idle.append(db)  # the last one first: the others may rest
                else:
                    await db.close()
        finally:
            self._free.release()

    async def renew(self) -> None:
        """Close what's idle: one connection broke, and the others may have as well."""
        while self._idle:
            await self._idle.pop().close()

    async def close(self) -> None:
        """Close every connection, those that are lent once they come back."""
        self._closed = True
        await self.renew()


def _sound(db: Connection) -> bool:
    return not db.closed and db.info.transaction_status is TransactionStatus.IDLE
