"""
agno: `Agent.arun`, on its own `AsyncSqliteDb` where turns are kept.

At its defaults it remembers nothing from one turn to the next, and so it does here
in memory: the cheapest way to use it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager

from agno.agent import Agent
from agno.db.sqlite import AsyncSqliteDb
from agno.models.base import Model
from agno.models.response import ModelResponse

from benchmarks.script import DURABLE, GROWING, SUMS_AS_JSON, WITH_TOOLS, ask

PACKAGES = ("agno", "pydantic", "sqlalchemy")

EVERY_RUN = 1_000_000
"""At its default it tells the model of the last three turns alone."""


class Scripted(Model):
    """Answers by the script."""

    def __init__(self, script):
        super().__init__(id="scripted")
        self.script = script

    async def ainvoke(self, *args, **kwargs):
        """Return the four calls, or the words at the end."""
        if not await self.script.wants_tools():
            return ModelResponse(role="assistant", content=self.script.answer)
        calls = [
            {
                "id": f"call_{self.script.asked}_{at}",
                "type": "function",
                "function": {"name": "add", "arguments": arguments},
            }
            for at, arguments in enumerate(SUMS_AS_JSON)
        ]
        return ModelResponse(role="assistant", tool_calls=calls)

    def invoke(self, *args, **kwargs):
        raise NotImplementedError

    invoke_stream = ainvoke_stream = invoke
    _parse_provider_response = _parse_provider_response_delta = invoke


@asynccontextmanager
async def open_session(scenario, folder, script):
    """Yield what runs a turn and returns its answer."""

    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    kept = {}
    if scenario in DURABLE:
        db = AsyncSqliteDb(db_file=str(folder / "agno.db"))
        kept = {"db": db, "session_id": "benchmark", "add_history_to_context": True}
        if scenario in GROWING:
            kept["num_history_runs"] = EVERY_RUN
    agent = Agent(
        model=Scripted(script),
        tools=[add] if scenario in WITH_TOOLS else None,
        telemetry=False,  # no network
        **kept,
    )

    async def turn():
        return (await agent.arun(ask(scenario))).content

    try:
        yield turn
    finally:
        if kept:
            await kept["db"].close()
