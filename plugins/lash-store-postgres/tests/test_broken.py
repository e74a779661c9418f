"""Connections and servers that end in the middle of something."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import suppress
from typing import TypeVar

import pytest

from lash_sdk.errors import StoreError
from lash_sdk.ports import InboxItem, JournalRow
from lash_sdk.testing.store_turns import loaded, revision, turn
from lash_store_postgres import PostgresStore
from tests.batteries.postgres_server import PostgresServer

T = TypeVar("T")


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """Yield a server that may be killed."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def shaky(mortal: PostgresServer) -> AsyncIterator[PostgresStore]:
    """Yield an open store on that server."""
    store = PostgresStore(mortal.schema(), patience=20.0)
    await store.open()
    yield store
    await store.close()


class Writers:
    """
    Tasks that commit turns, each to a session of its own.

    Attributes:
        told: The last revision that each has a receipt for.
    """

    def __init__(self, store: PostgresStore, count: int) -> None:
        """Let *count* of them begin."""
        self.told = dict.fromkeys([f"s{number}" for number in range(count)], 0)
        self._store = store
        self._stop = False
        self._moved = asyncio.Event()
        self._working = asyncio.gather(*[self._work(session) for session in self.told])

    async def _work(self, session: str) -> None:
        while not self._stop:
            at = self.told[session]
            receipt = await self._store.commit(turn(session, at, text="x" * 500))
            assert at + 1 == receipt.revision
            self.told[session] = receipt.revision
            self._moved.set()

    async def more(self) -> None:
        """Wait for another receipt."""
        self._moved.clear()
        await asyncio.wait_for(self._moved.wait(), 60)

    async def end(self) -> None:
        """Let them end; accept that each session is where its writer was told, and whole."""
        self._stop = True
        await self._working
        assert all(self.told.values())
        for session, at in self.told.items():
            assert at == await revision(self._store, session)
            assert 2 * at == len((await loaded(self._store, session))[0])


async def test_a_killed_server_loses_nothing_that_it_acknowledged(
    mortal: PostgresServer, shaky: PostgresStore
) -> None:
    """
    Killed under load three times, it comes back; nobody's turn is there twice, or half.
    """
    writers = Writers(shaky, 8)
    for seed in range(3):
        await asyncio.sleep(random.Random(seed).uniform(0.1, 0.3))
        await asyncio.to_thread(mortal.restart)
        await writers.more()

    await writers.end()


async def test_a_killed_process_of_the_server_takes_nothing_along(
    mortal: PostgresServer, shaky: PostgresStore
) -> None:
    """
    One that dies by a signal takes all others down, and the server recovers by itself.
    """
    writers = Writers(shaky, 4)
    await asyncio.sleep(0.1)
    os.kill(mortal.backends("postgres")[0], signal.SIGKILL)
    await writers.more()
    await asyncio.sleep(0.1)

    await writers.end()


async def test_ended_connections_are_made_again(
    store: PostgresStore, server: PostgresServer
) -> None:
    """
    An administrator ends them, thirty times, in the middle of whatever they do.
    """
    writers = Writers(store, 6)
    chance = random.Random(1)
    for _ in range(30):
        await asyncio.sleep(chance.uniform(0, 0.02))
        pids = await asyncio.to_thread(server.backends, "postgres")
        with suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGTERM)

    await writers.end()


async def test_whatever_was_asked_is_asked_again(
    store: PostgresStore, server: PostgresServer
) -> None:
    """
    Inputs, claims, journals, forks and deletes as well: each is done once.
    """
    chance = random.Random(2)

    async def broken(asked: Awaitable[T]) -> T:
        """Return what comes of it while a connection is ended, sooner or later."""
        asking = asyncio.ensure_future(asked)
        pids = await asyncio.to_thread(server.backends, "postgres")
        with suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGTERM)
        return await asking

    for at in range(12):
        id = f"a{at}"
        await broken(store.enqueue(id, InboxItem(key="k", body=at)))
        claim = await broken(store.claim(id))
        row = JournalRow(turn="t", key="1", kind="k", body=at)
        await broken(store.journal_put(claim, [row]))
        commit = turn(id, 0, consumed=("k",), turn="t")
        assert 1 == (await broken(store.commit(commit))).revision
        fork = await broken(store.fork(id, f"f{at}"))
        assert ((id, 1), 1) == (fork.forked_from, fork.revision)
        await store.release(claim)
        assert await broken(store.delete(id))

    assert [] == [found.id for found in await store.sessions() if found.id.startswith("a")]
    for at in range(12):
        assert 2 == len((await loaded(store, f"f{at}"))[0])


async def test_a_server_that_stays_away_is_reported(mortal: PostgresServer) -> None:
    """
    After its patience; once it's back, the same commit succeeds on the same store.
    """
    store = PostgresStore(mortal.schema(), patience=0.5)
    await store.open()
    await store.commit(turn("a", 0))
    mortal.kill()

    with pytest.raises(StoreError):
        await store.commit(turn("a", 1))
    with pytest.raises(StoreError):
        await store.head("a")
    with pytest.raises(StoreError):
        await store.claim("a")
    mortal.start()
    for _ in range(20):
        with suppress(StoreError):
            receipt = await store.commit(turn("a", 1))
            assert 2 == receipt.revision
            break
    assert 2 == await revision(store, "a")
    await store.release(await store.claim("a"))
    await store.close()
