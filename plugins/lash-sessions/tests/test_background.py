"""Tasks in the background: whose they are, how they end, who stops them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash_sdk.errors import InvalidInput
from lash_sessions import (
    SessionRequest,
    TaskChanged,
    TaskExists,
    TaskSpec,
    UnknownSession,
    UnknownTask,
)
from lash_sessions.background import EVENTS

from .making import app, children


async def forever(ticket: Any = None) -> None:
    await asyncio.sleep(30)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_hidden_work_is_awaited_to_the_last() -> None:
    """
    What it begins is waited for too, it's unlisted, and its first error is raised.
    """
    done: list[int] = []

    async def work(left: int) -> None:
        await asyncio.sleep(0)
        done.append(left)
        if left:
            role.spawn_hidden_task(work(left - 1))
        if left == 1:
            raise ValueError("one")

    async with app() as lash:
        role = children(await lash.session("s"))
        role.spawn_hidden_task(work(3))
        assert [] == list(await role.list_background_tasks(include_terminal=True))
        with pytest.raises(ValueError, match="one"):
            await role.await_hidden()
        assert [3, 2, 1, 0] == done
        await role.await_hidden()


async def test_a_task_ends_in_the_books_by_itself() -> None:
    """
    Well or badly; an end is final, whatever is said afterwards.
    """

    async def well(ticket: Any) -> str:
        ticket.wait()
        assert "idle" == ticket.record.shown
        ticket.go_on()
        return "fine"

    async def badly(ticket: Any) -> None:
        raise OSError("broken")

    async with app() as lash:
        role = children(await lash.session("s"))
        role.spawn_background_task(TaskSpec(id="a"), well)
        role.spawn_background_task(TaskSpec(id="b"), badly)
        await settled()
        found = await role.list_background_tasks(include_terminal=True)

        assert [("a", "completed", "fine"), ("b", "failed", "OSError: broken")] == [
            (record.id, record.state, record.summary) for record in found
        ]
        role.mark_terminal("a", "failed")
        role.mark_live_state("a", "running")
        await role.cancel_background_task("a")
        again = (await role.list_background_tasks(include_terminal=True))[0]
        assert "completed" == again.state and again.completed is not None
        assert [] == list(await role.list_background_tasks())
        assert None is role.mark_terminal("nobody", "failed")
        with pytest.raises(InvalidInput, match="state"):
            role.mark_terminal("a", "running")
        with pytest.raises(InvalidInput, match="state"):
            role.mark_live_state("a", "completed")


async def test_an_id_is_one_live_tasks_and_free_again_after_it() -> None:
    """
    In its own session; another's may have the same.
    """
    async with app() as lash:
        role, other = children(await lash.session("s")), children(await lash.session("t"))
        role.register_background_task(TaskSpec(id="a"))
        other.register_background_task(TaskSpec(id="a"))
        with pytest.raises(TaskExists):
            role.register_background_task(TaskSpec(id="a"))
        role.mark_terminal("a", "completed")
        role.register_background_task(TaskSpec(id="a"))

        assert 1 == len(await role.list_background_tasks())
        with pytest.raises(UnknownTask):
            await role.cancel_background_task("b")
        with pytest.raises(UnknownSession):
            await role.list_background_tasks("nobody")
        with pytest.raises(InvalidInput):
            role.register_background_task(TaskSpec(id=""))


async def test_apps_with_equal_session_ids_do_not_see_each_others_tasks() -> None:
    """
    A scope is a session of one app.
    """
    async with app() as one, app() as two:
        role, other = children(await one.session("s")), children(await two.session("s"))
        role.register_background_task(TaskSpec(id="a"))

        assert [] == list(await other.list_background_tasks())
        with pytest.raises(UnknownTask):
            await other.cancel_background_task("a")


async def test_cancel_all_touches_live_tasks_alone_and_calls_each_back_once() -> None:
    """
    Asked twice at once, too.
    """
    called: list[str] = []

    def cancel(id: str) -> Any:
        async def call() -> None:
            called.append(id)

        return call

    async with app() as lash:
        role = children(await lash.session("s"))
        for id in "ab":
            spec = TaskSpec(id=id, cancel_policy="external")
            role.register_background_task(spec, cancel(id))
        role.register_background_task(TaskSpec(id="over"), cancel("over"))
        role.mark_terminal("over", "completed")
        role.spawn_background_task(TaskSpec(id="own"), forever)
        await asyncio.gather(role.cancel_all(), role.cancel_all())

        assert ["a", "b"] == sorted(called)
        states = {r.id: r.state for r in await role.list_background_tasks(include_terminal=True)}
        assert {"a": "cancelled", "b": "cancelled", "over": "completed", "own": "cancelled"} == (
            states
        )


async def test_a_task_that_listens_may_end_well() -> None:
    """
    It's told first, and cut off only if it doesn't.
    """

    async def work(ticket: Any) -> str:
        while not ticket.cancelled:  # noqa: ASYNC110 - it looks, as a tool would
            await asyncio.sleep(0.001)
        return "in order"

    async with app() as lash:
        role = children(await lash.session("s"))
        role.spawn_background_task(TaskSpec(id="a"), work)
        await settled()
        record = await role.cancel_background_task("a")
        assert ("completed", "in order") == (record.state, record.summary)


async def test_a_cancel_that_fails_is_in_the_books() -> None:
    """
    Nobody takes it for stopped.
    """

    async def cancel() -> None:
        raise OSError("won't")

    async with app() as lash:
        role = children(await lash.session("s"))
        role.register_background_task(TaskSpec(id="a"), cancel)
        record = await role.cancel_background_task("a")
        assert ("failed", "OSError: won't") == (record.state, record.summary)


async def test_tasks_are_told_of_as_they_change() -> None:
    """
    In order, by the session that asks; who is slow misses the oldest, and is told nothing.
    """
    seen: list[TaskChanged] = []

    async with app() as lash:
        role = children(await lash.session("s"))

        async def watch() -> None:
            async for change in role.task_events():
                seen.append(change)

        watching = asyncio.create_task(watch())
        await settled()

        async def work(ticket: Any) -> None:
            ticket.progress("half")
            ticket.wait()

        role.spawn_background_task(TaskSpec(id="a", kind="observer"), work)
        await settled()
        assert ["registered", "progress", "state_changed", "completed"] == [
            each.change for each in seen
        ]
        seen.clear()
        for at in range(EVENTS + 10):
            role.register_background_task(TaskSpec(id=f"n{at}"))
        await settled()
        assert EVENTS == len(seen)
        assert f"n{EVENTS + 9}" == seen[-1].record.id
        watching.cancel()


async def test_lists_are_by_age_and_by_kind() -> None:
    """
    Oldest first; those that are over only if they're asked for.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        for at, kind in enumerate(("subagent", "other", "subagent")):
            role.register_background_task(TaskSpec(id=str(at), kind=kind))  # type: ignore[arg-type]
        found = await role.list_background_tasks(kind="subagent")
        assert ["0", "2"] == [record.id for record in found]
        role.unregister_background_task("0")
        role.unregister_background_task("0")
        assert ["1", "2"] == [record.id for record in await role.list_background_tasks()]


@pytest.mark.parametrize(
    ("policy", "state", "where"),
    [("keep", "running", "kid"), ("cancel", "cancelled", "kid"), ("transfer", "running", "s")],
)
async def test_what_becomes_of_a_closed_sessions_task_is_its_own_policy(
    policy: Any, state: str, where: str
) -> None:
    """
    It stays, it's stopped, or its session's maker has it.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.create(SessionRequest(id="kid"))
        spec = TaskSpec(id="a", close_policy=policy)
        role.spawn_background_task(spec, forever, session="kid")
        await role.close_session("kid")
        found = role._tree.tasks.list(include_terminal=True)
        assert [(state, where)] == [(record.state, record.session) for record in found]


async def test_what_a_closed_session_keeps_is_still_in_the_books() -> None:
    """
    It runs on: whoever knows the session's id sees it, stops it, or takes it over.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.create(SessionRequest(id="kid"))
        await role.create(SessionRequest(id="idle"))
        for id in ("a", "b", "c"):
            role.spawn_background_task(TaskSpec(id=id), forever, session="kid")
        await role.close_session("kid")
        await role.close_session("idle")

        kept = await role.list_background_tasks("kid")
        assert [("a", "running"), ("b", "running"), ("c", "running")] == [
            (record.id, record.state) for record in kept
        ]
        assert "cancelled" == (await role.cancel_background_task("a", "kid")).state
        role.transfer("kid", "s", ["b"])
        assert ["b"] == [record.id for record in await role.list_background_tasks()]
        assert ["c"] == [record.id for record in await role.cancel_unreferenced([], "kid")]
        assert [] == list(await role.list_background_tasks("kid"))
        with pytest.raises(UnknownSession):
            role.spawn_background_task(TaskSpec(id="d"), forever, session="kid")
        with pytest.raises(UnknownSession):
            role.transfer("s", "kid", ["b"])
        with pytest.raises(UnknownSession):
            await role.list_background_tasks("idle")


async def test_a_root_sessions_tasks_are_its_own_also_once_it_is_closed() -> None:
    """
    Two users' sessions are strangers, whatever one of them left running.
    """
    async with app() as lash:
        theirs = await lash.session("theirs")
        children(theirs).spawn_background_task(TaskSpec(id="a"), forever)
        await theirs.close()
        role = children(await lash.session("s"))

        for refused in (
            role.list_background_tasks,
            lambda id: role.cancel_background_task("a", id),
        ):
            with pytest.raises(UnknownSession):
                await refused("theirs")


async def test_a_moved_task_ends_where_it_is() -> None:
    """
    Its record, its events and its cancelling go with it.
    """
    gate = asyncio.Event()

    async def work(ticket: Any) -> str:
        await gate.wait()
        return str(ticket.record.session)

    async with app() as lash:
        role = children(await lash.session("s"))
        await role.create(SessionRequest(id="kid"))
        role.spawn_background_task(TaskSpec(id="a"), work)
        role.transfer("s", "kid", ["a", "nobody"])
        assert [] == list(await role.list_background_tasks())
        gate.set()
        await settled()
        found = await role.list_background_tasks("kid", include_terminal=True)
        assert [("completed", "kid")] == [(record.state, record.summary) for record in found]


async def test_a_transfer_is_all_or_nothing() -> None:
    """
    One that's there already stops all of it; so for tasks, so for calls that go on.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.create(SessionRequest(id="kid"))
        handle: Any = role.start_handle("slow", forever)
        role.register_background_task(TaskSpec(id="a"))
        role.register_background_task(TaskSpec(id="b"))
        role.register_background_task(TaskSpec(id="b"), session="kid")
        with pytest.raises(TaskExists):
            role.transfer("s", "kid", [handle["id"], "a", "b"])

        assert ["a", "b"] == [record.id for record in await role.list_background_tasks()]
        assert [handle] == list(role.list_handles())
        role.transfer("s", "s", ["a"])
        role.transfer("s", "kid", [])
        role.transfer("s", "kid", [handle["id"], "a"])
        assert [] == list(role.list_handles())
        role.validate_visible([handle["id"], "a", "b"], session="kid")
