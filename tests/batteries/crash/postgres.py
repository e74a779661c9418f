"""A schema of a PostgreSQL server as a place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql

from lash_sdk.ports import Store
from lash_store_postgres import PostgresStore
from lash_store_postgres.address import Address

from .reading import link

PATIENCE: Final = 3.0


class PostgresPlace:
    """A schema of its own on a server."""

    name = "postgres"
    survives = True

    def __init__(self, url: str, session: str = "s") -> None:
        self.url = url
        self.session = session

    def store(self) -> Store:
        """Return a store of the schema."""
        return PostgresStore(self.url, patience=PATIENCE, connections=2)

    def look(self) -> list[str]:
        """Return what is wrong with the rows, read without the store's own code."""
        address = Address(self.url)
        with psycopg.connect(address.conninfo) as db:
            db.execute(sql.SQL("set search_path to {}").format(sql.Identifier(address.schema)))
            return list(_second_reading(db))

    def leftovers(self) -> list[str]:
        """Return nothing: a server closes what its clients leave open."""
        return []

    def address(self) -> Mapping[str, str]:
        """Return where it is."""
        return {"kind": self.name, "url": self.url, "session": self.session}


def _second_reading(db: psycopg.Connection[Any]) -> Iterator[str]:
    """Yield what is wrong: gaps, broken chains, parts without a commit, doubles."""
    sessions = db.execute("select key, id, head, revision from sessions where state = 1")
    for key, id, head, revision in sessions.fetchall():
        commits = db.execute(
            "select key, parent, revision, operation, nodes, hash, parts from commits"
            " where session = %s order by revision",
            [key],
        ).fetchall()
        if [row[2] for row in commits] != list(range(1, revision + 1)):
            yield f"session {id!r}: revisions {[row[2] for row in commits]!r}, head at {revision}"
        if commits and commits[-1][0] != head:
            yield f"session {id!r}: its head isn't its last commit"
        before: tuple[int | None, bytes] = (None, b"")
        for commit, parent, at, operation, nodes, hash, parts in commits:
            hashes = [parts[n : n + 32].hex() for n in range(0, len(parts), 32)]
            if parent != before[0] or hash != link(before[1].hex(), operation, hashes):
                yield f"session {id!r}: revision {at} doesn't stand on the one before"
            stored = db.execute(
                "select place from nodes where commit = %s order by place", [commit]
            ).fetchall()
            if [row[0] for row in stored] != list(range(nodes)):
                yield f"session {id!r}: revision {at} lacks nodes"
            before = (commit, hash)
    for table in ("nodes", "usage", "plugin_rows"):
        orphans = db.execute(
            sql.SQL("select count(*) from {} where commit not in (select key from commits)").format(
                sql.Identifier(table)
            )
        ).fetchone()
        if orphans != (0,):
            yield f"{orphans} rows of {table} belong to no commit"
