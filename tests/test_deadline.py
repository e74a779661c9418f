"""
How long a hook may keep a turn waiting, and who is named when it took too long.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from lash_sdk import Lash, Plugin
from lash_sdk.contexts import FaultContext, ToolContext, TurnContext
from lash_sdk.errors import ConfigError, PluginFault
from lash_sdk.hooks import Allow, Ask
from lash_sdk.plugins.deadline import Deadline
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool

from .hooking import opened, plugin

SOON = {"plugins": {"deadline": 0.05}}


async def forever(self: Plugin, ctx: TurnContext) -> None:
    await asyncio.Event().wait()


async def test_a_hook_that_never_returns_ends_with_its_name() -> None:
    """
    Nobody can mend what only looks like a slow answer of the model.
    """
    async with opened(plugin("stuck", before_turn=forever), config=SOON) as session:
        with pytest.raises(PluginFault, match=r"took more than 0.05 s") as caught:
            await session.run("hi")

    assert ("stuck", "before_turn") == (caught.value.plugin, caught.value.hook)
    assert "test_deadline.py" in caught.value.where


async def test_a_listener_that_never_returns_does_not_keep_the_others_waiting() -> None:
    """
    The turn is durable already: whoever hears of it late is left out.
    """
    heard: list[int] = []

    async def hears(self: Plugin, ctx: TurnContext) -> None:
        await asyncio.sleep(0)
        heard.append(ctx.index)

    plugins = (plugin("a", on_turn_committed=forever), plugin("b", on_turn_committed=hears))
    async with opened(*plugins, script=["a", "b"], config=SOON) as session:
        await session.run("one")
        turn = await session.run("two")

    assert [1, 2] == heard
    assert 2 == turn.revision


@pytest.mark.parametrize("then", ["returns", "raises", "goes on"])
async def test_a_plugin_that_swallows_its_end_is_named_all_the_same(then: str) -> None:
    """
    It had its time; what it answers afterwards isn't used.
    """
    ended = 0

    async def swallows(self: Plugin, ctx: TurnContext) -> None:
        nonlocal ended
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended += 1
                if then == "raises":
                    raise KeyError("else") from None
                if then == "returns" or ended == 3:
                    return

    async with opened(
        plugin("deaf", before_turn=swallows), script=["a", "b"], config=SOON
    ) as session:
        with pytest.raises(PluginFault, match="took more than") as caught:
            await session.run("hi")
        task = asyncio.current_task()

        assert "deaf" == caught.value.plugin
        assert task is not None and 0 == task.cancelling()
    assert (3 if then == "goes on" else 1) == ended


async def test_a_cancellation_that_comes_with_the_deadline_is_still_one() -> None:
    """
    Whoever gives up a turn must see it cancelled, whoever else failed in it.
    """

    async def slowly(self: Plugin, ctx: TurnContext) -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.Event().wait()

    async with opened(plugin("slow", before_turn=slowly), config=SOON) as session:
        turn = asyncio.create_task(session.run("hi"))
        with pytest.raises(asyncio.CancelledError):
            await turn


async def test_an_approval_may_wait_for_a_person() -> None:
    """
    People take longer than programs, and a wrap as long as what it's around.
    """

    @tool
    async def pay() -> str:
        """Pay."""
        return "paid"

    async def asks(self: Plugin, ctx: ToolContext) -> Ask:
        return Ask(question="pay?")

    async def approves(self: Plugin, ctx: ToolContext) -> Allow:
        await asyncio.sleep(0.2)
        return Allow()

    async def around(self: Plugin, ctx: ToolContext, call_next: Any) -> Any:
        await asyncio.sleep(0.2)
        return await call_next(ctx)

    made = plugin("desk", decide_tool=asks, decide_approval=approves, around_tool=around)
    script = [reply(calls=[call("pay")]), "done"]
    async with opened(made, script=script, tools=[pay], config=SOON) as session:
        turn = await session.run("pay")

    assert ["done", "paid"] == [turn.text, turn.tool_calls[0].outcome.value]  # type: ignore[union-attr]


async def test_a_call_that_waits_in_a_plugins_own_way_is_found_too() -> None:
    """
    The one that runs is found among the tasks there are, deep down.
    """

    async def deep(depth: int) -> None:
        if depth:
            await deep(depth - 1)
        async with asyncio.timeout(60):
            await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))

    async def around(self: Plugin, ctx: TurnContext, call_next: Any) -> Any:
        return await asyncio.wait_for(call_next(ctx), 30)

    async def before(self: Plugin, ctx: TurnContext) -> None:
        await deep(5)

    plugins = (plugin("outer", around_turn=around), plugin("deep", before_turn=before))
    async with opened(*plugins, config=SOON) as session:
        with pytest.raises(PluginFault) as caught:
            await session.run("hi")

    assert "deep" == caught.value.plugin


async def test_a_session_opens_although_a_listener_never_returns() -> None:
    """
    `await lash.session(id)` wraps what it awaits; the call is found in there.
    """
    hears = plugin("stuck", on_session_opened=forever)
    async with opened(hears, config=SOON) as session:
        turn = await session.run("go")

    assert "hi" == turn.text


@pytest.mark.parametrize("seconds", [0, -1, "soon", True, float("inf")])
async def test_a_deadline_is_a_number_of_seconds(seconds: Any) -> None:
    """
    It's told at once, not when the first hook hangs.
    """
    with pytest.raises(ConfigError, match="deadline: expected seconds > 0"):
        async with opened(config={"plugins": {"deadline": seconds}}):
            pass


async def test_an_app_that_closes_leaves_no_timer_behind() -> None:
    """
    A timer of a closed app would keep its sessions alive.
    """
    loop: Any = asyncio.get_running_loop()
    before = len([each for each in loop._scheduled if not each.cancelled()])
    async with Lash(model=ScriptedModel(["a"]), autoload=False) as lash:
        await (await lash.session("s")).run("hi")
    after = [each for each in loop._scheduled if not each.cancelled()]

    assert before == len(after)


def test_a_deadline_that_never_began_can_be_stopped() -> None:
    """
    Closing cleans up after an opening that failed half way.
    """
    Deadline().stop()


# --- sync hooks --------------------------------------------------------------------------------


@pytest.mark.parametrize("debug", ["1", "0"])
async def test_a_sync_hook_that_blocks_the_loop_is_named_in_debug_mode(
    debug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nothing else of the process ran meanwhile, and nothing shows why.
    """
    monkeypatch.setenv("LASH_DEBUG", debug)
    told: list[str] = []

    def blocks(self: Plugin, ctx: TurnContext) -> None:
        time.sleep(0.15)

    async def tells(self: Plugin, ctx: FaultContext) -> None:
        told.append(str(ctx.fault))

    plugins = (plugin("slow", before_turn=blocks), plugin("tells", on_fault=tells))
    async with opened(*plugins) as session:
        turn = await session.run("hi")

    assert "hi" == turn.text
    if debug == "0":
        assert [] == told
    else:
        (only,) = told
        assert "'slow'" in only and "before_turn" in only and "test_deadline.py:" in only
        assert "blocked the loop for 0." in only
