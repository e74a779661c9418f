"""google-adk: its runner on `InMemorySessionService`, or on `DatabaseSessionService`."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import DatabaseSessionService, InMemorySessionService
from google.genai import types

from benchmarks.script import DURABLE, SUMS, WITH_TOOLS, ask

PACKAGES = ("google-adk", "google-genai", "sqlalchemy", "pydantic")

logging.disable(logging.WARNING)

WHOSE = {"user_id": "user", "session_id": "benchmark"}


class Scripted(BaseLlm):
    """Answers by the script."""

    script: object

    async def generate_content_async(self, llm_request, stream=False):
        """Yield the four calls, or the words at the end."""
        if await self.script.wants_tools():
            parts = [
                types.Part(
                    function_call=types.FunctionCall(
                        id=f"call_{self.script.asked}_{at}", name="add", args=dict(each)
                    )
                )
                for at, each in enumerate(SUMS)
            ]
        else:
            parts = [types.Part(text=self.script.answer)]
        yield LlmResponse(content=types.Content(role="model", parts=parts))


@asynccontextmanager
async def open_session(scenario, folder, script):
    """Yield what runs a turn and returns its answer."""

    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    service = InMemorySessionService()
    if scenario in DURABLE:
        service = DatabaseSessionService(f"sqlite+aiosqlite:///{folder / 'adk.db'}")
    tools = [add] if scenario in WITH_TOOLS else []
    agent = LlmAgent(name="benchmark", model=Scripted(model="scripted", script=script), tools=tools)
    runner = Runner(app_name="benchmark", agent=agent, session_service=service)
    await service.create_session(app_name="benchmark", **WHOSE)

    async def turn():
        words = ""
        said = types.Content(role="user", parts=[types.Part(text=ask(scenario))])
        async for event in runner.run_async(**WHOSE, new_message=said):
            for part in (event.content and event.content.parts) or ():
                words = part.text or words
        return words

    try:
        yield turn
    finally:
        if scenario in DURABLE:
            await service.db_engine.dispose()
