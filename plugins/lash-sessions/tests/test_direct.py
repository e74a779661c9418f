"""Models asked once, outside a conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import HostContext, ToolContext
from lash_sdk.errors import InvalidInput, ModelError
from lash_sdk.events import PluginEmitted
from lash_sdk.graph import History
from lash_sdk.messages import Message, Text, assistant, user
from lash_sdk.policy import Retry
from lash_sdk.ports import ModelRequest
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sessions import DirectRequest

from .making import acting, app, children


class Point(BaseModel):
    x: int


class Named(Plugin):
    """Models that say which they are."""

    name = "named"

    @hooks.model
    def models(cls, ctx: HostContext) -> dict[str, Any]:
        return {"named": lambda name: ScriptedModel([name] * 9, name=f"named:{name}")}


CONFIG: dict[str, Any] = {
    "sessions": {
        "tiers": {"fast": {"model": "named:small", "variant": "low"}},
        "variants": {"named:small": {"low": "named:small-low", "high": "named:small-high"}},
    }
}


async def test_the_session_pays_and_its_history_does_not_grow() -> None:
    """
    Text in, text out, under a label of one's own.
    """
    async with app() as lash:
        session = await lash.session("s")
        answer = await children(session).direct_completion("hi", "memory")

        assert ("re: hi", "talking", 15) == (answer.text, answer.model, answer.usage.total)
        assert ((), 0) == (session.messages, session.revision)
        assert {("memory", "talking"): answer.usage} == session.usage().by


@pytest.mark.parametrize(
    ("model", "variant", "expected"),
    [
        ("fast", None, "small-low"),
        ("fast", "high", "small-high"),
        ("named:small", None, "small"),
        ("named:small", "high", "small-high"),
        ("named:other", None, "other"),
    ],
)
async def test_a_model_is_a_tier_first_and_then_a_name(
    model: str, variant: str | None, expected: str
) -> None:
    """
    A tier has a variant of its own, and a spoken one beats it.
    """
    async with app(Named, config=CONFIG) as lash:
        role = children(await lash.session("s"))
        request = DirectRequest(input="hi", model=model, variant=variant)
        assert expected == (await role.direct_completion(request)).text


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (DirectRequest(input="hi", model="named:small", variant="odd"), "no variant 'odd'"),
        (DirectRequest(input="hi", model="odd"), "model 'odd'"),
        (DirectRequest(input=""), "expected"),
        ({"input": "hi"}, "expected text or a DirectRequest"),
        (DirectRequest(input=[]), "expected something"),
        (DirectRequest(input=[7]), "expected text, parts or messages"),  # type: ignore[list-item]
    ],
)
async def test_what_cannot_be_asked_is_told(request_: Any, problem: str) -> None:
    """
    Before a model is asked, and for nothing.
    """
    async with app(Named, config=CONFIG) as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput, match=problem):
            await children(session).direct_completion(request_)
        assert 0 == session.usage().total


async def test_a_conversation_is_asked_without_its_blanks() -> None:
    """
    Empty texts and messages without any are dropped.
    """
    asked: list[Any] = []

    def answer(request: ModelRequest) -> str:
        asked.append([message.text for message in request.history])
        return "ok"

    blank = Message(role="user", parts=(Text(text=" "),))
    async with app(answer=answer) as lash:
        role = children(await lash.session("s"))
        await role.direct_completion(DirectRequest(input=[user("a"), blank, assistant("b")]))
        await role.direct_completion(DirectRequest(input=[Text(text="part")]))
        assert [["a", "b"], ["part"]] == asked


async def test_an_answer_comes_in_a_structure() -> None:
    """
    JSON, or an instance; what doesn't fit is an error, and paid for all the same.
    """
    said = '{"x": 3}'
    async with app(answer=lambda request: said) as lash:
        session = await lash.session("s")
        role = children(session)
        assert {"x": 3} == (
            await role.direct_completion(DirectRequest(input="a", output="json"))
        ).value
        assert (
            Point(x=3)
            == (await role.direct_completion(DirectRequest(input="a", output=Point))).value
        )
        said = "no"
        for output in ("json", Point):
            with pytest.raises(ModelError, match="doesn't fit"):
                await role.direct_completion(DirectRequest(input="a", output=output))  # type: ignore[arg-type]
        assert 60 == session.usage().total


async def test_a_whole_request_goes_as_it_is() -> None:
    """
    Its history, its prompt, its model: nothing is looked up.
    """
    asked: list[ModelRequest] = []

    def answer(request: ModelRequest) -> str:
        asked.append(request)
        return "ok"

    async def read(blob: Any) -> bytes:
        return b""

    async with app(answer=answer) as lash:
        role = children(await lash.session("s"))
        request = ModelRequest(
            key="k", session="s", system="be brief", history=History([user("hi")]), blob=read
        )
        assert "ok" == (await role.direct_llm_completion(request)).text
        assert [request] == asked


async def test_a_failure_is_tried_again_as_often_as_the_policy_allows() -> None:
    """
    And costs nothing if the provider doesn't charge for it.
    """
    left = 2

    def answer(request: ModelRequest) -> str:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ModelError("busy", retryable=True, after=0.0)
        return "ok"

    async with app(answer=answer, retry=Retry(attempts=3)) as lash:
        session = await lash.session("s")
        assert "ok" == (await children(session).direct_completion("a")).text
        left = 3
        with pytest.raises(ModelError, match="busy"):
            await children(session).direct_completion("a")
        assert 15 == session.usage().total


async def test_who_stops_waiting_stops_the_model() -> None:
    """
    Nothing runs on, and nothing is paid.
    """
    stopped = asyncio.Event()

    async def answer(request: ModelRequest) -> str:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()
        return "never"

    async with app(answer=answer) as lash:
        session = await lash.session("s")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await children(session).direct_completion("a")
        assert stopped.is_set()
        assert 0 == session.usage().total


async def test_each_call_is_traced_from_its_start_to_its_end() -> None:
    """
    Under one id, with the tool call it was for.
    """
    seen: list[Any] = []

    async def act(ctx: ToolContext) -> str:
        request = DirectRequest(input="sub", call=ctx.call.id)
        return (await ctx.role("direct").direct_completion(request, "helper")).text

    def answer(request: Any) -> Any:
        last = request.history[-1]
        if last.text == "sub":
            return "helped"
        return "done" if last.role == "tool" else reply(calls=[call("do")])

    async with app(answer=answer, tools=[acting(act)]) as lash:
        session = await lash.session("s")
        session.listen(lambda event: seen.append(event))
        await session.run("go")

    told = [event for event in seen if isinstance(event, PluginEmitted)]
    assert ["direct.started", "direct.completed"] == [event.name for event in told]
    bodies: list[Any] = [event.body for event in told]
    assert bodies[0]["call"] == bodies[1]["call"]
    assert bodies[0]["tool_call"] is not None
