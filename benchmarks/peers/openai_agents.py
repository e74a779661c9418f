"""openai-agents: `Runner.run` on the messages so far, or on its own `SQLiteSession`."""

from __future__ import annotations

from contextlib import asynccontextmanager

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
from agents.memory import SQLiteSession
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from benchmarks.script import DURABLE, SUMS_AS_JSON, WITH_TOOLS, ask

PACKAGES = ("openai-agents", "openai", "pydantic")

set_tracing_disabled(True)  # no network


class Scripted(Model):
    """Answers by the script."""

    def __init__(self, script):
        self.script = script

    async def get_response(self, *args, **kwargs):
        """Return the four calls, or the words at the end."""
        if await self.script.wants_tools():
            output = [
                ResponseFunctionToolCall(
                    type="function_call",
                    call_id=f"call_{self.script.asked}_{at}",
                    name="add",
                    arguments=arguments,
                )
                for at, arguments in enumerate(SUMS_AS_JSON)
            ]
        else:
            text = ResponseOutputText(type="output_text", text=self.script.answer, annotations=[])
            output = [
                ResponseOutputMessage(
                    id=f"message_{self.script.asked}",
                    type="message",
                    role="assistant",
                    status="completed",
                    content=[text],
                )
            ]
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


@asynccontextmanager
async def open_session(scenario, folder, script):
    """Yield what runs a turn and returns its answer."""

    @function_tool
    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    agent = Agent(
        name="benchmark", model=Scripted(script), tools=[add] if scenario in WITH_TOOLS else []
    )
    session = None
    if scenario in DURABLE:
        session = SQLiteSession("benchmark", folder / "openai_agents.db")
    history = []

    async def turn():
        nonlocal history
        if session is not None:
            return (await Runner.run(agent, ask(scenario), session=session)).final_output
        said = {"role": "user", "content": ask(scenario)}
        result = await Runner.run(agent, [*history, said])
        history = result.to_input_list()
        return result.final_output

    try:
        yield turn
    finally:
        if session is not None:
            session.close()
