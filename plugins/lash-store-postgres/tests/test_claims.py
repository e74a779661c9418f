"""The right to run a turn, as the server tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg import sql

from lash_sdk.errors import SessionBusy, StoreError
from lash_sdk.ports import JournalRow
from lash_sdk.testing.store_turns import turn
from lash_store_postgres import PostgresStore
from lash_store_postgres.claims import Backend
from tests.batteries.postgres_server import PostgresServer


@pytest.fixture
async def other(url: str) -> AsyncIterator[PostgresStore]:
    """Yield another store on the same place."""
    other = PostgresStore(url, patience=3.0)
    await other.open()
    yield other
    await other.close()


def row(key: str) -> JournalRow:
    """Return a row of a journal."""
    return JournalRow(turn="t", key=key, kind="k", body=key)


def backend(store: PostgresStore) -> Backend:
    """Return the server's process behind a store's claims."""
    return store._claims.backend


def end(server: PostgresServer, backend: Backend) -> None:
    """End a process of the server's, and see it gone."""
    assert [(True,)] == server.execute(
        sql.SQL("select pg_terminate_backend(%s, 5000)"), backend.pid
    )


async def test_a_claim_is_free_once_its_store_is_closed(
    store: PostgresStore, other: PostgresStore
) -> None:
    """
    Before `close` returns: not once the server has noticed.
    """
    for _ in range(5):
        claim = await other.claim("a")
        await other.close()
        await store.release(await store.claim("a"))
        await other.open()
        assert claim.generation


async def test_a_holder_whose_connection_broke_goes_on_if_nobody_came(
    store: PostgresStore, other: PostgresStore, server: PostgresServer
) -> None:
    """
    A server that was restarted takes no turn away.
    """
    claim = await store.claim("a")
    await store.journal_put(claim, [row("1")])
    lost = backend(store)
    end(server, lost)

    await store.journal_put(claim, [row("2")])

    assert lost != backend(store)
    with pytest.raises(SessionBusy):
        await other.claim("a")
    assert ["1", "2"] == [found.key for found in await other.journal("a")]
    await store.release(claim)
    await other.release(await other.claim("a"))


async def test_a_holder_whose_connection_broke_yields_to_who_came_first(
    store: PostgresStore, other: PostgresStore, server: PostgresServer
) -> None:
    """
    It's refused before it writes, though the other hasn't written yet.
    """
    stale = await store.claim("a")
    kept = await store.claim("b")
    await store.journal_put(stale, [row("1")])
    end(server, backend(store))
    fresh = await other.claim("a")

    with pytest.raises(SessionBusy):
        await store.journal_put(stale, [row("2")])
    with pytest.raises(SessionBusy):
        await store.journal_drop(stale, "t")
    await other.journal_put(fresh, [row("3")])
    await store.journal_put(kept, [row("4")])

    assert stale.generation < fresh.generation
    assert ["1", "3"] == [found.key for found in await store.journal("a")]
    await store.release(stale)
    with pytest.raises(SessionBusy):
        await store.claim("a")


async def test_a_generation_that_was_overtaken_is_refused_whatever_the_locks_say(
    store: PostgresStore, other: PostgresStore
) -> None:
    """
    The fence stands in the transaction that writes.
    """
    stale = await store.claim("a")
    await store._claims._run("select pg_advisory_unlock_all()")  # as if the server had lost it
    fresh = await other.claim("a")
    await other.journal_put(fresh, [row("1")])

    with pytest.raises(SessionBusy):
        await store.journal_put(stale, [row("2")])
    assert ["1"] == [found.key for found in await other.journal("a")]


async def test_a_cancelled_claim_is_given_back(store: PostgresStore, other: PostgresStore) -> None:
    """
    Wherever it was cancelled: nobody is left who could.
    """
    for passes in range(12):
        task = asyncio.ensure_future(store.claim("a"))
        for _ in range(passes):
            await asyncio.sleep(0)
        await asyncio.sleep(0.0005 * passes)
        if task.cancel():
            await asyncio.wait([task])
            assert task.cancelled()
        else:
            await store.release(task.result())
        await other.release(await other.claim("a"))


async def test_a_claim_writes_nothing(store: PostgresStore) -> None:
    """
    Taking one and giving it back changes no row, so there's nothing to flush.
    """
    await store.commit(turn("a", 0))
    versions = "select id, ctid::text, xmin::text from @schema@.sessions"
    before = await store._server.rows(versions)
    for _ in range(10):
        await store.release(await store.claim("a"))
        await store.release(await store.claim("new"))

    assert before == await store._server.rows(versions)
    assert await store.head("new") is None


async def test_a_dead_server_is_told_of(url: str) -> None:
    """
    A claim that can't be asked for is an error, and no claim.
    """
    store = PostgresStore(url.replace("?", "x?"), patience=0.3)
    with pytest.raises(StoreError, match="does not exist"):
        await store.open()
    with pytest.raises(StoreError, match="isn't open"):
        await store.claim("a")
    await store.close()
