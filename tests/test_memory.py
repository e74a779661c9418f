"""
The memory store keeps the promises of every store.
"""

from __future__ import annotations

import pytest

from lash_sdk.memory import MemoryStore
from lash_sdk.testing.pytest import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
