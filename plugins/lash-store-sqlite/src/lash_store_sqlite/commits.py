"""
A commit put in, inside the writer's transaction.

Safe to repeat, and `landed` tells afterwards whether a commit is there.
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

from . import inbox, places
from .deletion import orphan
from .ids import find, first_key, split
from .pieces import attach, put_components, put_rows, put_usage
from .places import Place
from .schema import DELETED, PARTS

if TYPE_CHECKING:
    import apsw

    from lash_sdk.commits import Commit

# all that a commit has to know, in one statement
_START: Final = f"""
select max(
    (select coalesce(max(key), 0) from commits),
    (select coalesce(max(head), 0) from sessions where state = 2)
  ) + 1,
  exists (select 1 from commits where operation=?1),
  exists (select 1 from aliases where turn=?1),
  exists (select 1 from sessions w where w.parent = s.key and w.pending = ?1),
  exists (select 1 from journal j where j.session = s.key and j.turn = ?3),
  {places.COLUMNS}
from (select 1) left join sessions s on s.id = ?2 {places.JOINS}
"""  # noqa: S608 - ours
_SAME: Final = """
select c.key, c.hash, p.hash, c.revision
from commits c join sessions s on s.key = c.session
left join commits p on p.key = c.parent
where c.operation=? and s.id=? and s.state = 1
"""
_HEAD: Final = """
update sessions set state=1, head=?, updated=?, parent=?, pending=? where key=?
"""
_COMMIT: Final = "insert into commits values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ALIAS: Final = "insert into aliases values (?, ?, ?)"
_NODE: Final = "insert into nodes values (?, ?, ?)"
_CHILD: Final = """
with recursive line (key) as (
  select key from sessions where id=?1 and state = 1 and parent=?2 and pending=?3
  union all
  select s.key from line join sessions s on s.parent = line.key and s.pending=?3
)
update sessions set pending=?4 where key in line
"""


@dataclass(frozen=True, slots=True)
class Body:
    """
    A commit made ready for the writer, in its caller's thread.

    Attributes:
        hashes: The part hashes, in order, as the chain takes them.
        size: Bytes that it brings.
        odd: The nodes whose ids don't follow from the operation's, by their place.
    """

    commit: Commit
    hashes: list[str]
    size: int
    odd: frozenset[int]


class Start(NamedTuple):
    """
    What's there before a commit is put in.

    Attributes:
        key: The commit's.
        known: Whether any session has a commit of that operation.
        aliased: Whether a node has an id of the kind that the commit's get.
        waited: Whether sessions wait for it.
        journaled: Whether its turn has rows.
    """

    key: int
    known: bool
    aliased: bool
    waited: bool
    journaled: bool
    place: Place


def body(commit: Commit, limit: int | None) -> Body:
    """
    Return *commit* with its canonical bytes made and its parts hashed.

    Raises:
        InvalidInput: A part can't be said in JSON, or they're too many or too long.
    """
    parts = commit.parts()
    if len(parts) >= PARTS:
        raise InvalidInput(f"expected fewer than {PARTS} parts, found {len(parts)}")
    size = sum([len(data) for _, _, data in parts])
    size += sum([blob.size for blob in commit.blobs])
    if limit is not None and size > limit:
        raise InvalidInput(f"commit {commit.operation!r}: expected {limit} bytes, found {size}")
    usual = commit.operation + ":"
    odd = [at for at, node in enumerate(commit.nodes) if node.id != f"{usual}{at}"]
    return Body(commit, [part_hash(part) for part in parts], size, frozenset(odd))


def apply(db: apsw.Connection, body: Body) -> Receipt:
    """
    Return the receipt of a commit, having put it in unless it's there already.

    Raises:
        SessionDeleted, OperationMismatch, RevisionConflict: As the port says.
        InvalidHistory: Its nodes aren't one new chain, or what they stand on isn't there.
        InvalidInput: A blob, an inbox key or a child isn't there.
    """
    commit = body.commit
    start = _start(db, commit)
    if start.known and (receipt := landed(db, body)):
        return receipt
    if (actual := start.place.revision or 0) != commit.expected:
        raise RevisionConflict(commit.session, expected=commit.expected, actual=actual)
    return _insert(db, body, start, _check(db, body, start))


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
    key, found, parent, revision = row
    if found.hex() != chain_hash(_hex(parent), commit.operation, body.hashes):
        raise OperationMismatch(commit.session, commit.operation)
    return _receipt(commit, revision, key)


# --- what it stands on ---------------------------------------------------------


def _start(db: apsw.Connection, commit: Commit) -> Start:
    key, known, aliased, waited, journaled, *found = next(
        db.execute(_START, (commit.operation, commit.session, commit.turn))
    )
    place = Place() if found[0] is None else Place(*found)
    if place.state == DELETED:
        raise SessionDeleted(commit.session)
    return Start(key, known, aliased, waited, journaled, place)


def _check(db: apsw.Connection, body: Body, start: Start) -> int | None:
    """Return the key of the node that the commit's own stand on, or of its leaf."""
    commit = body.commit
    base = parent = commit.nodes[0].parent if commit.nodes else commit.leaf
    free = not (start.known or start.aliased or body.odd)
    seen: set[str] = set()
    for node in commit.nodes:
        if not free and (node.id in seen or find(db, node.id) is not None):
            raise InvalidHistory(f"node {node.id!r} is there already: an id is used once")
        if node.parent != parent:
            raise InvalidHistory(
                f"node {node.id!r}: expected parent {parent!r}, found {node.parent!r}"
            )
        parent = node.id
        seen.add(parent)
    if commit.leaf != parent:
        raise InvalidHistory(f"leaf {commit.leaf!r} isn't the last node {parent!r}")
    return None if base is None else places.reach(db, start.place, base)


def _manifest(db: apsw.Connection, commit: Commit, place: Place) -> int | None:
    """Return the key of the manifest after the commit."""
    before = place.manifest
    if commit.restore is not None:
        end = places.end(db, place, commit.restore)
        before = db.execute("select manifest from commits where key=?", (end,)).get
    return put_components(db, commit.components, before)


# --- what it writes ------------------------------------------------------------


def _insert(db: apsw.Connection, body: Body, start: Start, base: int | None) -> Receipt:
    """Write everything; whatever fails, the caller rolls it back."""
    commit = body.commit
    key, place = start.key, start.place
    at = commit.at or time.time()
    session = places.named(db, commit.session, place)
    manifest = _manifest(db, commit, place)
    inbox.consume(db, session, commit)
    _show(db, session, place.pending, commit)
    _put_parts(db, body, session, first := first_key(key))
    maker = place.parent if commit.parent is None else places.named(db, commit.parent)
    pending = place.pending if commit.pending is None else commit.pending
    hash = chain_hash(_hex(place.hash), commit.operation, body.hashes)
    db.execute(
        _COMMIT,
        (
            key,
            session,
            place.head,
            commit.expected + 1,
            commit.operation,
            at,
            commit.turns,
            len(commit.nodes),
            base if commit.nodes else None,
            first + len(commit.nodes) - 1 if commit.nodes else base,
            manifest,
            maker,
            pending,
            bytes.fromhex(hash),
            bytes.fromhex("".join(body.hashes)),
        ),
    )
    db.execute(_HEAD, (key, at, maker, pending, session))
    if start.journaled:
        db.execute("delete from journal where session=? and turn=?", (session, commit.turn))
    if start.waited:
        orphan(db, session, commit.operation)
    return _receipt(commit, commit.expected + 1, key)


def _put_parts(db: apsw.Connection, body: Body, session: int, first: int) -> None:
    """Write the parts under their keys, components apart: those are in the manifest."""
    commit = body.commit
    for at in body.odd:
        db.execute(
            "insert into aliases values (?, ?, ?)", (*split(commit.nodes[at].id), first + at)
        )
    if commit.nodes:
        rows = [(key, node.kind, node.data) for key, node in enumerate(commit.nodes, first)]
        db.executemany(_NODE, rows)
    index = first + len(commit.nodes) + len(commit.components)
    attach(db, commit.blobs, index)
    put_usage(db, commit, session, index := index + len(commit.blobs))
    index += len(commit.usage) + len(commit.consumed) + len(commit.children)
    put_rows(db, commit.rows, index)


def _show(db: apsw.Connection, session: int, wait: str | None, commit: Commit) -> None:
    """Let the children be seen that waited for this commit, or wait as their maker does."""
    for child in commit.children:
        db.execute(_CHILD, (child, session, commit.operation, wait))
        if not db.changes():
            raise InvalidInput(f"session {child!r} isn't a pending child of this commit")


def _receipt(commit: Commit, revision: int, key: int) -> Receipt:
    return Receipt(
        session=commit.session,
        operation=commit.operation,
        revision=revision,
        leaf=commit.leaf,
        cursor=key,
    )


def _hex(hash: bytes | None) -> str:
    return "" if hash is None else hash.hex()
