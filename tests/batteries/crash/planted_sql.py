"""Faults planted in the SQLite store's own code."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import apsw

from lash_sdk.errors import LashError, StoreError
from lash_store_sqlite import commits, connection, journal, writer

from .planted import swapped


def cut(db: apsw.Connection) -> None:
    """End the transaction here, and begin another."""
    db.execute("commit")
    db.execute("begin immediate")


def parts_apart() -> AbstractContextManager[None]:
    """A commit's nodes are written in another transaction than its head."""
    honest = commits._put_parts  # pyright: ignore[reportPrivateUsage]

    def put(db: apsw.Connection, body: commits.Body, session: int, first: int) -> None:
        honest(db, body, session, first)
        cut(db)

    return swapped(commits, "_put_parts", put)


def journal_cleared_apart() -> AbstractContextManager[None]:
    """The journal is cleared before the turn is there."""
    honest = commits._insert  # pyright: ignore[reportPrivateUsage]

    def insert(db: apsw.Connection, body: Any, start: Any, base: Any) -> Any:
        db.execute("delete from journal where turn=?", (body.commit.turn,))
        cut(db)
        return honest(db, body, start, base)

    return swapped(commits, "_insert", insert)


@contextmanager
def told_before_it_is_written() -> Generator[None]:
    """Whoever commits is told so before the transaction is."""
    deliver = writer._deliver  # pyright: ignore[reportPrivateUsage]

    def alone(self: writer.Writer, job: Any) -> object:
        db = self._begin()  # pyright: ignore[reportPrivateUsage]
        try:
            result = job.run(db)
            writer._tell([(job, result)])  # pyright: ignore[reportPrivateUsage]
            time.sleep(0.01)  # a slow disk
            db.execute("commit")
        except BaseException:
            writer._roll_back(db)  # pyright: ignore[reportPrivateUsage]
            raise
        return result

    def once(results: list[Any]) -> None:
        deliver([each for each in results if not each[0].done()])

    with swapped(writer.Writer, "_alone", alone), swapped(writer, "_deliver", once):
        yield


def full_is_any_error() -> AbstractContextManager[None]:
    """A full disk can't be told from a broken one."""

    def translated(error: Exception, path: str) -> LashError:
        return error if isinstance(error, LashError) else StoreError(f"{path!r}: {error}")

    return swapped(writer, "translated", translated)


def journal_not_written() -> AbstractContextManager[None]:
    """Journal rows are acknowledged, and dropped."""

    def put(db: apsw.Connection, entry: Any, holds: Any) -> int:
        return len(entry.rows)

    return swapped(journal, "put", put)


def not_flushed() -> AbstractContextManager[None]:
    """Commits are in the log, and nobody waits for the disk: `synchronous=NORMAL`."""
    return swapped(connection, "PRAGMAS", {**connection.PRAGMAS, "synchronous": 1})


def never_flushed() -> AbstractContextManager[None]:
    """Nothing is ever flushed: `synchronous=OFF`."""
    return swapped(connection, "PRAGMAS", {**connection.PRAGMAS, "synchronous": 0})


def blind_rollback() -> AbstractContextManager[None]:
    """A transaction that SQLite has rolled back is rolled back again."""

    def roll_back(db: apsw.Connection) -> None:
        db.execute("rollback")

    return swapped(writer, "_roll_back", roll_back)


def written_anywhere() -> AbstractContextManager[None]:
    """Nobody looks whether the file is still where it was."""
    return swapped(writer, "check_place", lambda db, path: None)
