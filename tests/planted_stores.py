"""Stores in memory with one fault each, which the stores' contract has to find."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from lash_sdk.commits import Commit, Head, Receipt
from lash_sdk.errors import InvalidHistory, OperationMismatch, StoreCorrupt
from lash_sdk.graph import Node
from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Claim, InboxItem, JournalRow, Page, SessionSummary
from lash_sdk.testing.store_turns import loaded, turn


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


class ComparesLoosely(MemoryStore):
    """Takes what's equal in Python for the same body."""

    async def commit(self, commit: Commit) -> Receipt:
        found = self._sessions.get(commit.session)
        first = found.receipts.get(commit.operation) if found else None
        if first and first[0] == commit:
            return first[1]
        return await super().commit(commit)


class MindsOrder(MemoryStore):
    """Takes two bodies for one only if their keys came in one order."""

    def __init__(self) -> None:
        super().__init__()
        self._bodies: dict[tuple[str, str], str] = {}

    async def commit(self, commit: Commit) -> Receipt:
        body = repr((commit.components, commit.rows, [node.value for node in commit.nodes]))
        if self._bodies.get((commit.session, commit.operation), body) != body:
            raise OperationMismatch(commit.session, commit.operation)
        receipt = await super().commit(commit)
        self._bodies[commit.session, commit.operation] = body
        return receipt


class ClearsFirst(MemoryStore):
    """Clears the journal in a transaction of its own, before the commit's."""

    async def commit(self, commit: Commit) -> Receipt:
        if commit.turn is not None:
            self._forget(commit.session, commit.turn)
        return await super().commit(commit)


class ConsumesFirst(MemoryStore):
    """Takes items out of the inbox as soon as a commit names them."""

    async def commit(self, commit: Commit) -> Receipt:
        found = self._sessions.get(commit.session)
        for key in commit.consumed if found else ():
            if found:
                found.waiting.pop(key, None)
        return await super().commit(replace(commit, consumed=()))


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
        return await super().node(id) or self._torn.get(id)


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


class ShowsChildren(MemoryStore):
    """Lists children whose turn isn't committed."""

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        rows = list(await super().sessions(before=before, limit=limit, prefix=prefix))
        for id, found in self._sessions.items():
            if found.head.pending is not None:
                rows.append(SessionSummary(id=id, revision=1, turns=1, updated=0.0))
        return rows


class ListsHeads(MemoryStore):
    """Lists only what has a head, and looks into no journal."""

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        rows = await super().sessions(before=before, limit=1000, prefix=prefix)
        return [replace(row, unfinished=False) for row in rows if row.id in self._sessions][:limit]


class OrphansAny(MemoryStore):
    """Takes an operation for the parent's turn, whosever it is."""

    def _orphan(self, session: str, turn: str) -> None:
        for id in [id for id, found in self._sessions.items() if found.head.pending == turn]:
            self._remove(id)


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


class KeepsBlobsFirst(MemoryStore):
    """Keeps the blobs of a commit before it knows whether it takes it."""

    async def commit(self, commit: Commit) -> Receipt:
        self._blobs.keep(commit.blobs)
        return await super().commit(commit)


class Mangles(MemoryStore):
    """Drops what its text column can't hold."""

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        async for page in super().load(session, since):
            if not any(b"\\u0000" in node.data for node in page.nodes):
                yield page


class WritesNan(MemoryStore):
    """Writes NaN as null, as a JSON column may."""

    async def commit(self, commit: Commit) -> Receipt:
        components = [c if _sayable(c.value) else replace(c, value=0) for c in commit.components]
        rows = [row if _sayable(row.body) else replace(row, body=0) for row in commit.rows]
        clean = replace(commit, components=tuple(components), rows=tuple(rows))
        return await super().commit(clean)


class StealsByClock(MemoryStore):
    """Gives a claim to the next one after an hour of the wall clock."""

    def __init__(self) -> None:
        super().__init__()
        self._taken: dict[str, float] = {}

    async def claim(self, session: str) -> Claim:
        journal = self._journals.get(session)
        if journal and self._taken.get(session, 0.0) + 3600 < time.time():
            journal.claim = None
        claim = await super().claim(session)
        self._taken[session] = time.time()
        return claim


class OneGeneration(MemoryStore):
    """Tells no holder from the one before, and takes what any of them writes."""

    async def claim(self, session: str) -> Claim:
        claim = await super().claim(session)
        return replace(claim, generation=1, holder="")

    async def release(self, claim: Claim) -> None:
        self._journals[claim.session].claim = None

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        journal = self._journals[claim.session]
        journal.since = time.time()
        self._alive(claim.session)
        journal.rows.update({(row.turn, row.key, row.kind): row for row in rows})
        for row in rows:
            self._blobs.keep(row.blobs)

    async def journal_drop(self, claim: Claim, turn: str) -> None:
        self._forget(claim.session, turn)
        self._orphan(claim.session, turn)


class SortsItems(MemoryStore):
    """Hands waiting items out by their keys."""

    async def pending(self, session: str) -> Sequence[InboxItem]:
        return sorted(await super().pending(session), key=lambda item: item.key)


class ForgetsKeys(MemoryStore):
    """Remembers a key only until its item was used."""

    async def commit(self, commit: Commit) -> Receipt:
        receipt = await super().commit(commit)
        for key in commit.consumed:
            self._sessions[commit.session].inbox.pop(key, None)
        return receipt


class SkipsInFeed(MemoryStore):
    """Goes on in its feed by the second of a commit."""

    async def changes(self, cursor: int = 0) -> AsyncIterator[Receipt]:
        for receipt in self._feed:
            second = 1 + receipt.cursor // 7
            if second > cursor:
                yield replace(receipt, cursor=second)


class CollectsJournals(MemoryStore):
    """Takes heads for the only ones that need blobs."""

    async def gc(self, *, dry_run: bool = False) -> int:
        journals, self._journals = self._journals, {}
        size = await super().gc(dry_run=dry_run)
        self._journals = journals
        return size


class CopiesLedgers(MemoryStore):
    """Gives a fork what its origin spent."""

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        found = self._sessions.get(session)
        origin = found.head.forked_from if found else None
        usage = (await loaded(self, origin[0]))[1] if origin else []
        async for page in super().load(session, since):
            yield replace(page, usage=(*usage, *page.usage))
            usage = []


class HidesAnything(MemoryStore):
    """Hides nodes whoever stands on them."""

    async def tombstone(self, session: str, nodes: Sequence[str]) -> int:
        hidden = 0
        for id in nodes:
            with suppress(InvalidHistory):
                hidden += await super().tombstone(session, [id])
            if entry := self._nodes._shown.pop(id, None):
                self._nodes._hidden[id] = entry
                hidden += 1
        return hidden


class NeverGoesBack(MemoryStore):
    """Moves the leaf, but not the state."""

    async def commit(self, commit: Commit) -> Receipt:
        return await super().commit(replace(commit, restore=None))


class Truncates(MemoryStore):
    """Cuts what's over its limit."""

    limit: ClassVar[int | None] = 100_000

    async def commit(self, commit: Commit) -> Receipt:
        if commit.size() > 100_000:
            commit = turn(commit.session, commit.expected, consumed=commit.consumed)
        return await super().commit(commit)


def _sayable(value: object) -> bool:
    return not {"nan", "inf", "-inf"} & set(re.findall(r"[\w-]+", repr(value)))
