"""What the tests of the PostgreSQL store share: a server, and places for stores in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lash_store_postgres import PostgresStore
from lash_store_postgres.address import Address
from tests.batteries.postgres_server import PostgresServer, shared


@pytest.fixture
def server(pytestconfig: pytest.Config) -> PostgresServer:
    """Return the server that the tests share: none may stop it."""
    return shared(pytestconfig)


@pytest.fixture
def url(server: PostgresServer) -> str:
    """Return the URL of a place for a store, where nothing is yet."""
    return server.schema()


@pytest.fixture
def place(url: str) -> Address:
    """Return the same, taken apart."""
    return Address(url)


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """Yield a store that's open and empty."""
    store = PostgresStore(url, patience=3.0)
    await store.open()
    yield store
    await store.close()
