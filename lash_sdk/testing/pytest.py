"""
Contracts as pytest classes: what every store must keep.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path: Path) -> MyStore:
            return MyStore(tmp_path / "my.db")

That's a new store's whole test file. The tests are coroutines: they need
pytest-asyncio in its auto mode.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("lash_sdk.testing.store_commits", "lash_sdk.testing.store_reads")

from .store_commits import StoreCommits  # noqa: E402 - rewriting comes first
from .store_reads import StoreReads  # noqa: E402


class StoreContract(StoreCommits, StoreReads):
    """
    What every store promises, tried on yours.

    Override the fixture `store`: it returns an empty store that isn't open.
    The tests open it, and close and open it again.
    """
