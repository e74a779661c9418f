"""
The rows of unfinished turns, and who may write them.

A claim's generation is compared with the newest that wrote, in the transaction that
writes, and the server is asked whether the connection that holds the claim's lock is
still there: whoever lost the session is refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg.types.numeric import Int8

from lash_sdk.commits import part_hash
from lash_sdk.errors import SessionDeleted, StoreBusy, StoreCorrupt
from lash_sdk.json import decode, encode
from lash_sdk.messages import Blob
from lash_sdk.ports import JournalRow

from .commits import blobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lash_sdk.ports import Claim

    from .claims import Claims
    from .server import Server

_PUT: Final = """
select @schema@.journal_put(
  %b::text, %b::bigint, %b::text, %b::integer, %b::bigint,
  %b::text[], %b::text[], %b::text[], %b::bytea[], %b::bytea[],
  %b::text[], %b::bytea[], %b::bytea[], %b::bytea[], %b::double precision)
"""
_DROP: Final = """
select @schema@.journal_drop(
  %b::text, %b::bigint, %b::text, %b::integer, %b::bigint, %b::text)
"""
_ROWS: Final = """
select j.turn, j.key, j.kind, j.body, j.blobs, j.hash
from @schema@.sessions s join @schema@.journal j on j.session = s.key
where s.id = %b::text order by j.place
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Rows made ready for the server: the last arguments of its function."""

    claim: Claim
    args: Sequence[object]


def entry(claim: Claim, rows: Sequence[JournalRow]) -> Entry:
    """
    Return *rows* with their canonical bytes made.

    Raises:
        InvalidInput: A body can't be said in JSON, or a blob's bytes are others.
    """
    bodies = [row.data for row in rows]
    refs = [encode([blob.to_json() for blob in row.blobs]) if row.blobs else None for row in rows]
    args = (
        [row.turn for row in rows],
        [row.key for row in rows],
        [row.kind for row in rows],
        bodies,
        refs,
        [_array(row.blobs) for row in rows],
        [
            _hash(row.kind, row.key, data, ref)
            for row, data, ref in zip(rows, bodies, refs, strict=True)
        ],
        *blobs([blob for row in rows for blob in row.blobs]),
        time.time(),
    )
    return Entry(claim, args)


def _array(found: Sequence[Blob]) -> str | None:
    """Return the hashes of blobs as the server writes an array."""
    items = ",".join([f'"\\\\x{blob.sha256}"' for blob in found])
    return f"{{{items}}}" if found else None


def _hash(kind: str, key: str, data: bytes, refs: bytes | None) -> bytes:
    return bytes.fromhex(part_hash((kind, key, data + (refs or b""))))


async def put(server: Server, claims: Claims, entry: Entry) -> None:
    """
    Keep rows that aren't there yet.

    Raises:
        SessionBusy, SessionDeleted: As the port says.
    """
    await _held(server, claims, entry.claim, _PUT, entry.args)


async def drop(server: Server, claims: Claims, claim: Claim, turn: str) -> None:
    """
    Remove the rows of a turn, and the sessions that wait for it.

    Raises:
        SessionBusy, SessionDeleted: As the port says.
    """
    await _held(server, claims, claim, _DROP, (turn,))


async def _held(
    server: Server, claims: Claims, claim: Claim, query: str, args: Sequence[object]
) -> None:
    """Make a call for whoever holds *claim*."""
    deadline = time.monotonic() + server.patience
    while claims.holds(claim):
        backend = claims.backend
        who = (claim.session, Int8(claim.generation), claim.holder, *backend)
        (outcome,) = await server.call(query, *who, *args)
        match outcome:
            case "done":
                return
            case "deleted":
                raise SessionDeleted(claim.session)
            case "lost" if time.monotonic() < deadline:
                await claims.regain(backend)
            case "lost":
                raise StoreBusy(f"{server.address.text}: the connection breaks again and again")
            case _:
                break
    raise await claims.refusal(claim.session)


async def rows(server: Server, session: str) -> tuple[JournalRow, ...]:
    """
    Return the rows of the session's unfinished turns, in their order.

    Raises:
        StoreCorrupt: A row isn't what was stored.
    """
    found: list[JournalRow] = []
    for turn, key, kind, data, refs, hash in await server.rows(_ROWS, session):
        if _hash(kind, key, data, refs) != hash:
            raise StoreCorrupt(f"session {session!r}: journal {key!r} isn't what was stored")
        body = decode(data)
        found.append(JournalRow(turn=turn, key=key, kind=kind, body=body, blobs=tuple(_refs(refs))))
    return tuple(found)


def _refs(data: bytes | None) -> Iterator[Blob]:
    items = decode(data) if data else None
    for item in items if isinstance(items, list) else ():
        yield Blob.from_json(item)
