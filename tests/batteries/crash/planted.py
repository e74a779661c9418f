"""
Faults put in on purpose, in tests alone: each breaks one promise, and a battery that
doesn't notice proves nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from lash_sdk.commits import Commit, Receipt
from lash_sdk.journal import Intent, Journal
from lash_sdk.ports import InboxItem
from lash_sdk.runner import settle

from . import seams
from .seams import GatedStore


@contextmanager
def swapped(owner: Any, name: str, value: Any) -> Generator[None]:
    """Have *value* in the place of an attribute for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def inbox_apart() -> AbstractContextManager[None]:
    """Input is taken out of the inbox when it's read, not by the commit."""
    honest = GatedStore.pending

    async def pending(self: GatedStore, session: str) -> Sequence[InboxItem]:
        items = await honest(self, session)
        for item in items:
            await self.withdraw(session, item.key)
        return items

    return swapped(GatedStore, "pending", pending)


def intent_late() -> AbstractContextManager[None]:
    """That a tool is about to run is put on record only with its result."""

    async def intend(self: Journal, key: str, intent: Intent) -> None:
        self._add(key, "intent", intent)  # pyright: ignore[reportPrivateUsage]

    return swapped(Journal, "intend", intend)


def report_runs_again() -> AbstractContextManager[None]:
    """A tool that mustn't run twice does."""
    return swapped(seams, "SEND", "rerun")


def no_operation_id() -> AbstractContextManager[None]:
    """Commits have no identity: one that's sent again is another."""
    honest = GatedStore.commit
    count = iter(range(1_000_000))

    async def commit(self: GatedStore, commit: Commit) -> Receipt:
        return await honest(self, replace(commit, operation=f"{commit.operation}~{next(count)}"))

    return swapped(GatedStore, "commit", commit)


def not_shielded() -> AbstractContextManager[None]:
    """Whoever cancels the turn cancels its commit."""

    async def write(self: settle.Settling, commit: Commit) -> Receipt:
        live = self._live  # pyright: ignore[reportPrivateUsage]
        return await live.store.commit(commit)

    return swapped(settle.Settling, "_write", write)


def not_asked_again() -> AbstractContextManager[None]:
    """Nobody learns whether a commit landed whose reply was lost."""

    async def receipt(self: GatedStore, session: str, operation: str) -> Receipt | None:
        return None

    return swapped(GatedStore, "receipt", receipt)


def journal_kept() -> AbstractContextManager[None]:
    """A commit leaves its turn's journal behind."""
    honest = GatedStore.commit

    async def commit(self: GatedStore, commit: Commit) -> Receipt:
        return await honest(self, replace(commit, turn=None))

    return swapped(GatedStore, "commit", commit)


def told_first() -> AbstractContextManager[None]:
    """A commit is acknowledged, and written only then."""

    async def commit(self: GatedStore, commit: Commit) -> Receipt:
        inner, gate = self._inner, self._gate  # pyright: ignore[reportPrivateUsage]
        operation = gate.begin("commit")
        await gate.reach(operation)
        gate.amid(operation)
        await gate.inside(operation)
        gate.after(operation)
        return await inner.commit(commit)

    return swapped(GatedStore, "commit", commit)
