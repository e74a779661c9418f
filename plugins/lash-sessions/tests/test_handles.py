"""Calls that go on after they returned."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash_sdk.outcomes import Cancelled, Failure, Success
from lash_sessions import TaskSpec, UnknownTask

from .making import app, children


async def test_a_call_goes_on_across_turns_and_says_what_it_said_meanwhile() -> None:
    """
    The handle is JSON that a model can be shown, and give back.
    """
    gate = asyncio.Event()

    async def work(call: Any) -> dict[str, int]:
        call.say("begun")
        await gate.wait()
        call.say("done")
        return {"n": 1}

    async with app() as lash:
        session = await lash.session("s")
        role = children(session)
        handle: Any = role.start_handle("slow", work)
        assert {"__handle__": "task", "id": handle["id"], "tool": "slow"} == handle
        await session.run("hi")
        assert [handle] == list(role.list_handles())
        gate.set()
        awaited = await children(session).await_handle(handle)

        assert Success(value={"n": 1}) == awaited.outcome
        assert ("begun", "done") == awaited.progress
        assert [] == list(role.list_handles())


@pytest.mark.parametrize("handle", ["nobody", {"__handle__": "task"}, {"id": "x"}, 7, None])
async def test_a_handle_that_is_none_is_a_failure_and_no_error(handle: Any) -> None:
    """
    A model made it up.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        for outcome in (
            (await role.await_handle(handle)).outcome,
            await role.cancel_handle(handle),
        ):
            assert isinstance(outcome, Failure) and "unknown_handle" == outcome.code


async def test_another_sessions_handle_is_not_to_be_had() -> None:
    """
    Each session sees its own.
    """

    async def work(call: Any) -> None:
        await asyncio.sleep(30)

    async with app() as lash:
        role, other = children(await lash.session("s")), children(await lash.session("t"))
        handle = role.start_handle("slow", work)
        assert isinstance(await other.cancel_handle(handle), Failure)
        assert 1 == len(role.list_handles())


async def test_cancelling_a_call_resolves_whoever_waits() -> None:
    """
    One that listens ends in its own way, another is cut off; the first end counts.
    """

    async def deaf(call: Any) -> str:
        await asyncio.sleep(30)
        return "never"

    async def listening(call: Any) -> str:
        await call.cancelled.wait()
        return "in order"

    async with app() as lash:
        role = children(await lash.session("s"))
        for work, expected in ((deaf, Cancelled()), (listening, Success(value="in order"))):
            handle = role.start_handle("slow", work)
            waiting = asyncio.create_task(role.await_handle(handle))
            await asyncio.sleep(0)
            async with asyncio.timeout(20):
                assert expected == await role.cancel_handle(handle)
                assert expected == (await waiting).outcome


async def test_a_call_that_fails_is_told_when_it_is_awaited() -> None:
    """
    Its error is an outcome.
    """

    async def work(call: Any) -> None:
        raise OSError("broken")

    async with app() as lash:
        role = children(await lash.session("s"))
        outcome = (await role.await_handle(role.start_handle("bad", work))).outcome
        assert isinstance(outcome, Failure) and "OSError: broken" == outcome.message


async def test_what_nobody_refers_to_is_stopped() -> None:
    """
    A handoff takes some along, and the rest ends.
    """

    async def work(call: Any) -> None:
        await asyncio.sleep(30)

    async with app() as lash:
        role = children(await lash.session("s"))
        kept: Any = role.start_handle("slow", work)
        role.start_handle("slow", work, namespace="subagent")
        role.register_background_task(TaskSpec(id="a"))
        role.validate_visible([kept["id"], "a"])
        with pytest.raises(UnknownTask, match="nobody"):
            role.validate_visible(["a", "nobody", "else"])
        stopped = await role.cancel_unreferenced([kept["id"]])

        assert ["a"] == [record.id for record in stopped]
        assert [kept] == list(role.list_handles())
        role.validate_visible([])
