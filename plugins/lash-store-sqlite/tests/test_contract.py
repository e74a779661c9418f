"""The contract that every store keeps, on a real file."""

from pathlib import Path

import pytest

from lash_sdk.testing.pytest import StoreContract
from lash_store_sqlite import SqliteStore


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(tmp_path / "lash.db")
