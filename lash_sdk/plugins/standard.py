"""The kernel's own defaults, registered like anybody else's."""

from __future__ import annotations

from collections.abc import Mapping

from ..contexts import HostContext
from ..hooks import Plugin, store
from ..memory import MemoryStore
from ..ports import StoreFactory


class Standard(Plugin):
    """The memory store under "memory:"."""

    name = "standard"

    @store
    def stores(cls, ctx: HostContext) -> Mapping[str, StoreFactory]:
        """Return the memory store: a new one for each app that asks for it."""
        return {"memory": lambda url: MemoryStore()}
