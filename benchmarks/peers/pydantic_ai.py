"""
pydantic-ai: `Agent.run` with the messages so far.

It brings no persistence. As its documentation shows, a turn's new messages are
written by hand, as JSON, in one transaction of SQLite at its defaults.
"""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

from benchmarks.script import DURABLE, SUMS, WITH_TOOLS, ask

PACKAGES = ("pydantic-ai-slim", "pydantic")


@asynccontextmanager
async def open_session(scenario, folder, script):
    """Yield what runs a turn and returns its answer."""

    async def answer(messages, info):
        if await script.wants_tools():
            return ModelResponse(parts=[ToolCallPart("add", each) for each in SUMS])
        return ModelResponse(parts=[TextPart(script.answer)])

    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    agent = Agent(FunctionModel(answer), tools=[add] if scenario in WITH_TOOLS else [])
    db = None
    if scenario in DURABLE:
        db = sqlite3.connect(folder / "pydantic_ai.db")
        db.execute("CREATE TABLE turns (at INTEGER PRIMARY KEY, messages BLOB NOT NULL)")
    history = []

    async def turn():
        nonlocal history
        result = await agent.run(ask(scenario), message_history=history)
        history = result.all_messages()
        if db is not None:
            with db:
                body = result.new_messages_json()
                db.execute("INSERT INTO turns (messages) VALUES (?)", (body,))
        return result.output

    try:
        yield turn
    finally:
        if db is not None:
            db.close()
