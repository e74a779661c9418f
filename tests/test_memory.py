"""
The memory store keeps the promises of every store.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from lash_sdk.memory import MemoryStore
from lash_sdk.testing.pytest import StoreContract


class Limited(MemoryStore):
    """Takes no commit of more bytes than that."""

    limit: ClassVar[int | None] = 1_000_000


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestLimitedStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return Limited()
