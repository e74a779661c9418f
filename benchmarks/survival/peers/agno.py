"""agno on its `AsyncSqliteDb`; the variant is `checkpoint`, and `acontinue_run` goes on."""

from __future__ import annotations

from contextlib import asynccontextmanager

from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.sqlite import AsyncSqliteDb
from agno.models.base import Model
from agno.models.response import ModelResponse


class Scripted(Model):
    """Answers by the scene."""

    def __init__(self, scene):
        super().__init__(id="scripted")
        self.scene = scene

    async def ainvoke(self, messages, *args, **kwargs):
        """Return the calls, or the words at the end."""
        words, calls = self.scene.next(sum(each.role == "tool" for each in messages))
        if not calls:
            return ModelResponse(role="assistant", content=words)
        wanted = [
            {
                "id": f"{name}_{self.scene.argument}_{self.scene.asked}",
                "type": "function",
                "function": {"name": name, "arguments": "{}"},
            }
            for name in calls
        ]
        return ModelResponse(role="assistant", tool_calls=wanted)

    def invoke(self, *args, **kwargs):
        raise NotImplementedError

    invoke_stream = ainvoke_stream = invoke
    _parse_provider_response = _parse_provider_response_delta = invoke


class Played:
    """The session, as a scene sees it."""

    def __init__(self, agent, db):
        self.agent, self.db = agent, db

    async def run(self, text):
        """Return a turn's last words."""
        return (await self.agent.arun(text)).content

    async def resume(self, text):
        """Return the last words of the run that was interrupted, or run it again if it's lost."""
        runs = await self._runs()
        if not runs:
            return await self.run(text)
        found = await self.agent.acontinue_run(run_id=runs[-1].run_id, session_id="survivor")
        return found.content

    async def _runs(self):
        found = await self.db.get_session(session_id="survivor", session_type=SessionType.AGENT)
        return [] if found is None else found.runs or []

    async def history(self):
        """Return what's stored, a line for each message."""
        return [
            each.content or f"call {each.tool_calls[0]['id']}"
            for run in await self._runs()
            for each in run.messages
        ]


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

    db = AsyncSqliteDb(db_file=str(folder / "agno.db"))
    agent = Agent(
        model=Scripted(scene),
        tools=[each for each in (charge, boom, meet) if each.__name__ in scene.tools] or None,
        telemetry=False,  # no network
        db=db,
        session_id="survivor",
        add_history_to_context=True,
        checkpoint=scene.variant or None,
    )
    try:
        yield Played(agent, db)
    finally:
        await db.close()
