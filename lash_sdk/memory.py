"""
The memory store: the reference for every other, and the default.

It keeps values as they are. Bytes and hashes are made only when asked for; what
can't be encoded is refused where it enters, so nothing here differs from a
store on disk but that it's gone with the process.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from .commits import Commit, Component, Head, Receipt
from .errors import (
    InvalidHistory,
    InvalidInput,
    OperationMismatch,
    RevisionConflict,
    SessionDeleted,
    StoreCorrupt,
)
from .graph import Node
from .messages import Blob
from .ports import Page, SessionSummary, Store

PAGE: Final = 500
"""Nodes in one page of a loaded session."""


@dataclass(slots=True)
class _Session:
    head: Head
    commits: dict[str, Commit] = field(default_factory=dict)  # by operation, in their order


class MemoryStore(Store):
    """Sessions in this process' memory; open it in as many apps as you like."""

    capabilities: ClassVar[frozenset[str]] = frozenset(("commit",))

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._nodes: dict[str, Node] = {}
        self._components: dict[str, Component] = {}
        self._blobs: dict[str, bytes] = {}
        self._deleted: set[str] = set()

    async def open(self) -> None:
        """Do nothing: it's ready."""

    async def close(self) -> None:
        """Do nothing: what it holds can be opened again."""

    async def head(self, session: str) -> Head | None:
        """Return where *session* stands, or None if it was never committed."""
        self._alive(session)
        found = self._sessions.get(session)
        return found.head if found else None

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """Yield what was committed after revision *since*, oldest first."""
        self._alive(session)
        found = self._sessions.get(session)
        for commit in tuple(found.commits.values())[since:] if found else ():
            revision = commit.expected + 1
            last = max(len(commit.nodes) - 1, 0) // PAGE * PAGE
            for at in range(0, last, PAGE):
                yield Page(revision=revision - 1, nodes=commit.nodes[at : at + PAGE])
            yield Page(revision=revision, nodes=commit.nodes[last:], usage=commit.usage)

    async def node(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""
        return self._nodes.get(id)

    async def commit(self, commit: Commit) -> Receipt:
        """Make *commit* the session's head, or change nothing."""
        self._alive(commit.session)
        found = self._sessions.get(commit.session)
        if found and (first := found.commits.get(commit.operation)):
            if first != commit:
                raise OperationMismatch(commit.session, commit.operation)
            return _receipt(first)
        actual = found.head.revision if found else 0
        if actual != commit.expected:
            raise RevisionConflict(commit.session, expected=commit.expected, actual=actual)
        self._check(commit)
        self._apply(commit)
        return _receipt(commit)

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Return the receipt of an operation, or None if it never landed."""
        found = self._sessions.get(session)
        known = found.commits.get(operation) if found else None
        return _receipt(known) if known else None

    async def blob(self, ref: str) -> bytes:
        """Return the bytes behind a ref of a manifest or of a message's `Blob`."""
        if ref in self._components:
            return self._components[ref].data
        if ref not in self._blobs:
            raise StoreCorrupt(f"no blob {ref!r}")
        return self._blobs[ref]

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        """Return at most *limit* sessions updated before then, newest first."""
        heads = [
            found.head
            for id, found in reversed(self._sessions.items())
            if id.startswith(prefix) and (before is None or found.head.updated < before)
        ]
        heads.sort(key=lambda head: head.updated, reverse=True)
        return [
            SessionSummary(
                id=head.session,
                revision=head.revision,
                turns=head.turns,
                updated=head.updated,
                parent=head.parent,
            )
            for head in heads[:limit]
        ]

    async def delete(self, session: str) -> bool:
        """Delete *session* for good; return whether there was one."""
        found = self._sessions.pop(session, None)
        if found is None:
            return False
        self._deleted.add(session)
        for node in (node for commit in found.commits.values() for node in commit.nodes):
            del self._nodes[node.id]
        return True

    def _alive(self, session: str) -> None:
        if session in self._deleted:
            raise SessionDeleted(session)

    def _check(self, commit: Commit) -> None:
        """Refuse what a store on disk couldn't keep."""
        fresh = {node.id for node in commit.nodes}
        for node in commit.nodes:
            if node.id in self._nodes:
                raise InvalidHistory(f"node {node.id!r} is there already")
        for id in (commit.leaf, *[node.parent for node in commit.nodes]):
            if id is not None and id not in fresh and id not in self._nodes:
                raise InvalidHistory(f"no node {id!r}")
        for blob in commit.blobs:
            if blob.data is None or Blob.of(blob.data, blob.media_type) != blob:
                raise InvalidInput(f"blob {blob.sha256!r}: its bytes aren't at hand")

    def _apply(self, commit: Commit) -> None:
        """Take in a commit that was checked; nothing here can fail halfway."""
        found = self._sessions.get(commit.session)
        changed = [(component.ref, component) for component in commit.components]
        manifest = {**found.head.manifest} if found else {}
        for ref, component in changed:
            if component.value is None:
                manifest.pop(component.name, None)
            else:
                manifest[component.name] = ref
                self._components[ref] = component
        self._blobs.update((b.sha256, b.data) for b in commit.blobs if b.data is not None)
        self._nodes.update((node.id, node) for node in commit.nodes)
        head = Head(
            session=commit.session,
            revision=commit.expected + 1,
            leaf=commit.leaf,
            turns=commit.turns,
            manifest=manifest,
            updated=commit.at or time.time(),
        )
        if found is None:
            found = self._sessions[commit.session] = _Session(head)
        found.head = head
        found.commits[commit.operation] = commit


def _receipt(commit: Commit) -> Receipt:
    """Return the proof of a commit that was taken in."""
    session, operation, revision = commit.session, commit.operation, commit.expected + 1
    return Receipt(session=session, operation=operation, revision=revision, leaf=commit.leaf)
