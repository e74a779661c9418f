"""What's told of commits: in order, without a gap, and to whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from lash_sdk.commits import Receipt
from lash_sdk.errors import RevisionConflict, SessionDeleted
from lash_sdk.testing.store_turns import turn
from lash_store_postgres import PostgresStore
from lash_store_postgres.address import Address
from tests.batteries.postgres_server import PostgresServer

from .planting import plant

LOCK = 4711
PATIENCE = 30.0


@pytest.fixture
async def other(url: str, store: PostgresStore) -> AsyncIterator[PostgresStore]:
    """Yield another store on the same place."""
    other = PostgresStore(url, patience=3.0)
    await other.open()
    yield other
    await other.close()


async def changes(store: PostgresStore, cursor: int = 0) -> list[Receipt]:
    """Return what the feed tells now."""
    return [receipt async for receipt in store.changes(cursor)]


async def stuck(store: PostgresStore) -> asyncio.Task[Receipt]:
    """Return a commit of session "slow" that has its key already, and is held up."""
    task = asyncio.ensure_future(store.commit(turn("slow", 0)))
    waiting = "select count(*) from pg_locks where not granted and objid = %s::oid"
    while (await store._server.rows(waiting, LOCK))[0][0] == 0:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)
    return task


async def test_a_commit_that_lands_later_is_not_skipped(
    store: PostgresStore, other: PostgresStore, place: Address
) -> None:
    """
    Its key is lower than that of one that's there already: the feed ends before it.
    """
    plant(
        place,
        "nodes",
        f"if new.id like 'slow%' then perform pg_advisory_xact_lock({LOCK}); end if;",
    )
    await other.commit(turn("first", 0))
    with psycopg.connect(place.conninfo) as db:
        db.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        slow = await stuck(store)
        fast = await other.commit(turn("fast", 0))
        early = await changes(other)
        assert ["first"] == [receipt.session for receipt in early]
        db.rollback()
    late = await slow

    assert late.cursor < fast.cursor
    assert [late, fast] == await changes(other, early[-1].cursor)


async def test_a_feed_that_waits_keeps_writers_only_for_a_moment(
    store: PostgresStore, other: PostgresStore, place: Address
) -> None:
    """
    Somebody who reads must not be able to stop everybody who writes.
    """
    plant(
        place,
        "nodes",
        f"if new.id like 'slow%' then perform pg_advisory_xact_lock({LOCK}); end if;",
    )
    with psycopg.connect(place.conninfo) as db:
        db.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        slow = await stuck(store)
        await other.commit(turn("fast", 0))
        reading = asyncio.ensure_future(changes(other))
        receipts = [await other.commit(turn(f"s{at}", 0)) for at in range(5)]
        assert [1] * 5 == [receipt.revision for receipt in receipts]
        assert [] == await reading
        db.rollback()
    await slow

    assert 7 == len(await changes(other))


async def test_a_gap_that_stays_is_passed(store: PostgresStore, place: Address) -> None:
    """
    A commit that failed after it had a key, and a session that was deleted, leave gaps.
    """
    await store.commit(turn("gone", 0))
    await store.commit(turn("a", 0))
    plant(place, "nodes", "if new.id like 'bad%' then raise exception 'no'; end if;")
    for at in range(3):
        with pytest.raises(Exception, match="no"):
            await store.commit(turn("bad", 0, operation=f"bad-{at}"))
        with pytest.raises(RevisionConflict):
            await store.commit(turn("a", 7, operation=f"late-{at}"))
        await store.commit(turn("a", at + 1))
    await store.delete("gone")

    found = await changes(store)

    assert [("a", revision) for revision in (1, 2, 3, 4)] == [
        (receipt.session, receipt.revision) for receipt in found
    ]
    assert [] == await changes(store, found[-1].cursor)


async def test_many_writers_are_all_told_of_once(url: str, store: PostgresStore) -> None:
    """
    While eight stores write, one reads on from wherever it got to.
    """
    stores = [PostgresStore(url) for _ in range(4)]
    for each in stores:
        await each.open()

    async def write(number: int) -> None:
        each = stores[number % 4]
        for at in range(15):
            await each.commit(turn(f"w{number}", at))

    writing = asyncio.gather(*[write(number) for number in range(12)])
    found: list[Receipt] = []
    while not writing.done():
        found += await changes(store, found[-1].cursor if found else 0)
        await asyncio.sleep(0)
    await writing
    found += await changes(store, found[-1].cursor if found else 0)

    every = {(f"w{number}", at + 1) for number in range(12) for at in range(15)}
    assert every == {(receipt.session, receipt.revision) for receipt in found}
    assert len(every) == len(found)
    assert found == await changes(stores[0])
    for each in stores:
        await each.close()


async def test_whoever_waits_is_told(store: PostgresStore, other: PostgresStore) -> None:
    """
    By the server, of commits of any process, without asking again and again.
    """
    await store.commit(turn("a", 0))
    await asyncio.wait_for(other.moved("a", 0), PATIENCE)
    waits = [asyncio.ensure_future(other.moved("a", at)) for at in (1, 1, 2)]
    elsewhere = asyncio.ensure_future(other.moved("b", 0))
    await asyncio.sleep(0.05)
    assert not any(wait.done() for wait in (*waits, elsewhere))

    await store.commit(turn("a", 1))
    await asyncio.wait_for(asyncio.gather(*waits[:2]), PATIENCE)
    assert not waits[2].done()
    await store.commit(turn("b", 0))
    await asyncio.wait_for(elsewhere, PATIENCE)
    await store.commit(turn("a", 2))
    await asyncio.wait_for(waits[2], PATIENCE)


async def test_whoever_waits_learns_of_the_end(store: PostgresStore, other: PostgresStore) -> None:
    """
    A session that's deleted moves no more.
    """
    await store.commit(turn("a", 0))
    wait = asyncio.ensure_future(other.moved("a", 1))
    await asyncio.sleep(0.05)
    await store.delete("a")

    with pytest.raises(SessionDeleted):
        await asyncio.wait_for(wait, PATIENCE)


async def test_a_wait_outlives_its_connection(
    store: PostgresStore, other: PostgresStore, server: PostgresServer
) -> None:
    """
    It looks once more, and listens again.
    """
    await store.commit(turn("a", 0))
    wait = asyncio.ensure_future(other.moved("a", 1))
    await asyncio.sleep(0.05)
    listening = other._watch._db
    assert listening is not None
    pid = listening.info.backend_pid
    await store._server.rows("select pg_terminate_backend(%s, 5000)", pid)
    await asyncio.sleep(0.05)
    await store.commit(turn("a", 1))

    await asyncio.wait_for(wait, PATIENCE)


async def test_who_stops_waiting_leaves_no_lock(store: PostgresStore, other: PostgresStore) -> None:
    """
    Or each commit would tell of itself for ever.
    """
    for passes in range(10):
        wait = asyncio.ensure_future(other.moved("a", 0))
        await asyncio.sleep(0.003 * passes)
        wait.cancel()
        await asyncio.wait([wait])
    locks = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock'"

    assert [(0,)] == await store._server.rows(locks)
