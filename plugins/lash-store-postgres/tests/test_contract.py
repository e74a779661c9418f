"""The contract that every store keeps, on a real server and between processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from lash_sdk.testing.pytest import Place, StoreContract
from lash_store_postgres import PostgresStore
from lash_store_postgres.address import Address


def rows(place: Address) -> int:
    """Return how many rows all tables of the schema have."""
    with psycopg.connect(place.conninfo) as db:
        tables = db.execute("select tablename from pg_tables where schemaname = %s", [place.schema])
        counts = [
            db.execute(
                sql.SQL("select count(*) from {}").format(sql.Identifier(place.schema, name))
            )
            for (name,) in tables.fetchall()
        ]
        return sum([row[0] for count in counts for row in count])


@contextmanager
def locked(place: Address) -> Iterator[None]:
    """Hold what a writer needs."""
    with psycopg.connect(place.conninfo) as db:
        gate = sql.Identifier(place.schema, "gate")
        db.execute(sql.SQL("lock table {}").format(gate))
        yield
        db.rollback()


def make_newer(place: Address) -> None:
    """Say in the schema that a newer version wrote it."""
    with psycopg.connect(place.conninfo) as db:
        about = sql.Identifier(place.schema, "about")
        db.execute(sql.SQL("update {} set version = version + 1").format(about))


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, url: str) -> PostgresStore:
        return PostgresStore(url, patience=2.0)

    @pytest.fixture
    def place(self, url: str) -> Place:
        address = Address(url)  # the file cases are the server's own: it has no file of ours
        return Place(
            url=url,
            factory="lash_store_postgres:PostgresStore",
            rows=lambda: rows(address),
            lock=lambda: locked(address),
            newer=lambda: make_newer(address),
        )
