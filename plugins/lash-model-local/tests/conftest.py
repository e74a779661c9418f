"""A real server with real weights, fetched once into the cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lash_model_local.client import Client
from lash_model_local.model import CHATML, LocalModel
from lash_model_local.server import Server, Settings
from lash_model_local.weights import cache, pull


@pytest.fixture(scope="session")
def weights() -> Path:
    """Return the small weights' file."""
    return pull("smollm2")


@pytest.fixture(scope="session")
def settings(weights: Path) -> Settings:
    """Return settings of the small model, with a window that's soon full."""
    return Settings(
        weights=weights,
        context=512,
        template=CHATML.read_text("utf-8"),
        prefixes=cache() / "prefixes",
    )


@pytest.fixture(scope="session")
def server(settings: Settings) -> Iterator[Server]:
    """Yield a server that all tests share; whoever kills it leaves it dead."""
    server = Server(settings)
    yield server
    server.end()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Yield a client."""
    client = Client()
    yield client
    await client.aclose()


@pytest.fixture
async def small(weights: Path) -> AsyncIterator[LocalModel]:
    """Yield the known small model."""
    model = LocalModel("smollm2")
    yield model
    await model.close()


@pytest.fixture
async def plain(weights: Path) -> AsyncIterator[LocalModel]:
    """Yield the same weights as a file of one's own: without the policy."""
    model = LocalModel(str(weights))
    yield model
    await model.close()
