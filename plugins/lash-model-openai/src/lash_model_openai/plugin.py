"""Brings the models behind "openai:NAME"; the client is loaded with the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks

from .config import OpenAIConfig, read_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lash_sdk.contexts import HostContext
    from lash_sdk.ports import Model, ModelFactory


class OpenAIPlugin(Plugin):
    """Models of OpenAI, and of any server that speaks its API."""

    name = "openai"
    Config = OpenAIConfig

    @hooks.model
    def models(cls, ctx: HostContext) -> Mapping[str, ModelFactory]:
        """Return the factory behind "openai:"."""
        config = read_config(ctx.config.get("openai", {}))

        def make(name: str) -> Model:
            from .model import OpenAIModel

            return OpenAIModel(name, config=config)

        return {"openai": make}
