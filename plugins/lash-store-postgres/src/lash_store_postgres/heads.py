"""Where sessions stand: heads, lists of them, receipts, and the feed of commits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from psycopg.types.numeric import Int8

from lash_sdk.commits import Head, Receipt
from lash_sdk.errors import SessionDeleted, StoreCorrupt
from lash_sdk.ports import SessionSummary

from .links import HEAD, LINKS, MANIFESTS, linked, manifested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .server import Server

NOTHING: Final = (0, None, None, None)
"""What's known of a session that nobody named."""

FEED: Final = 500
"""How many commits are read in one go."""

_RECEIPT: Final = """
select c.key, s.id, c.operation, c.revision, l.id
from @schema@.sessions s join @schema@.commits c on c.session = s.key
left join @schema@.nodes l on l.commit = c.leaf_commit and l.place = c.leaf_place
where s.id = %b::text and s.state = 1 and c.operation = %b::text
"""
_FEED: Final = """
select c.key, case when s.state = 1 then s.id end, c.operation, c.revision, l.id
from @schema@.commits c join @schema@.sessions s on s.key = c.session
left join @schema@.nodes l on l.commit = c.leaf_commit and l.place = c.leaf_place
where c.key > %b::bigint order by c.key limit %b::bigint
"""
_SESSIONS: Final = """
select s.id, s.revision, coalesce(c.turns, 0), s.updated, p.id, j.there
from @schema@.sessions s
left join @schema@.commits c on c.key = s.head
left join @schema@.sessions p on p.key = s.parent
cross join lateral (
  select exists (select from @schema@.journal j where j.session = s.key) as there
) j
where (s.state = 1 and s.pending is null or s.state = 0 and j.there)
and (%b::double precision is null or s.updated < %b::double precision)
and starts_with(s.id, %b::text)
order by s.updated desc, s.key desc limit %b::bigint
"""

Row: TypeAlias = "tuple[int, str | None, str | None, int, str | None]"


async def head(server: Server, session: str) -> Head | None:
    """
    Return where *session* stands, or None if nothing made it yet.

    Raises:
        SessionDeleted: It's gone.
    """
    rows = await server.rows(HEAD, session)
    (state, key, updated, pending), rest = (rows[0][:4], rows[0][4:]) if rows else (NOTHING, ())
    if state == 2:
        raise SessionDeleted(session)
    if state == 0:
        return None
    if key is None:
        return Head(session=session, revision=0, leaf=None, turns=0, manifest={}, updated=updated)
    state, link = rest[:4], rest[4:]
    if link[0] is None:
        raise StoreCorrupt(f"commit {key} isn't there")
    manifests = manifested([state] if state[0] is not None else [])
    found = linked([link])[key].head(manifests)
    return found if found.pending == pending else replace(found, pending=pending)


async def at(server: Server, key: int) -> Head:
    """
    Return where a commit left its session.

    Raises:
        StoreCorrupt: It isn't there, or isn't what was stored.
    """
    links, states = await server.several((LINKS, [[Int8(key)]]), (MANIFESTS, [[Int8(key)]]))
    if not links:
        raise StoreCorrupt(f"commit {key} isn't there")
    return linked(links)[key].head(manifested(states))


async def receipt(server: Server, session: str, operation: str) -> Receipt | None:
    """Return the receipt of an operation that landed."""
    rows = await server.rows(_RECEIPT, session, operation)
    return _receipt(*rows[0]) if rows else None


def _receipt(key: int, session: str, operation: str, revision: int, leaf: str | None) -> Receipt:
    return Receipt(session=session, operation=operation, revision=revision, leaf=leaf, cursor=key)


class Feed:
    """
    The commits of all sessions in the order of their keys, none left out.

    A key that's missing may belong to a commit that's still being written: then the
    feed waits for those who write, once. Keys up to where it did so stay missing. If it
    waits in vain for a quarter of a second it ends there, and goes on the next time.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._settled = 0

    async def after(self, cursor: int) -> AsyncIterator[Receipt]:
        """Yield the receipts of commits after *cursor*, as far as there are any now."""
        rows = await self._read(cursor)
        while rows:
            for key, session, operation, revision, leaf in rows:
                cursor = key
                if session is not None and operation is not None:
                    yield _receipt(key, session, operation, revision, leaf)
            rows = await self._read(cursor) if len(rows) == FEED else []

    async def _read(self, cursor: int) -> list[Row]:
        """Return the next commits, up to a key that nobody knows the fate of."""
        rows = await self._page(cursor)
        if len(rows) != len(self._whole(rows, cursor)):
            found = await self._server.rows("select @schema@.settled()")
            self._settled = max(self._settled, found[0][0] or 0)
            rows = await self._page(cursor)
        return self._whole(rows, cursor)

    async def _page(self, cursor: int) -> list[Row]:
        return await self._server.rows(_FEED, Int8(cursor), Int8(FEED))

    def _whole(self, rows: list[Row], cursor: int) -> list[Row]:
        """Return *rows* up to the first gap that a commit might still fill."""
        expected = max(cursor, self._settled) + 1
        for at, row in enumerate(rows):
            if row[0] > expected:
                return rows[:at]
            expected = max(expected, row[0] + 1)
        return rows


async def sessions(
    server: Server, before: float | None, limit: int, prefix: str
) -> list[SessionSummary]:
    """Return sessions updated before then, newest first."""
    rows = await server.rows(_SESSIONS, before, before, prefix, Int8(max(limit, 0)))
    return [
        SessionSummary(
            id=id,
            revision=revision,
            turns=turns,
            updated=updated,
            parent=parent,
            unfinished=unfinished,
        )
        for id, revision, turns, updated, parent, unfinished in rows
    ]
