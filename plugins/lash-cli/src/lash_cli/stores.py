"""Whether there's a store where a command is to look for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .loading import load_plugin
from .settings import default_store

if TYPE_CHECKING:
    from .settings import Settings


@runtime_checkable
class Findable(Protocol):
    """A store that can be looked for before it's opened, which may make it."""

    async def find(self) -> None:
        """
        Return if there's a store at its place; make none.

        Raises:
            StoreMissing: There's none; the message says where it was looked for.
        """
        ...


async def expect_store(settings: Settings) -> None:
    """
    Accept a store that can be looked at; the default one may be missing.

    Raises:
        StoreMissing: There's nothing at its place.
        LashError: As `Lash` does, for a URL that nobody knows.
    """
    from lash_sdk.contexts import HostContext
    from lash_sdk.plugins.discovery import SDK_VERSION
    from lash_sdk.plugins.loading import gather
    from lash_sdk.plugins.registry import Registry
    from lash_sdk.plugins.supply import Supplies

    if settings.store_url == default_store():
        return
    given = [load_plugin(spec) for spec in settings.plugins]
    found, broken = gather(given, autoload=settings.autoload, config=settings.sections)
    ctx = HostContext(SDK_VERSION, settings.sections)
    store = Supplies(Registry(found), ctx, broken).store(settings.store_url)
    if isinstance(store, Findable):
        await store.find()
