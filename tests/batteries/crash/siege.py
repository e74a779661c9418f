"""A6: turns on a PostgreSQL server that dies under its clients, and comes up again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from lash_sdk import Lash
from lash_sdk.errors import LashError, SessionBusy, StoreError
from lash_store_postgres.address import Address

from ..postgres_server import PostgresServer
from .checks import seen
from .gate import Gate
from .postgres import PostgresPlace
from .seams import StrictModel, refusal


@dataclass(slots=True)
class Siege:
    """
    What became of turns on a server that died now and then.

    Attributes:
        turn: The number of the turn that's to be taken next.
        acks: Operation ids of turns that were returned.
        unknown: Turns that ended with an error of the store's.
        landed: How many of those were there all the same.
        killed: How often the server, or a connection's process, was ended.
    """

    turn: int = 0
    acks: list[str] = field(default_factory=list)
    unknown: int = 0
    landed: int = 0
    killed: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """How much has to have happened, and in how many seconds; see `Siege`."""

    turns: int
    killed: int
    seconds: float

    def holds(self, siege: Siege, since: float) -> bool:
        """Return whether all of it has, or the time is up."""
        happened = siege.turn >= self.turns and siege.killed >= self.killed
        return happened or time.monotonic() - since > self.seconds


UNFLUSHED: Final = """
create or replace function {}.enter(p_alone boolean) returns void language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
end $$
"""
"""A planted fault: commits are acknowledged before they're on disk."""

SLUGGISH: Final = ("wal_writer_delay=10s",)
"""Settings of a server that's in no hurry to flush what nobody waits for."""


async def besiege(
    server: PostgresServer, *, seed: int, enough: Enough, fault: LiteralString = ""
) -> Siege:
    """Take turns while the server and its backends are killed, until it's *enough*."""
    siege = Siege()
    place = PostgresPlace(server.schema())
    store = place.store()
    await store.open()
    await store.close()
    if fault:
        schema = sql.Identifier(Address(place.url).schema)
        with psycopg.connect(Address(place.url).conninfo) as db:
            db.execute(sql.SQL(fault).format(schema))
    stop = asyncio.Event()
    killer = asyncio.create_task(_kill(server, random.Random(seed), siege, stop))
    try:
        since = time.monotonic()
        while not await _session(place, siege, lambda: enough.holds(siege, since)):
            pass
    finally:
        stop.set()
        await killer
    siege.wrong += place.look()
    store = place.store()
    await store.open()
    told = await seen(store, place.session)
    await store.close()
    texts = Counter(message.text for message in told.messages if message.role == "user")
    siege.wrong += [f"{text!r} is there {n} times" for text, n in texts.items() if n != 1]
    if len(texts) != siege.turn:
        siege.wrong.append(f"expected {siege.turn} turns, found {len(texts)}")
    missing = [id for id in siege.acks if told.operations.count(id) != 1]
    siege.wrong += [f"acknowledged, and not there once: {id!r}" for id in missing]
    if why := refusal([*told.messages, *told.messages[:1]]):
        siege.wrong.append(why)
    return siege


async def _session(place: PostgresPlace, siege: Siege, enough: Callable[[], bool]) -> bool:
    """Take turns on one handle until it's *enough*; return False if it doesn't survive."""
    try:
        async with (
            Lash(model=StrictModel(Gate()), store=place.store(), autoload=False) as lash,
            lash.session(place.session) as session,
        ):
            if session.interrupted:
                await session.resume()
            said = {message.text for message in session.messages}
            if f"turn {siege.turn}" in said:  # its error came after it had landed
                siege.landed += 1
                siege.turn += 1
            while not enough():
                record = await session.run(f"turn {siege.turn}")
                siege.acks.append(record.id)
                siege.turn += 1
    except (StoreError, SessionBusy):
        siege.unknown += 1
        await asyncio.sleep(0.02)
        return False
    except LashError as error:
        siege.wrong.append(f"told {type(error).__name__}: {error}")
    return True


async def _kill(
    server: PostgresServer, chance: random.Random, siege: Siege, stop: asyncio.Event
) -> None:
    """End the server, or one of its processes, again and again."""
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), chance.uniform(0.05, 0.4))
        except TimeoutError:
            if chance.random() < 0.3:
                await asyncio.to_thread(server.restart)
            else:
                await asyncio.to_thread(_terminate, server)
            siege.killed += 1


def _terminate(server: PostgresServer) -> None:
    """End the processes of every client but this one."""
    server.execute(
        sql.SQL(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
    )
