"""An agent hands work to others, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel

from lash_sdk import Lash
from lash_sdk.memory import MemoryStore
from lash_sdk.outcomes import Cancelled, Failure, Stopped, Success
from lash_sdk.testing import call, reply
from lash_sdk.tools import tool
from lash_sessions import SessionsPlugin
from lash_subagents import SubagentsPlugin


class Talking:
    """A model that any number of sessions may talk with at once."""

    name = "talking"
    window = None

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer_to = answer

    async def answer(self, request: Any, emit: Any) -> Any:
        said = self.answer_to(request)
        if isinstance(said, Awaitable):
            said = await said
        return (reply(said) if isinstance(said, str) else said).answer

    async def close(self) -> None:
        """Do nothing."""


@tool
async def search() -> str:
    """Search."""
    return "found"


@asynccontextmanager
async def app(
    answer: Callable[[Any], Any], plugin: Any = SubagentsPlugin, **settings: Any
) -> AsyncGenerator[Lash, None]:
    async with Lash(
        model=Talking(answer), plugins=[SessionsPlugin, plugin], autoload=False, **settings
    ) as lash:
        yield lash


def asks(**arguments: Any) -> Callable[[Any], Any]:
    """Return a model that spawns once, and is a sub-agent that answers its task."""

    def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "go":
            return reply(calls=[call("spawn_agent", task="sub", **arguments)])
        return "done" if last.role == "tool" else f"did {last.text}"

    return answer


async def outcome(lash: Lash) -> Any:
    turn = await (await lash.session("s")).run("go")
    return turn.tool_calls[0].outcome


async def test_a_task_is_handed_over_and_its_answer_comes_back() -> None:
    """
    With a name to ask again by; its tokens have a label of their own.
    """
    async with app(asks(name="My Scout!")) as lash:
        assert Success(value={"agent": "my-scout", "answer": "did sub"}) == await outcome(lash)
        by = (await lash.session("s")).usage().by_source
        assert {"turn": 30, "subagent": 15} == {name: usage.total for name, usage in by.items()}
        made = [each for each in await lash.sessions(children=True) if each.parent]
        assert ["s"] == [each.parent for each in made]


async def test_agents_of_one_maker_have_names_of_their_own() -> None:
    """
    Also those that are made at once.
    """

    def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "go":
            return reply(calls=[call("spawn_agent", task=str(at)) for at in range(3)])
        return "done" if last.role == "tool" else f"did {last.text}"

    async with app(answer) as lash:
        turn = await (await lash.session("s")).run("go")
        told = [record.outcome.value for record in turn.tool_calls]  # type: ignore[union-attr]
        assert {"peer", "peer-2", "peer-3"} == {each["agent"] for each in told}  # type: ignore[index,call-overload]
        assert ["did 0", "did 1", "did 2"] == [each["answer"] for each in told]  # type: ignore[index,call-overload]


async def test_an_agent_is_asked_again_in_a_later_turn_and_remembers() -> None:
    """
    After a restart, too.
    """

    def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "go":
            return reply(calls=[call("spawn_agent", task="sub", name="scout")])
        if last.text == "more":
            return reply(calls=[call("ask_agent", name="scout", question="and?")])
        if last.role == "tool":
            return "done"
        return f"heard {len(request.history)}"

    store = MemoryStore()
    async with app(answer, store=store) as lash:
        assert Success(value={"agent": "scout", "answer": "heard 1"}) == await outcome(lash)
    async with app(answer, store=store) as lash:
        session = await lash.session("s")
        turn = await session.run("more")
        expected = Success(value={"agent": "scout", "answer": "heard 3"})
        assert expected == turn.tool_calls[0].outcome
        assert 15 == turn.children_usage.total


async def test_nobody_goes_deeper_than_allowed() -> None:
    """
    At the last depth the tools are hidden, and a call that's made all the same is refused.
    """
    depths: list[bool] = []

    def answer(request: Any) -> Any:
        depths.append("spawn_agent" in {each.name for each in request.tools})
        last = request.history[-1]
        if last.role == "tool":
            return "done"
        return reply(calls=[call("spawn_agent", task="deeper")])

    config = {"subagents": {"max_depth": 2}}
    async with app(answer, config=config) as lash:
        await (await lash.session("s")).run("go")
        assert [True, True, False] == depths[:3]
        assert 3 == len(await lash.sessions(children=True))


async def test_a_capability_says_what_its_agents_may() -> None:
    """
    Tools, instructions, limits; one that isn't there is told with those that are.
    """
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "go":
            return reply(calls=[call("spawn_agent", task="sub", capability="explore")])
        if last.text == "sub":
            seen.append((request.system, [each.name for each in request.tools]))
        return "done"

    capabilities = {"explore": {"tools": ["search"], "instructions": "look around"}}
    config = {"subagents": {"capabilities": capabilities}}
    async with app(answer, config=config, tools=[search]) as lash:
        await (await lash.session("s")).run("go")
        assert [("look around", ["search"])] == seen
    async with app(asks(capability="odd")) as lash:
        found = await outcome(lash)
        assert isinstance(found, Failure) and "unknown_capability" == found.code


async def test_an_answer_is_structured_where_its_capability_says_so() -> None:
    """
    The maker is told JSON.
    """

    class Found(BaseModel):
        n: int

    class Agents(SubagentsPlugin):
        results = {"peer": Found}  # noqa: RUF012 - the class says it for all

    def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "go":
            return reply(calls=[call("spawn_agent", task="sub")])
        return "done" if last.role == "tool" else '{"n": 3}'

    async with app(answer, Agents) as lash:
        assert Success(value={"agent": "peer", "answer": {"n": 3}}) == await outcome(lash)


async def test_an_agent_that_does_not_finish_is_a_failed_call() -> None:
    """
    With its reason; the maker's turn goes on.
    """

    def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "go":
            return reply(calls=[call("spawn_agent", task="sub")])
        return "done" if last.role == "tool" else reply("cut", finish="output_limit")

    async with app(answer) as lash:
        found = await outcome(lash)
        assert isinstance(found, Failure) and "agent_stopped" == found.code
        assert "incomplete" in found.message


async def test_cancelling_the_maker_stops_its_agents() -> None:
    """
    And what they did is paid for.
    """
    begun = asyncio.Event()

    async def answer(request: Any) -> Any:
        if request.history[-1].text == "go":
            return reply(calls=[call("spawn_agent", task="sub")])
        begun.set()
        await asyncio.sleep(30)
        return "never"

    async with app(answer) as lash:
        session = await lash.session("s")
        running = asyncio.create_task(session.run("go"))
        await begun.wait()
        async with asyncio.timeout(20):
            await session.cancel()
            turn = await running

        assert isinstance(turn.outcome, Stopped)
        assert isinstance(turn.tool_calls[0].outcome, Cancelled)
        child = next(each for each in await lash.sessions(children=True) if each.parent)
        assert not (await lash.session(child.id)).interrupted


async def test_an_agent_whose_answer_nobody_waited_for_is_asked_again() -> None:
    """
    A cancelled call takes no result; the agent is free for the next question all the same.
    """
    begun, hangs = asyncio.Event(), True

    async def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "go":
            return reply(calls=[call("spawn_agent", task="sub", name="bob")])
        if last.text == "again":
            return reply(calls=[call("ask_agent", name="bob", question="well?")])
        if last.text == "sub" and hangs:
            begun.set()
            await asyncio.sleep(60)
        return "done" if last.role == "tool" else f"did {last.text}"

    async with app(answer) as lash:
        session = await lash.session("s")
        running = asyncio.create_task(session.run("go"))
        await begun.wait()
        await session.cancel()
        assert isinstance((await running).outcome, Stopped)
        hangs = False
        turn = await session.run("again")

    assert Success(value={"agent": "bob", "answer": "did well?"}) == turn.tool_calls[0].outcome


async def test_an_unknown_agent_is_told_with_those_there_are() -> None:
    """
    A model made it up.
    """

    def answer(request: Any) -> Any:
        if request.history[-1].text == "go":
            return reply(calls=[call("ask_agent", name="nobody", question="?")])
        return "done"

    async with app(answer) as lash:
        found = await outcome(lash)
        assert isinstance(found, Failure) and "unknown_agent" == found.code


async def test_the_tools_are_made_once_a_session() -> None:
    """
    They're asked for before each model call, and their schemas are dear.
    """
    made: list[Any] = []

    async with app(lambda request: "hello") as lash:
        session = await lash.session("s")
        for _ in range(2):
            await session.run("Hi")
            made.append(session.catalogue["spawn_agent"][0])

    assert made[0] is made[1]
