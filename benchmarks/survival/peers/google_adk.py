"""google-adk on its `DatabaseSessionService` (SQLite), in a resumable app."""

from __future__ import annotations

import logging
import warnings
from contextlib import asynccontextmanager

from google.adk.agents import LlmAgent
from google.adk.apps.app import App, ResumabilityConfig
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import DatabaseSessionService
from google.genai import types

warnings.simplefilter("ignore")  # resumability is said to be experimental, each time
logging.disable(logging.WARNING)

WHERE = {"app_name": "survivor", "user_id": "user", "session_id": "survivor"}
WHOSE = {"user_id": "user", "session_id": "survivor"}


class Scripted(BaseLlm):
    """Answers by the scene."""

    scene: object

    async def generate_content_async(self, llm_request, stream=False):
        """Yield the calls, or the words at the end."""
        parts = [part for content in llm_request.contents for part in content.parts or ()]
        words, calls = self.scene.next(sum(part.function_response is not None for part in parts))
        said = [
            types.Part(
                function_call=types.FunctionCall(
                    id=f"{name}_{self.scene.argument}_{self.scene.asked}", name=name, args={}
                )
            )
            for name in calls
        ] or [types.Part(text=words)]
        yield LlmResponse(content=types.Content(role="model", parts=said))


class Played:
    """The session, as a scene sees it."""

    def __init__(self, runner):
        self.runner = runner

    async def run(self, text):
        """Return a turn's last words."""
        said = types.Content(role="user", parts=[types.Part(text=text)])
        return await self._last(self.runner.run_async(**WHOSE, new_message=said))

    async def resume(self, text):
        """Return the last words of the invocation that was interrupted."""
        session = await self.runner.session_service.get_session(**WHERE)
        invocation = session.events[-1].invocation_id
        return await self._last(self.runner.run_async(**WHOSE, invocation_id=invocation))

    async def _last(self, events):
        words = None
        async for event in events:
            for part in (event.content and event.content.parts) or ():
                words = part.text or words
        return words

    async def history(self):
        """Return what's stored, a line for each part."""
        session = await self.runner.session_service.get_session(**WHERE)
        parts = [
            part for event in session.events if event.content for part in event.content.parts or ()
        ]
        return [_line(part) for part in parts]


def _line(part):
    if part.function_call:
        return f"call {part.function_call.id}"
    if part.function_response:
        return str(part.function_response.response)
    return part.text


@asynccontextmanager
async def opened(folder, scene):
    """Yield the session."""

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
    service = DatabaseSessionService(f"sqlite+aiosqlite:///{folder / 'adk.db'}")
    agent = LlmAgent(name="survivor", model=Scripted(model="scripted", scene=scene), tools=tools)
    app = App(
        name="survivor", root_agent=agent, resumability_config=ResumabilityConfig(is_resumable=True)
    )
    runner = Runner(app=app, session_service=service)
    if await service.get_session(**WHERE) is None:
        await service.create_session(**WHERE)
    try:
        yield Played(runner)
    finally:
        await service.db_engine.dispose()
