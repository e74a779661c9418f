"""
langgraph on its `AsyncSqliteSaver`; `ainvoke(None)` goes on where a thread was left.

The variant is `durability`, or "v1": the agent with one `ToolNode` for a batch, as a
graph that's made by hand has it.
"""

from __future__ import annotations

import warnings
from contextlib import asynccontextmanager

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.prebuilt import create_react_agent


class Scripted(BaseChatModel):
    """Answers by the scene."""

    scene: object

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        """Return the model itself: the scene knows what to call."""
        return self

    def _generate(self, *args, **kwargs):
        raise NotImplementedError

    async def _agenerate(self, messages, *args, **kwargs):
        """Return the calls, or the words at the end."""
        words, calls = self.scene.next(sum(each.type == "tool" for each in messages))
        tools = [
            {"name": name, "args": {}, "id": f"{name}_{self.scene.argument}_{self.scene.asked}"}
            for name in calls
        ]
        message = AIMessage(content="" if calls else words, tool_calls=tools)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Played:
    """The thread, as a scene sees it."""

    def __init__(self, agent, durability):
        self.agent = agent
        self.config = {"configurable": {"thread_id": "survivor"}}
        self.durability = {"durability": durability} if durability else {}

    async def run(self, text):
        """Return a turn's last words."""
        return await self._invoke({"messages": [("user", text)]})

    async def resume(self, text):
        """Return the last words of the run that was interrupted."""
        return await self._invoke(None)

    async def _invoke(self, said):
        found = await self.agent.ainvoke(said, self.config, **self.durability)
        return found["messages"][-1].content

    async def history(self):
        """Return what the thread's head holds, a line for each message."""
        state = await self.agent.aget_state(self.config)
        return [
            each.content or f"call {each.tool_calls[0]['id']}" for each in state.values["messages"]
        ]


@asynccontextmanager
async def opened(folder, scene):
    """Yield the thread."""

    @tool
    async def charge() -> str:
        """Charge the card."""
        return await scene.call("charge")

    @tool
    async def boom() -> str:
        """Print the slip."""
        return await scene.call("boom")

    @tool
    async def meet() -> str:
        """Wait for the other turn."""
        return await scene.call("meet")

    tools = [each for each in (charge, boom, meet) if each.name in scene.tools]
    async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.db")) as saver:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the newer name needs langchain, and is slower
            agent = create_react_agent(
                Scripted(scene=scene),
                tools,
                checkpointer=saver,
                version="v1" if scene.variant == "v1" else "v2",
            )
        yield Played(agent, scene.variant.removeprefix("v1"))
