"""
What waits for a session's turns.

A key is remembered with its body's hash as long as the session is there, so that
what was delivered twice is used once.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

from lash_sdk.errors import OperationMismatch, SessionDeleted, StoreCorrupt
from lash_sdk.json import decode, encode
from lash_sdk.ports import InboxItem

if TYPE_CHECKING:
    from .server import Server

_ENQUEUE: Final = """
select @schema@.enqueue(%b::text, %b::text, %b::bytea, %b::bytea, %b::double precision)
"""
_WAITING: Final = """
select i.key, i.body, i.hash
from @schema@.sessions s join @schema@.inbox i on i.session = s.key
where s.id = %b::text and i.body is not null order by i.place
"""
_WITHDRAW: Final = "select @schema@.withdraw(%b::text, %b::text)"


async def put(server: Server, session: str, item: InboxItem, data: bytes) -> InboxItem:
    """
    Return the item, kept unless it is or was there already; *data* is its body.

    Raises:
        SessionDeleted, OperationMismatch: As the port says.
    """
    hash = hashlib.sha256(data).digest()
    (outcome,) = await server.call(_ENQUEUE, session, item.key, hash, data, time.time())
    if outcome == "deleted":
        raise SessionDeleted(session)
    if outcome == "mismatch":
        raise OperationMismatch(session, item.key)
    return item


def packed(item: InboxItem) -> bytes:
    """
    Return the canonical bytes of an item's body.

    Raises:
        InvalidInput: It can't be said in JSON.
    """
    return encode(item.body)


async def waiting(server: Server, session: str) -> tuple[InboxItem, ...]:
    """Return what waits, oldest first."""
    items: list[InboxItem] = []
    for key, data, hash in await server.rows(_WAITING, session):
        if hashlib.sha256(data).digest() != hash:
            raise StoreCorrupt(f"session {session!r}: inbox {key!r} isn't what was stored")
        items.append(InboxItem(key=key, body=decode(data)))
    return tuple(items)


async def withdraw(server: Server, session: str, key: str) -> bool:
    """Take a waiting item back; return whether it still waited."""
    (outcome,) = await server.call(_WITHDRAW, session, key)
    return bool(outcome == "done")
