"""The plugin: a gate before tool calls, and a count of what it denied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks
from lash_sdk.hooks import Deny
from lash_sdk.prompt import PromptPart
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from lash_sdk.contexts import PromptContext, ToolContext


class Settings(BaseModel):
    """What can be set; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    denied: tuple[str, ...] = ()


class Kept(BaseModel):
    """What it keeps of a session. A new field is a new `state_version`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    denials: int = 0


class {{ cookiecutter.__class }}(Plugin):
    """Keeps the model from calling some tools."""

    name = "{{ cookiecutter.__name }}"
    Config = Settings
    State = Kept
    state_version = 1
    fork = "fresh"

    config: Settings
    state: Kept

    @hooks.provide_prompt
    def advise(self, ctx: PromptContext) -> list[PromptPart]:
        """Return what the model should know before it tries."""
        if not self.config.denied:
            return []
        return [PromptPart(text=f"Don't call {', '.join(self.config.denied)}.")]

    @hooks.decide_tool
    async def guard(self, ctx: ToolContext) -> Deny | None:
        """Return a denial for a tool that's listed; others are none of its business."""
        if ctx.call.name not in self.config.denied:
            return None
        self.state = Kept(denials=self.state.denials + 1)
        return Deny(reason=f"{ctx.call.name} isn't allowed here")
