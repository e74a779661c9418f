"""Bytes that aren't what was stored: noticed wherever they are, and never passed on."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from lash_sdk.commits import Component
from lash_sdk.errors import StoreCorrupt
from lash_sdk.messages import Blob
from lash_sdk.ports import InboxItem, JournalRow
from lash_sdk.testing.store_turns import loaded, revision, spent, turn
from lash_store_postgres import PostgresStore
from lash_store_postgres.address import Address

BLOB = Blob.of(b"the bytes of a blob", "text/plain")
STATE = Component(name="policy", version=1, value="state")


async def fill(store: PostgresStore) -> None:
    """Give session "a" two turns, a journal and an inbox; session "b" one turn."""
    for at in range(2):
        state = Component(name="policy", version=1, value=at)
        blobs = (BLOB,) if at else ()
        await store.commit(
            turn("a", at, usage=spent("a", at), components=(STATE, state)[at:], blobs=blobs)
        )
    await store.enqueue("a", InboxItem(key="k", body="waits"))
    claim = await store.claim("a")
    await store.journal_put(claim, [JournalRow(turn="t", key="k", kind="x", body="journaled")])
    await store.release(claim)
    await store.commit(turn("b", 0))


async def read(store: PostgresStore) -> None:
    """Read all there is of session "a"."""
    await loaded(store, "a")
    await store.head("a")
    for id in ("a-0:0", "a-1:1"):
        await store.node(id)
    for ref in (BLOB.sha256, STATE.ref):
        await store.blob(ref)
    await store.pending("a")
    await store.journal("a")


FLIPPED = "overlay({0} placing set_byte(substr({0}, {1} + 1, 1), 0, get_byte({0}, {1}) # 1) from {1} + 1 for 1)"  # noqa: E501


@pytest.mark.parametrize(
    ("table", "column", "where"),
    [
        ("nodes", "body", "id = 'a-0:0'"),
        ("nodes", "body", "id = 'a-1:1'"),
        ("usage", "body", "id = 'a-1/1'"),
        ("commits", "hash", "operation = 'a-0'"),
        ("commits", "hash", "operation = 'a-1'"),
        ("commits", "parts", "operation = 'a-0'"),
        ("blobs", "body", "length(body) = 19"),
        ("inbox", "body", "key = 'k'"),
        ("inbox", "hash", "key = 'k'"),
        ("journal", "body", "key = 'k'"),
        ("journal", "hash", "key = 'k'"),
        ("manifests", "hash", "key = 1"),
        ("manifests", "hash", "key = 2"),
    ],
)
async def test_a_bit_that_was_flipped_is_noticed(
    store: PostgresStore, place: Address, table: str, column: str, where: str
) -> None:
    """
    First, middle or last byte; and the other session goes on.
    """
    await fill(store)
    await read(store)
    name = sql.Identifier(place.schema, table)
    for at in ("0", f"length({column}) / 2", f"length({column}) - 1"):
        flip = sql.SQL(
            f"update {{}} set {column} = {FLIPPED.format(column, f'({at})')} where {where}"
        )  # type: ignore[arg-type]
        with psycopg.connect(place.conninfo) as db:
            assert 1 == db.execute(flip.format(name)).rowcount
        with pytest.raises(StoreCorrupt):
            await read(store)
        with psycopg.connect(place.conninfo) as db:
            db.execute(flip.format(name))
        await read(store)

    assert 2 == (await store.commit(turn("b", 1))).revision


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("update {}.nodes set kind = 'other' where id = 'a-0:1'", "last good one"),
        ("update {}.nodes set id = 'x' where id = 'a-0:1'", "last good one"),
        ("update {}.nodes set body = null where id = 'a-0:1'", "last good one"),
        ("delete from {}.nodes where id = 'a-1:1'", "revision 1 is the last good one"),
        ("delete from {}.commits where operation = 'a-0'", "a commit is missing"),
        ("delete from {}.commits where operation = 'a-1'", "is missing|isn't there"),
        ("update {}.commits set revision = 3 where operation = 'a-1'", "missing"),
        ("delete from {}.manifests", "isn't there"),
        ("delete from {}.blobs", "no blob"),
        ("update {}.manifests set refs = array[]::bytea[]", "isn't what was stored"),
        ("update {}.manifests set names = refs", "isn't what was stored"),
        ("update {}.usage set id = 'other' where id = 'a-1/1'", "last good one"),
        ("drop table {}.usage", "restore it from a backup"),
    ],
)
async def test_rows_that_were_changed_are_noticed(
    store: PostgresStore, place: Address, statement: str, says: str
) -> None:
    """
    Somebody's repair by hand must not become a session's history.
    """
    await fill(store)
    with psycopg.connect(place.conninfo) as db:
        db.execute(sql.SQL(statement).format(sql.Identifier(place.schema)))  # type: ignore[arg-type]

    with pytest.raises(StoreCorrupt, match=says):
        await read(store)
    assert 1 == await revision(store, "b")
