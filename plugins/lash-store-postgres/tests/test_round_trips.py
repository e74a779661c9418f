"""How many times a call goes to the server and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from lash_sdk.commits import Component
from lash_sdk.messages import Blob
from lash_sdk.ports import InboxItem, JournalRow
from lash_sdk.testing.store_turns import loaded, spent, turn
from lash_store_postgres import PostgresStore
from tests.batteries.postgres_server import PostgresServer


class Wire:
    """
    A way to the server that counts.

    Attributes:
        trips: How many times a client spoke after the server had.
    """

    def __init__(self, port: int) -> None:
        self.trips = 0
        self._port = port
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self) -> asyncio.Server:
        """Return what listens for clients."""
        return await asyncio.start_server(self._join, "127.0.0.1", 0)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        heard = [True]
        for pump in (
            self._pump(reader, back, heard, asked=True),
            self._pump(there, writer, heard, asked=False),
        ):
            task = asyncio.ensure_future(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        heard: list[bool],
        *,
        asked: bool,
    ) -> None:
        try:
            while data := await reader.read(65536):
                self.trips += asked and heard[0]
                heard[0] = not asked
                writer.write(data)
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        """Part with those who are still there."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await asyncio.sleep(0)  # transports end in the next pass of the loop


@pytest.fixture
async def wire(server: PostgresServer) -> AsyncIterator[tuple[Wire, str]]:
    """Yield a wire to the server, and the URL of a new place behind it."""
    wire = Wire(server.port)
    listening = await wire.open()
    port = listening.sockets[0].getsockname()[1]
    yield wire, server.schema().replace(f":{server.port}/", f":{port}/")
    listening.close()
    await wire.close()
    await listening.wait_closed()


async def test_a_commit_is_one_round_trip(wire: tuple[Wire, str]) -> None:
    """
    Whatever is in it; and so is all else that a turn asks for.
    """
    counter, url = wire
    store = PostgresStore(url, connections=1)
    await store.open()
    await store.commit(turn("a", 0))
    claim = await store.claim("a")

    async def trips(asked: Awaitable[object]) -> int:
        before = counter.trips
        await asked
        return counter.trips - before

    assert 1 == await trips(store.enqueue("a", InboxItem(key="k", body="hi")))
    before = counter.trips
    await store.release(claim)
    claim = await store.claim("a")  # it waits for the release, which nobody did
    assert 2 == counter.trips - before
    row = JournalRow(turn="t", key="1", kind="k", body="x")
    assert 1 == await trips(store.journal_put(claim, [row]))
    state = Component(name="policy", version=1, value="x")
    blob = Blob.of(b"x", "text/plain")
    full = turn(
        "a", 1, usage=spent("a", 1), components=(state,), blobs=(blob,), consumed=("k",), turn="t"
    )
    assert 1 == await trips(store.commit(full))
    assert 1 == await trips(store.commit(full))
    assert 1 == await trips(store.head("a"))
    assert 1 == await trips(store.journal("a"))
    assert 2 == await trips(loaded(store, "a"))
    await store.release(claim)
    await store.close()
