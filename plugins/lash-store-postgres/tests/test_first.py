"""Many processes that open a schema at once, which isn't there yet."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from lash_store_postgres.address import Address
from lash_store_postgres.schema import Connection, key, migrate, prepare, version
from tests.batteries.postgres_server import shared

_WAITS = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


async def connected(address: Address) -> Connection:
    return await psycopg.AsyncConnection.connect(address.conninfo, autocommit=True)


async def test_who_waited_for_the_tables_finds_them(pytestconfig: pytest.Config) -> None:
    """
    It had looked for them in vain before it waited; the server remembers such things.
    """
    address = Address(shared(pytestconfig).schema())
    first, second, third = [await connected(address) for _ in range(3)]
    async with first.transaction():
        await first.execute("select pg_advisory_xact_lock(%s)", (key(address, "schema"),))
        waiting = asyncio.ensure_future(prepare(second, address))
        while await (await third.execute(_WAITS)).fetchone() == (0,):  # noqa: ASYNC110 - the server
            await asyncio.sleep(0.001)
        await migrate(first, address, 1, {})
    await waiting

    assert 1 == await version(second, address)
    for each in (first, second, third):
        await each.close()
