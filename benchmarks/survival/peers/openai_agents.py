"""openai-agents on its `SQLiteSession`. There's no resume: the input is run again."""

from __future__ import annotations

from contextlib import asynccontextmanager

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
from agents.memory import SQLiteSession
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

set_tracing_disabled(True)  # no network


class Scripted(Model):
    """Answers by the scene."""

    def __init__(self, scene):
        self.scene = scene

    async def get_response(self, system_instructions, input, *args, **kwargs):
        """Return the calls, or the words at the end."""
        items = input if isinstance(input, list) else []
        words, calls = self.scene.next(
            sum(each.get("type") == "function_call_output" for each in items)
        )
        output = [
            ResponseFunctionToolCall(
                type="function_call",
                call_id=f"{name}_{self.scene.argument}_{self.scene.asked}",
                name=name,
                arguments="{}",
            )
            for name in calls
        ] or [
            ResponseOutputMessage(
                id=f"message_{self.scene.asked}",
                type="message",
                role="assistant",
                status="completed",
                content=[ResponseOutputText(type="output_text", text=words, annotations=[])],
            )
        ]
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


class Played:
    """The session, as a scene sees it."""

    def __init__(self, agent, session):
        self.agent, self.session = agent, session

    async def run(self, text):
        """Return a turn's last words."""
        return (await Runner.run(self.agent, text, session=self.session)).final_output

    resume = run

    async def history(self):
        """Return what's stored, a line for each item."""
        return [_line(item) for item in await self.session.get_items()]


def _line(item):
    match item.get("type", "message"):
        case "function_call":
            return f"call {item['name']} {item['call_id']}"
        case "function_call_output":
            return item["output"]
        case _:
            content = item["content"]
            return content if isinstance(content, str) else content[0]["text"]


@asynccontextmanager
async def opened(folder, scene):
    """Yield the session."""

    @function_tool
    async def charge() -> str:
        """Charge the card."""
        return await scene.call("charge")

    @function_tool
    async def boom() -> str:
        """Print the slip."""
        return await scene.call("boom")

    @function_tool
    async def meet() -> str:
        """Wait for the other turn."""
        return await scene.call("meet")

    tools = [each for each in (charge, boom, meet) if each.name in scene.tools]
    agent = Agent(name="survivor", model=Scripted(scene), tools=tools)
    session = SQLiteSession("survivor", folder / "openai_agents.db")
    try:
        yield Played(agent, session)
    finally:
        session.close()
