"""The stores that many processes can share, each in a place of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from psycopg import sql

from lash_sdk.testing.store_place import Place

from .postgres_server import PostgresServer, shared

SQLITE: Final = "lash_store_sqlite:SqliteStore.from_url"
POSTGRES: Final = "lash_store_postgres:PostgresStore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """
    A place that's new and empty.

    Attributes:
        sever: Takes the lock of every claim away, behind its holder's back.
    """

    place: Place
    sever: Callable[[], None]


@contextmanager
def sqlite(folder: Path, factory: str = SQLITE) -> Generator[Arena]:
    """Yield a file in *folder*."""
    file = folder / "a.db"

    def sever() -> None:
        (folder / "a.db-claims").unlink()

    yield Arena(place=Place(url=f"sqlite:///{file}", factory=factory, file=file), sever=sever)


@contextmanager
def postgres(server: PostgresServer, folder: Path, factory: str = POSTGRES) -> Generator[Arena]:
    """Yield a schema on a server that others share."""
    url = server.schema()
    yield Arena(place=Place(url=url, factory=factory), sever=lambda: _sever(server))
    schema = sql.Identifier(url.rpartition("schema=")[2])
    server.execute(sql.SQL("drop schema {} cascade").format(schema))


def _sever(server: PostgresServer) -> None:
    """End the server's side of each connection that holds a claim."""
    server.execute(
        sql.SQL(
            "select pg_terminate_backend(pid, 5000) from"
            " (select distinct pid from pg_locks where locktype = 'advisory' and granted) held"
        )
    )


Make: TypeAlias = Callable[[Path], AbstractContextManager[Arena]]

NAMES: Final = ("sqlite", "postgres")
"""The stores that processes can share."""


def arena(name: str, config: pytest.Config, fault: str = "") -> Make:
    """
    Return what makes a place of that store, given a folder for what's beside it.

    With a *fault* it's the store of that name among the planted ones.
    """
    if name == "sqlite":
        kind = f"tests.planted_races:{fault}.from_url" if fault else SQLITE
        return partial(sqlite, factory=kind)
    kind = f"tests.planted_servers:{fault}" if fault else POSTGRES
    return partial(postgres, shared(config), factory=kind)
