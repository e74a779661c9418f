"""
The rows of unfinished turns, and who may write them.

A claim's generation is compared with the newest that wrote, in the transaction
that writes: whoever lost the session is refused, whatever the locks say.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from lash_sdk.commits import part_hash
from lash_sdk.errors import SessionBusy, SessionDeleted, StoreCorrupt
from lash_sdk.json import decode, encode
from lash_sdk.messages import Blob
from lash_sdk.ports import JournalRow

from . import places
from .deletion import orphan
from .pieces import blob_key, keep
from .schema import DELETED, NAMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import apsw

    from lash_sdk.ports import Claim

Holds: TypeAlias = "Callable[[Claim], bool]"
"""Tells whether a claim is still held in this process."""

Row: TypeAlias = tuple[str, str, str, bytes, bytes | None, bytes]
"""Turn, key, kind, body, what it refers to, hash."""

_STATE: Final = """
select s.state, s.generation, coalesce(c.revision, 0),
  exists (select 1 from journal j where j.session = s.key),
  exists (
    select 1 from inbox i indexed by waiting where i.session = s.key and i.body is not null)
from sessions s left join commits c on c.key = s.head where s.id=?
"""
_ANY: Final = """
select exists (select 1 from journal j join sessions s on s.key = j.session where s.id=?)
"""
_HELD: Final = "select key, state, generation, holder from sessions where id=?"
_FENCE: Final = f"""
update sessions set generation=?, holder=?,
  updated=case state when {NAMED} then ? else updated end where key=?
"""  # noqa: S608 - ours
_PUT: Final = """
insert into journal (session, turn, key, kind, body, blobs, hash)
values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing
"""
_KNOWN: Final = """
select count(*) from journal j join sessions s on s.key = j.session
where s.id=? and j.turn=? and j.key=? and j.kind=?
"""
_ROWS: Final = """
select j.turn, j.key, j.kind, j.body, j.blobs, j.hash
from journal j join sessions s on s.key = j.session where s.id=? order by j.place
"""


class State(NamedTuple):
    """What a claim starts from."""

    generation: int = 0
    revision: int = 0
    unfinished: bool = False
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """
    Rows made ready for the writer, in their caller's thread.

    Attributes:
        size: Bytes that they bring.
    """

    claim: Claim
    rows: list[Row]
    blobs: list[Blob]
    size: int


def entry(claim: Claim, rows: Sequence[JournalRow]) -> Entry:
    """
    Return *rows* with their canonical bytes made.

    Raises:
        InvalidInput: A body can't be said in JSON.
    """
    ready = [_pack(row) for row in rows]
    blobs = [blob for row in rows for blob in row.blobs]
    size = sum([len(row[3]) for row in ready]) + sum([blob.size for blob in blobs])
    return Entry(claim, ready, blobs, size)


def _pack(row: JournalRow) -> Row:
    data = row.data
    blobs = encode([blob.to_json() for blob in row.blobs]) if row.blobs else None
    return (row.turn, row.key, row.kind, data, blobs, _hash(row.kind, row.key, data, blobs))


def _hash(kind: str, key: str, data: bytes, blobs: bytes | None) -> bytes:
    return bytes.fromhex(part_hash((kind, key, data + (blobs or b""))))


def state(db: apsw.Connection, session: str) -> State:
    """
    Return what a new claim of *session* starts from.

    Raises:
        SessionDeleted: The id was used by a session that's gone.
    """
    row = db.execute(_STATE, (session,)).fetchone()
    if row is None:
        return State()
    state, generation, revision, unfinished, waiting = row
    if state == DELETED:
        raise SessionDeleted(session)
    return State(generation, revision, bool(unfinished), bool(waiting))


def unfinished(db: apsw.Connection, session: str) -> bool:
    """Return whether there are any rows."""
    return bool(db.execute(_ANY, (session,)).get)


def put(db: apsw.Connection, entry: Entry, holds: Holds) -> int:
    """
    Keep rows that aren't there yet; return how many there were to keep.

    Raises:
        SessionBusy, SessionDeleted: As the port says.
        InvalidInput: A blob's bytes aren't what its hash says.
    """
    claim = entry.claim
    session, newest = _held(db, claim, holds)
    if session is None:
        session = places.named(db, claim.session, places.Place())
    if newest != claim.generation:
        db.execute(_FENCE, (claim.generation, claim.holder, time.time(), session))
    db.executemany(_PUT, [(session, *row) for row in entry.rows])
    for blob in entry.blobs:
        keep(db, blob)
    return len(entry.rows)


def written(db: apsw.Connection, entry: Entry) -> int | None:
    """Return how many rows there were to keep if they're there, else None."""
    for turn, key, kind, *_ in entry.rows:
        if not db.execute(_KNOWN, (entry.claim.session, turn, key, kind)).get:
            return None
    return len(entry.rows)


def drop(db: apsw.Connection, claim: Claim, turn: str, holds: Holds) -> bool:
    """
    Remove the rows of a turn, and the sessions that wait for it.

    Raises:
        SessionBusy, SessionDeleted: As the port says.
    """
    session, _newest = _held(db, claim, holds)
    db.execute("delete from journal where session=? and turn=?", (session, turn))
    orphan(db, session, turn)
    return True


def _held(db: apsw.Connection, claim: Claim, holds: Holds) -> tuple[int | None, int]:
    """Return the key of a session that *claim* may write to, and who wrote last."""
    row = db.execute(_HELD, (claim.session,)).fetchone()
    key, state, newest, holder = row or (None, NAMED, 0, None)
    if state == DELETED:
        raise SessionDeleted(claim.session)
    stale = newest > claim.generation
    rival = newest == claim.generation and holder != claim.holder
    if stale or rival or not holds(claim):
        raise SessionBusy(claim.session)
    return key, newest


def rows(db: apsw.Connection, session: str) -> tuple[JournalRow, ...]:
    """
    Return the rows of the session's unfinished turns, in their order.

    Raises:
        StoreCorrupt: A row isn't what was stored.
    """
    found = db.execute(_ROWS, (session,))
    return tuple([_unpack(session, row) for row in found])


def _unpack(session: str, row: Row) -> JournalRow:
    turn, key, kind, data, blobs, hash = row
    if _hash(kind, key, data, blobs) != hash:
        raise StoreCorrupt(f"session {session!r}: journal {key!r} isn't what was stored")
    refs = tuple(_refs(blobs))
    return JournalRow(turn=turn, key=key, kind=kind, body=decode(data), blobs=refs)


def _refs(data: bytes | None) -> Iterator[Blob]:
    items = decode(data) if data else None
    for item in items if isinstance(items, list) else ():
        yield Blob.from_json(item)


def attached(db: apsw.Connection) -> Iterator[int]:
    """Yield the keys of the blobs that any journal refers to."""
    for (data,) in db.execute("select blobs from journal where blobs is not null"):
        for blob in _refs(data):
            if (key := blob_key(db, blob.sha256)) is not None:
                yield key
