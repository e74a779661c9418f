"""
Plans: each kind's rule, whoever fails however, in whatever colour.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import SessionContext
from lash_sdk.errors import PluginFault, ToolDenied
from lash_sdk.events import PluginFailed, SessionEvent
from lash_sdk.hooks import HOOKS, Abort, Allow, Ask, Deny, EmitTrace, Money
from lash_sdk.outcomes import Failure, Stopped, Success
from lash_sdk.plugins.faults import STRIKES
from lash_sdk.plugins.registry import Registry
from lash_sdk.prompt import PromptPart
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool

from .hooking import context, opened, plugin, registry

# --- every kind, any number, each colour, each end ---------------------------------

CHOSEN: Final = {
    "on_usage": ("sync",),
    "on_session_opened": ("sync", "async", "mixed"),
    "provide_prompt": ("sync",),
    "provide_tools": ("sync",),
    "tool_projector": ("sync",),
    "before_turn": ("sync", "async", "mixed"),
    "transform_policy": ("sync",),
    "transform_chunk": ("sync",),
    "transform_context": ("sync", "async", "mixed"),
    "transform_history": ("sync", "async", "mixed"),
    "decide_price": ("sync",),
    "decide_approval": ("sync", "async", "mixed"),
    "decide_tool": ("sync", "async", "mixed"),
    "around_tool": ("sync", "async", "mixed"),
}
"""Hooks that stand for each kind, colour and fault."""

CAUSES: Final = {"raise": ValueError, "own cancel": asyncio.CancelledError, "slow": TimeoutError}
"""What a plugin is blamed for; a turn that's cancelled is no fault of its."""

TABLE: Final = [
    pytest.param(name, count, colour, end, id=f"{name}-{count}-{colour}-{end}")
    for name, colours in CHOSEN.items()
    for count in (0, 1, 5)
    for colour in colours
    for end in ("ok", "raise", "cancel", "own cancel", "slow")
    if end != "slow" or (HOOKS[name].timed and colour == "async")
]


def answer(hook: str, at: int) -> Any:
    """Return what implementation *at* answers."""
    match HOOKS[hook].kind:
        case "listen":
            return None
        case "directives":
            return [EmitTrace(name=str(at))]
        case "collect" if hook == "provide_prompt":
            return [PromptPart(text=str(at))]
        case "decide" if hook == "decide_price":
            return Money(amount=at)
        case "decide" | "gate":
            return Allow()
        case _:
            return at


def implementation(
    hook: str, at: int, *, waits: bool, end: str, calls: list[int]
) -> Callable[..., Any]:
    """Return a function that notes its call, and ends as it's told."""

    def act() -> None:
        calls.append(at)
        if end == "raise":
            raise ValueError("broken")
        task = asyncio.current_task()
        if end == "cancel" and task is not None:
            task.cancel()
        if end in ("cancel", "own cancel"):
            raise asyncio.CancelledError

    def plain(self: Plugin, ctx: Any) -> Any:
        act()
        return answer(hook, at)

    async def slow(self: Plugin, ctx: Any) -> Any:
        await asyncio.sleep(0)
        if end == "slow":
            calls.append(at)
            await asyncio.sleep(60)
        return plain(self, ctx)

    def change(self: Plugin, ctx: Any, value: Any) -> Any:
        act()
        return (*value, at)

    async def change_slowly(self: Plugin, ctx: Any, value: Any) -> Any:
        await asyncio.sleep(0)
        if end == "slow":
            calls.append(at)
            await asyncio.sleep(60)
        return change(self, ctx, value)

    def around(self: Plugin, ctx: Any, call_next: Any) -> Any:
        act()
        return call_next(ctx)

    async def around_slowly(self: Plugin, ctx: Any, call_next: Any) -> Any:
        await asyncio.sleep(0)
        act()
        return (*await call_next(ctx), at)

    kind = HOOKS[hook].kind
    if kind == "transform":
        return change_slowly if waits else change
    if kind == "wrap":
        return around_slowly if waits else around
    return slow if waits else plain


async def asked(found: Registry, hook: str, ctx: Any) -> Any:
    """Return what the plan of *hook* comes to."""
    plan = getattr(found.plans, hook)
    kind = HOOKS[hook].kind

    async def inner(ctx: Any) -> tuple[int, ...]:
        return (-1,)

    if kind == "wrap":
        return await plan(inner)(ctx)
    value = plan(ctx, ()) if kind == "transform" else plan(ctx)
    return await value if inspect.isawaitable(value) else value


def expected(hook: str, ats: list[int], waits: list[bool]) -> Any:
    """Return what implementations *ats* come to together, by the kind's rule."""
    names = [f"p{at}" for at in ats]
    match HOOKS[hook].kind:
        case "listen":
            return None
        case "collect" | "supply":
            return [(name, answer(hook, at)) for name, at in zip(names, ats, strict=True)]
        case "directives":
            return [(f"p{at}", EmitTrace(name=str(at))) for at in ats]
        case "transform":
            return tuple(ats)
        case "wrap":
            return (-1, *[at for at in reversed(ats) if waits[at]])
        case _:
            return (names[0], answer(hook, ats[0]))


def named(found: Any) -> Any:
    """Return plan results with plugins as names."""
    if isinstance(found, list):
        return [(owner.name, value) for owner, value in found]
    if isinstance(found, tuple) and len(found) == 2 and hasattr(found[0], "name"):
        return (found[0].name, found[1])
    return found


@pytest.mark.parametrize(("hook", "count", "colour", "end"), TABLE)
async def test_a_plan_keeps_its_kinds_rule(hook: str, count: int, colour: str, end: str) -> None:
    """
    Kind x number x colour x end: who is called, what comes out, who is blamed.
    """
    calls: list[int] = []
    waits = [colour == "async" or (colour == "mixed" and at % 2 == 0) for at in range(count)]
    guilty = count // 2
    found = registry(
        *[
            plugin(
                f"p{at}",
                **{
                    hook: implementation(
                        hook, at, waits=waits[at], end=end if at == guilty else "ok", calls=calls
                    )
                },
            )
            for at in range(count)
        ],
        patience=0.02,
    )
    ctx = context(found)
    if count == 0:
        assert getattr(found.plans, hook) is None
        return
    if end == "slow":
        found.deadline.start()
    everyone = list(range(count))
    kind, fault = HOOKS[hook].kind, HOOKS[hook].fault
    reached = everyone[: guilty + 1]
    if kind == "decide":
        reached = [0]
    innocent = kind == "decide" and guilty > 0  # the first has answered already

    if end == "cancel" and not innocent:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(asked(found, hook, ctx))

        assert reached == calls
        assert [] == ctx.scope.faults.pending
    elif end != "ok" and not innocent and fault in ("abort", "closed"):
        with pytest.raises(PluginFault) as caught:
            await asked(found, hook, ctx)

        assert reached == calls
        assert f"p{guilty}" == caught.value.plugin
        assert isinstance(caught.value.__cause__, CAUSES[end])
    else:
        result = named(await asked(found, hook, ctx))

        if end == "ok" or innocent:
            assert expected(hook, everyone, waits) == result
            assert [] == ctx.scope.faults.pending
        elif fault == "deny":
            assert f"p{guilty}" == result[0]
            assert isinstance(result[1], Deny)
        elif kind == "decide":
            assert (None if count == 1 else expected(hook, everyone[1:], waits)) == result
        else:
            rest = [at for at in everyone if at != guilty]
            assert expected(hook, rest, waits) == result
        assert ([0] if kind == "decide" else everyone) == calls
        assert (0 if end == "ok" or innocent else 1) == len(ctx.scope.faults.pending)


# --- None ----------------------------------------------------------------------------


def silent(self: Plugin, ctx: Any, value: Any = None) -> None: ...


@pytest.mark.parametrize(
    ("hook", "result"),
    [
        ("on_usage", None),
        ("provide_prompt", []),
        ("before_turn", []),
        ("decide_price", None),
        ("decide_approval", None),
        ("decide_tool", None),
    ],
)
async def test_none_is_no_answer(hook: str, result: Any) -> None:
    """
    A plugin that has nothing to say returns nothing.
    """

    def nothing(self: Plugin, ctx: Any) -> None: ...

    found = registry(plugin("quiet", **{hook: nothing}))

    assert result == await asked(found, hook, context(found))


async def test_a_transform_that_returns_none_keeps_the_value() -> None:
    """
    Most stages leave most values alone.
    """

    def nothing(self: Plugin, ctx: Any, value: Any) -> None: ...

    def add(self: Plugin, ctx: Any, value: Any) -> Any:
        return (*value, "b")

    found = registry(
        plugin("a", transform_policy=nothing),
        plugin("b", transform_policy=add),
        plugin("c", transform_policy=nothing),
    )

    assert ("b",) == await asked(found, "transform_policy", context(found))


async def test_a_wrap_that_returns_none_is_a_fault_of_its_own() -> None:
    """
    A forgotten `return await call_next(ctx)` is the commonest mistake there.
    """

    async def fine(self: Plugin, ctx: Any, call_next: Any) -> Any:
        return await call_next(ctx)

    async def forgets(self: Plugin, ctx: Any, call_next: Any) -> None:
        await call_next(ctx)

    found = registry(plugin("a", around_tool=fine), plugin("b", around_tool=forgets))
    with pytest.raises(PluginFault, match="expected what call_next returned, found None") as caught:
        await asked(found, "around_tool", context(found))

    assert "b" == caught.value.plugin


# --- order, and who is blamed -----------------------------------------------------------


async def test_wraps_nest_in_order_and_each_runs_once() -> None:
    """
    The first plugin is the outermost: it sees the call first and its end last.
    """
    seen: list[str] = []

    def wrap(name: str) -> Any:
        async def around(self: Plugin, ctx: Any, call_next: Any) -> Any:
            seen.append(f"{name} in")
            value = await call_next(ctx)
            seen.append(f"{name} out")
            return value

        return plugin(name, around_tool=around)

    found = registry(wrap("b"), wrap("a"), wrap("c"))
    await asked(found, "around_tool", context(found))

    assert ["a in", "b in", "c in", "c out", "b out", "a out"] == seen


async def test_a_wrap_is_blamed_for_its_own_faults_only() -> None:
    """
    What fails inside passes the rings around it as it is.
    """

    async def passes(self: Plugin, ctx: Any, call_next: Any) -> Any:
        return await call_next(ctx)

    async def breaks(self: Plugin, ctx: Any, call_next: Any) -> Any:
        raise KeyError("mine")

    async def inner(ctx: Any) -> Any:
        raise LookupError("the inside's")

    outer = plugin("outer", around_tool=passes)
    alone = registry(outer)
    both = registry(outer, plugin("zinner", around_tool=breaks))

    with pytest.raises(LookupError, match="the inside's"):
        await alone.plans.around_tool(inner)(context(alone))
    with pytest.raises(PluginFault) as caught:
        await both.plans.around_tool(inner)(context(both))
    assert "zinner" == caught.value.plugin


async def test_a_wrap_that_turns_an_error_into_another_owns_it() -> None:
    """
    The new error is the plugin's; what it came from stays to be read.
    """

    async def rewords(self: Plugin, ctx: Any, call_next: Any) -> Any:
        try:
            return await call_next(ctx)
        except LookupError as error:
            raise RuntimeError("reworded") from error

    async def inner(ctx: Any) -> Any:
        raise LookupError("the inside's")

    found = registry(plugin("rewords", around_tool=rewords))
    with pytest.raises(PluginFault, match="reworded") as caught:
        await found.plans.around_tool(inner)(context(found))

    assert isinstance(caught.value.__cause__, RuntimeError)
    assert isinstance(caught.value.__cause__.__cause__, LookupError)


@pytest.mark.parametrize("wrong", ["text", 7, object()])
async def test_a_transform_of_the_wrong_type_is_blamed_on_its_stage(wrong: object) -> None:
    """
    Not on the next one, which would stumble over it.
    """
    seen: list[Any] = []

    def bad(self: Plugin, ctx: Any, value: Any) -> Any:
        return wrong

    def after(self: Plugin, ctx: Any, value: Any) -> None:
        seen.append(value)

    found = registry(plugin("a", transform_context=bad), plugin("b", transform_context=after))
    kept = registry(plugin("a", transform_policy=bad), plugin("b", transform_policy=after))

    with pytest.raises(PluginFault, match="expected tuple or None") as caught:
        await asked(found, "transform_context", context(found))
    assert "a" == caught.value.plugin
    assert () == await asked(kept, "transform_policy", context(kept))
    assert [()] == seen


@pytest.mark.parametrize("answer", [EmitTrace(name="x"), "", 0, False, {}])
async def test_a_directives_hook_must_return_a_list(answer: object) -> None:
    """
    One directive without its list would be iterated into nonsense, and what's empty is no list.
    """

    def one(self: Plugin, ctx: Any) -> Any:
        return answer

    found = registry(plugin("a", before_turn=one))
    with pytest.raises(PluginFault, match="expected a list of directives") as caught:
        await asked(found, "before_turn", context(found))

    assert "a" == caught.value.plugin


async def test_a_fault_says_who_where_and_in_which_session() -> None:
    """
    Its reader has a log line, and must find the line of code from it.
    """
    cause = ValueError("broken")

    def fails(self: Plugin, ctx: Any) -> None:
        # the line below is the one to find
        raise cause

    found = registry(plugin("blamed", "2.5", before_turn=fails))
    with pytest.raises(PluginFault) as caught:
        await asked(found, "before_turn", context(found))
    fault = caught.value
    line = fails.__code__.co_firstlineno + 2

    assert ("blamed", "2.5", "before_turn", "s") == (
        fault.plugin,
        fault.version,
        fault.hook,
        fault.session,
    )
    assert f"{__file__}:{line}" == fault.where
    assert cause is fault.__cause__
    assert ["in plugin 'blamed' 2.5, hook before_turn"] == cause.__notes__
    for word in (
        "'blamed'",
        "2.5",
        "before_turn",
        f"{__file__}:{line}",
        "'s'",
        "ValueError: broken",
    ):
        assert word in str(fault)


async def test_an_isolated_fault_keeps_its_cause_too() -> None:
    """
    `on_fault` is where a plugin for error reports reads it.
    """
    cause = ValueError("broken")

    def fails(self: Plugin, ctx: Any) -> None:
        raise cause

    found = registry(plugin("blamed", on_usage=fails))
    ctx = context(found)
    found.plans.on_usage(ctx)
    ((fault, off),) = ctx.scope.faults.pending

    assert cause is fault.__cause__
    assert "s" == fault.session
    assert not off


# --- isolation and strikes ------------------------------------------------------------


def faulty(kind: str, when: Callable[[], bool]) -> Callable[..., Any]:
    if kind == "transform":

        def change(self: Plugin, ctx: Any, value: Any) -> None:
            if when():
                raise ValueError("broken")

        return change

    def plain(self: Plugin, ctx: Any) -> None:
        if when():
            raise ValueError("broken")

    return plain


@pytest.mark.parametrize(
    "hook",
    ["on_usage", "on_session_opened", "provide_prompt", "transform_policy", "transform_history"],
)
async def test_five_faults_in_a_row_switch_a_hook_off(hook: str) -> None:
    """
    A plugin that always fails costs no more than five tries a session.
    """
    calls: list[int] = []

    def count() -> bool:
        calls.append(1)
        return True

    found = registry(plugin("broken", **{hook: faulty(HOOKS[hook].kind, count)}))
    ctx = context(found)
    for _ in range(STRIKES + 3):
        await asked(found, hook, ctx)

    assert 5 == STRIKES == len(calls)
    assert [False] * 4 + [True] == [off for _fault, off in ctx.scope.faults.pending]
    other = context(found)
    await asked(found, hook, other)
    assert STRIKES + 1 == len(calls)  # another session begins anew


async def test_a_success_in_between_begins_the_count_again() -> None:
    """
    "In a row": a plugin that fails now and then stays.
    """
    calls: list[int] = []

    def most() -> bool:
        calls.append(1)
        return len(calls) % 5 != 0

    found = registry(plugin("shaky", on_usage=faulty("listen", most)))
    ctx = context(found)
    for _ in range(20):
        await asked(found, "on_usage", ctx)

    assert 20 == len(calls)
    assert set() == ctx.scope.faults.off


async def test_gates_and_wraps_are_never_switched_off() -> None:
    """
    What guards a session goes on denying, however often it failed.
    """
    calls: list[str] = []

    async def gate(self: Plugin, ctx: Any) -> None:
        calls.append("gate")
        raise ValueError("broken")

    async def wrap(self: Plugin, ctx: Any, call_next: Any) -> Any:
        calls.append("wrap")
        return await call_next(ctx)

    def price(self: Plugin, ctx: Any) -> None:
        calls.append("listen")

    found = registry(
        plugin(
            "guard",
            decide_tool=gate,
            around_tool=wrap,
            on_usage=price,
            tool_projector=lambda self, ctx: "mine",
            provide_availability=lambda self, ctx: {"delete": "hidden"},
        )
    )
    ctx = context(found)
    answers = [await asked(found, "decide_tool", ctx) for _ in range(STRIKES + 3)]
    await asked(found, "around_tool", ctx)
    await asked(found, "on_usage", ctx)

    assert [Deny] * (STRIKES + 3) == [type(decision) for _plugin, decision in answers]
    assert ["gate"] * (STRIKES + 3) + ["wrap"] == calls  # its listener alone is off
    assert [("guard", "mine")] == named(await asked(found, "tool_projector", ctx))
    hidden = await asked(found, "provide_availability", ctx)
    assert [("guard", {"delete": "hidden"})] == named(hidden)


async def test_a_switched_off_plugin_is_told_of_once() -> None:
    """
    `on_fault` hears of each fault, observers see each, and one says "off".
    """
    heard: list[tuple[str, bool]] = []
    seen: list[SessionEvent] = []

    def prompt(self: Plugin, ctx: Any) -> Any:
        raise ValueError("broken")

    async def hear(self: Plugin, ctx: Any) -> None:
        heard.append((ctx.fault.plugin, ctx.off))

    async with opened(
        plugin("broken", provide_prompt=prompt), plugin("doctor", on_fault=hear), script=["hi"] * 7
    ) as session:
        session.listen(seen.append)
        turns = [await session.run("hello") for _ in range(7)]

    assert [("broken", False)] * 4 + [("broken", True)] == heard
    failed = [event for event in seen if isinstance(event, PluginFailed)]
    assert [False] * 4 + [True] == [event.off for event in failed]
    assert {("broken", "1", "provide_prompt")} == {(e.plugin, e.version, e.hook) for e in failed}
    assert ["hi"] * 7 == [turn.text for turn in turns]


async def test_a_fault_of_on_fault_is_reported_and_goes_no_further() -> None:
    """
    Otherwise one fault would breed another for ever.
    """
    seen: list[SessionEvent] = []

    def prompt(self: Plugin, ctx: Any) -> Any:
        raise ValueError("broken")

    async def hear(self: Plugin, ctx: Any) -> None:
        raise ValueError("broken as well")

    async with opened(plugin("a", provide_prompt=prompt), plugin("b", on_fault=hear)) as session:
        session.listen(seen.append)
        await session.run("hello")

    failed = [event.hook for event in seen if isinstance(event, PluginFailed)]
    assert ["provide_prompt", "on_fault"] == failed


async def test_a_fault_after_the_commit_is_told_before_the_turn_returns() -> None:
    """
    Otherwise it would be told a turn later, or never in a script.
    """
    heard: list[str] = []

    async def fails(self: Plugin, ctx: Any) -> None:
        raise ValueError("broken")

    async def hear(self: Plugin, ctx: Any) -> None:
        heard.append(ctx.fault.hook)

    async with opened(plugin("a", on_turn_committed=fails), plugin("b", on_fault=hear)) as session:
        await session.run("hello")

        assert ["on_turn_committed"] == heard


async def test_on_fault_hears_of_a_fault_that_ends_a_turn_too() -> None:
    """
    "Each fault of any plugin": those that abort are the ones to know of.
    """
    heard: list[str] = []

    async def fails(self: Plugin, ctx: Any) -> None:
        raise ValueError("broken")

    async def hear(self: Plugin, ctx: Any) -> None:
        heard.append(ctx.fault.hook)

    async with opened(plugin("a", before_turn=fails), plugin("b", on_fault=hear)) as session:
        with pytest.raises(PluginFault):
            await session.run("hello")

        assert ["before_turn"] == heard


@pytest.mark.parametrize(
    "hook", ["on_usage", "on_session_opened", "provide_prompt", "transform_policy", "decide_tool"]
)
async def test_strict_mode_lets_every_fault_through(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    In a plugin's own tests a fault must not hide.
    """
    monkeypatch.setenv("LASH_STRICT_PLUGINS", "1")
    found = registry(plugin("broken", **{hook: faulty(HOOKS[hook].kind, lambda: True)}))

    with pytest.raises(PluginFault) as caught:
        await asked(found, hook, context(found))
    assert hook == caught.value.hook


@pytest.mark.parametrize("value", ["", "0"])
async def test_strict_mode_can_be_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An empty variable, or a zero, is what unsetting looks like in many shells.
    """
    monkeypatch.setenv("LASH_STRICT_PLUGINS", value)
    found = registry(plugin("broken", on_usage=faulty("listen", lambda: True)))

    assert None is await asked(found, "on_usage", context(found))


# --- gates ------------------------------------------------------------------------------

ORDER: Final = (None, Allow(), Ask(), Deny(), Abort())


@pytest.mark.parametrize("first", ORDER)
@pytest.mark.parametrize("second", ORDER)
async def test_the_strongest_answer_of_a_gate_counts(first: Any, second: Any) -> None:
    """
    Allow < ask < deny < abort, whoever is asked first; a tie is the first's.
    """
    found = registry(
        plugin("a", decide_tool=lambda self, ctx: first),
        plugin("b", decide_tool=lambda self, ctx: second),
    )
    strongest = max(first, second, key=ORDER.index)
    owner = "a" if strongest is first else "b"

    result = named(await asked(found, "decide_tool", context(found)))

    assert (None if strongest is None else (owner, strongest)) == result


async def test_nonsense_from_a_gate_is_a_denial() -> None:
    """
    `return True` must not mean that anything goes.
    """
    found = registry(plugin("a", decide_tool=lambda self, ctx: True))
    ctx = context(found)
    result = await asked(found, "decide_tool", ctx)

    assert Deny(reason="plugin 'a' failed in decide_tool") == result[1]
    assert "expected a decision or None, found True" in str(ctx.scope.faults.pending[0][0])


async def test_a_gate_may_deny_by_raising() -> None:
    """
    `ToolDenied` is an answer with a reason, not a fault.
    """

    def gate(self: Plugin, ctx: Any) -> None:
        raise ToolDenied("not on a Sunday")

    found = registry(plugin("a", decide_tool=gate))
    ctx = context(found)

    assert ("a", Deny(reason="not on a Sunday")) == named(await asked(found, "decide_tool", ctx))
    assert [] == ctx.scope.faults.pending


@tool
async def delete(path: str) -> str:
    """Delete a file."""
    return f"deleted {path}"


DELETE: Final = (reply(calls=[call("delete", path="/x")]), "done")


async def test_a_failing_gate_denies_the_call_and_the_turn_goes_on() -> None:
    """
    A guard that broke must not have opened the door.
    """

    async def gate(self: Plugin, ctx: Any) -> None:
        raise ValueError("broken")

    async with opened(plugin("guard", decide_tool=gate), script=DELETE, tools=[delete]) as session:
        turn = await session.run("clean up")
    (record,) = turn.tool_calls

    assert isinstance(record.outcome, Failure)
    assert ("permission_denied", "guard") == (record.outcome.reason, record.decided)
    assert "done" == turn.text


@pytest.mark.parametrize(
    ("approval", "allowed"),
    [(Allow(), True), (Deny(reason="no"), False), (Ask(), False), (None, False)],
)
async def test_a_call_that_is_asked_about_needs_an_allow(approval: Any, allowed: bool) -> None:
    """
    Nobody's answer, or another question, is a no.
    """
    async with opened(
        plugin("asks", decide_tool=lambda self, ctx: Ask(question="really?")),
        plugin("person", decide_approval=lambda self, ctx: approval),
        script=DELETE,
        tools=[delete],
    ) as session:
        turn = await session.run("clean up")

    assert allowed is isinstance(turn.tool_calls[0].outcome, Success)


async def test_a_gates_abort_ends_the_turn() -> None:
    """
    Unlike a denial, the model isn't asked again.
    """
    async with opened(
        plugin("guard", decide_tool=lambda self, ctx: Abort(code="police", reason="stop")),
        script=DELETE,
        tools=[delete],
    ) as session:
        turn = await session.run("clean up")

    assert Stopped(reason="plugin_abort", code="police", message="stop") == turn.outcome
    assert turn.committed


async def test_a_gate_on_spending_stops_the_turn_before_the_model_is_asked() -> None:
    """
    No money, no call; the turn is committed with the reason "budget".
    """
    model = ScriptedModel(["never said"])
    made = plugin("purse", decide_spend=lambda self, ctx: Deny(reason="empty"))
    async with opened(made) as session:
        turn = await session.run("hello", model=model)

    assert Stopped(reason="budget", code="budget", message="empty") == turn.outcome
    assert 0 == model.calls


# --- being cancelled ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "hook", ["before_turn", "after_turn", "at_checkpoint", "transform_context"]
)
async def test_a_cancelled_turn_cancels_the_hook_that_runs(hook: str) -> None:
    """
    A hook that hangs can't hold a session, and no task of it is left over.
    """
    cancelled: list[str] = []
    started = asyncio.Event()

    async def hang(self: Plugin, ctx: Any, value: Any = None) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(hook)
            raise

    async def hang_plain(self: Plugin, ctx: Any) -> None:
        await hang(self, ctx)

    async def hang_value(self: Plugin, ctx: Any, value: Any) -> None:
        await hang(self, ctx)

    hanging = hang_value if HOOKS[hook].kind == "transform" else hang_plain
    async with opened(plugin("slow", **{hook: hanging}), script=["hi", "hi"]) as session:
        before = len(asyncio.all_tasks())
        task = asyncio.create_task(session.run("hello"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert [hook] == cancelled
        assert before == len(asyncio.all_tasks())
        assert 1 == session.revision


def test_a_fault_of_a_plugin_without_source_has_no_line() -> None:
    """
    Compiled functions fail as well; their blame just names less.
    """
    from lash_sdk.plugins.faults import blame
    from lash_sdk.plugins.registered import register

    owner = register(type("Fast", (Plugin,), {}))
    fault = blame(owner, "on_usage", len, TypeError("no"))

    assert "" == fault.where
    assert "plugin 'fast' 0 failed in on_usage: TypeError: no" == str(fault)


def test_contexts_without_a_session_are_small() -> None:
    """
    The plan reads two things of a context; a fake with these is enough.
    """
    found = registry(plugin("a", provide_tools=lambda self, ctx: [1]))
    ctx = context(found)
    fake = SimpleNamespace(scope=ctx.scope, session_id="s")

    assert [1] == [value for _plugin, values in found.plans.provide_tools(fake) for value in values]


def test_hooks_are_reexported_for_authors() -> None:
    """
    `from lash_sdk import hooks` is the one import an author needs for marks.
    """
    assert HOOKS is hooks.HOOKS
    assert SessionContext.__name__ == HOOKS["provide_tools"].context
