"""The nodes of the memory store: which there are, who sees them, what hides them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import repeat
from typing import NamedTuple

from ..commits import Commit, Head
from ..errors import InvalidHistory
from ..graph import Node
from ..messages import Blob


class Entry(NamedTuple):
    """A node, the head that the commit which wrote it made, and that one's blobs."""

    node: Node
    head: Head
    blobs: tuple[Blob, ...]


class Nodes:
    """Every session's nodes; a fork sees those of its origin up to where it began."""

    def __init__(self) -> None:
        self._shown: dict[str, Entry] = {}
        self._hidden: dict[str, Entry] = {}  # those with a tombstone
        self._emptied: set[str] = set()  # those of them that were vacuumed
        self._origins: dict[str, tuple[str, int]] = {}  # also of sessions that are deleted

    def __contains__(self, id: str) -> bool:
        return id in self._shown

    def get(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""
        found = self._shown.get(id)
        return found.node if found else None

    def add(self, commit: Commit, head: Head) -> None:
        """Take in what a commit wrote; *head* is the one it made."""
        entries = map(Entry, commit.nodes, repeat(head), repeat(commit.blobs))
        self._shown.update({entry.node.id: entry for entry in entries})

    def forked(self, session: str, origin: Head) -> None:
        """Let *session* see what *origin* saw."""
        self._origins[session] = (origin.session, origin.revision)

    def refs(self) -> Iterator[str]:
        """Yield what the commits of nodes refer to: components and blobs, repeatedly."""
        for entry in self._shown.values():
            yield from entry.head.manifest.values()
            yield from (blob.sha256 for blob in entry.blobs)

    def check(self, commit: Commit, leaf: str | None) -> None:
        """
        Accept *commit*, on a head at *leaf*, if its nodes are one new chain.

        Raises:
            InvalidHistory: They aren't, or what they stand on isn't there.
        """
        base = parent = commit.nodes[0].parent if commit.nodes else commit.leaf
        for node in commit.nodes:
            if node.id in self._shown or node.id in self._hidden:
                raise InvalidHistory(f"node {node.id!r} is there already: an id is used once")
            if node.parent != parent:
                raise InvalidHistory(f"node {node.id!r}: expected parent {parent!r}")
            parent = node.id
        if commit.leaf != parent:
            raise InvalidHistory(f"leaf {commit.leaf!r} isn't the last node {parent!r}")
        if base is not None and base != leaf:
            self.reach(commit.session, base)
        if commit.restore is not None:
            self.end(commit.session, commit.restore)

    def end(self, session: str, id: str) -> Head:
        """
        Return the head that the commit ending in node *id* made.

        Raises:
            InvalidHistory: *session* sees no such node, or it ends no commit.
        """
        found = self.reach(session, id)
        if found.leaf != id:
            raise InvalidHistory(f"node {id!r} doesn't end a commit")
        return found

    def reach(self, session: str, id: str) -> Head:
        """
        Return the head that the commit which wrote node *id* made.

        Raises:
            InvalidHistory: *session* sees no such node.
        """
        found = self._shown.get(id)
        at: tuple[str, int] | None = (session, found.head.revision) if found else None
        while found is not None and at is not None:
            if found.head.session == at[0] and found.head.revision <= at[1]:
                return found.head
            at = self._origins.get(at[0])
        raise InvalidHistory(f"no node {id!r} in session {session!r}")

    def path(self, leaf: str | None) -> tuple[Node, ...]:
        """Return the nodes from the root to *leaf* that nothing hides."""
        return tuple(reversed([e.node for e in self._ancestors(leaf) if e.node.id in self._shown]))

    def _ancestors(self, leaf: str | None) -> Iterator[Entry]:
        while leaf and (found := self._shown.get(leaf) or self._hidden.get(leaf)):
            yield found
            leaf = found.node.parent

    def sweep(self, owners: Collection[str], leaves: Iterable[str | None]) -> None:
        """Keep the nodes of *owners*, what those stand on, and the paths to *leaves*."""
        every = self._shown | self._hidden
        live = {id for id, entry in every.items() if entry.head.session in owners}
        starts = {every[id].node.parent for id in live} - live
        for start in starts.union(leaves):
            for entry in self._ancestors(start):
                if entry.node.id in live:
                    break
                live.add(entry.node.id)
        for kept in (self._shown, self._hidden):
            for id in kept.keys() - live:
                del kept[id]
        self._emptied &= live

    def hide(self, session: str, nodes: Iterable[str], leaves: Collection[str | None]) -> int:
        """
        Hide those of *nodes* that *session* wrote; return how many.

        Raises:
            InvalidHistory: A head, or a node that stays visible, stands on one.
        """
        hide = {id for id in nodes if id in self and self._shown[id].head.session == session}
        for id in hide.intersection(leaves):
            raise InvalidHistory(f"a session's head stands on node {id!r}")
        for id, entry in self._shown.items():
            if entry.node.parent in hide and id not in hide:
                raise InvalidHistory(f"node {id!r} stands on {entry.node.parent!r}")
        self._hidden.update((id, self._shown.pop(id)) for id in hide)
        return len(hide)

    def vacuum(self) -> int:
        """Forget what is hidden, but not that it was; return how many nodes."""
        found, self._emptied = self._hidden.keys() - self._emptied, set(self._hidden)
        return len(found)
