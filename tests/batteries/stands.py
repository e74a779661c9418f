"""
The stores that the state machine works on, each in a place where it opens again.

What lasts when the power goes is for other batteries to find out (crash A2 to A6), on
disks and servers that flush. Here a store's holder dies and its files stay, so that they
may lie in memory, and the server needn't flush: whatever is written is read back alike.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
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

from .postgres_server import PostgresServer, unflushed


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


MEMORY: Final = Path("/dev/shm")
"""Where files cost nothing to flush, on Linux; elsewhere they lie where temporary ones do."""


class SqliteStand(Stand):
    """A file; a handle whose holder died keeps its threads until the end, but no lock."""

    name = "sqlite"

    def __init__(self, kind: Callable[[Path], SqliteStore] = SqliteStore) -> None:
        self._kind = kind
        where = MEMORY if os.access(MEMORY, os.W_OK) else None
        self._folder = tempfile.TemporaryDirectory(prefix="lash-machine-", dir=where)
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


class Schemas:
    """
    Empty schemas of a server's, for one store after another.

    One that's given back is emptied, not made anew: that tables and functions come to be
    is the store contract's to see, and takes longer than what is done in them here.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._free: list[str] = []
        self._emptied: dict[str, sql.Composed] = {}

    def lend(self) -> str:
        """Return the URL of one that has no rows, or isn't there yet."""
        return self._free.pop() if self._free else self._server.schema()

    def give_back(self, url: str) -> None:
        """Empty it: every table but the one that says which version it is."""
        if url not in self._emptied:
            schema = url.rpartition("schema=")[2]
            parts = [
                _EMPTIED[str(kind)].format(sql.Identifier(schema, str(name)))
                for kind, name in self._server.execute(_KEPT, schema)
            ]
            self._emptied[url] = sql.SQL("; ").join(parts)
        self._server.execute(self._emptied[url])
        self._free.append(url)


_KEPT: Final = sql.SQL(
    "select c.relkind::text, c.relname from pg_class c join pg_namespace n"
    " on n.oid = c.relnamespace where n.nspname = %s and c.relname <> 'about'"
    " and c.relkind in ('r', 'S')"
)
_EMPTIED: Final = {
    "r": sql.SQL("delete from {}"),  # a tenth of what `truncate` takes, which makes files
    "S": sql.SQL("alter sequence {} restart"),
}
"""What empties a table or a sequence, by PostgreSQL's letter for the kind."""


class PostgresStand(Stand):
    """A schema of its own on a server that's shared; a dead handle has lost its claims' link."""

    name = "postgres"

    def __init__(
        self, schemas: Schemas, kind: Callable[[str], PostgresStore] = PostgresStore
    ) -> None:
        self._kind = kind
        self._schemas = schemas
        self._url = schemas.lend()
        self._dead: list[PostgresStore] = []
        self._open = kind(self._url)
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
        self.store = self._open = self._kind(self._url)
        await self._open.open()

    async def end(self) -> None:
        for store in (*self._dead, self._open):
            await store.close()
        self._schemas.give_back(self._url)


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
            return partial(PostgresStand, schemas(config))


def schemas(config: pytest.Config) -> Schemas:
    """Return the schemas that the tests of this run of pytest take turns with."""
    if _SCHEMAS not in config.stash:
        config.stash[_SCHEMAS] = Schemas(unflushed(config))
    return config.stash[_SCHEMAS]


_SCHEMAS: Final = pytest.StashKey[Schemas]()


async def answer(asked: Awaitable[object]) -> object:
    """Return what came of it: a value, or an error by its name and figures."""
    try:
        return await asked
    except RevisionConflict as error:
        return ("RevisionConflict", error.expected, error.actual)
    except LashError as error:
        return (type(error).__name__,)
