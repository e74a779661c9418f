"""What the reader answers, each in a transaction of its own, checked on the way."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from lash_sdk.commits import Commit, Head, Receipt, chain_hash, part_hash
from lash_sdk.errors import SessionDeleted, StoreCorrupt
from lash_sdk.graph import Node, read_node
from lash_sdk.json import decode
from lash_sdk.ports import Page, SessionSummary

from .ids import first_key, id_from, id_of, key_of
from .pieces import manifest, unpack
from .schema import PARTS, SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import apsw

    from lash_sdk.usage import UsageRow

PAGE_NODES: Final = 500
"""How many nodes a page holds at most."""

_HEAD: Final = """
select s.deleted, c.revision, c.turns, c.leaf, c.manifest, s.updated
from sessions s left join commits c on c.key = s.head where s.id=?
"""
_CHAIN: Final = """
with recursive chain (key, parent, revision, nodes) as (
  select c.key, c.parent, c.revision, c.nodes from commits c
  join sessions s on s.head = c.key where s.id = ?1 and c.revision > ?2
  union all
  select c.key, c.parent, c.revision, c.nodes
  from commits c join chain on c.key = chain.parent where c.revision > ?2
)
select key, revision, nodes from chain
"""
_COMMIT: Final = """
select c.operation, c.hash, p.hash, c.parts
from commits c left join commits p on p.key = c.parent where c.key=?
"""
_NODES: Final = """
select n.key, a.turn, a.ordinal, n.parent, n.kind, n.body
from nodes n left join aliases a on a.key = n.key
where n.key >= ? and n.key < ? order by n.key
"""
_USAGE: Final = "select key, id, body from usage where key >= ? and key < ? order by key"
_RECEIPT: Final = """
select c.revision, c.leaf from commits c join sessions s on s.key = c.session
where c.operation=? and s.id=?
"""
_SESSIONS: Final = """
select s.id, c.revision, c.turns, s.updated
from sessions s join commits c on c.key = s.head
where (?1 is null or s.updated < ?1) and substr(s.id, 1, ?2) = ?3
order by s.updated desc, s.head desc limit ?4
"""


class Link(NamedTuple):
    """One commit of a session's chain, known by its key."""

    key: int
    revision: int
    nodes: int


Piece: TypeAlias = tuple[Link, range]
"""A commit, and which of its nodes."""


def head(db: apsw.Connection, session: str) -> Head | None:
    """Return where *session* stands; `SessionDeleted` if it's gone."""
    row = db.execute(_HEAD, (session,)).fetchone()
    if row is None:
        return None
    deleted, revision, turns, leaf, state, updated = row
    if deleted:
        raise SessionDeleted(session)
    return Head(
        session=session,
        revision=revision,
        leaf=None if leaf is None else id_of(db, leaf),
        turns=turns,
        manifest={name: _ref(db, key) for name, key in manifest(db, state).items()},
        updated=updated,
    )


def chain(db: apsw.Connection, session: str, since: int) -> list[Link]:
    """Return the session's commits after *since*, oldest first."""
    deleted = db.execute("select deleted from sessions where id=?", (session,)).get
    if deleted:
        raise SessionDeleted(session)
    links = [Link(*row) for row in db.execute(_CHAIN, (session, since))]
    links.reverse()
    return links


def spans(links: Sequence[Link]) -> Iterator[list[Piece]]:
    """Yield what goes into each page: commits, and which of their nodes."""
    page: list[Piece] = []
    room = PAGE_NODES
    for link in links:
        start = 0
        while link.nodes - start > room:
            page.append((link, range(start, start + room)))
            yield page
            start += room
            page, room = [], PAGE_NODES
        page.append((link, range(start, link.nodes)))
        room -= link.nodes - start
    if page:
        yield page


def read_page(db: apsw.Connection, session: str, span: list[Piece]) -> Page:
    """
    Return one page, every hash in it checked.

    A commit that's too long for one page is told once its last node is: until
    then the page's revision is the one before.
    """
    nodes: list[Node] = []
    usage: list[UsageRow] = []
    told = span[0][0].revision - 1
    for link, part in span:
        commit = _Commit(db, session, link)
        nodes += commit.read_nodes(part)
        if part.stop == link.nodes:
            usage += commit.read_usage()
            told = link.revision
    return Page(revision=told, nodes=tuple(nodes), usage=tuple(usage))


class _Commit:
    """A stored commit, its chain hash checked, whose parts can be read."""

    def __init__(self, db: apsw.Connection, session: str, link: Link) -> None:
        row = db.execute(_COMMIT, (link.key,)).fetchone()
        if row is None:  # deleted since the chain was read
            raise SessionDeleted(session)
        self._db = db
        self._session = session
        self._link = link
        self._operation, hash, parent, hashes = row
        self._hashes = [hashes[at : at + 32].hex() for at in range(0, len(hashes), 32)]
        before = "" if parent is None else parent.hex()
        if chain_hash(before, self._operation, self._hashes) != hash.hex():
            raise self._corrupt(f"commit {self._operation!r}")

    def read_nodes(self, part: range) -> tuple[Node, ...]:
        """Return some of its nodes, each checked against its hash."""
        first = first_key(self._link.key)
        rows = self._db.execute(_NODES, (first + part.start, first + part.stop))
        nodes: list[Node] = []
        for key, turn, ordinal, parent, kind, data in rows:
            if key != first + part.start + len(nodes):
                break
            id = id_from(key, self._operation, turn, ordinal)
            if parent == key - 1 and nodes:
                above: str | None = nodes[-1].id
            else:
                above = None if parent is None else id_of(self._db, parent)
            nodes.append(read_node(id, above, kind, decode(data), data))
        if len(nodes) != len(part):
            raise self._corrupt(f"commit {self._operation!r}")
        commit = Commit(session="", expected=0, operation="", nodes=tuple(nodes))
        self._check(part, commit)
        return commit.nodes

    def read_usage(self) -> tuple[UsageRow, ...]:
        """Return its ledger rows, each checked against its hash."""
        first = first_key(self._link.key)
        found: dict[int, UsageRow] = {
            key - first: unpack(id, data, self._operation, self._session)
            for key, id, data in self._db.execute(_USAGE, (first, first + PARTS))
        }
        rows = tuple(found.values())
        commit = Commit(session="", expected=0, operation="", usage=rows)
        self._check(found, commit)
        return rows

    def _check(self, indices: Iterable[int], commit: Commit) -> None:
        """Compare parts with the hashes at these places."""
        for index, part in zip(indices, commit.parts(), strict=False):
            if self._hashes[index : index + 1] != [part_hash(part)]:
                raise self._corrupt(f"{part[0]} {part[1]!r}")

    def _corrupt(self, what: str) -> StoreCorrupt:
        good = self._link.revision - 1
        return StoreCorrupt(
            f"session {self._session!r}: {what} isn't what was stored;"
            f" revision {good} is the last good one"
        )


def node(db: apsw.Connection, id: str) -> Node | None:
    """Return a node by its id, checked against its hash."""
    key = key_of(db, id)
    if key is None:
        return None
    session, revision, nodes = next(
        db.execute(
            "select s.id, c.revision, c.nodes from commits c"
            " join sessions s on s.key = c.session where c.key=?",
            (key >> SHIFT,),
        )
    )
    index = key & (PARTS - 1)
    commit = _Commit(db, session, Link(key >> SHIFT, revision, nodes))
    return commit.read_nodes(range(index, index + 1))[0]


def receipt(db: apsw.Connection, session: str, operation: str) -> Receipt | None:
    """Return the receipt of an operation that landed."""
    row = db.execute(_RECEIPT, (operation, session)).fetchone()
    if row is None:
        return None
    revision, leaf = row
    return Receipt(
        session=session,
        operation=operation,
        revision=revision,
        leaf=None if leaf is None else id_of(db, leaf),
    )


def blob(db: apsw.Connection, ref: str) -> bytes:
    """Return the bytes behind a hash, once they're known to have it."""
    try:
        hash = bytes.fromhex(ref)
    except ValueError:
        hash = b""
    data: bytes | None = db.execute("select body from blobs where hash=?", (hash,)).get
    if data is None:
        raise StoreCorrupt(f"no blob {ref!r}")
    if hashlib.sha256(data).digest() != hash:
        raise StoreCorrupt(f"blob {ref!r} isn't what its hash says")
    return data


def sessions(
    db: apsw.Connection, before: float | None, limit: int, prefix: str
) -> list[SessionSummary]:
    """Return sessions updated before then, newest first."""
    rows = db.execute(_SESSIONS, (before, len(prefix), prefix, max(limit, 0)))
    return [
        SessionSummary(id=id, revision=revision, turns=turns, updated=updated)
        for id, revision, turns, updated in rows
    ]


def _ref(db: apsw.Connection, key: int) -> str:
    hash: bytes | None = db.execute("select hash from blobs where key=?", (key,)).get
    if hash is None:
        raise StoreCorrupt(f"component blob {key} isn't there")
    return hash.hex()
