"""The plugin: stores behind "{{ cookiecutter.__name }}:NAME"; drivers are loaded with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lash_sdk.contexts import HostContext
    from lash_sdk.ports import Store, StoreFactory


class Settings(BaseModel):
    """What can be set; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str = ""


class {{ cookiecutter.__class }}(Plugin):
    """Stores, by URL."""

    name = "{{ cookiecutter.__name }}"
    Config = Settings

    @hooks.store
    def stores(cls, ctx: HostContext) -> Mapping[str, StoreFactory]:
        """Return the factory behind "{{ cookiecutter.__name }}:"."""
        config = Settings.model_validate(ctx.config.get(cls.name, {}))

        def make(url: str) -> Store:
            from .store import {{ cookiecutter.__class }}Store

            return {{ cookiecutter.__class }}Store.from_url(url, prefix=config.prefix)

        return {"{{ cookiecutter.__name }}": make}
