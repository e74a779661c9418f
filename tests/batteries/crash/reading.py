"""A second reading of a database: what its rows say, without the store's own code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import apsw


def reading(path: str) -> list[str]:
    """Return what is wrong with a database; that it can't be read is one thing."""
    db = apsw.Connection(path)
    try:
        return list(second_reading(db))
    except apsw.Error as error:
        return [f"unreadable: {error}"]
    finally:
        db.close()


def rows(db: apsw.Connection, query: str, *bound: int) -> list[Any]:
    """Return what a query finds."""
    return db.execute(query, bound).fetchall()


def second_reading(db: apsw.Connection) -> Iterator[str]:
    """Yield what is wrong in a database, by reading its rows and nothing else."""
    if not db.execute("select count(*) from sqlite_schema").get:
        return
    for (line,) in rows(db, "pragma integrity_check"):
        if line != "ok":
            yield f"integrity_check: {line}"
    sessions = rows(db, "select key, id, head from sessions where state=1")
    for key, id, head in sessions:
        if head is not None:
            yield from _chain(db, key, id, head)
    for table, column in (("nodes", "key"), ("usage", "key"), ("plugin_rows", "key")):
        orphans = db.execute(
            f"select count(*) from {table} where ({column} >> 20) not in (select key from commits)"
        ).get
        if orphans:
            yield f"{orphans} rows of {table} belong to no commit"
    for hash, body in rows(db, "select hash, body from blobs"):
        if hashlib.sha256(body).digest() != hash:
            yield "a blob isn't what its hash says"
    doubled = db.execute(
        "select count(*) from (select 1 from commits where operation is not null"
        " group by operation, session having count(*) > 1)"
    ).get
    if doubled:
        yield f"{doubled} operations are there twice"


def _chain(db: apsw.Connection, key: int, id: str, head: int) -> Iterator[str]:
    """Yield what is wrong with a session's commits, walked back from its head."""
    commits = rows(
        db,
        "select key, parent, revision, operation, nodes, hash, parts from commits"
        " where session=? order by revision",
        key,
    )
    revisions = [row[2] for row in commits]
    if revisions != list(range(1, len(commits) + 1)):
        yield f"session {id!r}: revisions {revisions!r} have gaps"
    if commits and commits[-1][0] != head:
        yield f"session {id!r}: its head isn't its last commit"
    before: tuple[int | None, bytes] = (None, b"")
    for commit, parent, revision, operation, nodes, hash, parts in commits:
        if parent != before[0]:
            yield f"session {id!r}: revision {revision} doesn't stand on the one before"
        hashes = [parts[at : at + 32].hex() for at in range(0, len(parts), 32)]
        if hash != link(before[1].hex() if parent is not None else "", operation, hashes):
            yield f"session {id!r}: the hash of revision {revision} isn't right"
        stored = rows(
            db,
            "select key from nodes where key >= ? and key < ? order by key",
            commit << 20,
            (commit + 1) << 20,
        )
        if [row[0] for row in stored] != [commit << 20 | at for at in range(nodes)]:
            yield f"session {id!r}: revision {revision} lacks nodes"
        before = (commit, hash)


def link(parent: str, operation: str, hashes: list[str]) -> bytes:
    """Return the hash of a commit, made a second time."""
    text = "".join(f"{len(each)}:{each}" for each in (parent, operation, *hashes))
    return hashlib.sha256(text.encode()).digest()
