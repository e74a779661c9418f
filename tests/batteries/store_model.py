"""
What the store port promises, once more: in dicts and lists, without a store.

Written from the port's words alone. It's slow and short, and the state machine holds
every store against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lash_sdk.commits import Commit, Head
from lash_sdk.graph import Node
from lash_sdk.messages import Blob
from lash_sdk.ports import InboxItem, JournalRow
from lash_sdk.usage import UsageRow


class Refused(Exception):
    """Raised where a store has to raise the error of this name."""

    def __init__(self, word: str, *figures: int) -> None:
        super().__init__(word, *figures)
        self.answer = (word, *figures)


@dataclass(slots=True)
class Written:
    """A node, and the commit that wrote it; hidden once it has a tombstone."""

    node: Node
    head: Head
    commit: Commit
    hidden: bool = False
    vacuumed: bool = False


@dataclass(slots=True)
class Known:
    """A session: where it stands, what it was told, what waits for it."""

    head: Head
    base: str | None = None
    log: list[tuple[Commit | None, Head]] = field(default_factory=list)
    usage: list[UsageRow] = field(default_factory=list)
    receipts: dict[str, tuple[str, int, str | None]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)  # key to body; also of used ones
    waiting: dict[str, InboxItem] = field(default_factory=dict)


class Model:
    """All sessions of a store."""

    def __init__(self) -> None:
        self.sessions: dict[str, Known] = {}
        self.gone: dict[str, None] = {}  # in the order in which they went
        self.nodes: dict[str, Written] = {}
        self.blobs: dict[str, int] = {}  # ref to size
        self.journals: dict[str, dict[tuple[str, str, str], JournalRow]] = {}
        self.wrote: dict[str, tuple[int, float]] = {}  # session to its newest writer, since when
        self.held: dict[str, int] = {}  # session to the number of its claim
        self.claims: list[str] = []  # by number: the session
        self.feed: list[tuple[str, str, int, str | None]] = []

    # --- what can be seen --------------------------------------------------------

    def told(self, session: str) -> list[str]:
        """Return the ids of the nodes that `load` tells: a fork's first, parents first."""
        found = self.sessions.get(session)
        if found is None:
            return []
        own = [node.id for commit, _ in found.log if commit for node in commit.nodes]
        return [id for id in [*self.path(found.base), *own] if self.visible(id)]

    def path(self, leaf: str | None) -> list[str]:
        """Return the ids from the root to *leaf*, hidden or not."""
        ids: list[str] = []
        while leaf is not None:
            ids.append(leaf)
            leaf = self.nodes[leaf].node.parent
        return ids[::-1]

    def visible(self, id: str) -> bool:
        """Return whether a node is there and nothing hides it."""
        return id in self.nodes and not self.nodes[id].hidden

    def pages(self, session: str, since: int = 0) -> list[tuple[int, list[str], Head]]:
        """Return what `load` tells, a revision each: its number, node ids and head."""
        self.alive(session)
        found = self.sessions.get(session)
        pages: list[tuple[int, list[str], Head]] = []
        for commit, head in found.log[since:] if found else []:
            ids = (
                [n.id for n in commit.nodes] if commit else self.path(found.base if found else None)
            )
            pages.append((head.revision, [id for id in ids if self.visible(id)], head))
        return pages

    def listed(self) -> list[Head]:
        """Return the heads of all sessions that a list shows, newest first."""
        heads = [found.head for found in self.sessions.values() if found.head.pending is None]
        begun = [id for id in self.journals if self.unfinished(id) and id not in self.sessions]
        heads += [_first(id, self.wrote[id][1]) for id in begun]
        return sorted(heads, key=lambda head: -head.updated)

    def unfinished(self, session: str) -> bool:
        """Return whether a session's journal has rows."""
        return bool(self.journals.get(session))

    def ends(self, session: str) -> list[str]:
        """Return the nodes to which a session can go back, or be forked at."""
        return [id for id in self.told(session) if self.nodes[id].commit.leaf == id]

    def alive(self, session: str) -> None:
        if session in self.gone:
            raise Refused("SessionDeleted")

    # --- commits -----------------------------------------------------------------

    def commit(self, commit: Commit, now: float) -> tuple[str, str, int, str | None]:
        """Return session, operation, revision and leaf, as the receipt has to say."""
        session, operation = commit.session, commit.operation
        self.alive(session)
        found = self.sessions.get(session) or Known(_first(session, now))
        if operation in found.receipts:
            body, revision, leaf = found.receipts[operation]
            if body != canonical(commit):
                raise Refused("OperationMismatch")
            return session, operation, revision, leaf
        if commit.expected != found.head.revision:
            raise Refused("RevisionConflict", commit.expected, found.head.revision)
        self._check(commit, found)
        self._apply(commit, found, now)
        return self.feed[-1]

    def _check(self, commit: Commit, found: Known) -> None:
        seen = set(self.told(commit.session))
        above = commit.nodes[0].parent if commit.nodes else commit.leaf
        if above is not None and above not in seen:
            raise Refused("InvalidHistory")
        for node in commit.nodes:
            if node.parent != above or node.id in self.nodes:
                raise Refused("InvalidHistory")
            above = node.id
        restores = commit.restore is None or commit.restore in self.ends(commit.session)
        if commit.leaf != above or not restores:
            raise Refused("InvalidHistory")
        waits = set(commit.consumed) <= set(found.waiting)
        waits &= len(commit.consumed) == len(set(commit.consumed))
        children = self.children(commit.session, commit.operation)
        bytes_there = all(b.data is not None or b.sha256 in self.blobs for b in commit.blobs)
        sayable = "NaN" not in canonical(commit)
        if not (waits and bytes_there and sayable and set(commit.children) <= set(children)):
            raise Refused("InvalidInput")

    def _apply(self, commit: Commit, found: Known, now: float) -> None:
        old = found.head if commit.restore is None else self.nodes[commit.restore].head
        manifest = dict(old.manifest)
        for component in commit.components:
            manifest.pop(component.name, None)
            if component.value is not None:
                manifest[component.name] = component.ref
                self.blobs[component.ref] = len(component.data)
        self.keep(commit.blobs)
        head = replace(
            found.head,
            revision=commit.expected + 1,
            leaf=commit.leaf,
            turns=commit.turns,
            manifest=manifest,
            updated=commit.at or now,
            operation=commit.operation,
            parent=commit.parent or found.head.parent,
            pending=commit.pending or found.head.pending,
        )
        found.head = head
        found.log.append((commit, head))
        ids = {row.id for row in found.usage}
        found.usage += [row for row in commit.usage if row.id not in ids]
        found.receipts[commit.operation] = (canonical(commit), head.revision, head.leaf)
        self.sessions[commit.session] = found
        self.nodes.update({node.id: Written(node, head, commit) for node in commit.nodes})
        for key in commit.consumed:
            del found.waiting[key]
        self.feed.append((commit.session, commit.operation, head.revision, head.leaf))
        if commit.turn is not None:
            self._clear(commit.session, commit.turn)
        for child in commit.children:
            self._show(child, commit.operation, head.pending)
        self._orphan(commit.session, commit.operation)

    def children(self, session: str, turn: str) -> list[str]:
        """Return the sessions that wait for a turn of *session*."""
        heads = [found.head for found in self.sessions.values()]
        return [h.session for h in heads if (h.parent, h.pending) == (session, turn)]

    def _show(self, session: str, turn: str, wait: str | None) -> None:
        """Let a session be seen, or wait for *wait* in place of *turn*; and those under it."""
        self.sessions[session].head = replace(self.sessions[session].head, pending=wait)
        for child in self.children(session, turn):
            self._show(child, turn, wait)

    def _orphan(self, session: str, turn: str) -> None:
        for child in self.children(session, turn):
            self._remove(child)

    def keep(self, blobs: Iterable[Blob]) -> None:
        self.blobs.update({b.sha256: b.size for b in blobs if b.data is not None})

    # --- journals, inbox, forks ----------------------------------------------------

    def claim(self, session: str) -> tuple[int, bool, bool]:
        """Return what a new claim says: revision, unfinished, waiting."""
        self.alive(session)
        if session in self.held:
            raise Refused("SessionBusy")
        self.held[session] = len(self.claims)
        self.claims.append(session)
        found = self.sessions.get(session)
        revision = found.head.revision if found else 0
        return revision, bool(self.journals.get(session)), bool(found and found.waiting)

    def release(self, claim: int) -> None:
        if self.held.get(self.claims[claim]) == claim:
            del self.held[self.claims[claim]]

    def put(self, claim: int, rows: Sequence[JournalRow], now: float) -> None:
        session = self._holds(claim)
        if self.wrote.get(session, (-1, now))[0] != claim:
            self.wrote[session] = claim, now
        journal = self.journals.setdefault(session, {})
        for row in rows:
            journal.setdefault((row.turn, row.key, row.kind), row)
            self.keep(row.blobs)

    def drop(self, claim: int, turn: str) -> None:
        session = self._holds(claim)
        self._clear(session, turn)
        self._orphan(session, turn)

    def _holds(self, claim: int) -> str:
        session = self.claims[claim]
        self.alive(session)
        if self.held.get(session) != claim:
            raise Refused("SessionBusy")
        return session

    def _clear(self, session: str, turn: str) -> None:
        rows = self.journals.get(session, {})
        self.journals[session] = {key: row for key, row in rows.items() if row.turn != turn}

    def enqueue(self, session: str, item: InboxItem, now: float) -> None:
        self.alive(session)
        body = json.dumps(item.body, sort_keys=True)
        found = self.sessions.setdefault(session, Known(_first(session, now)))
        if item.key not in found.keys:
            found.keys[item.key] = body
            found.waiting[item.key] = item
        elif found.keys[item.key] != body:
            raise Refused("OperationMismatch")

    def withdraw(self, session: str, key: str) -> bool:
        found = self.sessions.get(session)
        if found is None or found.waiting.pop(key, None) is None:
            return False
        del found.keys[key]
        return True

    def fork(self, session: str, id: str, at: str | None, now: float) -> Head:
        self.alive(session)
        self.alive(id)
        if id in self.sessions:
            raise Refused("SessionExists")
        found = self.sessions.get(session)
        if found is None or not found.head.revision:
            raise Refused("InvalidHistory")
        if at is not None and at not in self.ends(session):
            raise Refused("InvalidHistory")
        origin = found.head if at is None else self.nodes[at].head
        head = replace(
            _first(id, now),
            revision=1,
            leaf=origin.leaf,
            turns=origin.turns,
            manifest=origin.manifest,
            forked_from=(origin.session, origin.revision),
        )
        self.sessions[id] = Known(head, base=origin.leaf, log=[(None, head)])
        return head

    # --- what goes away ------------------------------------------------------------

    def delete(self, session: str) -> bool:
        known = session in self.sessions or bool(self.journals.get(session))
        if known:
            self._remove(session)
        return known

    def _remove(self, session: str) -> None:
        self.gone[session] = None
        for kept in (self.sessions, self.journals, self.held):
            kept.pop(session, None)
        self.feed = [row for row in self.feed if row[0] != session]
        for id, found in list(self.sessions.items()):
            if found.head.parent == session and found.head.pending is not None:
                self._remove(id)
        live = {id for s in self.sessions for id in self._reached(s)}
        self.nodes = {id: written for id, written in self.nodes.items() if id in live}

    def _reached(self, session: str) -> Iterator[str]:
        """Yield the nodes that a session keeps, hidden ones included."""
        found = self.sessions[session]
        yield from self.path(found.base)
        for commit, _ in found.log:
            for node in commit.nodes if commit else ():
                yield node.id

    def tombstone(self, session: str, ids: Sequence[str]) -> int:
        hide = {id for id in ids if self.visible(id) and self.nodes[id].head.session == session}
        if any(self.stood_on(id, *hide) for id in hide):
            raise Refused("InvalidHistory")
        for id in hide:
            self.nodes[id].hidden = True
        return len(hide)

    def stood_on(self, id: str, *hidden: str) -> bool:
        """Return whether a head stands on a node, or a node that isn't to be hidden."""
        above = [w.node.parent for i, w in self.nodes.items() if not (w.hidden or i in hidden)]
        return id in (*above, *[found.head.leaf for found in self.sessions.values()])

    def vacuum(self) -> int:
        found = [written for written in self.nodes.values() if written.hidden > written.vacuumed]
        for written in found:
            written.vacuumed = True
        return len(found)

    def dead(self) -> list[str]:
        """Return the refs of blobs that no head and no journal reaches."""
        live: set[str] = set()
        kept = [pair for found in self.sessions.values() for pair in found.log]
        kept += [(written.commit, written.head) for written in self.nodes.values()]
        for commit, head in kept:
            live.update(head.manifest.values())
            if commit and (not commit.nodes or any(self.visible(n.id) for n in commit.nodes)):
                live.update(blob.sha256 for blob in commit.blobs)
        rows = [row for journal in self.journals.values() for row in journal.values()]
        live.update(blob.sha256 for row in rows for blob in row.blobs)
        return [ref for ref in self.blobs if ref not in live]

    def gc(self, *, dry_run: bool) -> int:
        dead = self.dead()
        size = sum(self.blobs[ref] for ref in dead)
        for ref in () if dry_run else dead:
            del self.blobs[ref]
        return size


def canonical(commit: Commit) -> str:
    """Return what makes two commits the same one: all but `expected`, `at` and `turn`."""
    body = [
        commit.turns,
        commit.leaf,
        commit.restore,
        commit.parent,
        commit.pending,
        commit.consumed,
        commit.children,
        [(node.id, node.parent, node.kind, node.value.to_json()) for node in commit.nodes],
        [(c.name, c.version, c.value) for c in commit.components],
        [blob.sha256 for blob in commit.blobs],
        [row.to_json() for row in commit.usage],
        [(row.plugin, row.name, row.body) for row in commit.rows],
    ]
    return json.dumps(body, sort_keys=True)


def _first(session: str, now: float) -> Head:
    return Head(session=session, revision=0, leaf=None, turns=0, manifest={}, updated=now)
