"""Whose tables they are, and of which version."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

from lash_sdk.errors import SchemaTooNew, StoreCorrupt, StoreError, StoreMissing
from lash_sdk.testing.store_turns import revision, turn
from lash_store_postgres import PostgresStore, schema
from lash_store_postgres.address import Address
from lash_store_postgres.schema import VERSION, migrate
from tests.batteries.postgres_server import PostgresServer

GOLDEN: Final = Path(__file__).parent / "golden"

COLUMNS: Final = """
select c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
  || case when a.attnotnull then ' not null' else '' end
from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = %s::regnamespace and c.relkind = 'r'
and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attnum
"""
INDEXES: Final = """
select indexdef from pg_indexes where schemaname = %s order by indexname
"""


def made(place: Address) -> str:
    """Return what tables and indexes a schema has."""
    with psycopg.connect(place.conninfo) as db:
        lines = [*db.execute(COLUMNS, [place.schema]), *db.execute(INDEXES, [place.schema])]
    return "".join([f"{line}\n" for (line,) in lines]).replace(place.schema, "lash")


async def test_the_schema_is_the_one_on_record(store: PostgresStore, place: Address) -> None:
    """
    Nobody changes a table and finds out from the users' servers.
    """
    golden = GOLDEN / f"schema-{VERSION}.txt"

    assert golden.read_text(encoding="utf-8") == made(place)


@pytest.mark.parametrize(
    "statement",
    [
        "create table {}.theirs (a integer)",
        "create view {}.about as select 1 as product",
        "create table {}.about (name text)",
        "create table {}.about (product text, version integer)",
        "create table {}.about as select 'theirs' as product, 1 as version",
        "create table {}.about as select 'lash-sdk' as product, 'one' as version",
        "create table {}.about as select 'lash-sdk' as product, 0 as version",
        "create function {}.theirs() returns integer language sql as 'select 1'",
    ],
)
async def test_a_schema_of_others_is_left_alone(
    server: PostgresServer, place: Address, url: str, statement: str
) -> None:
    """
    The name was free in our heads, not in their database.
    """
    name = sql.Identifier(place.schema)
    server.execute(sql.SQL("create schema {}").format(name))
    server.execute(sql.SQL(statement).format(name))  # pyright: ignore[reportArgumentType]
    before = made(place)
    store = PostgresStore(url)

    with pytest.raises(StoreCorrupt, match="isn't a session store"):
        await store.open()
    await store.close()
    assert before == made(place)


async def test_an_empty_schema_is_taken(server: PostgresServer, place: Address, url: str) -> None:
    """
    An operator made it for us, who may make none.
    """
    server.execute(sql.SQL("create schema {}").format(sql.Identifier(place.schema)))
    store = PostgresStore(url)
    await store.open()

    assert 1 == (await store.commit(turn("a", 0))).revision
    await store.close()


async def test_two_schemas_are_two_stores(server: PostgresServer) -> None:
    """
    Sessions, claims and feeds of one aren't those of the other.
    """
    one, two = PostgresStore(server.schema()), PostgresStore(server.schema())
    for store in (one, two):
        await store.open()
        await store.commit(turn("a", 0))
        await store.claim("a")
    await one.commit(turn("a", 1))

    assert [2, 1] == [await revision(store, "a") for store in (one, two)]
    assert [2, 1] == [len([r async for r in store.changes()]) for store in (one, two)]
    for store in (one, two):
        await store.close()


async def test_who_may_make_no_schema_is_told(server: PostgresServer) -> None:
    """
    The server's words say which right is missing.
    """
    server.execute(sql.SQL("create role guest login password 'guest'"))
    url = server.url(user="guest", password="guest")
    store = PostgresStore(f"{url}?schema=guests")

    with pytest.raises(StoreError, match="permission denied for database"):
        await store.open()
    await store.close()


async def test_another_encoding_is_refused(server: PostgresServer) -> None:
    """
    Ids of any language have to be themselves.
    """
    server.execute(sql.SQL("create database latin encoding latin1 template template0"))
    store = PostgresStore(server.url("latin"))

    with pytest.raises(StoreError, match="expected a database in UTF8, found LATIN1"):
        await store.open()
    await store.close()


STEPS: Final = {
    2: "alter table @schema@.sessions add column note text",
    3: "update @schema@.sessions set note = 'of ' || id",
}


async def test_steps_are_taken_one_after_the_other(store: PostgresStore, place: Address) -> None:
    """
    Versions may be skipped; steps can't be. Whoever comes second finds it done.
    """
    await store.commit(turn("a", 0))
    dbs = [await psycopg.AsyncConnection.connect(place.conninfo, autocommit=True) for _ in range(4)]

    known = pytest.MonkeyPatch()
    known.setattr(schema, "VERSION", 3)
    await asyncio.gather(*[migrate(db, place, 3, STEPS) for db in dbs])
    known.undo()

    rows = await (
        await dbs[0].execute(
            sql.SQL("select note, (select version from {}) from {}").format(
                sql.Identifier(place.schema, "about"), sql.Identifier(place.schema, "sessions")
            )
        )
    ).fetchall()
    assert [("of a", 3)] == rows
    await store.close()
    with pytest.raises(SchemaTooNew, match="has schema 3; this version knows up to 1"):
        await store.open()
    for db in dbs:
        await db.close()


async def test_a_step_that_fails_leaves_the_version_before(
    store: PostgresStore, place: Address
) -> None:
    """
    It's never left between two versions.
    """
    await store.commit(turn("a", 0))
    db = await psycopg.AsyncConnection.connect(place.conninfo, autocommit=True)
    before = made(place)

    with pytest.raises(psycopg.Error):
        await migrate(db, place, 3, {**STEPS, 3: "update @schema@.sessions set nothing = 1"})

    assert before == made(place)
    assert 1 == await schema.version(db, place)
    assert 2 == (await store.commit(turn("a", 1))).revision
    await db.close()


async def test_looking_for_a_store_makes_none(url: str, place: Address) -> None:
    """
    A schema that was mistyped must not stay on the server, to be taken for a store.
    """
    store = PostgresStore(url)
    with pytest.raises(StoreMissing, match=f"there's no store in schema '{place.schema}'"):
        await store.find()
    with psycopg.connect(place.conninfo) as db:
        schemas = db.execute("select 1 from pg_namespace where nspname = %s", [place.schema])
        assert schemas.fetchone() is None
    await store.open()
    await store.find()
    await store.close()
