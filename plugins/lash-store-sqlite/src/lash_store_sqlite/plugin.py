"""Brings the store behind "sqlite:///…"; SQLite is loaded with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lash_sdk.contexts import HostContext
    from lash_sdk.ports import Store, StoreFactory


class SqlitePlugin(Plugin):
    """Sessions in one SQLite file."""

    name = "sqlite"

    @hooks.store
    def stores(cls, ctx: HostContext) -> Mapping[str, StoreFactory]:
        """Return the factory behind "sqlite:"."""
        return {"sqlite": _make}


def _make(url: str) -> Store:
    from .store import SqliteStore

    return SqliteStore.from_url(url)
