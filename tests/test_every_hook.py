"""
Every hook is called at its point: one plugin that implements them all, and watches.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from lash_sdk import Lash, Plugin
from lash_sdk.contexts import ALL_ROLES
from lash_sdk.dispatch.projection import project
from lash_sdk.hooks import HOOKS, Allow, Ask
from lash_sdk.policy import Limits
from lash_sdk.protocol import STANDARD
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool

from .hooking import mark, plugin, registry

UNCALLED: Final = {
    "effect_host": "durable engines stand at the journal's seam, which comes later",
    "decide_price": "a report with costs comes with the plugin that knows prices",
    "provide_commands": "the command line calls it, the kernel never does",
}
"""Hooks that nothing in the kernel calls yet, and why; anything else is a defect."""


@tool
async def echo(text: str) -> str:
    """Say it again."""
    return text


def answers(hook: str) -> Any:
    """Return what lets everything go on as it would without the plugin."""
    match hook:
        case "store" | "model" | "effect_host" | "session_manager":
            return {}
        case "protocol":
            return STANDARD
        case "tool_projector":
            return project
        case "provide_availability":
            return {}
        case "decide_tool":
            return Ask(question="may it?")
        case "decide_approval":
            return Allow()
        case _:
            pass
    return [] if HOOKS[hook].kind in ("collect", "directives") else None


ROLES: Final[dict[str, frozenset[str]]] = {}
"""The roles that each hook's context was seen with."""


def check(hook: str, ctx: Any) -> None:
    """See what a hook is handed."""
    assert HOOKS[hook].context == type(ctx).__name__
    ROLES[hook] = getattr(ctx, "roles", frozenset())


def watching(calls: list[str]) -> type[Plugin]:
    """Return a plugin that implements every hook there is, and notes each call."""

    def method(name: str) -> Callable[..., Any]:
        kind = HOOKS[name].kind

        def plain(self: Any, ctx: Any) -> Any:
            check(name, ctx)
            extra = f" {type(ctx.event).__name__}" if name == "on_event" else ""
            extra = f" {ctx.checkpoint}" if name == "at_checkpoint" else extra
            calls.append(name + extra)
            return answers(name)

        def change(self: Any, ctx: Any, value: Any) -> Any:
            check(name, ctx)
            calls.append(name)
            return value

        async def around(self: Any, ctx: Any, call_next: Any) -> Any:
            check(name, ctx)
            calls.append(f"{name} in")
            value = await call_next("shared" if name == "around_app" else ctx)
            calls.append(f"{name} out")
            return value

        async def waiting(self: Any, ctx: Any) -> Any:
            return plain(self, ctx)

        if kind == "transform":
            return change
        if kind == "wrap":
            return around
        return waiting if HOOKS[name].awaits else plain

    methods = {f"do_{name}": mark(name, method(name)) for name in HOOKS}
    return type("Watching", (Plugin,), {"name": "watching", "phase": "early", **methods})


async def scenario(calls: list[str]) -> list[str]:
    """Let everything happen that a session can do; return the calls of a plain turn."""

    def breaks(self: Plugin, ctx: Any) -> Any:
        if ctx.before.limits != ctx.after.limits:
            raise ValueError("broken")

    model = ScriptedModel([reply(calls=[call("echo", text="a")]), "done", "plain"])
    async with Lash(
        model=model,
        plugins=[watching(calls), plugin("broken", on_config_changed=breaks)],
        tools=[echo],
        autoload=False,
    ) as lash:
        session = await lash.session("s")
        turn = await session.run("go")
        assert "done" == turn.text
        await session.configure(limits=Limits(iterations=3))
        with pytest.raises(Exception, match="no action"):
            await session.act("nothing")
        await session.rewrite()
        before = len(calls)
        await session.run("plain")
        plain = calls[before:]
        await session.close()
    return plain


def names(calls: list[str]) -> set[str]:
    return {each.split(" ")[0] for each in calls}


async def test_every_hook_is_called_but_for_those_that_say_why_not() -> None:
    """
    A hook that the kernel never calls is a defect: somebody will wait for it.
    """
    calls: list[str] = []
    await scenario(calls)

    assert set(HOOKS) - set(UNCALLED) == names(calls)


async def test_a_plain_turn_calls_its_hooks_in_this_order() -> None:
    """
    Whoever writes two hooks relies on which comes first.
    """
    calls: list[str] = []

    assert [
        "around_turn in",
        "on_event TurnStarted",
        "before_turn",
        "provide_tools",
        "provide_availability",
        "decide_spend",
        "provide_prompt",
        "transform_context",
        "on_event ModelStarted",
        "transform_request",
        "around_model in",
        "transform_chunk",
        "on_event TextDelta",
        "around_model out",
        "transform_response",
        "on_event UsageAdded",
        "on_usage",
        "at_checkpoint before_completion",
        "after_turn",
        "provide_commit",
        "around_commit in",
        "around_commit out",
        "on_turn_committed",
        "on_event TurnEnded",
        "around_turn out",
    ] == await scenario(calls)


async def test_a_call_calls_its_hooks_in_this_order() -> None:
    """
    Arguments first, permission on the final ones, the call, then its outcome.
    """
    calls: list[str] = []
    await scenario(calls)
    first, last = calls.index("on_event ToolStarted"), calls.index("on_event ToolEnded")

    assert [
        "on_event ToolStarted",
        "before_tool",
        "decide_tool",
        "decide_approval",
        "around_tool in",
        "around_tool out",
        "after_tool",
        "on_event ToolEnded",
    ] == calls[first : last + 1]
    assert "at_checkpoint after_work" == calls[last + 1]


async def test_an_app_and_a_session_are_opened_and_closed_in_this_order() -> None:
    """
    What the process shares is there before any session, and goes after all.
    """
    calls: list[str] = []
    await scenario(calls)
    opening = calls[: calls.index("around_turn in")]
    changed = calls[calls.index("transform_policy") :]
    ends = [each for each in calls if each.startswith(("on_session", "around_app"))]

    assert [
        "store",
        "model",
        "session_manager",
        "around_app in",
        "protocol",
        "tool_projector",
        "provide_tools",
        "provide_availability",
        "provide_actions",
        "on_session_opened",
    ] == opening
    assert ["transform_policy", "on_config_changed", "on_fault"] == changed[:3]
    assert ["around_app in", "on_session_opened", "on_session_closed", "around_app out"] == ends


async def test_nobody_pays_for_a_hook_that_nobody_implements() -> None:
    """
    Without plugins there's no plan at all, and a turn goes its way.
    """
    model = ScriptedModel(["hi"])
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        await session.run("hello")
        assert "hi" == session.messages[-1].text
    plans = registry().plans

    assert [None] * len(HOOKS) == [getattr(plans, name) for name in HOOKS]


async def test_the_reference_has_the_roles_that_each_hook_gets() -> None:
    """
    An author who reads of a role must get it, and one who needs it must read of it.
    """
    page = (Path(__file__).parent.parent / "docs" / "hooks.md").read_text(encoding="utf-8")
    await scenario([])

    for hook, roles in ROLES.items():
        said = "all" if roles == ALL_ROLES else ", ".join([f"`{r}`" for r in sorted(roles)])
        entry = page.partition(f"### `{hook}`\n")[2].partition("\n### ")[0]
        assert f" · roles: {said or 'none'} · " in entry, hook
