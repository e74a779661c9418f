"""lash-sdk: its public names, its own stores."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.script import DURABLE, SUMS_AS_JSON, WITH_TOOLS, Script, ask
from lash_sdk import Lash, tool
from lash_sdk.messages import Text, ToolCall
from lash_sdk.ports import Emit, ModelAnswer, ModelRequest
from lash_sdk.usage import Usage

PACKAGES = ("lash-sdk", "lash-store-sqlite", "pydantic", "pluggy", "apsw")

CALLS = tuple(ToolCall(id="", name="add", arguments=each) for each in SUMS_AS_JSON)
USAGE = Usage(input=10, output=5)


class Scripted:
    """Answers by the script; it keeps nothing, so that growth is the session's own."""

    name = "scripted"
    window = None

    def __init__(self, script: Script) -> None:
        self._script = script
        self._said = ModelAnswer(parts=(Text(text=script.answer),), usage=USAGE, finish="stop")
        self._asked = ModelAnswer(parts=CALLS, usage=USAGE, finish="tool_use")

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """Return the four calls, or the words at the end."""
        return self._asked if await self._script.wants_tools() else self._said

    async def close(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def open_session(
    scenario: str, folder: Path, script: Script
) -> AsyncGenerator[Callable[[], Awaitable[str]], None]:
    """Yield what runs a turn and returns its answer."""

    @tool
    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    app = Lash(
        model=Scripted(script),
        store=f"sqlite:///{folder / 'lash.db'}" if scenario in DURABLE else "memory:",
        tools=[add] if scenario in WITH_TOOLS else [],
        durability="effect" if scenario == "S3 effect" else "turn",
    )
    async with app, app.session("benchmark") as session:

        async def turn() -> str:
            return (await session.run(ask(scenario))).text

        yield turn
