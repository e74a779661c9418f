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
    commits: list[Commit] = field(default_factory=list)
    receipts: dict[str, tuple[Commit, Receipt]] = field(default_factory=dict)
    manifest: dict[str, str] = field(default_factory=dict)


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
        if found is None:
            return
        for revision, commit in enumerate(tuple(found.commits), 1):
            if revision <= since:
                continue
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
        if found and (known := found.receipts.get(commit.operation)):
            first, receipt = known
            if first != commit:
                raise OperationMismatch(commit.session, commit.operation)
            return receipt
        actual = found.head.revision if found else 0
        if actual != commit.expected:
            raise RevisionConflict(commit.session, expected=commit.expected, actual=actual)
        self._check(commit)
        return self._apply(found, commit)

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Return the receipt of an operation, or None if it never landed."""
        found = self._sessions.get(session)
        known = found.receipts.get(operation) if found else None
        return known[1] if known else None

    async def blob(self, ref: str) -> bytes:
        """Return the bytes behind a ref of a manifest or of a message's `Blob`."""
        if (data := self._blobs.get(ref)) is not None:
            return data
        if (component := self._components.get(ref)) is not None:
            return component.data
        raise StoreCorrupt(f"no blob {ref!r}")

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
        for commit in found.commits:
            for node in commit.nodes:
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
        known = (commit.leaf, *[node.parent for node in commit.nodes])
        for id in known:
            if id is not None and id not in fresh and id not in self._nodes:
                raise InvalidHistory(f"no node {id!r}")
        for blob in commit.blobs:
            if blob.data is None or Blob.of(blob.data, blob.media_type) != blob:
                raise InvalidInput(f"blob {blob.sha256!r}: its bytes aren't at hand")

    def _apply(self, found: _Session | None, commit: Commit) -> Receipt:
        """Take in a commit that was checked; nothing here can fail halfway."""
        components = [(component, component.ref) for component in commit.components]
        manifest = found.manifest if found else {}
        if components:
            manifest = dict(manifest)
        for component, ref in components:
            if component.value is None:
                manifest.pop(component.name, None)
            else:
                manifest[component.name] = ref
                self._components[ref] = component
        for blob in commit.blobs:
            if blob.data is not None:
                self._blobs[blob.sha256] = blob.data
        for node in commit.nodes:
            self._nodes[node.id] = node
        head = Head(
            session=commit.session,
            revision=commit.expected + 1,
            leaf=commit.leaf,
            turns=commit.turns,
            manifest=manifest,
            updated=commit.at or time.time(),
        )
        if found is None:
            found = self._sessions[commit.session] = _Session(head=head)
        found.head = head
        found.manifest = manifest
        found.commits.append(commit)
        receipt = Receipt(
            session=commit.session,
            operation=commit.operation,
            revision=head.revision,
            leaf=head.leaf,
        )
        found.receipts[commit.operation] = (commit, receipt)
        return receipt
