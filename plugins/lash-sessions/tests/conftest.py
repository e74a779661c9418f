"""What the tests of this package share."""

from __future__ import annotations

import pytest

from lash_sdk.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """A store that outlives the app that uses it."""
    return MemoryStore()
