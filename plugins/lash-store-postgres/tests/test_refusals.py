"""What the server refuses, and what callers are told; each error is raised by a real server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from lash_sdk.errors import (
    InvalidHistory,
    InvalidInput,
    LashError,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
)
from lash_sdk.graph import chain
from lash_sdk.messages import user
from lash_sdk.ports import InboxItem
from lash_sdk.testing.store_turns import revision, seen, spent, turn
from lash_store_postgres import PostgresStore
from lash_store_postgres.address import Address
from tests.batteries.postgres_server import PostgresServer

from .planting import plant, pull_out


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53100", StoreFull),
        ("57014", StoreBusy),
        ("53300", StoreBusy),
        ("25006", StoreError),
        ("XX001", StoreCorrupt),
        ("53200", StoreError),
        ("58030", StoreError),
    ],
)
async def test_each_refusal_has_its_word(
    store: PostgresStore, place: Address, state: str, error: type[StoreError]
) -> None:
    """
    Nothing was written, the next commit finds the store as good as new.
    """
    await store.commit(turn("a", 0))
    before = await seen(store, "a")
    plant(place, "nodes", f"raise exception 'planted' using errcode = '{state}';")

    with pytest.raises(LashError) as refused:
        await store.commit(turn("a", 1))

    assert type(refused.value) is error
    assert before == await seen(store, "a")
    assert await store.receipt("a", "a-1") is None
    pull_out(place, "nodes")
    assert 2 == (await store.commit(turn("a", 1))).revision


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
async def test_what_may_succeed_the_next_time_is_tried_again(
    store: PostgresStore, place: Address, state: str
) -> None:
    """
    A turn isn't lost because two transactions met.
    """
    plant(
        place,
        "usage",
        f"if nextval('{place.quoted}.planted') < 4 then"
        f" raise exception 'planted' using errcode = '{state}'; end if;",
    )
    receipt = await store.commit(turn("a", 0, usage=spent("a", 0)))

    assert 1 == receipt.revision
    assert 1 == await revision(store, "a")


async def test_what_never_succeeds_is_given_up(url: str, place: Address) -> None:
    """
    After its patience, in words that say what to do.
    """
    store = PostgresStore(url, patience=0.3)
    await store.open()
    plant(place, "nodes", "raise exception 'planted' using errcode = '40001';")

    with pytest.raises(StoreBusy, match="try again"):
        await store.commit(turn("a", 0))
    assert await store.head("a") is None
    await store.close()


async def test_a_commit_is_flushed_whatever_the_default(
    store: PostgresStore, place: Address
) -> None:
    """
    A role may have it turned off, and then an acknowledged turn is gone after a crash.
    """
    plant(
        place,
        "nodes",
        "if current_setting('synchronous_commit') <> 'on' then"
        " raise exception 'it is off'; end if;",
    )
    away = replace_settings(place.conninfo, "-c synchronous_commit=off")
    careless = PostgresStore(f"{away}&schema={place.schema}")
    await careless.open()

    assert 1 == (await careless.commit(turn("a", 0))).revision
    await careless.close()


def replace_settings(conninfo: str, options: str) -> str:
    """Return a URL of the same place, with options for the server."""
    said = psycopg.conninfo.conninfo_to_dict(conninfo)
    base = f"postgresql://{said['user']}:{said['password']}@{said['host']}:{said['port']}"
    return f"{base}/{said['dbname']}?options={options.replace(' ', '%20').replace('=', '%3D')}"


@pytest.mark.parametrize(
    "options",
    [
        "-c default_transaction_isolation=serializable",
        "-c default_transaction_isolation=repeatable\\ read",
        "-c search_path=nowhere",
        "-c statement_timeout=1",
        "-c bytea_output=escape",
        "-c intervalstyle=iso_8601",
    ],
)
async def test_no_default_changes_what_a_store_does(url: str, place: Address, options: str) -> None:
    """
    A database belongs to somebody, who has settings of their own.
    """
    store = PostgresStore(f"{replace_settings(place.conninfo, options)}&schema={place.schema}")
    await store.open()

    results = await asyncio.gather(
        *[store.commit(turn("a", 0, operation=f"o{at}")) for at in range(6)],
        *[store.commit(turn(f"s{at}", 0)) for at in range(6)],
        return_exceptions=True,
    )
    assert 7 == len([result for result in results if not isinstance(result, Exception)])
    assert 2 == len((await seen(store, "a"))[1])
    await store.close()


async def test_a_server_that_is_read_only_is_read(server: PostgresServer) -> None:
    """
    After a failover the old primary answers, but takes nothing.
    """
    url = server.database()
    name = url.rpartition("/")[2]
    first = PostgresStore(url)
    await first.open()
    await first.commit(turn("a", 0))
    await first.close()
    server.execute(
        sql.SQL("alter database {} set default_transaction_read_only = on").format(
            sql.Identifier(name)
        )
    )
    store = PostgresStore(url)
    await store.open()

    with pytest.raises(StoreError, match="read-only"):
        await store.commit(turn("a", 1))
    assert 1 == await revision(store, "a")
    await store.close()


async def test_a_lock_that_is_held_for_long_is_reported(url: str, place: Address) -> None:
    """
    A row that somebody has locked keeps one session waiting, and no other.
    """
    store = PostgresStore(url, patience=0.5)
    await store.open()
    await store.commit(turn("a", 0))
    with psycopg.connect(place.conninfo) as db:
        db.execute(
            sql.SQL("select from {} where id = 'a' for update").format(
                sql.Identifier(place.schema, "sessions")
            )
        )
        with pytest.raises(StoreBusy):
            await store.commit(turn("a", 1))
        assert 1 == (await store.commit(turn("b", 0))).revision
        assert 1 == await revision(store, "a")

    assert 2 == (await store.commit(turn("a", 1))).revision
    await store.close()


@pytest.mark.parametrize("text", ["nul \0", "\ud800"])
async def test_what_the_server_has_no_text_for_is_refused(store: PostgresStore, text: str) -> None:
    """
    Said by name, not kept as something else.
    """
    for commit in (
        turn(text, 0),
        turn("a", 0, operation=text),
        turn("a", 0, nodes=chain(text, None, [user("x")]), leaf=f"{text}:0"),
        turn("a", 0, parent=text, pending="t"),
    ):
        with pytest.raises(InvalidInput, match="PostgreSQL can't hold"):
            await store.commit(commit)
    with pytest.raises(InvalidInput):
        await store.enqueue("a", InboxItem(key=text, body=1))
    with pytest.raises(InvalidInput):
        await store.head(text)
    assert [] == list(await store.sessions())


async def test_two_sessions_that_want_one_node_id_get_it_once(store: PostgresStore) -> None:
    """
    Nodes belong to the store, and two commits at once can't both have looked.
    """
    nodes = chain("same", None, [user("x")])
    commits = [turn(id, 0, nodes=nodes, leaf="same:0") for id in "abcdefgh"]

    results = await asyncio.gather(
        *[store.commit(commit) for commit in commits], return_exceptions=True
    )

    assert 7 == len([result for result in results if isinstance(result, InvalidHistory)])
    assert 1 == len(await store.sessions())


async def test_an_open_store_belongs_to_its_loop(store: PostgresStore) -> None:
    """
    A driver's connection that two loops wait for answers neither.
    """
    with pytest.raises(StoreError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, store.head("a"))

    assert 1 == (await store.commit(replace(turn("a", 0)))).revision
