"""The stores' contract finds each fault that was planted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from lash_sdk.commits import Commit, Head, Receipt
from lash_sdk.errors import LashError, StoreCorrupt
from lash_sdk.graph import Node
from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Page, SessionSummary
from lash_sdk.testing.pytest import StoreContract


class LastWriteWins(MemoryStore):
    """Commits on whatever revision it finds."""

    async def commit(self, commit: Commit) -> Receipt:
        head = await self.head(commit.session)
        return await super().commit(replace(commit, expected=head.revision if head else 0))


class ChecksTooEarly(MemoryStore):
    """Compares the revision, lets others in, and then swaps."""

    async def commit(self, commit: Commit) -> Receipt:
        before = await self.head(commit.session)
        await asyncio.sleep(0)
        after = await self.head(commit.session)
        if before and after and before.revision == commit.expected:
            commit = replace(commit, expected=after.revision)
        return await super().commit(commit)


class ForgetsOperations(MemoryStore):
    """Treats a repeated operation as a new one."""

    async def commit(self, commit: Commit) -> Receipt:
        if await self.receipt(commit.session, commit.operation):
            commit = replace(commit, operation=commit.operation + "'")
        return await super().commit(commit)


class TrustsOperations(MemoryStore):
    """Returns the first receipt whatever the body is."""

    async def commit(self, commit: Commit) -> Receipt:
        known = await self.receipt(commit.session, commit.operation)
        return known or await super().commit(commit)


class LandsLater(MemoryStore):
    """Shields the commit from a cancel, but doesn't wait for it."""

    async def commit(self, commit: Commit) -> Receipt:
        return await asyncio.shield(self._slowly(commit))

    async def _slowly(self, commit: Commit) -> Receipt:
        await asyncio.sleep(0.001)
        return await super().commit(commit)


class SwallowsCancel(MemoryStore):
    """Goes on as if nobody had cancelled it."""

    async def commit(self, commit: Commit) -> Receipt:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.001)
        return await super().commit(commit)


class Torn(MemoryStore):
    """Shows the nodes of a commit that it refused."""

    def __init__(self) -> None:
        super().__init__()
        self._torn: dict[str, Node] = {}

    async def commit(self, commit: Commit) -> Receipt:
        self._torn.update({node.id: node for node in commit.nodes})
        return await super().commit(commit)

    async def node(self, id: str) -> Node | None:
        return self._torn.get(id)


class HalfRead(MemoryStore):
    """Tells the nodes of a commit a moment before its usage."""

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        async for page in super().load(session, since):
            yield replace(page, usage=())


class Resurrects(MemoryStore):
    """Lets a deleted id be used again."""

    async def delete(self, session: str) -> bool:
        known = await super().delete(session)
        self._deleted.discard(session)
        return known


class Wildcards(MemoryStore):
    """Takes a prefix for a pattern, as LIKE does."""

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        pattern = re.escape(prefix).replace("%", ".*").replace("_", ".")
        rows = await super().sessions(before=before, limit=1000)
        return [r for r in rows if re.match(pattern, r.id, re.IGNORECASE)][:limit]


class OldestFirst(MemoryStore):
    """Lists sessions the wrong way round."""

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        rows = await super().sessions(before=before, limit=limit, prefix=prefix)
        return rows[::-1]


class DropsComponents(MemoryStore):
    """Keeps only the components of the last commit."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, dict[str, str]] = {}

    async def commit(self, commit: Commit) -> Receipt:
        receipt = await super().commit(commit)
        self._last[commit.session] = {c.name: c.ref for c in commit.components}
        return receipt

    async def head(self, session: str) -> Head | None:
        head = await super().head(session)
        return head and replace(head, manifest=self._last.get(session, {}))


class ForgetsAll(MemoryStore):
    """Starts anew when it's opened again."""

    async def open(self) -> None:
        self.__init__()  # type: ignore[misc]


class GuessesBlobs(MemoryStore):
    """Has an answer for every hash."""

    async def blob(self, ref: str) -> bytes:
        try:
            return await super().blob(ref)
        except StoreCorrupt:
            return b""


class Mangles(MemoryStore):
    """Drops what its text column can't hold."""

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        async for page in super().load(session, since):
            text = repr(page.nodes)
            if "\\x00" not in text:
                yield page


PLANTED: list[tuple[Callable[[], MemoryStore], str]] = [
    (LastWriteWins, "another_revision_is_refused_and_changes_nothing"),
    (ChecksTooEarly, "of_many_who_race_exactly_one_wins"),
    (ForgetsOperations, "a_repeated_operation_returns_its_first_receipt"),
    (TrustsOperations, "an_operation_with_another_body_is_refused"),
    (LandsLater, "a_cancelled_commit_has_a_known_outcome"),
    (SwallowsCancel, "a_cancelled_commit_has_a_known_outcome"),
    (Torn, "another_revision_is_refused_and_changes_nothing"),
    (HalfRead, "a_reader_sees_whole_commits"),
    (Resurrects, "a_deleted_session_is_gone_for_good"),
    (Wildcards, "a_prefix_is_literal"),
    (OldestFirst, "sessions_are_listed_newest_first"),
    (DropsComponents, "a_manifest_carries_over"),
    (ForgetsAll, "everything_is_there_after_reopening"),
    (GuessesBlobs, "blobs_are_kept_by_what_they_are"),
    (Mangles, "odd_values_come_back_as_they_were"),
]


@pytest.mark.parametrize(("faulty", "name"), PLANTED, ids=[make.__name__ for make, _ in PLANTED])
async def test_a_planted_fault_is_found(faulty: Callable[[], MemoryStore], name: str) -> None:
    """
    A contract that a broken store keeps protects nobody.
    """
    store = faulty()
    await store.open()

    with pytest.raises((AssertionError, LashError, pytest.fail.Exception)):
        await getattr(StoreContract(), f"test_{name}")(store)


@pytest.mark.parametrize("name", sorted({name for _, name in PLANTED}))
async def test_a_sound_store_passes_the_same_test(name: str) -> None:
    """
    What fails everybody finds nothing.
    """
    await getattr(StoreContract(), f"test_{name}")(MemoryStore())
