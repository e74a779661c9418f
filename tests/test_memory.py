"""
The memory store keeps the promises of every store.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from lash_sdk.memory import MemoryStore
from lash_sdk.messages import user
from lash_sdk.ports import InboxItem
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


async def test_it_knows_without_asking_whether_input_waits() -> None:
    """
    A turn passes a checkpoint at once where nothing can wait; missing input would be worse.
    """
    store = MemoryStore()
    item = InboxItem(key="k", body=user("hi").to_json())

    assert not store.may_wait("a")
    await store.enqueue("a", item)
    assert store.may_wait("a")
    assert not store.may_wait("b")
    await store.withdraw("a", "k")
    assert not store.may_wait("a")
