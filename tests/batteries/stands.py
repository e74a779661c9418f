"""The stores that the state machine works on, each in a place where it opens again."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from psycopg import sql

from lash_sdk.commits import Receipt
from lash_sdk.errors import LashError, RevisionConflict
from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Claim, Store
from lash_store_postgres import PostgresStore
from lash_store_sqlite import SqliteStore

from .postgres_server import PostgresServer, shared


class Stand(ABC):
    """
    A store under the machine.

    Attributes:
        store: The handle in use.
        claims: What it gave, in order; most are stale.
        feed: All that its feed told, read on from the last cursor each time.
        latest: The highest generation that wrote a journal, by session.
    """

    name: str

    def __init__(self, store: Store) -> None:
        self.store = store
        self.claims: list[Claim] = []
        self.feed: list[Receipt] = []
        self.latest: dict[str, int] = {}

    async def begin(self) -> None:
        """Open the store for the first time."""
        await self.store.open()

    @abstractmethod
    async def reopen(self) -> None:
        """Close it and open it again, as a program does that is started twice."""

    @abstractmethod
    async def crash(self) -> None:
        """Open it again without having closed it: its holder died, and its claims with it."""

    async def end(self) -> None:
        """Clear everything away."""
        await self.store.close()

    async def read_on(self) -> None:
        """Take in what the feed has got since."""
        cursor = self.feed[-1].cursor if self.feed else 0
        async for receipt in self.store.changes(cursor):
            assert receipt.cursor > cursor, self.name
            cursor = receipt.cursor
            self.feed.append(receipt)


class MemoryStand(Stand):
    """The memory store lives as long as its process: only its claims' holders die."""

    name = "memory"

    def __init__(self, kind: Callable[[], MemoryStore] = MemoryStore) -> None:
        super().__init__(kind())

    async def reopen(self) -> None:
        await self.crash()

    async def crash(self) -> None:
        for claim in self.claims:
            await self.store.release(claim)
        await self.store.close()
        await self.store.open()


class SqliteStand(Stand):
    """A file; a handle whose holder died keeps its threads until the end, but no lock."""

    name = "sqlite"

    def __init__(self, kind: Callable[[Path], SqliteStore] = SqliteStore) -> None:
        self._kind = kind
        self._folder = tempfile.TemporaryDirectory(prefix="lash-machine-")
        self._path = Path(self._folder.name) / "a.db"
        self._dead: list[SqliteStore] = []
        self._open = kind(self._path)
        super().__init__(self._open)

    async def reopen(self) -> None:
        await self._open.close()
        await self._again()

    async def crash(self) -> None:
        if self._open._claims is not None:
            self._open._claims.disown()  # the system closes a dead process' files
        self._dead.append(self._open)
        await self._again()

    async def _again(self) -> None:
        self.store = self._open = self._kind(self._path)
        await self._open.open()

    async def end(self) -> None:
        for store in self._dead:
            if store._claims is not None:
                store._claims._file = None  # closed already
            await store.close()
        await self._open.close()
        self._folder.cleanup()


class PostgresStand(Stand):
    """A schema of its own on a server that's shared; a dead handle has lost its claims' link."""

    name = "postgres"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._url = server.schema()
        self._dead: list[PostgresStore] = []
        self._open = PostgresStore(self._url, connections=1)
        super().__init__(self._open)

    async def reopen(self) -> None:
        await self._open.close()
        await self._again()

    async def crash(self) -> None:
        if self._open._claims._db is not None:
            self._open._claims._db.pgconn.finish()  # the system closes a dead process' sockets
        self._dead.append(self._open)
        await self._again()

    async def _again(self) -> None:
        self.store = self._open = PostgresStore(self._url, connections=1)
        await self._open.open()

    async def end(self) -> None:
        for store in (*self._dead, self._open):
            await store.close()
        schema = sql.Identifier(self._open.address.schema)
        self._server.execute(sql.SQL("drop schema {} cascade").format(schema))


NAMES: Final = ("memory", "sqlite", "postgres")
"""Every store; lockstep has all of them."""


def stand(name: str, config: pytest.Config) -> Callable[[], Stand]:
    """Return what makes a stand of that store."""
    match name:
        case "memory":
            return MemoryStand
        case "sqlite":
            return SqliteStand
        case _:
            return partial(PostgresStand, shared(config))


async def answer(asked: Awaitable[object]) -> object:
    """Return what came of it: a value, or an error by its name and figures."""
    try:
        return await asked
    except RevisionConflict as error:
        return ("RevisionConflict", error.expected, error.actual)
    except LashError as error:
        return (type(error).__name__,)
