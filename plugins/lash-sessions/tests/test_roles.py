"""With this package each hook has its own roles, and what nobody watches costs nothing."""

from __future__ import annotations

import asyncio
from inspect import signature
from typing import Any, Final

import pytest

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import ToolContext, TurnContext
from lash_sdk.errors import LashError, Unavailable
from lash_sdk.hooks import HOOKS, Ask
from lash_sdk.ports import ROLES
from lash_sdk.ports import roles as role_protocols
from lash_sdk.testing import call, reply
from lash_sdk.tools import tool
from lash_sessions import SessionRequest, roles, watching

from .making import acting, app, children

ALL: Final = frozenset(ROLES)
READS: Final = frozenset(("snapshot", "lifecycle", "turns", "tasks", "graph", "direct"))
TABLE: Final[dict[str, frozenset[str]]] = {
    "provide_prompt": frozenset(("snapshot", "catalogue", "tasks", "direct")),
    "before_turn": frozenset(("snapshot", "tool_state", "lifecycle", "trace")),
    "before_tool": ALL,
    "after_tool": ALL,
    "decide_tool": ALL,
    "at_checkpoint": frozenset(("lifecycle", "trace")),
    "after_turn": frozenset(("lifecycle", "trace")),
    "transform_context": READS,
    "on_turn_committed": READS,
    "on_config_changed": frozenset(("tasks",)),
    "transform_policy": frozenset(("tasks",)),
    "transform_request": frozenset(),
    "transform_response": frozenset(),
    "on_session_opened": frozenset(),
    "on_event": frozenset(),
    "on_usage": frozenset(),
}


@tool
async def echo(text: str) -> str:
    """Say it again."""
    return text


@pytest.mark.parametrize("hook", TABLE)
async def test_a_hook_gets_the_objects_of_its_roles_and_nothing_else(hook: str) -> None:
    """
    A role it may not have is `Unavailable`, never an `AttributeError`.
    """
    seen: list[set[str]] = []

    def look(ctx: Any) -> None:
        got = set()
        for role in ROLES:
            try:
                assert ctx.role(role) is not None
                got.add(role)
            except Unavailable as error:
                assert "not for this hook" in str(error)
        seen.append(got)

    def plain(self: Any, ctx: Any) -> Any:
        look(ctx)
        return Ask() if hook == "decide_tool" else None

    def change(self: Any, ctx: Any, value: Any) -> None:
        look(ctx)

    function = change if HOOKS[hook].kind == "transform" else plain
    function.__qualname__ = f"Spy.{function.__name__}"
    spy = type("Spy", (Plugin,), {"name": "spy", "look": HOOKS[hook](function)})

    def answer(request: Any) -> Any:
        said = request.history[-1]
        return "done" if said.role == "tool" else reply(calls=[call("echo", text="a")])

    async with app(spy, answer=answer, tools=[echo]) as lash:
        session = await lash.session("s")
        await session.run("go")
        await session.configure(instructions="be brief")

    assert seen
    assert all(TABLE[hook] == got for got in seen)


async def test_a_role_says_no_more_than_it_is_for() -> None:
    """
    Who may make sessions may not start their turns.
    """
    said: list[str] = []

    class Trying(Plugin):
        name = "trying"

        @hooks.before_turn
        async def attempt(self, ctx: TurnContext) -> None:
            lifecycle = ctx.role("lifecycle")
            said.extend(n for n in ("start_turn", "cancel_all") if hasattr(lifecycle, n))

    async with app(Trying) as lash:
        await (await lash.session("s")).run("hi")
    assert [] == said


async def test_nobody_listening_no_event_is_made() -> None:
    """
    A child's turn costs its maker nothing then.
    """
    watched: list[Any] = []

    async def act(ctx: ToolContext) -> str:
        await ctx.role("lifecycle").create(SessionRequest(id="kid"))
        await ctx.role("turns").start_turn("kid", "x")
        return "ok"

    def answer(request: Any) -> Any:
        last = request.history[-1]
        live = lash_tree().host.live(request.session)
        watched.append(live.watch)
        return reply(calls=[call("do")]) if last.text == "go" else "done"

    async with app(answer=answer, tools=[acting(act)]) as lash:
        session = await lash.session("s")

        def lash_tree() -> Any:
            return children(session)._tree

        await session.run("go")
        assert [None, None, None] == watched


async def test_a_listener_that_fails_or_is_gone_fails_nobody() -> None:
    """
    The turn, the child and the other listeners go on.
    """
    heard: list[Any] = []

    def broken(event: Any) -> None:
        raise ValueError("deaf")

    async def act(ctx: ToolContext) -> str:
        await ctx.role("lifecycle").create(SessionRequest(id="kid"))
        await ctx.role("turns").start_turn("kid", "x")
        return "ok"

    def answer(request: Any) -> Any:
        return reply(calls=[call("do")]) if request.history[-1].text == "go" else "done"

    async with app(answer=answer, tools=[acting(act)]) as lash:
        session = await lash.session("s")
        session.listen(broken)
        session.listen(heard.append)
        stream = session.stream("go")
        async for _event in stream:
            break  # nobody reads on
        async with asyncio.timeout(20):
            assert "done" == (await stream.result()).text
        assert heard


async def test_reading_never_waits_for_a_turn() -> None:
    """
    Snapshot, catalogue and tool state of one that's busy are there within 50 ms.
    """
    gate = asyncio.Event()

    async def answer(request: Any) -> str:
        await gate.wait()
        return "done"

    async with app(answer=answer, tools=[echo]) as lash:
        role = children(await lash.session("s"))
        await role.create(SessionRequest(id="kid"))
        turn = await role.start_turn_stream("kid", "x")
        await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            snapshot = await role.snapshot_session("kid")
            assert turn.turn_id == snapshot.running
            assert "echo" in role.tool_catalog("kid")
            generation = await role.set_availability({"echo": "hidden"}, "kid")
            assert generation == role.tool_state("kid").generation
            assert not role.tool_catalog("kid")["echo"][2]
        gate.set()
        await role.await_turn(turn.turn_id)


async def test_after_a_turns_end_its_relay_tells_nothing() -> None:
    """
    What its children do later is for whoever listens then.
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
        session = await lash.session("s")
        stream = session.stream("go")
        seen = [event async for event in stream]
        gate.set()
        await children(session).await_turn(turns[0])

        assert "TurnEnded" == type(seen[-1]).__name__
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert not issubclass(StopAsyncIteration, LashError)


BROUGHT = {
    role_protocols.LifecycleRole: roles.Lifecycle,
    role_protocols.TurnRole: roles.Turns,
    role_protocols.TaskRole: roles.Background,
    role_protocols.MonitorRole: watching.Watching,
    role_protocols.DirectRole: roles.Direct,
}


@pytest.mark.parametrize("protocol", BROUGHT, ids=lambda each: each.__name__)
def test_the_roles_take_at_least_what_the_kernels_protocols_say(protocol: type) -> None:
    """
    Authors write against the protocol; what's more than it has a default.
    """
    methods = {name: each for name, each in vars(protocol).items() if not name.startswith("_")}

    assert methods
    for name, method in methods.items():
        wanted = list(signature(method).parameters)
        taken = list(signature(getattr(BROUGHT[protocol], name)).parameters.values())
        assert wanted == [each.name for each in taken[: len(wanted)]]
        assert all(each.default is not each.empty for each in taken[len(wanted) :])
