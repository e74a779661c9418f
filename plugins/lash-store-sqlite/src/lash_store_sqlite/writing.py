"""
What the writer does inside a transaction: put a commit in, take a session out.

Both are safe to repeat, and `landed` tells afterwards whether a commit is there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from lash_sdk.commits import Receipt, chain_hash, part_hash
from lash_sdk.errors import (
    InvalidHistory,
    InvalidInput,
    OperationMismatch,
    RevisionConflict,
    SessionDeleted,
)

from .ids import first_key, id_from, joined, key_of, split
from .pieces import attach, put_components, put_rows, put_usage
from .schema import PARTS, SHIFT

if TYPE_CHECKING:
    import apsw

    from lash_sdk.commits import Commit

_PLACE: Final = """
select s.key, s.deleted, c.key, c.revision, c.hash, c.manifest,
  c.leaf, l.operation, a.turn, a.ordinal
from sessions s
left join commits c on c.key = s.head
left join commits l on l.key = c.leaf >> 20
left join aliases a on a.key = c.leaf
where s.id = ?
"""
_NEXT: Final = """
select coalesce(max(key), 0) + 1,
  exists (select 1 from commits where operation=?1),
  exists (select 1 from aliases where turn=?1)
from commits
"""
_SAME: Final = """
select c.hash, p.hash, c.revision
from commits c join sessions s on s.key = c.session
left join commits p on p.key = c.parent
where c.operation=? and s.id=?
"""
_NEW_SESSION: Final = "insert into sessions (id, updated) values (?, ?) returning key"
_SET_HEAD: Final = "update sessions set head=?, updated=? where key=?"
_COMMIT: Final = "insert into commits values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NODE: Final = "insert into nodes values (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Body:
    """
    A commit made ready for the writer, in its caller's thread.

    Attributes:
        hashes: The part hashes, in order, as the chain takes them.
        size: Bytes that it brings, roughly.
    """

    commit: Commit
    hashes: list[str]
    size: int


def body(commit: Commit) -> Body:
    """
    Return *commit* with its canonical bytes made and its parts hashed.

    Raises:
        InvalidInput: A part can't be said in JSON, or there are too many.
    """
    parts = commit.parts()
    if len(parts) >= PARTS:
        raise InvalidInput(f"expected fewer than {PARTS} parts, found {len(parts)}")
    size = sum([len(data) for _, _, data in parts])
    size += sum([blob.size for blob in commit.blobs])
    return Body(commit, [part_hash(part) for part in parts], size)


class Place(NamedTuple):
    """Where a session stands when a commit comes in; all None before its first."""

    session: int | None = None
    deleted: int = 0
    head: int | None = None
    revision: int | None = None
    hash: bytes | None = None
    manifest: int | None = None
    leaf: int | None = None
    operation: str | None = None
    turn: str | None = None
    ordinal: int | None = None

    @property
    def leaf_id(self) -> str | None:
        """The id of the leaf."""
        if self.leaf is None or self.operation is None:
            return None
        return id_from(self.leaf, self.operation, self.turn, self.ordinal)


def apply(db: apsw.Connection, body: Body) -> Receipt:
    """
    Return the receipt of a commit, having put it in unless it's there already.

    Raises:
        SessionDeleted, OperationMismatch, RevisionConflict: As the port says.
        InvalidHistory: A node's id is taken, or its parent isn't there.
        InvalidInput: A blob isn't there, or its bytes are others.
    """
    commit = body.commit
    row = db.execute(_PLACE, (commit.session,)).fetchone()
    place = Place(*row) if row else Place()
    if place.deleted:
        raise SessionDeleted(commit.session)
    key, known, aliased = next(db.execute(_NEXT, (commit.operation,)))
    if known and (receipt := landed(db, body)):
        return receipt
    if (actual := place.revision or 0) != commit.expected:
        raise RevisionConflict(commit.session, expected=commit.expected, actual=actual)
    if known or aliased:
        _check_ids(db, commit)
    return _insert(db, body, place, key)


def landed(db: apsw.Connection, body: Body) -> Receipt | None:
    """
    Return the receipt of a commit, or None if it isn't there.

    Raises:
        OperationMismatch: Another body is, under its id.
    """
    commit = body.commit
    row = db.execute(_SAME, (commit.operation, commit.session)).fetchone()
    if row is None:
        return None
    found, parent, revision = row
    if found.hex() != chain_hash(_hex(parent), commit.operation, body.hashes):
        raise OperationMismatch(commit.session, commit.operation)
    return _receipt(commit, revision)


def _insert(db: apsw.Connection, body: Body, place: Place, key: int) -> Receipt:
    """Write everything; whatever fails, the caller rolls it back."""
    commit = body.commit
    at = commit.at or time.time()
    session = place.session
    if session is None:
        session = db.execute(_NEW_SESSION, (commit.session, at)).get
    first = first_key(key)
    nodes = _nodes(db, commit, place, first)
    leaf = _leaf(db, commit, place, nodes)
    index = first + len(nodes)
    manifest = put_components(db, commit.components, place.manifest)
    attach(db, commit.blobs, index := index + len(commit.components))
    put_usage(db, commit, session, index := index + len(commit.blobs))
    index += len(commit.usage) + len(commit.consumed) + len(commit.children)
    put_rows(db, commit.rows, index)
    hash = chain_hash(_hex(place.hash), commit.operation, body.hashes)
    revision = commit.expected + 1
    db.execute(
        _COMMIT,
        (
            key,
            session,
            place.head,
            revision,
            commit.operation,
            at,
            commit.turns,
            len(nodes),
            leaf,
            manifest,
            bytes.fromhex(hash),
            bytes.fromhex("".join(body.hashes)),
        ),
    )
    if nodes:
        db.executemany(_NODE, nodes)
    db.execute(_SET_HEAD, (key, at, session))
    return _receipt(commit, revision)


def _receipt(commit: Commit, revision: int) -> Receipt:
    return Receipt(
        session=commit.session, operation=commit.operation, revision=revision, leaf=commit.leaf
    )


Row = tuple[int, int | None, str, bytes]


def _nodes(db: apsw.Connection, commit: Commit, place: Place, first: int) -> list[Row]:
    """Return the rows of the nodes, their aliases written."""
    rows: list[Row] = []
    previous: str | None = None
    for key, node in enumerate(commit.nodes, first):
        if not rows:
            parent = _known(db, node.parent, place)
        elif node.parent == previous:
            parent = key - 1
        else:
            raise InvalidHistory(
                f"node {node.id!r}: expected parent {previous!r}, found {node.parent!r}"
            )
        if node.id != joined(commit.operation, key - first):
            _alias(db, node.id, key)
        rows.append((key, parent, node.kind, node.data))
        previous = node.id
    return rows


def _leaf(db: apsw.Connection, commit: Commit, place: Place, rows: list[Row]) -> int | None:
    if rows and commit.leaf == commit.nodes[-1].id:
        return rows[-1][0]
    for row, node in zip(rows, commit.nodes, strict=True):
        if node.id == commit.leaf:
            return row[0]
    return _known(db, commit.leaf, place)


def _known(db: apsw.Connection, id: str | None, place: Place) -> int | None:
    """Return the key of one of the session's nodes."""
    if id is None:
        return None
    if id == place.leaf_id:
        return place.leaf
    key = key_of(db, id)
    if key is not None:
        owner = db.execute("select session from commits where key=?", (key >> SHIFT,))
        if owner.get == place.session:
            return key
    raise InvalidHistory(f"session has no node {id!r}")


def _check_ids(db: apsw.Connection, commit: Commit) -> None:
    """Say that none of the ids is taken, where some of their kind are."""
    for node in commit.nodes:
        if key_of(db, node.id) is not None:
            raise InvalidHistory(f"node {node.id!r} is there already")


def _alias(db: apsw.Connection, id: str, key: int) -> None:
    if key_of(db, id) is not None:
        raise InvalidHistory(f"node {id!r} is there already")
    db.execute("insert into aliases values (?, ?, ?)", (*split(id), key))


def _hex(hash: bytes | None) -> str:
    return "" if hash is None else hash.hex()


# --- delete --------------------------------------------------------------------

_CHAIN: Final = """
with recursive chain (key, parent, manifest) as (
  select c.key, c.parent, c.manifest from commits c
  join sessions s on s.head = c.key where s.key = ?1
  union all
  select c.key, c.parent, c.manifest from commits c join chain on c.key = chain.parent
)
select key, manifest from chain
"""
_RANGES: Final = ("nodes", "usage", "plugin_rows", "aliases", "attachments")
_RANGE: Final = tuple(
    [f"delete from {table} where key >= ? and key < ?" for table in _RANGES]  # noqa: S608
)


def delete(db: apsw.Connection, session: str) -> bool:
    """Take *session* out, all but its id; return whether there was one."""
    row = db.execute("select key, deleted from sessions where id=?", (session,))
    key, deleted = row.fetchone() or (None, 1)
    if deleted:
        return False
    for commit, manifest in list(db.execute(_CHAIN, (key,))):
        for statement in _RANGE:
            db.execute(statement, (first_key(commit), first_key(commit + 1)))
        db.execute("delete from manifests where key=?", (manifest,))
        db.execute("delete from commits where key=?", (commit,))
    db.execute("update sessions set head=null, deleted=1 where key=?", (key,))
    return True


def deleted(db: apsw.Connection, session: str) -> bool | None:
    """Return True if *session* was deleted, None if it wasn't."""
    row = db.execute("select deleted from sessions where id=?", (session,)).get
    return True if row else None
