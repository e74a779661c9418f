"""The plugin: models behind "{{ cookiecutter.__name }}:NAME"; they're loaded with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lash_sdk.contexts import HostContext
    from lash_sdk.ports import Model, ModelFactory


class Settings(BaseModel):
    """What can be set; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: int | None = Field(default=None, gt=0)


class {{ cookiecutter.__class }}(Plugin):
    """Models that repeat what they're told."""

    name = "{{ cookiecutter.__name }}"
    Config = Settings

    @hooks.model
    def models(cls, ctx: HostContext) -> Mapping[str, ModelFactory]:
        """Return the factory behind "{{ cookiecutter.__name }}:"."""
        config = Settings.model_validate(ctx.config.get(cls.name, {}))

        def make(name: str) -> Model:
            from .model import {{ cookiecutter.__class }}Model

            return {{ cookiecutter.__class }}Model(name, window=config.window)

        return {"{{ cookiecutter.__name }}": make}
