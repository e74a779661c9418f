"""Brings the models behind "local:NAME"; the runtime is loaded with the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lash_sdk.contexts import HostContext
    from lash_sdk.ports import Model, ModelFactory


class LocalPlugin(Plugin):
    """Models that run on this machine's CPU, without a key."""

    name = "local"

    @hooks.model
    def models(cls, ctx: HostContext) -> Mapping[str, ModelFactory]:
        """Return the factory behind "local:"."""

        def make(name: str) -> Model:
            from .model import LocalModel

            return LocalModel(name)

        return {"local": make}
