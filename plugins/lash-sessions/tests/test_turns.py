"""Turns of children: started, watched, awaited once, cancelled, one at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from lash_sdk.contexts import ToolContext
from lash_sdk.errors import ModelError, SessionBusy
from lash_sdk.events import OfChild, TextDelta, TurnEnded
from lash_sdk.memory import MemoryStore
from lash_sdk.outcomes import Stopped
from lash_sdk.testing import call, reply
from lash_sessions import SessionRequest, UnknownSession, UnknownTurn

from .making import acting, app, children


class Number(BaseModel):
    n: int


async def test_a_turn_is_watched_and_then_awaited() -> None:
    """
    The handle tells whose it is and what it goes by; the events end with the turn.
    """
    async with app() as lash:
        role = children(await lash.session("parent"))
        made = await role.create(SessionRequest(id="kid", instructions="be kind"))
        turn = await role.start_turn_stream("kid", "hi")
        seen = [event async for event in turn.events]
        record = await role.await_turn(turn.turn_id)

        assert isinstance(seen[-1], TurnEnded)
        assert (turn.turn_id, "kid", "re: hi") == (record.id, record.session, record.text)
        assert "be kind" == turn.policy.instructions == made.policy.instructions


async def test_a_result_is_taken_once() -> None:
    """
    Until then it may be awaited again; after that the turn is unknown.
    """
    async with app() as lash:
        role = children(await lash.session("parent"))
        await role.create(SessionRequest(id="kid"))
        turn = await role.start_turn_stream("kid", "hi")
        waiting = asyncio.create_task(role.await_turn(turn.turn_id))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        found = await asyncio.gather(
            *[role.await_turn(turn.turn_id) for _ in range(3)], return_exceptions=True
        )

        assert 2 == sum(isinstance(each, UnknownTurn) for each in found)
        with pytest.raises(UnknownTurn):
            await role.await_turn(turn.turn_id)
        with pytest.raises(UnknownTurn):
            await role.cancel_turn(turn.turn_id)


async def test_one_turn_at_a_time_under_concurrent_starts() -> None:
    """
    Also while a result waits to be taken; another session's turn runs beside it.
    """
    running = most = 0

    async def answer(request: Any) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return "done"

    async with app(answer=answer) as lash:
        role = children(await lash.session("parent"))
        await role.create(SessionRequest(id="a"))
        await role.create(SessionRequest(id="b"))
        starts = [role.start_turn_stream(id, "x") for id in "ababab"]
        found = await asyncio.gather(*starts, return_exceptions=True)
        started = [each for each in found if not isinstance(each, BaseException)]
        assert 4 == sum(isinstance(each, SessionBusy) for each in found)
        assert {"a", "b"} == {turn.session_id for turn in started}
        for turn in started:
            await role.await_turn(turn.turn_id)

        assert 2 == most
        await role.start_turn("a", "again")


async def test_an_unread_stream_never_holds_its_turn() -> None:
    """
    A consumer that holds the events and never looks costs the child nothing.
    """

    async def say(ctx: ToolContext) -> str:
        for at in range(3000):
            ctx.progress(str(at))
        return "ok"

    def answer(request: Any) -> Any:
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    async with app(answer=answer, tools=[acting(say)]) as lash:
        role = children(await lash.session("parent"))
        await role.create(SessionRequest(id="kid"))
        turn = await role.start_turn_stream("kid", "hi")
        async with asyncio.timeout(20):
            record = await role.await_turn(turn.turn_id)
        assert "done" == record.text


async def test_only_so_many_of_ones_children_run_at_once() -> None:
    """
    The others wait for their turn; none is refused.
    """
    running = most = 0

    async def answer(request: Any) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return "done"

    async with app(answer=answer, config={"sessions": {"concurrency": 3}}) as lash:
        role = children(await lash.session("parent"))
        for at in range(10):
            await role.create(SessionRequest(id=f"kid{at}"))
        await asyncio.gather(*[role.start_turn(f"kid{at}", "x") for at in range(10)])
    assert 3 == most


async def test_a_cancelled_turn_is_committed_and_its_record_handed_over() -> None:
    """
    Cancelling returns at once, may be repeated, and is harmless once the turn is over.
    """
    begun = asyncio.Event()

    async def answer(request: Any) -> str:
        begun.set()
        await asyncio.sleep(30)
        return "never"

    async with app(answer=answer) as lash:
        role = children(await lash.session("parent"))
        await role.create(SessionRequest(id="kid"))
        turn = await role.start_turn_stream("kid", "hi")
        await begun.wait()
        async with asyncio.timeout(20):
            await role.cancel_turn(turn.turn_id)
            await role.cancel_turn(turn.turn_id)
            await turn.events.result()
            await role.cancel_turn(turn.turn_id)
            record = await role.await_turn(turn.turn_id)

        assert isinstance(record.outcome, Stopped) and "cancelled" == record.outcome.reason
        assert record.committed
        assert ["hi"] == [message.text for message in (await lash.session("kid")).messages]


async def test_a_turn_that_never_began_can_be_cancelled() -> None:
    """
    It waits for its slot, and then no more, though nobody gave one up; nothing of it is kept.
    """
    gate = asyncio.Event()

    async def answer(request: Any) -> str:
        await gate.wait()
        return "done"

    async with app(answer=answer, config={"sessions": {"concurrency": 1}}) as lash:
        role = children(await lash.session("parent"))
        for id in "ab":
            await role.create(SessionRequest(id=id))
        first = await role.start_turn_stream("a", "x")
        second = await role.start_turn_stream("b", "x")
        await asyncio.sleep(0.01)
        await role.cancel_turn(second.turn_id)
        async with asyncio.timeout(20):
            record = await role.await_turn(second.turn_id)
        gate.set()
        await role.await_turn(first.turn_id)
        assert "done" == (await role.start_turn("a", "again")).text  # its slot is there again

        assert not record.committed
        assert () == (await lash.session("b")).messages


async def test_a_turn_that_only_its_caller_knew_ends_with_the_call() -> None:
    """
    `start_turn` hands out no id: who stops waiting stops it, and the session is free again.
    """
    begun = asyncio.Event()

    async def answer(request: Any) -> str:
        if request.history[-1].text == "slow":
            begun.set()
            await asyncio.sleep(60)
        return "done"

    async with app(answer=answer) as lash:
        role = children(await lash.session("parent"))
        await role.create(SessionRequest(id="kid"))
        waiting = asyncio.create_task(role.start_turn("kid", "slow"))
        await begun.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        async with asyncio.timeout(20):
            while role._tree.turns:  # noqa: ASYNC110 - it's told to stop, not waited for
                await asyncio.sleep(0.001)

        assert "done" == (await role.start_turn("kid", "quick")).text
        assert ["slow", "quick", "done"] == [
            message.text for message in (await lash.session("kid")).messages
        ]


async def test_a_turns_error_is_raised_where_its_result_is_taken() -> None:
    """
    Once, and then the session goes on.
    """
    failing = True

    def answer(request: Any) -> str:
        if failing:
            raise ModelError("no")
        return "yes"

    async with app(answer=answer) as lash:
        role = children(await lash.session("parent"))
        await role.create(SessionRequest(id="kid"))
        with pytest.raises(ModelError):
            await role.start_turn("kid", "x")
        failing = False
        assert "yes" == (await role.start_turn("kid", "x")).text


async def test_a_child_answers_in_a_structure() -> None:
    """
    The record holds an instance.
    """
    async with app(answer=lambda request: '{"n": 3}') as lash:
        role = children(await lash.session("parent"))
        await role.create(SessionRequest(id="kid"))
        record = await role.start_turn("kid", "x", output=Number, instructions="count")
        assert Number(n=3) == record.value


async def test_unknown_sessions_and_turns_are_told_by_name() -> None:
    """
    Nobody made them here.
    """
    async with app() as lash:
        role = children(await lash.session("parent"))
        with pytest.raises(UnknownSession, match="nobody"):
            await role.start_turn_stream("nobody", "x")
        with pytest.raises(UnknownTurn, match="nothing"):
            await role.await_turn("nothing")


async def test_a_childs_events_are_on_its_makers_stream_with_its_name() -> None:
    """
    And a grandchild's with its own; without a listener nothing is made.
    """

    async def act(ctx: ToolContext) -> str:
        below = {"parent": "kid", "kid": "grandkid"}.get(ctx.session_id)
        if below is not None:
            await ctx.role("lifecycle").create(SessionRequest(id=below))
            await ctx.role("turns").start_turn(below, "do")
        return "ok"

    def answer(request: Any) -> Any:
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    async with app(answer=answer, tools=[acting(act)]) as lash:
        parent = await lash.session("parent")
        seen = [event async for event in parent.stream("go")]

        told = [event for event in seen if isinstance(event, OfChild)]
        assert {"kid", "grandkid"} == {event.child for event in told}
        assert not any(isinstance(event.of, OfChild) for event in told)
        assert {"kid": "done", "grandkid": "done"} == {
            event.child: event.of.text for event in told if isinstance(event.of, TextDelta)
        }


async def test_a_cancelled_parent_takes_its_subtree_along() -> None:
    """
    Promptly, committed, and nobody runs on.
    """
    begun = asyncio.Event()

    async def act(ctx: ToolContext) -> str:
        below = {"parent": "kid", "kid": "grandkid"}.get(ctx.session_id)
        if below is None:
            begun.set()
            await asyncio.sleep(30)
        else:
            await ctx.role("lifecycle").create(SessionRequest(id=below))
            await ctx.role("turns").start_turn(below, "do")
        return "ok"

    def answer(request: Any) -> Any:
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    async with app(answer=answer, tools=[acting(act)]) as lash:
        parent = await lash.session("parent")
        running = asyncio.create_task(parent.run("go"))
        await begun.wait()
        async with asyncio.timeout(20):
            await parent.cancel()
            record = await running

        assert isinstance(record.outcome, Stopped)
        for id in ("kid", "grandkid"):
            session = await lash.session(id)
            assert not session.running and not session.interrupted
            last = session.graph.path()[-1].value.to_json()
            assert "cancelled" in str(last)
        assert 15 == record.usage.total
        assert 30 == record.children_usage.total


async def test_a_turn_in_the_background_outlives_the_turn_that_began_it() -> None:
    """
    Its maker's turn is committed without waiting, and what it costs is paid for later.
    """
    gate = asyncio.Event()
    turns: list[str] = []

    async def act(ctx: ToolContext) -> str:
        await ctx.role("lifecycle").create(SessionRequest(id="kid"))
        turns.append((await ctx.role("turns").start_turn_stream("kid", "slow")).turn_id)
        return "ok"

    async def answer(request: Any) -> Any:
        if request.history[-1].text == "slow":
            await gate.wait()
            return "late"
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    async with app(answer=answer, tools=[acting(act)]) as lash:
        parent = await lash.session("parent")
        record = await parent.run("go")
        assert (30, 0) == (record.usage.total, record.children_usage.total)
        gate.set()
        late = await children(parent).await_turn(turns[0])

        assert "late" == late.text
        assert 45 == parent.usage().total
        assert {"turn", "child"} == set(parent.usage().by_source)


async def test_a_turn_started_again_by_the_same_effect_is_the_same_turn() -> None:
    """
    A tool that is tried again, or whose process ended, finds what it began.
    """
    made: list[str] = []

    async def act(ctx: ToolContext) -> str:
        handle = await ctx.role("lifecycle").create(SessionRequest())
        record = await ctx.role("turns").start_turn(handle.id, "x")
        made.append(f"{handle.id} {record.id} {record.text}")
        if ctx.attempt == 1:
            raise OSError("again")
        return "ok"

    def answer(request: Any) -> Any:
        if request.history[-1].text == "x":
            return f"answer {len(made)}"
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    store = MemoryStore()
    async with app(answer=answer, tools=[acting(act, retry=2)], store=store) as lash:
        parent = await lash.session("parent")
        record = await parent.run("go")

        assert 2 == len(made)
        assert made[0].split()[0] == made[1].split()[0]
        assert 15 == record.children_usage.total
        assert made[0] == made[1]
