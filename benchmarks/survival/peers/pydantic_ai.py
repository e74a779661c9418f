"""
pydantic-ai, its new messages written by hand after each turn as its documentation shows.

There's no resume: the input is run again on the messages that were written.
"""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel


class Played:
    """The conversation, as a scene sees it."""

    def __init__(self, agent, db):
        self.agent, self.db = agent, db

    def _messages(self):
        rows = self.db.execute("SELECT messages FROM turns ORDER BY at").fetchall()
        return [each for (body,) in rows for each in ModelMessagesTypeAdapter.validate_json(body)]

    async def run(self, text):
        """Return a turn's last words."""
        result = await self.agent.run(text, message_history=self._messages())
        with self.db:
            body = result.new_messages_json()
            self.db.execute("INSERT INTO turns (messages) VALUES (?)", (body,))
        return result.output

    resume = run

    async def history(self):
        """Return what's stored, a line for each part."""
        return [_line(part) for message in self._messages() for part in message.parts]


def _line(part):
    if part.part_kind == "tool-call":
        return f"call {part.tool_call_id}"
    return str(part.content)


@asynccontextmanager
async def opened(folder, scene):
    """Yield the conversation."""

    async def answer(messages, info):
        results = sum(
            part.part_kind == "tool-return" for message in messages for part in message.parts
        )
        words, calls = scene.next(results)
        if calls:
            return ModelResponse(parts=[ToolCallPart(name, {}) for name in calls])
        return ModelResponse(parts=[TextPart(words)])

    async def charge() -> str:
        """Charge the card."""
        return await scene.call("charge")

    async def boom() -> str:
        """Print the slip."""
        return await scene.call("boom")

    async def meet() -> str:
        """Wait for the other turn."""
        return await scene.call("meet")

    tools = [each for each in (charge, boom, meet) if each.__name__ in scene.tools]
    db = sqlite3.connect(folder / "pydantic_ai.db")
    db.execute("CREATE TABLE IF NOT EXISTS turns (at INTEGER PRIMARY KEY, messages BLOB NOT NULL)")
    try:
        yield Played(Agent(FunctionModel(answer), tools=tools), db)
    finally:
        db.close()
