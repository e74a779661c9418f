"""Brings the store behind "postgresql://…"; the driver is loaded with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lash_sdk.contexts import HostContext
    from lash_sdk.ports import Store, StoreFactory


class PostgresPlugin(Plugin):
    """Sessions in PostgreSQL."""

    name = "postgres"

    @hooks.store
    def stores(cls, ctx: HostContext) -> Mapping[str, StoreFactory]:
        """Return the factory behind "postgresql:" and "postgres:"."""
        return {"postgresql": _make, "postgres": _make}


def _make(url: str) -> Store:
    from .store import PostgresStore

    return PostgresStore(url)
