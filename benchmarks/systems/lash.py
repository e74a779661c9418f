"""lash-sdk: its public names, its own stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

from benchmarks.script import (
    DURABLE,
    FORKED,
    ON_POSTGRES,
    SUMS_AS_JSON,
    WITH_TOOLS,
    Script,
    ask,
    server_of,
)
from benchmarks.systems.hooked import hooked
from lash_sdk import Lash, tool
from lash_sdk.contexts import ToolContext
from lash_sdk.messages import Text, ToolCall
from lash_sdk.ports import Emit, Model, ModelAnswer, ModelRequest
from lash_sdk.session import Session
from lash_sdk.tools import Tool
from lash_sdk.usage import Usage
from lash_store_postgres.plugin import PostgresPlugin
from lash_store_sqlite.plugin import SqlitePlugin

PACKAGES = (
    "lash-sdk",
    "lash-store-sqlite",
    "lash-store-postgres",
    "pydantic",
    "pluggy",
    "apsw",
    "psycopg",
)

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


def application(scenario: str, folder: Path, model: Model, add: Tool) -> Lash:
    """Return the app of a scenario; after a slash stands what's special about it."""
    scenario, _, special = scenario.partition("/")
    plugins = hooked(int(special)) if scenario == "S2" and special.isdecimal() else []
    store = f"sqlite:///{folder / 'lash.db'}" if scenario in DURABLE else "memory:"
    if scenario == ON_POSTGRES:
        store = server_of(folder)
        plugins = [PostgresPlugin]
    return Lash(
        model=model,
        store=store,
        tools=[add] if scenario in WITH_TOOLS else [],
        plugins=[SqlitePlugin, *plugins],
        autoload=False,  # what else is installed here isn't what's measured
        durability="effect" if scenario == "S3 effect" else "turn",
    )


@asynccontextmanager
async def open_session(
    scenario: str, folder: Path, script: Script
) -> AsyncGenerator[Callable[[], Awaitable[str]], None]:
    """Yield what runs a turn, or forks one, and returns its answer."""

    @tool
    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    app = application(scenario, folder, Scripted(script), add)
    async with app, app.session("benchmark") as session:

        async def turn() -> str:
            return (await session.run(ask(scenario))).text

        special = scenario.partition("/")[2]
        async with _observed(session, special):
            if not scenario.startswith(FORKED):
                yield turn
                return
            how, _, length = special.partition(" ")
            for _ in range(int(length)):
                await turn()
            script.asked = 0
            ids = count()

            async def fork() -> str:
                script.asked += 1
                if how == "stored":
                    await app.store.fork(session.id, f"fork-{next(ids)}")
                else:
                    await (await session.fork()).close()
                return script.answer

            yield fork


class ScriptedCrowd:
    """Answers each session by its own script."""

    name = "scripted"
    window = None

    def __init__(self, models: Mapping[str, Scripted]) -> None:
        self._models = models

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """Return what the session's script says."""
        return await self._models[request.session].answer(request, emit)

    async def close(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def open_crowd(
    scenario: str, folder: Path, scripts: Sequence[Script]
) -> AsyncGenerator[list[Callable[[], Awaitable[str]]], None]:
    """Yield what runs a turn of each of many sessions of one app, one for each script."""
    by_session = {f"benchmark-{at}": script for at, script in enumerate(scripts)}
    model = ScriptedCrowd({name: Scripted(script) for name, script in by_session.items()})

    @tool
    async def add(ctx: ToolContext, a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return by_session[ctx.session_id].add(a, b)

    def turn_of(session: Session) -> Callable[[], Awaitable[str]]:
        async def turn() -> str:
            return (await session.run(ask(scenario))).text

        return turn

    async with application(scenario, folder, model, add) as app, AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(app.session(name)) for name in by_session]
        yield [turn_of(session) for session in opened]


@asynccontextmanager
async def _observed(session: Session, special: str) -> AsyncGenerator[None, None]:
    """Have an observer look on, or have had one, or nobody."""
    if special not in ("observed", "left"):
        yield
        return
    seen = session.observe()
    await anext(seen)  # it's there once it has its snapshot

    async def look() -> None:
        async for _ in seen:
            pass

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    if special == "left":
        await _end(looking)
    try:
        yield
    finally:
        await _end(looking)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
