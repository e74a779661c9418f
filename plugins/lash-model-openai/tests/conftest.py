"""A server of the API on loopback, and requests to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .peer import Peer


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """Return a running server that answers as it's told."""
    async with Peer() as peer:
        yield peer
