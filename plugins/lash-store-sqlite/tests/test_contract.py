"""The contract that every store keeps, on a real file and between processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest

from lash_sdk.testing.pytest import Place, StoreContract
from lash_store_sqlite import SqliteStore
from lash_store_sqlite.schema import VERSION

TABLES = "select name from sqlite_schema where type='table'"


def rows(path: Path) -> int:
    """Return how many rows all tables of a file have."""
    with closing(apsw.Connection(str(path))) as db:
        tables = [name for (name,) in db.execute(TABLES)]
        counts: list[int] = [db.execute(f"select count(*) from {name}").get for name in tables]
        return sum(counts)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a writer needs."""
    with closing(apsw.Connection(str(path))) as db:
        db.execute("begin immediate")
        yield
        db.execute("rollback")


def make_newer(path: Path) -> None:
    """Say in the file's header that a newer version wrote it."""
    with closing(apsw.Connection(str(path))) as db:
        db.pragma("user_version", VERSION + 1)


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(tmp_path / "lash.db", patience=1.0)

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        path = tmp_path / "lash.db"
        return Place(
            url=f"sqlite:///{path}",
            factory="lash_store_sqlite:SqliteStore.from_url",
            file=path,
            rows=lambda: rows(path),
            lock=lambda: locked(path),
            newer=lambda: make_newer(path),
        )
