"""strands: `Agent.invoke_async`, on its own `FileSessionManager` where turns are kept."""

from __future__ import annotations

from contextlib import asynccontextmanager

from strands import Agent, tool
from strands.agent.conversation_manager import NullConversationManager
from strands.models import Model
from strands.session.file_session_manager import FileSessionManager

from benchmarks.script import DURABLE, GROWING, SUMS_AS_JSON, WITH_TOOLS, ask

PACKAGES = ("strands-agents", "pydantic")


class Scripted(Model):
    """Answers by the script."""

    def __init__(self, script):
        self.script = script

    def update_config(self, **config):
        raise NotImplementedError

    def get_config(self):
        """Return nothing that could be set."""
        return {}

    def structured_output(self, *args, **kwargs):
        raise NotImplementedError

    async def stream(self, *args, **kwargs):
        """Yield the four calls, or the words at the end."""
        wants_tools = await self.script.wants_tools()
        yield {"messageStart": {"role": "assistant"}}
        if wants_tools:
            for at, arguments in enumerate(SUMS_AS_JSON):
                use = {"toolUseId": f"call_{self.script.asked}_{at}", "name": "add"}
                yield {"contentBlockStart": {"start": {"toolUse": use}}}
                yield {"contentBlockDelta": {"delta": {"toolUse": {"input": arguments}}}}
                yield {"contentBlockStop": {}}
        else:
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": self.script.answer}}}
            yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if wants_tools else "end_turn"}}


@asynccontextmanager
async def open_session(scenario, folder, script):
    """Yield what runs a turn and returns its answer."""

    @tool
    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    kept = {}
    if scenario in DURABLE:
        manager = FileSessionManager(session_id="benchmark", storage_dir=str(folder))
        kept = {"session_manager": manager, "agent_id": "benchmark"}
    if scenario in GROWING:  # at its default it drops all but the last forty messages
        kept["conversation_manager"] = NullConversationManager()
    agent = Agent(
        model=Scripted(script),
        tools=[add] if scenario in WITH_TOOLS else [],
        callback_handler=None,  # prints nothing
        **kept,
    )

    async def turn():
        result = await agent.invoke_async(ask(scenario))
        return result.message["content"][0]["text"]

    yield turn
