"""
Sessions in this process' memory.

It keeps values as they are. Bytes and hashes are made only when asked for; what
can't be encoded is refused where it enters, so nothing here differs from a
store on disk but that it's gone with the process.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final
from uuid import uuid4

from .. import errors
from ..commits import Commit, Head, Receipt
from ..graph import Node
from ..json import encode, maker
from ..ports import BASE, Claim, InboxItem, JournalRow, Page, SessionSummary, Store
from .blobs import Blobs
from .children import Children
from .nodes import Nodes

PAGE: Final = 500
"""Nodes in one page of a loaded session."""

_head, _receipt, _claim = maker(Head), maker(Receipt), maker(Claim)


@dataclass(slots=True)
class _Session:
    head: Head
    base: str | None = None  # a fork's leaf at revision 1
    commits: list[tuple[Commit | None, Head]] = field(default_factory=list)  # by revision
    receipts: dict[str, tuple[Commit, Receipt]] = field(default_factory=dict)
    inbox: dict[str, InboxItem] = field(default_factory=dict)
    waiting: dict[str, InboxItem] = field(default_factory=dict)


@dataclass(slots=True)
class _Journal:
    rows: dict[tuple[str, str, str], JournalRow] = field(default_factory=dict)
    claim: Claim | None = None
    writer: int = 0  # generation of the newest claim that wrote, and since when
    since: float = 0.0


class MemoryStore(Store):
    """Sessions in this process' memory; open it in as many apps as you like."""

    capabilities: ClassVar[frozenset[str]] = BASE | {"observe", "vacuum"}

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._nodes = Nodes()
        self._blobs = Blobs()
        self._journals: dict[str, _Journal] = {}
        self._children = Children(self._sessions.get)
        self._holder = uuid4().hex
        self._deleted: set[str] = set()
        self._generation = 0  # of the newest claim, of any session
        self._feed: list[Receipt] = []

    async def open(self) -> None:
        """Do nothing: it's ready."""

    async def close(self) -> None:
        """Do nothing: what it holds can be opened again."""

    async def head(self, session: str) -> Head | None:
        """Return where *session* stands, or None if nothing made it yet."""
        self._alive(session)
        found = self._sessions.get(session)
        return found.head if found else None

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """Yield what was committed after revision *since*, oldest first."""
        self._alive(session)
        found = self._sessions.get(session)
        for commit, head in found.commits[since:] if found else ():
            nodes = commit.nodes if commit else self._nodes.path(found.base if found else None)
            nodes = tuple([node for node in nodes if node.id in self._nodes])
            last = max(len(nodes) - 1, 0) // PAGE * PAGE
            for at in range(0, last, PAGE):
                yield Page(revision=head.revision - 1, nodes=nodes[at : at + PAGE])
            usage = commit.usage if commit else ()
            yield Page(revision=head.revision, nodes=nodes[last:], usage=usage, head=head)

    async def node(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""
        return self._nodes.get(id)

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Return the receipt of an operation, or None if it never landed."""
        found = self._sessions.get(session)
        known = found.receipts.get(operation) if found else None
        return known[1] if known else None

    async def blob(self, ref: str) -> bytes:
        """Return the bytes behind a ref of a manifest or of a message's `Blob`."""
        return self._blobs.read(ref)

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        """Return at most *limit* sessions updated before then, newest first."""
        begun = {id: journal.since for id, journal in self._journals.items() if journal.rows}
        heads = [found.head for found in reversed(self._sessions.values())]
        heads += [_first(id, since) for id, since in begun.items() if id not in self._sessions]
        until = float("inf") if before is None else before
        heads = [each for each in heads if each.updated < until and each.pending is None]
        heads = [each for each in heads if each.session.startswith(prefix)]
        heads.sort(key=lambda head: head.updated, reverse=True)
        return [
            SessionSummary(
                id=head.session,
                revision=head.revision,
                turns=head.turns,
                updated=head.updated,
                parent=head.parent,
                unfinished=head.session in begun,
            )
            for head in heads[:limit]
        ]

    async def changes(self, cursor: int = 0) -> AsyncIterator[Receipt]:
        """Yield the receipts of commits after *cursor*, of any session, and end."""
        for receipt in self._feed[cursor:]:
            if receipt.session not in self._deleted:
                yield receipt

    # --- committing ------------------------------------------------------------

    async def commit(self, commit: Commit) -> Receipt:
        """Make *commit* the session's head, or change nothing."""
        self._alive(commit.session)
        found = self._sessions.get(commit.session)
        if found and (first := found.receipts.get(commit.operation)):
            if first[0].hash("") != commit.hash(""):  # what equals in Python may be two in JSON
                raise errors.OperationMismatch(commit.session, commit.operation)
            return first[1]
        head = found.head if found else _first(commit.session, commit.at)
        expected, actual = commit.expected, head.revision
        if expected != actual:
            raise errors.RevisionConflict(commit.session, expected=expected, actual=actual)
        self._check(commit, found, head)
        return self._apply(commit, found, head, self._manifest(commit, head))

    def _check(self, commit: Commit, found: _Session | None, head: Head) -> None:
        """Refuse what a store on disk couldn't keep."""
        if self.limit is not None and (size := commit.size()) > self.limit:
            raise errors.InvalidInput(f"expected at most {self.limit} bytes, found {size}")
        self._nodes.check(commit, head.leaf)
        for at, key in enumerate(commit.consumed):
            if found is None or key not in found.waiting or key in commit.consumed[:at]:
                raise errors.InvalidInput(f"inbox key {key!r} doesn't wait in {commit.session!r}")
        for id in commit.children:
            child = self._sessions.get(id)
            if child is None or not child.head.waits_for(commit.session, commit.operation):
                raise errors.InvalidInput(f"session {id!r} isn't a pending child of this commit")
        for row in commit.rows:
            encode(row.body)
        self._blobs.check(commit.blobs)

    def _manifest(self, commit: Commit, head: Head) -> Mapping[str, str]:
        """Return the manifest after *commit*, its components kept: all or none."""
        at = commit.restore
        restored = head if at is None else self._nodes.end(commit.session, at)
        if not commit.components:
            return restored.manifest
        kept = [(c, c.ref) for c in commit.components if c.value is not None]
        for component, ref in kept:
            self._blobs.add(component, ref)
        names = {component.name for component in commit.components}
        manifest = {name: ref for name, ref in restored.manifest.items() if name not in names}
        return manifest | {component.name: ref for component, ref in kept}

    def _apply(
        self, commit: Commit, found: _Session | None, old: Head, manifest: Mapping[str, str]
    ) -> Receipt:
        """Take in a commit that was checked; nothing here can fail halfway."""
        self._blobs.keep(commit.blobs)
        head = _head(
            session=old.session,
            revision=old.revision + 1,
            leaf=commit.leaf,
            turns=commit.turns,
            manifest=manifest,
            updated=commit.at or time.time(),
            operation=commit.operation,
            parent=old.parent if commit.parent is None else commit.parent,
            pending=old.pending if commit.pending is None else commit.pending,
            forked_from=old.forked_from,
        )
        if found is None:
            found = self._sessions[commit.session] = _Session(head)
        found.head = head
        if commit.pending is not None:
            self._children.add(head)
        self._nodes.add(commit, head)
        for key in commit.consumed:
            del found.waiting[key]
        receipt = _receipt(
            session=commit.session,
            operation=commit.operation,
            revision=head.revision,
            leaf=commit.leaf,
            cursor=len(self._feed) + 1,
        )
        found.commits.append((commit, head))
        found.receipts[commit.operation] = (commit, receipt)
        self._feed.append(receipt)
        self._settle(commit)
        return receipt

    def _settle(self, commit: Commit) -> None:
        """Let go of what waited for this commit: journal rows and children."""
        if commit.turn is not None:
            self._forget(commit.session, commit.turn)
        wait = self._sessions[commit.session].head.pending
        for id in commit.children:
            self._children.show(id, commit.operation, wait)
        if self._children:
            self._orphan(commit.session, commit.operation)

    def _alive(self, session: str) -> None:
        if session in self._deleted:
            raise errors.SessionDeleted(session)

    # --- claims and journals ---------------------------------------------------

    async def claim(self, session: str) -> Claim:
        """Take the right to run a turn of *session*; `release` gives it back."""
        self._alive(session)
        journal = self._journals.get(session) or self._journals.setdefault(session, _Journal())
        if journal.claim is not None:
            raise errors.SessionBusy(session)
        found = self._sessions.get(session)
        self._generation += 1
        journal.claim = _claim(
            session=session,
            holder=self._holder,
            generation=self._generation,
            revision=found.head.revision if found else 0,
            unfinished=bool(journal.rows),
            waiting=bool(found and found.waiting),
        )
        return journal.claim

    async def release(self, claim: Claim) -> None:
        """Give *claim* back; a second call, or one for a stale claim, does nothing."""
        journal = self._journals.get(claim.session)
        if journal is not None and (journal.claim is claim or journal.claim == claim):
            journal.claim = None
            if claim.session not in self._sessions and not journal.rows:
                del self._journals[claim.session]

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        """Make *rows* durable, all or none, and *claim* the newest that wrote any."""
        journal = self._held(claim)
        if journal.writer != claim.generation:
            journal.writer, journal.since = claim.generation, time.time()
        for row in rows:
            journal.rows.setdefault((row.turn, row.key, row.kind), row)
            self._blobs.keep(row.blobs)

    async def journal(self, session: str) -> Sequence[JournalRow]:
        """Return the rows of the session's unfinished turns, in their order."""
        journal = self._journals.get(session)
        return tuple(journal.rows.values()) if journal else ()

    async def journal_drop(self, claim: Claim, turn: str) -> None:
        """Remove the rows of a turn that will never be committed, and its children."""
        self._held(claim)
        self._forget(claim.session, turn)
        self._orphan(claim.session, turn)

    def _held(self, claim: Claim) -> _Journal:
        self._alive(claim.session)
        journal = self._journals.get(claim.session)
        if journal is None or journal.claim != claim:
            raise errors.SessionBusy(claim.session)
        return journal

    def _forget(self, session: str, turn: str) -> None:
        if (journal := self._journals.get(session)) and journal.rows:
            journal.rows = {key: row for key, row in journal.rows.items() if row.turn != turn}

    def _orphan(self, session: str, turn: str) -> None:
        """Remove the children that still wait for that turn of *session*."""
        for id in self._children.take(session, turn):
            self._remove(id)

    # --- inbox -----------------------------------------------------------------

    async def enqueue(self, session: str, item: InboxItem) -> InboxItem:
        """Keep *item* until a turn uses it; durable on return."""
        self._alive(session)
        body = encode(item.body)
        found = self._sessions.get(session)
        if found is None:
            found = self._sessions[session] = _Session(_first(session, time.time()))
        first = found.inbox.get(item.key)
        if first is None:
            found.inbox[item.key] = found.waiting[item.key] = first = item
        elif encode(first.body) != body:
            raise errors.OperationMismatch(session, item.key)
        return first

    def may_wait(self, session: str) -> bool:
        """Return whether input waits in the inbox of *session*: here that's sure."""
        found = self._sessions.get(session)
        return found is not None and bool(found.waiting)

    async def pending(self, session: str) -> Sequence[InboxItem]:
        """Return what waits in the session's inbox, oldest first."""
        found = self._sessions.get(session)
        return tuple(found.waiting.values()) if found else ()

    async def withdraw(self, session: str, key: str) -> bool:
        """Take a waiting item back, key and all; return whether it still waited."""
        found = self._sessions.get(session)
        if found is None or found.waiting.pop(key, None) is None:
            return False
        del found.inbox[key]
        return True

    # --- forks -----------------------------------------------------------------

    async def fork(self, session: str, id: str, *, at: str | None = None) -> Head:
        """Make session *id* on the nodes of *session*, in constant time."""
        self._alive(session)
        self._alive(id)
        if id in self._sessions:
            raise errors.SessionExists(id)
        found = self._sessions.get(session)
        if found is None or found.head.revision == 0:
            raise errors.InvalidHistory(f"session {session!r} has no commit")
        origin = found.head if at is None else self._nodes.end(session, at)
        head = replace(
            _first(id, time.time()),
            revision=1,
            leaf=origin.leaf,
            turns=origin.turns,
            manifest=origin.manifest,
            forked_from=(origin.session, origin.revision),
        )
        self._nodes.forked(id, origin)
        self._sessions[id] = _Session(head, base=origin.leaf, commits=[(None, head)])
        return head

    # --- removing --------------------------------------------------------------

    async def delete(self, session: str) -> bool:
        """Delete *session* and its pending children for good; return if there was one."""
        journal = self._journals.get(session)
        if session not in self._sessions and not (journal and journal.rows):
            return False
        self._remove(session)
        return True

    def _remove(self, session: str) -> None:
        self._sessions.pop(session, None)
        self._journals.pop(session, None)
        self._deleted.add(session)
        for id in list(self._children.of(session)):
            self._remove(id)
        self._nodes.sweep(self._sessions, [found.base for found in self._sessions.values()])

    async def tombstone(self, session: str, nodes: Sequence[str]) -> int:
        """Hide *nodes* from every read; return how many were visible."""
        leaves = {found.head.leaf for found in self._sessions.values()}
        return self._nodes.hide(session, nodes, leaves)

    async def vacuum(self) -> int:
        """Remove tombstoned nodes, leaving their hashes; return how many."""
        return self._nodes.vacuum()

    async def gc(self, *, dry_run: bool = False) -> int:
        """Remove blobs that no head and no journal reaches; return how many bytes."""
        return self._blobs.collect(set(self._refs()), dry_run=dry_run)

    def _refs(self) -> Iterator[str]:
        yield from self._nodes.refs()
        for found in self._sessions.values():
            for commit, head in found.commits:
                yield from head.manifest.values()
                if commit is not None and not commit.nodes:
                    yield from (blob.sha256 for blob in commit.blobs)
        for journal in self._journals.values():
            for row in journal.rows.values():
                yield from (blob.sha256 for blob in row.blobs)


def _first(session: str, at: float) -> Head:
    """Return the head of a session that has no commit yet."""
    return Head(session=session, revision=0, leaf=None, turns=0, manifest={}, updated=at)
