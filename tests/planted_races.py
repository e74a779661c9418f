"""Stores on a file with one fault each, which shows only where many race."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import apsw

from lash_sdk.commits import Commit, Head, Receipt
from lash_sdk.errors import RevisionConflict, SessionBusy
from lash_sdk.ports import Claim, JournalRow, Page
from lash_store_sqlite import SqliteStore
from lash_store_sqlite.writer import Writer

T = TypeVar("T")


class Overwrites(SqliteStore):
    """Updates the head without a look at its revision."""

    async def commit(self, commit: Commit) -> Receipt:
        while True:
            head = await self.head(commit.session)
            try:
                now = replace(commit, expected=head.revision if head else 0)
                return await super().commit(now)
            except RevisionConflict:
                continue


class SelectsThenInserts(Overwrites):
    """Compares the revision, and swaps it in another transaction."""

    async def commit(self, commit: Commit) -> Receipt:
        head = await self.head(commit.session)
        actual = head.revision if head else 0
        if actual != commit.expected:
            raise RevisionConflict(commit.session, expected=commit.expected, actual=actual)
        return await super().commit(commit)


class _Deferred(Writer):
    def _begin(self) -> apsw.Connection:
        db = self._connection()
        if db.in_transaction:
            db.execute("rollback")
        db.execute("begin")
        return db


class DefersBegin(SqliteStore):
    """Begins to write when it has read already, and trusts the busy timeout."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, patience=0.0)

    async def open(self) -> None:
        self._patience = 5.0
        await super().open()
        if self._writer is not None:
            await self._run(self._writer.close)
            self._writer = _Deferred(self.path, 0.0)


class TrustsClaims(Overwrites):
    """Takes a claim for the right to commit."""

    async def claim(self, session: str) -> Claim:
        claim = await super().claim(session)
        self._trusted = session
        return claim

    async def commit(self, commit: Commit) -> Receipt:
        if getattr(self, "_trusted", None) == commit.session:
            return await super().commit(commit)
        return await SqliteStore.commit(self, commit)


class CachesReceipts(SqliteStore):
    """Knows an operation again only in the process that made it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._known: dict[tuple[str, str], Receipt] = {}

    async def commit(self, commit: Commit) -> Receipt:
        known = self._known.get((commit.session, commit.operation))
        if known is None:
            own = replace(commit, operation=f"{commit.operation}#{os.getpid()}")
            known = replace(await super().commit(own), operation=commit.operation)
            self._known[commit.session, commit.operation] = known
        return known

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        return self._known.get((session, operation))

    async def head(self, session: str) -> Head | None:
        return plain(await super().head(session))

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        async for page in super().load(session, since):
            yield replace(page, head=plain(page.head))


def plain(head: Head | None) -> Head | None:
    """Return a head without the process that its operation is known by."""
    return head and replace(head, operation=head.operation.partition("#")[0])


class NeverRefuses(SqliteStore):
    """Takes journal rows from whoever lost the session, and drops them."""

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        with suppress(SessionBusy):
            await super().journal_put(claim, rows)
