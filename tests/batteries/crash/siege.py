"""A6: turns on a PostgreSQL server that dies under its clients, and comes up again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from psycopg import sql

from lash_sdk import Lash
from lash_sdk.errors import LashError, SessionBusy, StoreError

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
        acks: Operation ids of turns that were returned.
        unknown: Turns that ended with an error of the store's.
        landed: How many of those were there all the same.
        killed: How often the server, or a connection's process, was ended.
    """

    acks: list[str] = field(default_factory=list)
    unknown: int = 0
    landed: int = 0
    killed: int = 0
    wrong: list[str] = field(default_factory=list)


async def besiege(server: PostgresServer, *, seed: int, turns: int) -> Siege:
    """Take *turns* turns while the server and its backends are killed."""
    siege = Siege()
    place = PostgresPlace(server.schema())
    store = place.store()
    await store.open()
    await store.close()
    stop = asyncio.Event()
    killer = asyncio.create_task(_kill(server, random.Random(seed), siege, stop))
    try:
        left = [f"turn {number}" for number in range(turns)]
        while left:
            await _session(place, left, siege)
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
    if len(texts) != turns:
        siege.wrong.append(f"expected {turns} turns, found {len(texts)}")
    missing = [id for id in siege.acks if told.operations.count(id) != 1]
    siege.wrong += [f"acknowledged, and not there once: {id!r}" for id in missing]
    if why := refusal([*told.messages, *told.messages[:1]]):
        siege.wrong.append(why)
    return siege


async def _session(place: PostgresPlace, left: list[str], siege: Siege) -> None:
    """Take turns on one handle until an error that it doesn't survive."""
    try:
        async with (
            Lash(model=StrictModel(Gate()), store=place.store(), autoload=False) as lash,
            lash.session(place.session) as session,
        ):
            if session.interrupted:
                await session.resume()
            said = {message.text for message in session.messages}
            if left[0] in said:  # its error came after it had landed
                siege.landed += 1
                left.pop(0)
            while left:
                record = await session.run(left[0])
                siege.acks.append(record.id)
                left.pop(0)
    except (StoreError, SessionBusy):
        siege.unknown += 1
        await asyncio.sleep(0.02)
    except LashError as error:
        siege.wrong.append(f"told {type(error).__name__}: {error}")
        left.clear()


async def _kill(
    server: PostgresServer, chance: random.Random, siege: Siege, stop: asyncio.Event
) -> None:
    """End the server, or one of its processes, again and again."""
    started = time.monotonic()
    while not stop.is_set() and time.monotonic() - started < 60:
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
