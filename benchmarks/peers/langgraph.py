"""langgraph: its prebuilt agent on `InMemorySaver`, `AsyncSqliteSaver` or `AsyncPostgresSaver`."""

from __future__ import annotations

import warnings
from contextlib import AsyncExitStack, asynccontextmanager

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.prebuilt import create_react_agent

from benchmarks.script import DURABLE, ON_POSTGRES, SUMS, WITH_TOOLS, ask, server_of

PACKAGES = (
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langgraph-checkpoint-postgres",
    "langchain-core",
    "aiosqlite",
    "psycopg",
)


class Scripted(BaseChatModel):
    """Answers by the script."""

    script: object

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        """Return the model itself: the script knows what to call."""
        return self

    def _generate(self, *args, **kwargs):
        raise NotImplementedError

    async def _agenerate(self, *args, **kwargs):
        """Return the four calls, or the words at the end."""
        if await self.script.wants_tools():
            calls = [
                {"name": "add", "args": each, "id": f"call_{self.script.asked}_{at}"}
                for at, each in enumerate(SUMS)
            ]
            message = AIMessage(content="", tool_calls=calls)
        else:
            message = AIMessage(content=self.script.answer)
        return ChatResult(generations=[ChatGeneration(message=message)])


@asynccontextmanager
async def open_session(scenario, folder, script):
    """Yield what runs a turn and returns its answer."""

    @tool
    async def add(a: int, b: int) -> int:
        """Return the sum of two numbers."""
        return script.add(a, b)

    async with AsyncExitStack() as stack:
        saver = InMemorySaver()
        if scenario in DURABLE:
            path = str(folder / "langgraph.db")
            saver = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(path))
        if scenario == ON_POSTGRES:
            from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

            url = server_of(folder)
            saver = await stack.enter_async_context(AsyncPostgresSaver.from_conn_string(url))
            await saver.setup()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the newer name needs langchain, and is slower
            agent = create_react_agent(
                Scripted(script=script), [add] if scenario in WITH_TOOLS else [], checkpointer=saver
            )
        config = {"configurable": {"thread_id": "benchmark"}}

        async def turn():
            said = {"messages": [("user", ask(scenario))]}
            return (await agent.ainvoke(said, config))["messages"][-1].content

        yield turn
