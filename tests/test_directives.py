"""
Directives: what a hook may ask for, what comes of it, and what its fault does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from lash_sdk import Plugin
from lash_sdk.errors import LashError, ModelError, PluginFault
from lash_sdk.events import PluginEmitted, PluginFailed, SessionEvent
from lash_sdk.hooks import (
    HOOKS,
    AbortTurn,
    CreateSession,
    Directive,
    EmitEvents,
    EmitTrace,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
)
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Message, Text, ToolCall, assistant, note, user
from lash_sdk.outcomes import Cancelled, Failure, Finished, Stopped, Success, ToolOutcome
from lash_sdk.policy import Limits
from lash_sdk.session import Session, TurnRecord
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool

from .hooking import opened, plugin

ran: list[str] = []


@tool
async def echo(text: str) -> str:
    """Say it again."""
    ran.append(text)
    return text


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


SCRIPT: Final = (reply(calls=[call("echo", text="a")]), "done", "more", "more")


def told(turn: TurnRecord) -> list[str]:
    """Return a turn's messages, each with who says it."""
    lines = []
    for message in turn.messages:
        text = " ".join(result.text for result in message.results) or message.text
        lines.append(f"{message.role}: {text}" if text else f"{message.role} calls")
    return lines


def once(*directives: Directive) -> Callable[[Plugin, Any], list[Directive]]:
    """Return a hook that asks for *directives* the first time only."""
    waiting = [list(directives)]

    def hook(self: Plugin, ctx: Any) -> list[Directive]:
        return waiting.pop() if waiting else []

    return hook


# --- each directive at each hook -----------------------------------------------------------

ASKED: Final[dict[str, Directive]] = {
    "abort": AbortTurn(code="stop", message="enough"),
    "enqueue": EnqueueMessages(messages=(note("hello"),)),
    "create": CreateSession(request={}),
    "replace": ReplaceToolArgs(arguments={"text": "b"}),
    "short": ShortCircuitTool(outcome=Success(value="short")),
    "events": EmitEvents(events=(("shown", 1),)),
    "trace": EmitTrace(name="step", payload=2),
}
PLAIN: Final = ["user: go", "assistant calls", "tool: a", "assistant: done"]
ILLEGAL: Final = "isn't legal here"
NEEDS: Final = "lifecycle is unavailable; install lash-sessions"
SHOWN: Final = ("p", "shown", 1)
TRACED: Final = ("p", "plugin.p.step", 2)

CELLS: Final[dict[tuple[str, str], Any]] = {
    ("before_turn", "abort"): Stopped(reason="plugin_abort", code="stop", message="enough"),
    ("before_turn", "enqueue"): [PLAIN[0], "system: hello", *PLAIN[1:]],
    ("before_turn", "create"): NEEDS,
    ("before_turn", "replace"): ILLEGAL,
    ("before_turn", "short"): ILLEGAL,
    ("before_turn", "events"): SHOWN,
    ("before_turn", "trace"): TRACED,
    ("at_checkpoint", "abort"): Stopped(reason="runtime_error", code="stop", message="enough"),
    ("at_checkpoint", "enqueue"): [*PLAIN[:3], "system: hello", PLAIN[3]],
    ("at_checkpoint", "create"): ("plugin_checkpoint", NEEDS),
    ("at_checkpoint", "replace"): ("plugin_checkpoint", ILLEGAL),
    ("at_checkpoint", "short"): ("plugin_checkpoint", ILLEGAL),
    ("at_checkpoint", "events"): SHOWN,
    ("at_checkpoint", "trace"): TRACED,
    ("before_tool", "abort"): ("stop", "enough", False),
    ("before_tool", "enqueue"): ("before_tool_call_failed", ILLEGAL, False),
    ("before_tool", "create"): ("before_tool_call_failed", NEEDS, False),
    ("before_tool", "replace"): [*PLAIN[:2], "tool: b", PLAIN[3]],
    ("before_tool", "short"): [*PLAIN[:2], "tool: short", PLAIN[3]],
    ("before_tool", "events"): SHOWN,
    ("before_tool", "trace"): TRACED,
    ("after_tool", "abort"): ("stop", "enough", True),
    ("after_tool", "enqueue"): [*PLAIN[:3], "system: hello", PLAIN[3]],
    ("after_tool", "create"): ("after_tool_call_failed", NEEDS, True),
    ("after_tool", "replace"): ("after_tool_call_failed", ILLEGAL, True),
    ("after_tool", "short"): [*PLAIN[:2], "tool: short", PLAIN[3]],
    ("after_tool", "events"): SHOWN,
    ("after_tool", "trace"): TRACED,
    ("after_turn", "abort"): ILLEGAL,
    ("after_turn", "enqueue"): [*PLAIN, "system: hello"],
    ("after_turn", "create"): NEEDS,
    ("after_turn", "replace"): ILLEGAL,
    ("after_turn", "short"): ILLEGAL,
    ("after_turn", "events"): SHOWN,
    ("after_turn", "trace"): TRACED,
}
"""What comes of it: an outcome, a history, an event, a failed call, or a fault."""


def test_every_cell_is_in_the_table() -> None:
    """
    A directive or hook more is a row or column more.
    """
    hooks = ("before_turn", "at_checkpoint", "before_tool", "after_tool", "after_turn")

    assert {(hook, name) for hook in hooks for name in ASKED} == set(CELLS)
    assert set(Directive.__args__) == {type(each) for each in ASKED.values()}


@pytest.mark.parametrize(("hook", "name"), CELLS)
async def test_a_directive_at_a_hook_does_what_the_table_says(hook: str, name: str) -> None:
    """
    Which are legal where is a promise to authors, and to whoever reads a turn.
    """
    seen: list[SessionEvent] = []
    expected = CELLS[hook, name]
    async with opened(plugin("p", **{hook: once(ASKED[name])}), script=SCRIPT, tools=[echo]) as (
        session
    ):
        session.listen(seen.append)
        if isinstance(expected, str):
            with pytest.raises(PluginFault) as caught:
                await session.run("go")

            assert ("p", hook) == (caught.value.plugin, caught.value.hook)
            assert expected in str(caught.value)
            assert 0 == session.revision
            return
        turn = await session.run("go")
    emitted = [(e.plugin, e.name, e.body) for e in seen if isinstance(e, PluginEmitted)]

    match expected:
        case list():
            assert expected == told(turn)
            assert [] == emitted
        case Stopped():
            assert expected == turn.outcome
            assert (expected.reason != "plugin_abort") is turn.committed
        case (code, why):
            assert Stopped(reason="runtime_error", code=code, message=turn.issues[0].message) == (
                turn.outcome
            )
            assert why in turn.issues[0].message
        case (str(code), str(why), bool(called)):
            outcome = turn.tool_calls[0].outcome
            assert isinstance(outcome, Failure)
            assert (code, "plugin") == (outcome.code, outcome.source)
            assert why in outcome.message
            assert called is bool(ran)
            assert "done" == turn.text
        case _:
            assert [expected] == emitted
            assert PLAIN == told(turn)


# --- what holds besides the table -----------------------------------------------------------


async def test_a_refused_turn_keeps_nothing_and_has_no_after_turn() -> None:
    """
    The record says what would have been; the session doesn't know of it.
    """
    called: list[str] = []
    store = MemoryStore()
    async with opened(
        plugin(
            "p",
            before_turn=once(AbortTurn(code="stop", message="enough")),
            after_turn=lambda self, ctx: called.append("after_turn"),
            on_turn_committed=lambda self, ctx: called.append("on_turn_committed"),
        ),
        store=store,
        script=["never said", "never said"],
    ) as session:
        turn = await session.run("go")

        assert (False, 1, 0) == (turn.committed, turn.index, turn.revision)
        assert ["stop"] == [issue.code for issue in turn.issues if issue.kind == "plugin"]
        assert (0, (), 0) == (session.revision, session.messages, session.usage().total)
        assert None is await store.head("s")
        assert [] == called
        assert "never said" == (await session.run("go")).text


async def test_of_two_aborts_the_last_counts_and_the_rest_applies_all_the_same() -> None:
    """
    An abort isn't a return: whoever comes later was asked before.
    """
    seen: list[SessionEvent] = []
    first = once(AbortTurn(code="first", message="1"), EmitTrace(name="still"))
    async with opened(
        plugin("a", before_turn=first),
        plugin("b", before_turn=once(AbortTurn(code="second", message="2"))),
    ) as session:
        session.listen(seen.append)
        turn = await session.run("go")

    assert Stopped(reason="plugin_abort", code="second", message="2") == turn.outcome
    assert ["plugin.a.still"] == [e.name for e in seen if isinstance(e, PluginEmitted)]


async def test_directives_before_an_illegal_one_stay_applied() -> None:
    """
    Application isn't a transaction; an event that was seen was seen.
    """
    seen: list[SessionEvent] = []
    asked = once(EmitTrace(name="before"), ReplaceToolArgs(arguments={}), EmitTrace(name="after"))
    async with opened(plugin("a", before_turn=asked)) as session:
        session.listen(seen.append)
        with pytest.raises(PluginFault):
            await session.run("go")

    assert ["plugin.a.before"] == [e.name for e in seen if isinstance(e, PluginEmitted)]


@pytest.mark.parametrize("hook", ["before_turn", "at_checkpoint", "after_tool", "after_turn"])
async def test_plugins_speak_as_user_or_system_and_never_as_the_assistant(hook: str) -> None:
    """
    Words in the model's mouth would be believed by the model.
    """
    messages = (assistant("I agree"), note("noted"), user("asked"))
    asked = once(EnqueueMessages(messages=messages))
    async with opened(plugin("p", **{hook: asked}), script=SCRIPT, tools=[echo]) as session:
        await session.run("go")
        said = [message for message in session.messages if message.origin]

    assert [("system", "noted", "p"), ("user", "asked", "p")] == [
        (message.role, message.text, message.origin) for message in said
    ]


async def test_an_assistants_message_alone_does_not_keep_a_turn_alive() -> None:
    """
    A checkpoint that adds nothing lets the turn end.
    """
    asked = once(EnqueueMessages(messages=(assistant("I agree"),)))
    model = ScriptedModel(["done", "never said"])
    async with opened(plugin("p", at_checkpoint=asked)) as session:
        turn = await session.run("go", model=model)

    assert ("done", 1) == (turn.text, model.calls)


async def test_a_message_before_completion_is_answered_before_the_turn_ends() -> None:
    """
    What a plugin adds at the end is input like any other.
    """
    asked = once(EnqueueMessages(messages=(note("check it"),)))
    async with opened(plugin("p", at_checkpoint=asked), script=["done", "checked"]) as session:
        turn = await session.run("go")

    assert ["user: go", "assistant: done", "system: check it", "assistant: checked"] == told(turn)


async def test_the_checkpoints_of_a_turn_are_named() -> None:
    """
    A hook can tell work in between from the end.
    """
    seen: list[str] = []

    def note_it(self: Plugin, ctx: Any) -> None:
        seen.append(f"{ctx.checkpoint} {len(ctx.records)}")

    async with opened(plugin("p", at_checkpoint=note_it), script=SCRIPT, tools=[echo]) as session:
        await session.run("go")

    assert ["after_work 1", "before_completion 1"] == seen


BAD: Final[dict[str, Any]] = {
    "an event that isn't JSON": EmitEvents(events=(("shown", object()),)),  # type: ignore[arg-type]
    "events that are none": EmitEvents(events=3),  # type: ignore[arg-type]
    "a trace that isn't JSON": EmitTrace(name="x", payload={1, 2}),  # type: ignore[arg-type]
    "something else": "abort",
}
WORSE: Final[dict[str, Any]] = {
    **BAD,
    "a message that isn't one": EnqueueMessages(messages=("hello",)),  # type: ignore[arg-type]
    "a message with calls": EnqueueMessages(
        messages=(Message(role="user", parts=(ToolCall(id="", name="x", arguments="{}"),)),)
    ),
}


@pytest.mark.parametrize("hook", ["before_turn", "after_turn"])
@pytest.mark.parametrize("what", WORSE)
async def test_a_directive_that_holds_nonsense_is_blamed_on_its_plugin(
    hook: str, what: str
) -> None:
    """
    The turn is given up, and the message says whose doing that is.
    """
    async with opened(plugin("p", **{hook: once(WORSE[what])}), script=["a", "b"]) as session:
        with pytest.raises(PluginFault) as caught:
            await session.run("go")

        assert ("p", hook) == (caught.value.plugin, caught.value.hook)
        assert "b" == (await session.run("go")).text or hook == "before_turn"


@pytest.mark.parametrize("what", WORSE)
async def test_nonsense_at_a_checkpoint_ends_the_turn_and_keeps_it(what: str) -> None:
    """
    What was said so far is committed, with whose fault it was.
    """
    async with opened(plugin("p", at_checkpoint=once(WORSE[what]))) as session:
        turn = await session.run("go")

    assert isinstance(turn.outcome, Stopped)
    assert ("runtime_error", "plugin_checkpoint") == (turn.outcome.reason, turn.outcome.code)
    assert "plugin 'p' 1 failed in at_checkpoint" in turn.outcome.message


ARGUMENTS: Final[dict[str, Any]] = {
    "arguments that aren't JSON": ReplaceToolArgs(arguments={"text": object()}),  # type: ignore[dict-item]
    "arguments that are no table": ReplaceToolArgs(arguments="text"),  # type: ignore[arg-type]
    "an outcome that's none": ShortCircuitTool(outcome="done"),  # type: ignore[arg-type]
    "a value that isn't JSON": ShortCircuitTool(outcome=Success(value=object())),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(
    ("hook", "what"),
    [("before_tool", what) for what in (*BAD, *ARGUMENTS)]
    + [("after_tool", what) for what in (*WORSE, *list(ARGUMENTS)[2:])],
)
async def test_nonsense_around_a_call_fails_that_call_alone(hook: str, what: str) -> None:
    """
    The model reads which plugin failed; the turn goes on.
    """
    asked = {**WORSE, **ARGUMENTS}[what]
    async with opened(plugin("p", **{hook: once(asked)}), script=SCRIPT, tools=[echo]) as session:
        turn = await session.run("go")
    (record,) = turn.tool_calls

    assert isinstance(record.outcome, Failure)
    assert (f"{hook}_call_failed", "plugin") == (record.outcome.code, record.outcome.source)
    assert f"plugin 'p' 1 failed in {hook}" in record.outcome.message
    assert "done" == turn.text
    assert [f"{hook}_call_failed"] == [issue.code for issue in turn.issues]


# --- before_tool and after_tool: a lattice ----------------------------------------------------

ABORT: Final = AbortTurn(code="abort", message="no")
FAILED: Final = ShortCircuitTool(
    outcome=Failure(reason="permission_denied", code="failed", message="no")
)
GIVEN_UP: Final = ShortCircuitTool(outcome=Cancelled(message="given up"))
DONE: Final = ShortCircuitTool(outcome=Success(value="short"))
STRENGTH: Final[list[tuple[Directive, int, str]]] = [
    (DONE, 1, "short"),
    (FAILED, 2, "failed"),
    (GIVEN_UP, 2, "given up"),
    (ABORT, 3, "abort"),
]


def word(outcome: ToolOutcome) -> Any:
    match outcome:
        case Success():
            return outcome.value
        case Failure():
            return outcome.code
        case Cancelled():
            return outcome.message


@pytest.mark.parametrize("hook", ["before_tool", "after_tool"])
@pytest.mark.parametrize("first", STRENGTH)
@pytest.mark.parametrize("second", STRENGTH)
async def test_a_weaker_answer_never_undoes_a_stronger_one(
    hook: str, first: tuple[Directive, int, str], second: tuple[Directive, int, str]
) -> None:
    """
    A denial stays one, whatever a later plugin would put in its place.
    """
    async with opened(
        plugin("a", **{hook: once(first[0])}),
        plugin("b", **{hook: once(second[0])}),
        script=SCRIPT,
        tools=[echo],
    ) as session:
        turn = await session.run("go")
    (record,) = turn.tool_calls
    last = second if second[1] >= first[1] else first

    assert last[2] == word(record.outcome)
    assert (hook == "after_tool") is bool(ran)
    if hook == "before_tool":
        assert ("b" if last is second else "a") == record.decided
        assert 0.0 == record.seconds


async def test_a_call_answered_in_the_tools_place_has_no_gate_and_no_after_hook() -> None:
    """
    There's no call that they could be about.
    """
    called: list[str] = []
    async with opened(
        plugin(
            "p",
            before_tool=once(DONE),
            decide_tool=lambda self, ctx: called.append("decide_tool"),
            after_tool=lambda self, ctx: called.append("after_tool"),
        ),
        script=SCRIPT,
        tools=[echo],
    ) as session:
        turn = await session.run("go")

    assert [] == called == ran
    assert "short" == word(turn.tool_calls[0].outcome)


async def test_replaced_arguments_are_what_is_checked_made_and_recorded() -> None:
    """
    Gates and hooks see them as well: nobody looks at what isn't done.
    """
    seen: list[Any] = []

    def look(self: Plugin, ctx: Any) -> None:
        seen.append(dict(ctx.arguments))

    async with opened(
        plugin("a", before_tool=once(ReplaceToolArgs(arguments={"text": "b"}))),
        plugin("b", before_tool=look, decide_tool=look, after_tool=look),
        script=SCRIPT,
        tools=[echo],
    ) as session:
        turn = await session.run("go")

    assert [{"text": "b"}] * 3 == seen
    assert ["b"] == ran
    assert {"text": "b"} == turn.tool_calls[0].arguments


async def test_replaced_arguments_are_validated_like_the_models() -> None:
    """
    A plugin can't hand a tool what its schema refuses.
    """
    asked = once(ReplaceToolArgs(arguments={"text": 3}))
    async with opened(plugin("p", before_tool=asked), script=SCRIPT, tools=[echo]) as session:
        turn = await session.run("go")
    outcome = turn.tool_calls[0].outcome

    assert isinstance(outcome, Failure)
    assert "invalid_tool_args" == outcome.code
    assert [] == ran


async def test_a_replacement_is_shown_to_the_hooks_before_it_once() -> None:
    """
    Else a policy could be got round by whoever comes after it.
    """
    seen: list[str] = []

    def guards(name: str) -> Any:
        def look(self: Plugin, ctx: Any) -> list[Directive]:
            text = ctx.arguments["text"]
            seen.append(f"{name} {text}")
            return [FAILED] if text == "secret" else []

        return plugin(name, before_tool=look)

    swap = plugin("m", before_tool=once(ReplaceToolArgs(arguments={"text": "secret"})))
    async with opened(
        guards("a"), guards("b"), swap, guards("z"), script=SCRIPT, tools=[echo]
    ) as session:
        turn = await session.run("go")

    assert ["a a", "b a", "a secret", "b secret", "z secret"] == seen
    assert "failed" == word(turn.tool_calls[0].outcome)
    assert [] == ran


async def test_a_denial_of_the_first_arguments_outlives_their_replacement() -> None:
    """
    Permission that was refused once isn't won back with other arguments.
    """

    def look(self: Plugin, ctx: Any) -> list[Directive]:
        return [FAILED] if ctx.arguments["text"] == "a" else [DONE]

    async with opened(
        plugin("a", before_tool=look),
        plugin("b", before_tool=once(ReplaceToolArgs(arguments={"text": "fine"}))),
        script=SCRIPT,
        tools=[echo],
    ) as session:
        turn = await session.run("go")

    assert "failed" == word(turn.tool_calls[0].outcome)
    assert [] == ran


@pytest.mark.parametrize("where", ["one plugin", "a later plugin", "the second look"])
async def test_a_second_replacement_is_an_error_of_who_makes_it(where: str) -> None:
    """
    Two that disagree would go round in circles.
    """

    def swap(self: Plugin, ctx: Any) -> list[Directive]:
        return [ReplaceToolArgs(arguments={"text": ctx.arguments["text"] + "!"})]

    def answer(self: Plugin, ctx: Any) -> list[Directive]:
        return swap(self, ctx) if ctx.arguments["text"] == "a!" else []

    plugins = {
        "one plugin": [
            plugin("a", before_tool=lambda self, ctx: swap(self, ctx) + swap(self, ctx))
        ],
        "a later plugin": [
            plugin("z", before_tool=swap),
            plugin("a", before_tool=lambda self, ctx: swap(self, ctx)),
        ],
        "the second look": [plugin("a", before_tool=answer), plugin("z", before_tool=swap)],
    }[where]
    async with opened(*plugins, script=SCRIPT, tools=[echo]) as session:
        turn = await session.run("go")
    outcome = turn.tool_calls[0].outcome
    guilty = "z" if where == "a later plugin" else "a"

    assert isinstance(outcome, Failure)
    assert "before_tool_call_failed" == outcome.code
    assert "a second replacement of arguments" in outcome.message
    assert f"plugin '{guilty}'" in outcome.message
    assert [] == ran


@pytest.mark.parametrize("hook", ["before_turn", "at_checkpoint", "before_tool", "after_tool"])
async def test_an_illegal_directive_is_a_fault_that_on_fault_hears_of(hook: str) -> None:
    """
    It's a defect of the plugin as much as an exception would be.
    """
    heard: list[tuple[str, str]] = []

    def hear(self: Plugin, ctx: Any) -> None:
        heard.append((ctx.fault.plugin, ctx.fault.hook))

    wrong: Any = "abort"
    broken = plugin("p", **{hook: once(wrong)})
    async with opened(broken, plugin("q", on_fault=hear), script=SCRIPT, tools=[echo]) as session:
        try:
            await session.run("go")
        except PluginFault:
            assert "before_turn" == hook

        assert [("p", hook)] == heard


# --- what a fault does, hook by hook -----------------------------------------------------------


def breaks(self: Plugin, ctx: Any) -> Any:
    raise ValueError("broken")


def breaks_value(self: Plugin, ctx: Any, value: Any) -> Any:
    raise ValueError("broken")


def breaks_around(self: Plugin, ctx: Any, call_next: Any) -> Any:
    raise ValueError("broken")


BROKEN: Final = {"transform": breaks_value, "wrap": breaks_around}
"""By kind; the others take their context alone."""


async def faulty(hook: str) -> tuple[Session, TurnRecord | LashError, list[SessionEvent]]:
    """Return a session, how its turn ended, and what was seen, with a broken *hook*."""
    seen: list[SessionEvent] = []
    broken = plugin("p", **{hook: BROKEN.get(HOOKS[hook].kind, breaks)})
    async with opened(broken, script=SCRIPT, tools=[echo]) as session:
        session.listen(seen.append)
        try:
            return session, await session.run("go"), seen
        except LashError as error:
            return session, error, seen


RAISING: Final = (
    "before_turn",
    "after_turn",
    "transform_context",
    "provide_commit",
    "around_turn",
    "around_commit",
)


@pytest.mark.parametrize("hook", RAISING)
async def test_a_fault_of_these_raises_and_nothing_is_kept(hook: str) -> None:
    """
    The turn can't be trusted without them; the session is as it was.
    """
    session, error, _seen = await faulty(hook)

    assert isinstance(error, PluginFault)
    assert ("p", hook) == (error.plugin, error.hook)
    assert isinstance(error.__cause__, ValueError)
    assert (0, ()) == (session.revision, session.messages)


async def test_a_fault_of_transform_context_in_mid_turn_keeps_what_was_done() -> None:
    """
    A tool has run by then, and history must say so.
    """

    def later(self: Plugin, ctx: Any, value: Any) -> None:
        if ctx.records or len(ctx.messages) > 1:
            raise ValueError("broken")

    async with opened(plugin("p", transform_context=later), script=SCRIPT, tools=[echo]) as session:
        turn = await session.run("go")

    assert isinstance(turn.outcome, Stopped)
    assert "runtime_error" == turn.outcome.reason
    assert PLAIN[:3] == told(turn)
    assert 1 == turn.revision


async def test_a_fault_of_a_tool_provider_in_mid_turn_is_named() -> None:
    """
    Which tools there are is unknown, so that the model can't be asked.
    """
    asked: list[int] = []

    def later(self: Plugin, ctx: Any) -> list[Any]:
        asked.append(1)
        if len(asked) > 1:
            raise ValueError("broken")
        return []

    async with opened(plugin("p", provide_tools=later)) as session:
        with pytest.raises(PluginFault) as caught:
            await session.run("go")

    assert ("p", "provide_tools") == (caught.value.plugin, caught.value.hook)


@pytest.mark.parametrize(
    "hook", ["provide_prompt", "on_usage", "on_event", "on_turn_committed", "on_session_opened"]
)
async def test_a_fault_of_these_is_reported_and_the_turn_goes_on(hook: str) -> None:
    """
    Nothing depends on them; they're reported all the same.
    """
    _session, turn, seen = await faulty(hook)
    failed = {event.hook for event in seen if isinstance(event, PluginFailed)}

    assert isinstance(turn, TurnRecord)
    assert "done" == turn.text
    assert {hook} - {"on_session_opened"} <= failed


async def test_one_failing_event_hook_does_not_stop_the_others() -> None:
    """
    Whoever listens beside it hears everything.
    """
    heard: list[str] = []

    def hear(self: Plugin, ctx: Any) -> None:
        heard.append(type(ctx.event).__name__)

    async with opened(plugin("a", on_event=breaks), plugin("b", on_event=hear)) as session:
        await session.run("go")

    assert ["TurnStarted", "TurnEnded"] == [heard[0], heard[-1]]


async def test_one_failing_policy_transform_leaves_the_policy_of_the_one_before() -> None:
    """
    The last good value goes on to the next.
    """

    def limit(self: Plugin, ctx: Any, value: Any) -> Any:
        return value.with_overrides(limits=Limits(iterations=3))

    seen: list[Any] = []

    def look(self: Plugin, ctx: Any, value: Any) -> None:
        seen.append(value.limits.iterations)

    async with opened(
        plugin("a", transform_policy=limit),
        plugin("b", transform_policy=breaks_value),
        plugin("c", transform_policy=look),
    ) as session:
        policy = await session.configure(instructions="be brief")

    assert [3] == seen
    assert ("be brief", 3) == (policy.instructions, policy.limits.iterations)


async def test_a_fault_at_a_checkpoint_ends_the_turn_and_keeps_it() -> None:
    """
    The code says that it was a plugin, the message which.
    """
    _session, turn, _seen = await faulty("at_checkpoint")

    assert isinstance(turn, TurnRecord)
    assert isinstance(turn.outcome, Stopped)
    assert ("runtime_error", "plugin_checkpoint") == (turn.outcome.reason, turn.outcome.code)
    assert turn.committed
    assert PLAIN[:3] == told(turn)


@pytest.mark.parametrize(
    ("hook", "code", "called"),
    [
        ("before_tool", "before_tool_call_failed", False),
        ("after_tool", "after_tool_call_failed", True),
        ("around_tool", "around_tool_failed", False),
        ("decide_tool", "tool_denied", False),
    ],
)
async def test_a_fault_around_a_call_is_the_calls_outcome(
    hook: str, code: str, called: bool
) -> None:
    """
    The model is told, the turn goes on, and the record says what happened.
    """
    _session, turn, seen = await faulty(hook)
    assert isinstance(turn, TurnRecord)
    outcome = turn.tool_calls[0].outcome

    assert isinstance(outcome, Failure)
    assert code == outcome.code
    assert called is bool(ran)
    assert "done" == turn.text
    assert [hook] == [event.hook for event in seen if isinstance(event, PluginFailed)]


@pytest.mark.parametrize(
    "hook", ["transform_request", "transform_chunk", "transform_response", "around_model"]
)
async def test_a_fault_around_a_model_call_is_not_tried_again(hook: str) -> None:
    """
    The provider is well; asking it again would only cost.
    """
    model = ScriptedModel(["hi", "hi", "hi"])
    async with opened(plugin("p", **{hook: BROKEN[HOOKS[hook].kind]})) as session:
        with pytest.raises(ModelError) as caught:
            await session.run("go", model=model)

    assert f"plugin_{hook}" == caught.value.code
    assert model.calls <= 1
    assert isinstance(caught.value.turn, TurnRecord)
    assert 1 == session.revision


async def test_a_failing_projector_is_what_the_model_reads_and_the_record_keeps_the_value() -> None:
    """
    The call went well; only showing it didn't.
    """

    def projector(self: Plugin, ctx: Any) -> Any:
        def show(name: str, outcome: ToolOutcome) -> Any:
            raise ValueError("broken")

        return show

    async with opened(
        plugin("p", tool_projector=projector), script=SCRIPT, tools=[echo]
    ) as session:
        turn = await session.run("go")

    assert Success(value="a") == turn.tool_calls[0].outcome
    assert "tool: [failed: projector] ValueError: broken" == told(turn)[2]
    assert ["tool_projector"] == [issue.code for issue in turn.issues]


async def test_a_projector_changes_what_the_model_sees_and_not_the_record() -> None:
    """
    Raw is kept, shown is short.
    """

    def projector(self: Plugin, ctx: Any) -> Any:
        return lambda name, outcome: (Text(text=f"{name} is done"),)

    async with opened(
        plugin("p", tool_projector=projector), script=SCRIPT, tools=[echo]
    ) as session:
        turn = await session.run("go")

    assert Success(value="a") == turn.tool_calls[0].outcome
    assert "tool: echo is done" == told(turn)[2]
    assert isinstance(turn.outcome, Finished)
