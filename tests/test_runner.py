"""
The loop of a turn: what it asks a model, and what becomes of each answer.

Waits between attempts come from `after`, so that no test waits for real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from lash_sdk import Lash, Limits, Plugin, Usage, hooks, tool
from lash_sdk import events as facts
from lash_sdk.contexts import (
    EventContext,
    ModelContext,
    PromptContext,
    SessionContext,
    ToolContext,
    TurnContext,
    UsageContext,
)
from lash_sdk.errors import ContextOverflow, ModelError, PluginFault
from lash_sdk.events import (
    AnswerRetracted,
    ModelStarted,
    PluginEmitted,
    PluginFailed,
    ReasoningDelta,
    RetryWaiting,
    SessionEvent,
    TextDelta,
    TurnEnded,
    UsageAdded,
)
from lash_sdk.graph import Graph, History, check_pairs
from lash_sdk.hooks import (
    AbortTurn,
    Allow,
    Ask,
    CreateSession,
    Decision,
    Deny,
    Directive,
    EmitEvents,
    EmitTrace,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
)
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Image, Message, Reasoning, Text, ToolCall, note, user
from lash_sdk.outcomes import Finished, Stopped, Success
from lash_sdk.policy import Retry
from lash_sdk.ports import Chunk, Emit, Finish, ModelAnswer, ModelRequest
from lash_sdk.prompt import PromptPart
from lash_sdk.session import TurnRecord
from lash_sdk.testing import ScriptedModel, call, failure, reply
from lash_sdk.tools import Tool
from lash_sdk.usage import UsageRow


def app(*script: Any, **options: Any) -> Lash:
    return Lash(model=ScriptedModel(script), autoload=False, **options)


async def played(*script: Any, **options: Any) -> tuple[TurnRecord, list[SessionEvent]]:
    """Return one turn, also if its model fails, and what was heard of it."""
    heard: list[SessionEvent] = []
    async with app(*script, **options) as lash:
        session = await lash.session("s")
        session.listen(heard.append)
        try:
            turn = await session.run("go")
        except ModelError as error:
            assert isinstance(error.turn, TurnRecord)
            turn = error.turn
        check_pairs(session.messages)
        assert turn.committed
        assert 1 == session.revision
        return turn, heard


def stop_of(turn: TurnRecord) -> Stopped:
    assert isinstance(turn.outcome, Stopped)
    return turn.outcome


@tool
async def step() -> str:
    """Take a step."""
    return "ok"


STEP = reply(calls=[call("step")], usage=Usage(input=3, output=2))


class Drips:
    """A model that streams pieces, then answers with what it's told."""

    name = "drips"
    window = None

    def __init__(self, pieces: list[Chunk], answer: ModelAnswer) -> None:
        self._pieces = pieces
        self._answer = answer

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        for piece in self._pieces:
            emit(piece)
            await asyncio.sleep(0)
        return self._answer

    async def close(self) -> None: ...


async def dripped(
    pieces: list[Chunk], answer: ModelAnswer
) -> tuple[TurnRecord, list[SessionEvent]]:
    heard: list[SessionEvent] = []
    async with Lash(model=Drips(pieces, answer), autoload=False) as lash:
        session = await lash.session("s")
        session.listen(heard.append)
        return await session.run("go"), heard


# --- streaming -----------------------------------------------------------------


async def test_pieces_are_heard_in_the_order_they_come() -> None:
    """
    Thoughts and words each as what they are, under one key.
    """
    pieces = [Chunk(text="hm", reasoning=True), Chunk(text="Hel"), Chunk(text=""), Chunk(text="lo")]
    answer = ModelAnswer(parts=(Reasoning(text="hm"), Text(text="Hello")), usage=Usage(output=1))
    turn, heard = await dripped(pieces, answer)

    deltas = [e for e in heard if isinstance(e, (TextDelta, ReasoningDelta))]
    assert [(ReasoningDelta, "hm"), (TextDelta, "Hel"), (TextDelta, "lo")] == [
        (type(e), e.text) for e in deltas
    ]
    assert 1 == len({event.key for event in deltas})
    assert "Hello" == turn.text


async def test_an_answer_that_was_only_streamed_is_not_lost() -> None:
    """
    Some providers end their stream with an empty message.
    """
    pieces = [Chunk(text="hm", reasoning=True), Chunk(text="Hel"), Chunk(text="lo")]
    turn, _ = await dripped(pieces, ModelAnswer(parts=(), usage=None))

    assert "Hello" == turn.text
    assert (Reasoning(text="hm"), Text(text="Hello")) == turn.messages[-1].parts


async def test_words_of_a_failed_attempt_are_not_in_the_answer() -> None:
    """
    The next attempt begins anew, also if all it does is stream.
    """

    class Breaks(Drips):
        async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
            if not heard:
                heard.append("once")
                emit(Chunk(text="Hel"))
                raise ModelError("broken off", retryable=True, after=0.0)
            return await super().answer(request, emit)

    heard: list[str] = []
    model = Breaks([Chunk(text="Bye")], ModelAnswer(parts=()))
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")

        assert "Bye" == (await session.run("go")).text


async def test_streamed_pieces_are_not_said_twice() -> None:
    """
    The final answer is whole; pieces are a preview of it.
    """
    pieces = [Chunk(text="Hello"), Chunk(text="!")]
    turn, _ = await dripped(pieces, ModelAnswer(parts=(Text(text="Hello!"),)))

    assert "Hello!" == turn.text


async def test_the_parts_of_an_answer_keep_their_order() -> None:
    """
    Providers refuse a history in which thoughts and calls changed places.
    """
    parts = (
        Reasoning(text="first", replay={"sig": "a"}),
        ToolCall(id="x", name="step", arguments="{}"),
        Text(text="then"),
        Reasoning(text="second"),
        ToolCall(id="x", name="step", arguments="{ }"),
    )
    turn, _ = await played(
        lambda request: ModelAnswer(parts=parts, finish="tool_use"), "done", tools=[step]
    )

    kept = turn.messages[1].parts
    assert [type(part) for part in parts] == [type(part) for part in kept]
    assert ["{}", "{ }"] == [each.arguments for each in turn.messages[1].calls]
    assert Reasoning(text="first", replay={"sig": "a"}) == kept[0]


# --- retries -------------------------------------------------------------------


async def test_a_failure_that_may_pass_is_tried_again() -> None:
    """
    Whoever watches is told to forget the failed attempt's words, and for how long to wait.
    """
    busy = failure("busy", retryable=True, after=0.001, partial="Hel")
    turn, heard = await played(busy, busy, "Hello")

    told = [
        event
        for event in heard
        if isinstance(event, (ModelStarted, TextDelta, AnswerRetracted, RetryWaiting))
    ]
    assert [
        *(ModelStarted, TextDelta, AnswerRetracted, RetryWaiting) * 2,
        ModelStarted,
        TextDelta,
    ] == [type(event) for event in told]
    assert [1, 2, 3] == [e.attempt for e in told if isinstance(e, ModelStarted)]
    waits = [event for event in told if isinstance(event, RetryWaiting)]
    assert [(0.001, 1, 4, "busy"), (0.001, 2, 4, "busy")] == [
        (e.seconds, e.attempt, e.attempts, e.reason) for e in waits
    ]
    assert 1 == len({event.key for event in told})
    assert "Hello" == turn.text
    assert () == turn.issues


async def test_attempts_have_an_end_and_the_error_says_how_many() -> None:
    """
    The turn is committed with the question, and the session goes on.
    """
    model = ScriptedModel([failure("busy", code="rate", retryable=True, after=0.0)] * 4 + ["hi"])
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        with pytest.raises(ModelError, match=r"busy \(after 4 attempts\)") as caught:
            await session.run("go")
        turn = caught.value.turn
        assert isinstance(turn, TurnRecord)
        assert ("provider_error", "rate") == (stop_of(turn).reason, stop_of(turn).code)
        assert "rate" == caught.value.code
        assert ["rate"] == [issue.code for issue in turn.issues]
        assert 4 == model.calls
        assert (1, ["go"]) == (session.revision, [m.text for m in session.messages])
        assert "hi" == (await session.run("again")).text


@pytest.mark.parametrize(
    ("attempt", "asked", "seconds"),
    [(1, None, 2.0), (2, None, 4.0), (3, None, 8.0), (4, None, 10.0), (1, 0.5, 0.5), (1, 900, 60)],
)
def test_a_wait_is_what_the_provider_asked_for_within_bounds(
    attempt: int, asked: float | None, seconds: float
) -> None:
    """
    An hour's wait is no answer; without a word it doubles up to ten seconds.
    """
    assert seconds == Retry().wait(attempt, asked)


@pytest.mark.parametrize(
    ("failed", "error", "code"),
    [
        (failure("no key", code="auth"), ModelError, "auth"),
        (failure("too long", code="context_overflow"), ContextOverflow, "context_overflow"),
    ],
)
async def test_a_failure_that_will_not_pass_is_not_tried_again(
    failed: Any, error: type[ModelError], code: str
) -> None:
    """
    Asking once more costs time and money, and gets the same answer.
    """
    model = ScriptedModel([failed, "never"])
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        with pytest.raises(error) as caught:
            await session.run("go")

    assert code == caught.value.code
    assert isinstance(caught.value.turn, TurnRecord)
    assert 1 == caught.value.turn.revision
    assert 1 == model.calls


# --- answers that are none -----------------------------------------------------


@pytest.mark.parametrize(
    ("finish", "reason", "raises"),
    [
        ("output_limit", "incomplete", False),
        ("content_filter", "provider_error", True),
        ("cancelled", "cancelled", False),
        ("nonsense", "provider_error", True),
    ],
)
async def test_a_cut_answer_is_not_kept_but_paid(finish: Finish, reason: str, raises: bool) -> None:
    """
    Half an answer in the history would be taken for a whole one.
    """
    cut = reply("Half an ans", finish=finish, usage=Usage(input=4, output=3))
    async with app(cut) as lash:
        session = await lash.session("s")
        try:
            turn = await session.run("go")
            assert not raises
        except ModelError as error:
            assert raises
            assert isinstance(error.turn, TurnRecord)
            turn = error.turn

        assert reason == stop_of(turn).reason
        assert finish == stop_of(turn).code
        assert ["go"] == [message.text for message in session.messages]
        assert 7 == turn.usage.total == session.usage().total


NONSENSE: dict[str, Any] = {
    "nothing": None,
    "a number": 5,
    "a dict": {"text": "hi"},
    "an image": ModelAnswer(parts=(Image.of(b"x"),)),
    "a bare text": ModelAnswer(parts=("hi",)),  # type: ignore[arg-type]
    "no parts": ModelAnswer(parts=None),  # type: ignore[arg-type]
    "text of a number": ModelAnswer(parts=(Text(text=5),)),  # type: ignore[arg-type]
    "thought of nothing": ModelAnswer(parts=(Reasoning(text=None),)),  # type: ignore[arg-type]
    "a call without name": ModelAnswer(parts=(ToolCall(id="", name="", arguments="{}"),)),
    "a call of a number": ModelAnswer(parts=(ToolCall(id="", name=5),)),  # type: ignore[arg-type]
    "arguments as a dict": ModelAnswer(
        parts=(ToolCall(id="", name="step", arguments={}),)  # type: ignore[arg-type]
    ),
    "NaN to replay": ModelAnswer(parts=(Reasoning(text="", replay={"x": float("nan")}),)),
    "a list to replay": ModelAnswer(parts=(Reasoning(text="", replay=[1]),)),  # type: ignore[arg-type]
    "usage as a dict": ModelAnswer(parts=(), usage={"input": 1}),  # type: ignore[arg-type]
    "a number as model": ModelAnswer(parts=(Text(text="x"),), model=5),  # type: ignore[arg-type]
    "a number as finish": ModelAnswer(parts=(Text(text="x"),), finish=5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_a_model_that_answers_nonsense_ends_its_turn_alone(name: str) -> None:
    """
    It's refused where it enters, committed as a provider's failure, and the next turn works.
    """
    async with app(lambda request: NONSENSE[name], "fine", tools=[step]) as lash:
        session = await lash.session("s")
        with pytest.raises(ModelError) as caught:
            await session.run("go")
        turn = caught.value.turn
        assert isinstance(turn, TurnRecord)

        assert "provider_error" == stop_of(turn).reason
        assert ["go"] == [message.text for message in session.messages]
        assert [b""] != [node.data for node in session.graph]
        assert "fine" == (await session.run("more")).text


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), KeyError("k"), OSError("net")])
async def test_a_model_may_raise_anything(error: Exception) -> None:
    """
    A defect in a provider's client is no defect of the session.
    """

    def breaks(request: ModelRequest) -> None:
        raise error

    turn, _ = await played(breaks)

    assert ("provider_error", "model_raised") == (stop_of(turn).reason, stop_of(turn).code)
    assert f"model 'scripted' raised {type(error).__name__}" in stop_of(turn).message


async def test_a_long_error_is_cut() -> None:
    """
    A provider's page of HTML isn't stored whole with every failure.
    """
    turn, _ = await played(failure("x" * 100_000))

    assert 4001 == len(stop_of(turn).message)


async def test_an_empty_answer_is_one_only_after_tools() -> None:
    """
    After a tool there may be nothing to add; otherwise nothing was said at all.
    """
    turn, _ = await played("  ")
    after, _ = await played(STEP, "", tools=[step])

    assert ("provider_error", "empty_response") == (stop_of(turn).reason, stop_of(turn).code)
    assert Finished(text="") == after.outcome
    assert ["user", "assistant", "tool"] == [message.role for message in after.messages]


async def test_a_script_that_is_over_says_so() -> None:
    """
    A test with one reply too few must not look like anything else.
    """
    turn, _ = await played(STEP, tools=[step])

    assert "the script of 'scripted' has 1 entries, this is call 2" in stop_of(turn).message


# --- usage ---------------------------------------------------------------------


async def test_usage_is_the_sum_of_the_calls_and_each_is_a_row() -> None:
    """
    Rows are heard as they come and are in the ledger once.
    """
    rows: list[UsageRow] = []

    class Meter(Plugin):
        @hooks.on_usage
        def hear(self, ctx: UsageContext) -> None:
            rows.append(ctx.row)

    turn, heard = await played(
        STEP, STEP, reply("done", usage=Usage(input=1)), tools=[step], plugins=[Meter]
    )

    assert Usage(input=7, output=4) == turn.usage
    assert 3 == len(rows)
    assert rows == [event.row for event in heard if isinstance(event, UsageAdded)]
    assert 3 == len({row.id for row in rows})
    assert all(row.id.startswith(turn.id) for row in rows)


async def test_usage_that_a_provider_does_not_tell_is_estimated() -> None:
    """
    A bill of nothing would let a budget run on for ever.
    """
    async with app(reply("x" * 400, usage=None)) as lash:
        session = await lash.session("s")
        turn = await session.run("y" * 40)
        (row,) = session.usage().rows

    assert row.estimated
    assert Usage(input=11, output=101) == turn.usage == row.usage


async def test_a_call_that_cost_nothing_makes_no_row() -> None:
    """
    A ledger of zeros tells nobody anything.
    """
    async with app(reply("x", usage=Usage())) as lash:
        session = await lash.session("s")
        await session.run("go")

        assert () == session.usage().rows


async def test_an_answer_that_is_refused_is_paid_all_the_same() -> None:
    """
    Nonsense has its price, and so has an answer that a plugin breaks on.
    """

    class Breaks(Plugin):
        @hooks.transform_response
        async def respond(self, ctx: ModelContext, value: ModelAnswer) -> ModelAnswer:
            raise ValueError("no")

    odd = ModelAnswer(parts=(Image.of(b"x"),), usage=Usage(input=9))
    nonsense, _ = await played(lambda request: odd)
    broken, _ = await played("fine", plugins=[Breaks])

    assert 9 == nonsense.usage.total
    assert 15 == broken.usage.total


# --- hooks around the model ----------------------------------------------------


async def test_hooks_change_what_a_model_is_asked_and_what_it_says() -> None:
    """
    What's stored is what they made of it; what was only shown isn't.
    """
    seen: list[str] = []

    class Mends(Plugin):
        @hooks.transform_context
        async def view(self, ctx: TurnContext, value: History) -> History:
            return History([*value, note("Mind the time.")])

        @hooks.transform_request
        async def ask(self, ctx: ModelContext, value: ModelRequest) -> ModelRequest:
            from dataclasses import replace

            return replace(value, system=f"attempt {ctx.attempt}")

        @hooks.transform_chunk
        def piece(self, ctx: ModelContext, value: Chunk) -> Chunk:
            return Chunk(text=value.text.upper())

        @hooks.transform_response
        async def respond(self, ctx: ModelContext, value: ModelAnswer) -> ModelAnswer:
            return ModelAnswer(parts=(Text(text="HELLO"),), usage=value.usage)

        @hooks.around_model
        async def around(
            self, ctx: ModelContext, call_next: Callable[[ModelContext], Awaitable[ModelAnswer]]
        ) -> ModelAnswer:
            assert ctx.request is not None
            seen.append(ctx.request.system)
            return await call_next(ctx)

    model = ScriptedModel([failure("busy", retryable=True, after=0.0), "hello"])
    heard: list[SessionEvent] = []
    async with Lash(model=model, plugins=[Mends], autoload=False) as lash:
        session = await lash.session("s")
        session.listen(heard.append)
        turn = await session.run("go")

        assert ["attempt 1", "attempt 2"] == seen == [r.system for r in model.requests]
        assert ["go", "Mind the time."] == [m.text for m in model.requests[0].history]
        assert ["go", "HELLO"] == [m.text for m in session.messages]
    assert "HELLO" == turn.text
    assert ["HELLO"] == [event.text for event in heard if isinstance(event, TextDelta)]


@pytest.mark.parametrize(
    "hook", ["transform_request", "transform_response", "transform_chunk", "around_model"]
)
async def test_a_failing_hook_around_the_model_ends_the_turn_and_is_named(hook: str) -> None:
    """
    It isn't tried again: the plugin would fail again.
    """

    class Breaks(Plugin):
        if hook == "transform_chunk":

            @hooks.transform_chunk
            def chunk(self, ctx: ModelContext, value: Chunk) -> Chunk:
                raise ValueError("oh")

        elif hook == "around_model":

            @hooks.around_model
            async def around(self, ctx: ModelContext, call_next: Any) -> Any:
                raise ValueError("oh")

        else:

            @getattr(hooks, hook)  # type: ignore[untyped-decorator]
            async def breaks(self, ctx: ModelContext, value: Any) -> Any:
                raise ValueError("oh")

    turn, _ = await played("hi", "never", plugins=[Breaks])

    assert ("provider_error", f"plugin_{hook}") == (stop_of(turn).reason, stop_of(turn).code)
    assert "'breaks'" in stop_of(turn).message
    assert "ValueError: oh" in stop_of(turn).message


async def test_a_failing_view_of_the_history_keeps_what_was_done() -> None:
    """
    Before the first answer nothing is lost by raising; after it, a lot.
    """

    class Breaks(Plugin):
        @hooks.transform_context
        async def view(self, ctx: TurnContext, value: History) -> History:
            if len(ctx.messages) in breaks:
                raise ValueError("oh")
            return value

    breaks = {1}
    async with app(plugins=[Breaks]) as lash:
        session = await lash.session("s")
        with pytest.raises(PluginFault):
            await session.run("go")
        assert 0 == session.revision
    breaks = {3}
    turn, _ = await played(STEP, plugins=[Breaks], tools=[step])

    assert ("runtime_error", "context") == (stop_of(turn).reason, stop_of(turn).code)
    assert Success(value="ok") == turn.tool_calls[0].outcome


async def test_a_provider_of_tools_that_fails_midway_keeps_what_was_done() -> None:
    """
    Tools were called and paid for; the turn is committed with them.
    """
    asked = 0

    class Breaks(Plugin):
        @hooks.provide_tools
        def tools(self, ctx: SessionContext) -> list[Tool]:
            nonlocal asked
            asked += 1
            if asked == 3:  # opening, first model call, second
                raise ValueError("oh")
            return [step]

    turn, _ = await played(STEP, "never", plugins=[Breaks])

    assert ("runtime_error", "reconfigure_failed") == (stop_of(turn).reason, stop_of(turn).code)
    assert Success(value="ok") == turn.tool_calls[0].outcome


@pytest.mark.parametrize(
    ("decision", "goes"),
    [(Allow(), True), (None, True), (Deny(reason="broke"), False), (Ask(), False), ("boom", False)],
)
async def test_spending_is_decided_before_each_call(decision: Any, goes: bool) -> None:
    """
    A no ends the turn with everything that was done so far.
    """
    totals: list[int] = []

    class Purse(Plugin):
        @hooks.decide_spend
        async def decide(self, ctx: ModelContext) -> Decision | None:
            totals.append(ctx.usage.total)
            if ctx.iteration == 0:
                return Allow()
            return decision  # type: ignore[no-any-return]

    turn, _ = await played(STEP, "done", plugins=[Purse], tools=[step])

    assert [0, 5] == totals
    if goes:
        assert "done" == turn.text
    else:
        assert ("budget", "budget") == (stop_of(turn).reason, stop_of(turn).code)
        assert ["user", "assistant", "tool"] == [message.role for message in turn.messages]
    if decision == Deny(reason="broke"):
        assert "broke" == stop_of(turn).message


# --- limits --------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "calls"), [(1, 1), (2, 2), (3, 3)])
async def test_a_limit_of_iterations_is_a_limit_of_model_calls(limit: int, calls: int) -> None:
    """
    The tools of the last one are run, and the history says why it ended.
    """
    model = ScriptedModel([STEP] * 9)
    limits = Limits(iterations=limit)
    async with Lash(model=model, tools=[step], limits=limits, autoload=False) as lash:
        session = await lash.session("s")
        turn = await session.run("go")

        assert "max_turns" == stop_of(turn).reason
        assert calls == model.calls == len(turn.tool_calls)
        assert "system" == session.messages[-1].role
        assert f"limit of {limit} model calls" in session.messages[-1].text


async def test_a_message_at_the_limit_gets_one_answer_in_words() -> None:
    """
    Once, so that two plugins can't keep a turn alive for ever.
    """

    class Nags(Plugin):
        @hooks.at_checkpoint
        async def nag(self, ctx: TurnContext) -> list[Directive]:
            if ctx.checkpoint == "before_completion":
                return [EnqueueMessages(messages=(user("And?"),))]
            return []

    model = ScriptedModel(["one", "two", "three"])
    limits = Limits(iterations=1)
    async with Lash(model=model, plugins=[Nags], limits=limits, autoload=False) as lash:
        session = await lash.session("s")
        turn = await session.run("go")

    assert 2 == model.calls
    assert "max_turns" == stop_of(turn).reason
    assert ["go", "one", "And?"] == [m.text for m in model.requests[1].history][:3]
    assert "don't call tools" in model.requests[1].history[-1].text


async def test_a_limit_of_tokens_is_looked_at_before_each_call() -> None:
    """
    A turn may pass it by one call, never by two.
    """
    model = ScriptedModel([STEP] * 9)
    limits = Limits(tokens=10)
    async with Lash(model=model, tools=[step], limits=limits, autoload=False) as lash:
        session = await lash.session("s")
        turn = await session.run("go")

    assert "max_tokens" == stop_of(turn).reason
    assert "the turn used 10 of 10 tokens" == stop_of(turn).message
    assert 2 == model.calls


# --- checkpoints and directives ------------------------------------------------


async def test_messages_enter_at_checkpoints_and_are_answered() -> None:
    """
    What comes in before completion asks the model once more; the first answer stays.
    """
    said: list[str] = []

    class Adds(Plugin):
        @hooks.at_checkpoint
        async def add(self, ctx: TurnContext) -> list[Directive]:
            said.append(ctx.checkpoint or "")
            if len(said) < 3:
                return [EnqueueMessages(messages=(user(f"at {ctx.checkpoint}"),))]
            return []

    model = ScriptedModel([STEP, "one", "two"])
    async with Lash(model=model, plugins=[Adds], tools=[step], autoload=False) as lash:
        session = await lash.session("s")
        turn = await session.run("go")

        texts = [m.text for m in session.messages if m.role != "tool"]
        assert ["go", "", "at after_work", "one", "at before_completion", "two"] == texts
    assert "two" == turn.text
    assert ["after_work", "before_completion", "before_completion"] == said
    assert [m.text for m in model.requests[2].history][-1] == "at before_completion"


async def test_a_checkpoint_can_end_the_turn() -> None:
    """
    With the plugin's own code, and everything so far.
    """

    class Ends(Plugin):
        @hooks.at_checkpoint
        async def end(self, ctx: TurnContext) -> list[Directive]:
            return [AbortTurn(code="enough", message="that will do")]

    turn, _ = await played(STEP, "never", plugins=[Ends], tools=[step])

    assert ("runtime_error", "enough") == (stop_of(turn).reason, stop_of(turn).code)
    assert Success(value="ok") == turn.tool_calls[0].outcome


async def test_what_waits_for_a_checkpoint_is_not_lost_with_a_hook_that_fails() -> None:
    """
    It's taken only once the hooks have answered, so the next turn has it.
    """
    fails = True

    class Notes(Plugin):
        @hooks.after_tool
        async def look(self, ctx: ToolContext) -> list[Directive]:
            return [EnqueueMessages(messages=(user("remember"),))] if fails else []

        @hooks.at_checkpoint
        async def check(self, ctx: TurnContext) -> list[Directive]:
            if fails:
                raise ValueError("oh")
            return []

    async with app(STEP, STEP, "done", plugins=[Notes], tools=[step]) as lash:
        session = await lash.session("s")
        first = await session.run("go")
        assert ("runtime_error", "plugin_checkpoint") == (
            stop_of(first).reason,
            stop_of(first).code,
        )
        fails = False
        await session.run("more")

        assert 1 == [m.text for m in session.messages].count("remember")


ALLOWED: dict[str, set[str]] = {
    "before_turn": {"abort", "enqueue", "events", "trace"},
    "at_checkpoint": {"abort", "enqueue", "events", "trace"},
    "after_turn": {"enqueue", "events", "trace"},
    "before_tool": {"abort", "replace", "short", "events", "trace"},
    "after_tool": {"abort", "enqueue", "short", "events", "trace"},
}
DIRECTIVES: dict[str, Directive] = {
    "abort": AbortTurn(code="stop", message="stop"),
    "enqueue": EnqueueMessages(messages=(user("hm"),)),
    "replace": ReplaceToolArgs(arguments={}),
    "short": ShortCircuitTool(outcome=Success(value="short")),
    "create": CreateSession(request={}),
    "events": EmitEvents(events=(("said", {"x": 1}),)),
    "trace": EmitTrace(name="note", payload=1),
}


@pytest.mark.parametrize("directive", DIRECTIVES)
@pytest.mark.parametrize("hook", ALLOWED)
async def test_each_directive_at_each_hook_is_applied_or_a_fault(hook: str, directive: str) -> None:
    """
    The whole table: what isn't legal names the plugin, around a tool it fails the call.
    """
    given: list[int] = []

    class Asks(Plugin):
        @getattr(hooks, hook)  # type: ignore[untyped-decorator]
        async def ask(self, ctx: Any) -> list[Directive]:
            if given:
                return []
            given.append(1)
            return [DIRECTIVES[directive]]

    heard: list[SessionEvent] = []
    around_tool = hook.endswith("_tool")
    legal = directive in ALLOWED[hook]
    async with app(STEP, *["done"] * 4, plugins=[Asks], tools=[step]) as lash:
        session = await lash.session("s")
        session.listen(heard.append)
        try:
            turn = await session.run("go")
        except PluginFault as fault:
            assert not legal
            assert not around_tool
            assert ("asks", hook) == (fault.plugin, fault.hook)
            assert 0 == session.revision
            return

    if not legal:
        assert around_tool or hook == "at_checkpoint"
        assert 1 == len(turn.issues)
        assert "'asks'" in turn.issues[0].message
    elif directive == "abort":
        failed = {"before_turn": "plugin_abort", "at_checkpoint": "runtime_error"}
        if around_tool:
            assert "stop" == turn.tool_calls[0].outcome.code  # type: ignore[union-attr]
            assert "done" == turn.text
        else:
            assert failed[hook] == stop_of(turn).reason
    elif directive == "enqueue":
        assert ["asks"] == [m.origin for m in turn.messages if m.text == "hm"]
    elif directive == "short":
        assert Success(value="short") == turn.tool_calls[0].outcome
    elif directive in ("events", "trace"):
        (event,) = [event for event in heard if isinstance(event, PluginEmitted)]
        names = {"events": ("said", {"x": 1}), "trace": ("plugin.asks.note", 1)}
        assert ("asks", *names[directive]) == (event.plugin, event.name, event.body)
    else:
        assert "done" == turn.text


@pytest.mark.parametrize("hook", ["before_turn", "at_checkpoint", "after_turn", "after_tool"])
@pytest.mark.parametrize("odd", [Message(role="system", parts=(Image.of(b"x"),)), "a bare text"])
async def test_a_plugins_odd_message_is_the_plugins_fault(hook: str, odd: Any) -> None:
    """
    It's blamed where it's said, and never reaches the history.
    """

    class Odd(Plugin):
        @getattr(hooks, hook)  # type: ignore[untyped-decorator]
        async def say(self, ctx: Any) -> list[Directive]:
            return [EnqueueMessages(messages=(odd,))]

    async with app(STEP, "done", plugins=[Odd], tools=[step]) as lash:
        session = await lash.session("s")
        if hook in ("before_turn", "after_turn"):
            with pytest.raises(PluginFault, match=f"'odd'.*{hook}"):
                await session.run("go")
        else:
            turn = await session.run("go")
            assert any("'odd'" in issue.message for issue in turn.issues)
            assert 1 == session.revision
        check_pairs(session.messages)


async def test_an_abort_does_not_stop_the_other_directives() -> None:
    """
    They're applied in order, and the last abort names itself.
    """

    class Both(Plugin):
        @hooks.at_checkpoint
        async def ask(self, ctx: TurnContext) -> list[Directive]:
            return [
                AbortTurn(code="first", message=""),
                EmitEvents(events=(("said", None),)),
                AbortTurn(code="last", message=""),
            ]

    turn, heard = await played("done", plugins=[Both])

    assert "last" == stop_of(turn).code
    assert 1 == len([event for event in heard if isinstance(event, PluginEmitted)])


# --- the prompt ----------------------------------------------------------------


async def test_the_prompt_has_its_order_and_is_the_same_object_while_nothing_changes() -> None:
    """
    Providers cache by prefix: what changes most often comes last.
    """

    class Guides(Plugin):
        @hooks.provide_prompt
        def parts(self, ctx: PromptContext) -> list[PromptPart]:
            return [
                PromptPart(text="Late.", slot="environment"),
                PromptPart(text="Guide.", slot="guidance", title="Rules"),
                PromptPart(text="With step.", slot="guidance", needs=("step",)),
                PromptPart(text="With nothing.", slot="guidance", needs=("nothing",)),
                PromptPart(text="Guide.", slot="guidance"),
                PromptPart(text="  "),
            ]

    parts = (PromptPart(text="Project.", slot="project"),)
    model = ScriptedModel([STEP, "one", "two", "three"])
    lash = Lash(model=model, plugins=[Guides], tools=[step], instructions=parts, autoload=False)
    async with lash:
        session = await lash.session("s", instructions="You are terse.")
        await session.run("go")
        await session.run("go")
        await session.run("go", instructions="Now rhyme.")

    first, again, later, other = [request.system for request in model.requests]
    assert first.startswith("You are terse.\n\n")
    assert 1 == first.count("Guide.")
    assert "With step." in first
    assert "With nothing." not in first
    order = ["You are terse.", "Guide.", "Project.", "Late."]
    assert sorted(order, key=first.index) == order
    assert first is again is later
    assert other.endswith("Now rhyme.")


async def test_without_anything_to_say_there_is_no_prompt() -> None:
    """
    Small models do best without one.
    """
    model = ScriptedModel(["hi"])
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        await session.run("go")

    assert "" == model.requests[0].system


# --- faults --------------------------------------------------------------------


async def test_a_plugin_that_fails_to_listen_is_told_of_and_harms_nobody() -> None:
    """
    Faults are heard by `on_fault` and by whoever watches, and the others hear on.
    """
    heard: list[str] = []

    class Breaks(Plugin):
        @hooks.on_event
        def listen(self, ctx: EventContext) -> None:
            raise ValueError("oh")

        @hooks.on_turn_committed
        async def committed(self, ctx: TurnContext) -> None:
            raise ValueError("oh")

    class Hears(Plugin):
        @hooks.on_event
        def listen(self, ctx: EventContext) -> None:
            heard.append(type(ctx.event).__name__)

        @hooks.on_turn_committed
        async def committed(self, ctx: TurnContext) -> None:
            assert ctx.receipt is not None
            heard.append(f"revision {ctx.receipt.revision}")

    turn, events = await played("hi", plugins=[Breaks, Hears])

    assert "hi" == turn.text
    assert "TurnStarted" == heard[0]
    assert "TurnEnded" == heard[-1]
    assert "revision 1" in heard
    faults = [event for event in events if isinstance(event, PluginFailed)]
    assert {"breaks"} == {event.plugin for event in faults}
    assert 1 == [event.off for event in faults].count(True)


async def test_a_turn_is_over_once_and_nothing_comes_after() -> None:
    """
    Done is told when the turn is durable, and only once.
    """
    for script in ((STEP, "done"), (failure("no"),), ("",)):
        _, heard = await played(*script, tools=[step])
        ended = [event for event in heard if isinstance(event, TurnEnded)]

        assert 1 == len(ended)
        assert heard[-1] is ended[0]
        assert (True, 1) == (ended[0].committed, ended[0].revision)


# --- what a turn costs ---------------------------------------------------------


class Counts:
    """How often something is made or gone through."""

    def __init__(self) -> None:
        self.messages = 0
        self.nodes = 0


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Return how many messages are gone through or encoded, and nodes followed."""
    counts = Counts()
    iterate, encode, path = History.__iter__, Message.to_json, Graph.path

    def counting(self: History) -> Iterator[Message]:
        for message in iterate(self):
            counts.messages += 1
            yield message

    def encoding(self: Message) -> Any:
        counts.messages += 1
        return encode(self)

    def following(self: Graph) -> Any:
        nodes = path(self)
        counts.nodes += len(nodes)
        return nodes

    monkeypatch.setattr(History, "__iter__", counting)
    monkeypatch.setattr(Message, "to_json", encoding)
    monkeypatch.setattr(Graph, "path", following)
    return counts


async def test_no_step_of_a_turn_touches_all_history(counts: Counts) -> None:
    """
    The three hundredth turn looks at no more messages than the third.
    """

    class Watches(Plugin):
        @hooks.transform_context
        async def view(self, ctx: TurnContext, value: History) -> History | None:  # type: ignore[return]
            assert value[-1] is not None

        @hooks.after_turn
        async def end(self, ctx: TurnContext) -> list[Directive]:
            return []

    def answer(request: ModelRequest) -> Any:
        return "done" if request.history[-1].role == "tool" else STEP

    spent: list[tuple[int, int]] = []
    store = MemoryStore()
    async with app(*[answer] * 600, plugins=[Watches], tools=[step], store=store) as lash:
        session = await lash.session("s")
        for _ in range(300):
            before = counts.messages, counts.nodes
            await session.run("go")
            spent.append((counts.messages - before[0], counts.nodes - before[1]))

        assert 1200 == len(session.messages)
    assert spent[2] == spent[-1]
    assert 1 == len(set(spent[2:]))
    assert 0 == spent[-1][1]


OBSERVED = [
    "TurnStarted",
    "ModelStarted",
    "TextDelta",
    "ReasoningDelta",
    "AnswerRetracted",
    "RetryWaiting",
    "UsageAdded",
    "ToolStarted",
    "ToolProgressed",
    "ToolEnded",
    "MessagesAdded",
    "PluginEmitted",
    "TurnEnded",
]


async def test_no_event_is_made_that_nobody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Observation costs nothing while nobody observes.
    """
    made: list[str] = []
    for name in OBSERVED:
        kind = getattr(facts, name)

        def counting(
            self: Any, _kind: str = name, _init: Any = kind.__init__, **fields: Any
        ) -> None:
            made.append(_kind)
            _init(self, **fields)

        monkeypatch.setattr(kind, "__init__", counting)

    class Busy(Plugin):
        @hooks.at_checkpoint
        async def check(self, ctx: TurnContext) -> list[Directive]:
            events = EmitEvents(events=(("said", None),))
            if ctx.checkpoint == "after_work":
                return [events, EnqueueMessages(messages=(user("hm"),))]
            return [events]

    @tool
    async def walk(ctx: ToolContext) -> str:
        ctx.progress("half")
        return "there"

    script = [
        failure("busy", retryable=True, after=0.0, partial="Hel"),
        reply("so", reasoning="hm", calls=[call("walk")]),
        "done",
    ]
    async with app(*script, *script, tools=[walk], plugins=[Busy]) as lash:
        session = await lash.session("s")
        await session.run("go")
        assert [] == made
        stop = session.listen(lambda event: None)
        await session.run("go")
        assert set(OBSERVED) == set(made)
        stop()
