"""
A store that keeps sessions in one SQLite file.

Importing the package loads neither apsw nor SQLite; asking for `SqliteStore` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .store import SqliteStore

__all__ = ["SqliteStore"]


def __getattr__(name: str) -> object:
    """Return the store's class from its module, which is loaded now."""
    if name == "SqliteStore":
        from .store import SqliteStore

        return SqliteStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
