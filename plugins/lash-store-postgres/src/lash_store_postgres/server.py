"""
Connections to the server: how they're made, lent, tried again and given up.

What's asked for is safe to ask for twice. So if a connection breaks before its answer
is there, the same is asked on a new one, and the operation id, or whatever else tells
one thing from another, says whether it was done already.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg

from lash_sdk.errors import StoreError, StoreMissing

from .lender import Lender
from .refusals import AGAIN, stale, state, translated, unknown
from .schema import Connection, named, prepare, version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from psycopg.rows import TupleRow

    from .address import Address

T = TypeVar("T")

SETTINGS: Final = {
    "search_path": "",
    # in read committed each statement of a function sees what was committed before it
    "default_transaction_isolation": "read committed",
    "jit": "off",  # there's nothing to compile for a few rows found by their keys
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # a host that vanished lets go of its claims and its locks
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""What a role or a database may have set otherwise."""


PAUSE: Final = 0.05
"""Seconds, at most, until the same is tried again."""


class Away(StoreError):
    """Raised when the server can't be reached, or lets us in no more."""


class Server:
    """
    A server's database, as one open store uses it.

    Attributes:
        address: Where it is.
        patience: Seconds that others, or the server itself, may keep us waiting.
    """

    def __init__(self, address: Address, patience: float, connections: int) -> None:
        self.address = address
        self.patience = patience
        self._connections = connections
        self._lender: Lender | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    async def open(self) -> None:
        """
        Make the tables if there are none, and connections as they're needed.

        Raises:
            LashError: As `Store.open` says.
        """
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        await self._first(prepare)
        self._lender = Lender(self.connect, self._connections)

    async def find(self) -> None:
        """
        Return if the tables are there; make none.

        Raises:
            StoreMissing: They aren't.
            LashError: As `Store.open` says.
        """
        if not await self._first(version):
            where, schema = self.address.text, self.address.schema
            raise StoreMissing(f"{where}: there's no store in schema {schema!r}")

    async def _first(self, look: Callable[[Connection, Address], Awaitable[T]]) -> T:
        """Return what *look* does on a connection of its own, before there are others."""
        first = await self.connect()
        try:
            return await look(first, self.address)
        except psycopg.Error as error:
            raise translated(error, self.address.text) from error
        finally:
            await first.close()

    async def close(self) -> None:
        """Close every connection."""
        lender, self._lender = self._lender, None
        if lender is not None and self._process == os.getpid():
            await lender.close()

    def check(self) -> None:
        """
        Accept a call in the loop and the process that opened the store.

        Raises:
            StoreError: It isn't open, or this is another loop, or a fork carried it here.
        """
        where = self.address.text
        if self._lender is None:
            raise StoreError(f"{where} isn't open")
        if self._process != os.getpid():
            raise StoreError(f"{where} was opened before a fork: open a store of your own")
        if self._loop is not asyncio.get_running_loop():
            raise StoreError(f"{where} was opened in another event loop: open a store in each")

    async def connect(self) -> Connection:
        """
        Return a connection of the caller's own.

        Raises:
            Away: The server can't be reached, or refuses us.
        """
        try:
            db = await psycopg.AsyncConnection.connect(self.address.conninfo, autocommit=True)
            try:
                await self._configure(db)
            except BaseException:
                await db.close()
                raise
        except psycopg.Error as error:
            failure = Away(str(translated(error, self.address.text)))
        else:
            return db
        raise failure  # without its cause, whose frames hold the password

    async def connect_again(self) -> Connection:
        """Return a connection of the caller's own, once the server is back."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return await self.connect()
            except Away:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(PAUSE)

    async def wait(self, query: str, *args: object) -> None:
        """Run a query that waits for a lock, for as long as it says itself."""
        async with self._lend().connection() as db:
            with suppress(psycopg.errors.LockNotAvailable):
                await db.execute(named(query, self.address), args)

    async def rows(self, query: str, *args: object) -> list[TupleRow]:
        """Return the rows of a query."""
        statement = named(query, self.address)

        async def fetch(db: Connection) -> list[TupleRow]:
            return await (await db.execute(statement, args, binary=True)).fetchall()

        return await self.perform(fetch)

    async def several(self, *queries: tuple[str, Sequence[object]]) -> list[list[TupleRow]]:
        """Return the rows of each query, all of them asked in one round trip."""
        statements = [(named(query, self.address), args) for query, args in queries]

        async def fetch(db: Connection) -> list[list[TupleRow]]:
            async with db.pipeline():
                cursors = [await db.execute(*each, binary=True) for each in statements]
            # out here: inside, the first of them would be a round trip of its own
            return [await cursor.fetchall() for cursor in cursors]

        return await self.perform(fetch)

    async def call(self, query: str, *args: object) -> TupleRow:
        """
        Return the row of a call that changes something; it's safe to repeat.

        Whoever awaits it in a task of its own learns what became of it: should that
        task be cancelled, because its loop ends, the call is made once more.
        """
        try:
            return (await self.rows(query, *args))[0]
        except asyncio.CancelledError:
            return (await self.rows(query, *args))[0]

    async def perform(self, action: Callable[[Connection], Awaitable[T]]) -> T:
        """
        Return what *action* returns, done on a connection; it's safe to repeat.

        Raises:
            LashError: It failed, and wasn't done; or its message says that nobody knows.
        """
        deadline: float | None = None
        doubt = False
        while True:
            try:
                async with self._lend().connection() as db:
                    deadline = deadline or time.monotonic() + self.patience  # once it's our turn
                    return await action(db)
            except (psycopg.Error, UnicodeEncodeError, Away) as error:
                deadline = deadline or time.monotonic() + self.patience
                doubt = doubt or unknown(error)
                hopeless = not (isinstance(error, Away) or unknown(error) or state(error) in AGAIN)
                if hopeless or time.monotonic() > deadline:
                    failure = self._doubtful() if doubt else translated(error, self.address.text)
                    raise failure from error
                if stale(error):
                    await self._lend().renew()
            await asyncio.sleep(random.uniform(PAUSE / 10, PAUSE))  # noqa: S311 - jitter

    def _lend(self) -> Lender:
        if self._lender is None:
            raise StoreError(f"{self.address.text} isn't open")
        return self._lender

    def _doubtful(self) -> StoreError:
        return StoreError(
            f"{self.address.text}: the connection broke: it isn't known whether this was"
            " written, repeat it with the same operation id"
        )

    async def _configure(self, db: Connection) -> None:
        settings = {**SETTINGS, "lock_timeout": f"{round(self.patience * 1000)}ms"}
        pairs = [word for pair in settings.items() for word in pair]
        calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
        await db.execute(named(f"select {calls}", self.address), pairs)
