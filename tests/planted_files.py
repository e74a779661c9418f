"""Stores on a file with one fault each, which only another process or damage shows."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from lash_sdk.commits import Commit, Head, Receipt
from lash_sdk.errors import SessionBusy, StoreCorrupt
from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Claim, JournalRow, Page
from lash_store_sqlite import SqliteStore


class LocalClaims(SqliteStore):
    """Keeps claims and journals in its process."""

    capabilities: ClassVar[frozenset[str]] = SqliteStore.capabilities | {"journal"}

    def __init__(self, path: str | os.PathLike[str], *, patience: float = 5.0) -> None:
        super().__init__(path, patience=patience)
        self._local = MemoryStore()

    async def claim(self, session: str) -> Claim:
        head = await self.head(session)
        claim = await self._local.claim(session)
        return replace(claim, revision=head.revision if head else 0)

    async def release(self, claim: Claim) -> None:
        if await self._holds(claim):
            self._local._journals[claim.session].claim = None

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        await self.head(claim.session)
        if not await self._holds(claim):
            raise SessionBusy(claim.session)
        await self._local.journal_put(replace(claim, revision=0), rows)

    async def journal(self, session: str) -> Sequence[JournalRow]:
        return await self._local.journal(session)

    async def journal_drop(self, claim: Claim, turn: str) -> None:
        if not await self._holds(claim):
            raise SessionBusy(claim.session)
        self._local._forget(claim.session, turn)

    async def commit(self, commit: Commit) -> Receipt:
        receipt = await super().commit(replace(commit, turn=None))
        if commit.turn is not None:
            self._local._forget(commit.session, commit.turn)
        return receipt

    async def _holds(self, claim: Claim) -> bool:
        journal = self._local._journals.get(claim.session)
        held = journal.claim if journal else None
        mine = (claim.holder, claim.generation)
        return held is not None and mine == (held.holder, held.generation)


class CachesHeads(SqliteStore):
    """Answers from what it saw last."""

    def __init__(self, path: str | os.PathLike[str], *, patience: float = 5.0) -> None:
        super().__init__(path, patience=patience)
        self._heads: dict[str, Head | None] = {}

    async def head(self, session: str) -> Head | None:
        if self._heads.get(session) is None:
            self._heads[session] = await super().head(session)
        return self._heads[session]

    async def commit(self, commit: Commit) -> Receipt:
        self._heads.clear()
        return await super().commit(commit)


class BeginsAnew(SqliteStore):
    """Makes a new file where it can't open the old one."""

    async def open(self) -> None:
        try:
            await super().open()
        except StoreCorrupt:
            os.unlink(self.path)
            await super().open()


class HidesDamage(SqliteStore):
    """Shows what it can still read, and nothing for the rest."""

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        with suppress(StoreCorrupt):
            async for page in super().load(session, since):
                assert all(node.data for node in page.nodes)
                yield page

    async def blob(self, ref: str) -> bytes:
        try:
            return await super().blob(ref)
        except StoreCorrupt:
            return b""
