"""A session made on another's nodes: two rows, whatever its length."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from lash_sdk.commits import chain_hash, part_hash
from lash_sdk.errors import InvalidHistory, SessionExists

from . import heads, places

if TYPE_CHECKING:
    import apsw

    from lash_sdk.commits import Head

_COMMIT: Final = """
insert into commits select
  max((select max(key) from commits),
    (select coalesce(max(head), 0) from sessions where state = 2)) + 1,
  ?2, key, 1, null, ?3, turns, 0, null, leaf, manifest, null, null, ?4, ?5
from commits where key=?1 returning key
"""
_MADE: Final = "update sessions set state=1, head=?, origin=?, updated=? where key=?"


def fork(db: apsw.Connection, session: str, id: str, at: str | None) -> Head:
    """
    Return the head of session *id*, made on what *session* saw at a node.

    Raises:
        SessionDeleted, SessionExists, InvalidHistory: As the port says.
    """
    place = places.find(db, session)
    mine = places.find(db, id)
    if mine.made:
        raise SessionExists(id)
    if place.head is None:
        raise InvalidHistory(f"session {session!r} has no commit")
    origin = place.head if at is None else places.end(db, place, at)
    key = places.named(db, id, mine)
    parent: bytes = db.execute("select hash from commits where key=?", (origin,)).get
    part = mark(id)
    hash = bytes.fromhex(chain_hash(parent.hex(), "", [part]))
    now = time.time()
    head = db.execute(_COMMIT, (origin, key, now, hash, bytes.fromhex(part))).get
    db.execute(_MADE, (head, origin, now, key))
    return heads.at(db, head, heads.Memo())


def forked(db: apsw.Connection, id: str) -> Head | None:
    """Return the head of session *id* if it's a fork that nothing was added to."""
    found = heads.head(db, id)
    return found if found and found.forked_from and found.revision == 1 else None


def mark(id: str) -> str:
    """Return the hash of the one part that a fork's first commit has."""
    return part_hash(("fork", id, b""))
