"""Stores on a server with one fault each, which most show only where many are at work."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace

from lash_sdk.commits import Commit, Head, Receipt
from lash_sdk.errors import RevisionConflict, SessionBusy
from lash_sdk.ports import Claim, JournalRow, Page
from lash_store_postgres.store import PostgresStore

from .planted_races import plain


class Overwrites(PostgresStore):
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


class TrustsClaims(Overwrites):
    """Takes a claim for the right to commit."""

    async def claim(self, session: str) -> Claim:
        claim = await super().claim(session)
        self._trusted = session
        return claim

    async def commit(self, commit: Commit) -> Receipt:
        if getattr(self, "_trusted", None) == commit.session:
            return await super().commit(commit)
        return await PostgresStore.commit(self, commit)


class CachesReceipts(PostgresStore):
    """Knows an operation again only in the process that made it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
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


class NeverRefuses(PostgresStore):
    """Takes journal rows from whoever lost the session, and drops them."""

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        with suppress(SessionBusy):
            await super().journal_put(claim, rows)


class ReadsAll(PostgresStore):
    """Tells a session from its beginning, from wherever it's asked."""

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        async for page in super().load(session):
            yield page


class TakesBackUsed(PostgresStore):
    """Says of any item that it was taken back."""

    async def withdraw(self, session: str, key: str) -> bool:
        await super().withdraw(session, key)
        return True
