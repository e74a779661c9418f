"""The memory store is the reference: it keeps the contract of every store."""

from __future__ import annotations

import pytest

from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Store
from lash_sdk.testing.pytest import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.mark.xfail(
        strict=False, reason="pages inside a long commit tell its revision too early"
    )
    async def test_pages_are_bounded_and_say_how_far_they_got(
        self, opened: Store
    ) -> None:
        """
        Going on from any page's revision may repeat nodes, but never skips one.
        """
        await super().test_pages_are_bounded_and_say_how_far_they_got(opened)
