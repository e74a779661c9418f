"""
What waits for a session's turns.

A key is remembered with its body's hash as long as the session is there, so that
what was delivered twice is used once.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lash_sdk.errors import InvalidInput, OperationMismatch, StoreCorrupt
from lash_sdk.json import decode, encode
from lash_sdk.ports import InboxItem

from . import places
from .schema import MADE

if TYPE_CHECKING:
    import apsw

    from lash_sdk.commits import Commit

_HASH: Final = "select hash from inbox where session=? and key=?"
_PUT: Final = """
insert into inbox select ?1, ?2, coalesce(max(place), 0) + 1, ?3, ?4
from inbox where session=?1 and body is not null
"""
_USE: Final = "update inbox set body=null where session=? and key=? and body is not null"
_WITHDRAW: Final = """
delete from inbox where key=?2 and body is not null
and session=(select key from sessions where id=?1)
"""
_WAITING: Final = """
select i.key, i.body, i.hash from inbox i join sessions s on s.key = i.session
where s.id=? and i.body is not null order by i.place
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """An item made ready for the writer, in its caller's thread."""

    session: str
    item: InboxItem
    data: bytes

    @property
    def hash(self) -> bytes:
        """The sha256 of the body."""
        return hashlib.sha256(self.data).digest()


def letter(session: str, item: InboxItem) -> Letter:
    """
    Return *item* with its canonical bytes made.

    Raises:
        InvalidInput: Its body can't be said in JSON.
    """
    return Letter(session, item, encode(item.body))


def put(db: apsw.Connection, letter: Letter) -> InboxItem:
    """
    Return the item, kept unless it is or was there already.

    Raises:
        SessionDeleted, OperationMismatch: As the port says.
    """
    place = places.find(db, letter.session)
    if first := _first(db, letter, place.session):
        return first
    session = places.named(db, letter.session, place)
    if not place.made:
        at = time.time()
        db.execute("update sessions set state=?, updated=? where key=?", (MADE, at, session))
    db.execute(_PUT, (session, letter.item.key, letter.hash, letter.data))
    return letter.item


def kept(db: apsw.Connection, letter: Letter) -> InboxItem | None:
    """Return the item if it's there, or was."""
    return _first(db, letter, places.look(db, letter.session).session)


def _first(db: apsw.Connection, letter: Letter, session: int | None) -> InboxItem | None:
    hash = db.execute(_HASH, (session, letter.item.key)).get
    if hash is None:
        return None
    if hash != letter.hash:
        raise OperationMismatch(letter.session, letter.item.key)
    return letter.item


def consume(db: apsw.Connection, session: int, commit: Commit) -> None:
    """
    Use what a commit names.

    Raises:
        InvalidInput: A key doesn't wait.
    """
    for key in commit.consumed:
        db.execute(_USE, (session, key))
        if not db.changes():
            raise InvalidInput(f"inbox key {key!r} doesn't wait in {commit.session!r}")


def waiting(db: apsw.Connection, session: str) -> tuple[InboxItem, ...]:
    """Return what waits, oldest first."""
    items: list[InboxItem] = []
    for key, data, hash in db.execute(_WAITING, (session,)):
        if hashlib.sha256(data).digest() != hash:
            raise StoreCorrupt(f"session {session!r}: inbox {key!r} isn't what was stored")
        items.append(InboxItem(key=key, body=decode(data)))
    return tuple(items)


def withdraw(db: apsw.Connection, session: str, key: str) -> bool:
    """Take a waiting item back; return whether it still waited."""
    db.execute(_WITHDRAW, (session, key))
    return bool(db.changes())
