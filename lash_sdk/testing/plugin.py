"""The scripted model as a plugin: `scripted:FILE` wherever a model is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hooks import Plugin, model
from .scripted import load_script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contexts import HostContext
    from ..ports import ModelFactory


class Scripted(Plugin):
    """Scripted models from JSON Lines files."""

    name = "scripted"

    @model
    def models(cls, ctx: HostContext) -> Mapping[str, ModelFactory]:
        """Return the scheme "scripted": what follows is a file's path."""
        return {"scripted": load_script}
