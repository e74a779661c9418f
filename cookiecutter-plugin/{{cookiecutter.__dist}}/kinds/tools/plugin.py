"""The plugin: a tool, and a count of its calls."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks, tool
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from lash_sdk.contexts import SessionContext
    from lash_sdk.tools import Tool


class Settings(BaseModel):
    """What can be set; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    greeting: str = "Hello"


class Kept(BaseModel):
    """What it keeps of a session. A new field is a new `state_version`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: int = 0


class {{ cookiecutter.__class }}(Plugin):
    """Greets people, and counts them."""

    name = "{{ cookiecutter.__name }}"
    Config = Settings
    State = Kept
    state_version = 1

    config: Settings
    state: Kept

    @cached_property
    def greet(self) -> Tool:
        """The tool; it's made once in a session."""

        @tool(name="{{ cookiecutter.__word }}_greet", on_recovery="rerun")
        async def greet(name: str) -> str:
            """
            Greet somebody.

            Args:
                name: Whom.
            """
            self.state = Kept(calls=self.state.calls + 1)
            return f"{self.config.greeting}, {name}!"

        return greet

    @hooks.provide_tools
    def tools(self, ctx: SessionContext) -> list[Tool]:
        """Return the tool."""
        return [self.greet]
