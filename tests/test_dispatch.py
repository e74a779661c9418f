"""
Tool calls as a turn makes them: order, checks, retries, gates, and what may go wrong.

Each test is a turn of a real session; order is forced with events and barriers.
"""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pydantic
import pytest

from lash_sdk import Lash, Plugin, hooks, tool
from lash_sdk.contexts import SessionContext, ToolContext
from lash_sdk.errors import StoreCorrupt, ToolDenied
from lash_sdk.events import SessionEvent, ToolEnded, ToolProgressed, ToolStarted
from lash_sdk.hooks import (
    Abort,
    Allow,
    Ask,
    Decision,
    Deny,
    Directive,
    EnqueueMessages,
    Projector,
    ReplaceToolArgs,
    ShortCircuitTool,
    Visibility,
)
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Blob, File, Image, Text, ToolCall, user
from lash_sdk.outcomes import (
    Cancelled,
    Fail,
    Failure,
    Finish,
    Finished,
    HandedOff,
    Handoff,
    Stopped,
    Success,
    ToolOutcome,
    ToolRecord,
)
from lash_sdk.session import TurnRecord
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import Tool, ToolRetry

PIXEL = b"\x89PNG not quite"


async def played(
    calls: Sequence[ToolCall],
    tools: Sequence[Tool] = (),
    plugins: Sequence[type[Plugin]] = (),
    listener: Callable[[SessionEvent], None] | None = None,
) -> TurnRecord:
    """Return a turn whose model makes *calls*, then says "done"."""
    model = ScriptedModel([reply(calls=calls), reply("done")])
    async with Lash(model=model, tools=tools, plugins=plugins, autoload=False) as app:
        session = await app.session("s")
        if listener is not None:
            session.listen(listener)
        return await session.run("go")


async def outcome_of(made: Tool, /, **arguments: Any) -> ToolOutcome:
    """Return what one call of a tool comes to."""
    turn = await played([call(made.name, **arguments)], [made])
    return turn.tool_calls[0].outcome


def failure_of(record: ToolRecord) -> Failure:
    assert isinstance(record.outcome, Failure)
    return record.outcome


def shown(turn: TurnRecord) -> list[str]:
    """Return what the model was shown of each call."""
    return [result.text for message in turn.messages for result in message.results]


# --- order ---------------------------------------------------------------------


async def test_parallel_calls_overlap() -> None:
    """
    Each waits for the other: one after the other they'd never end.
    """
    barrier = asyncio.Barrier(3)

    @tool
    async def meet(n: int) -> int:
        await barrier.wait()
        return n

    async with asyncio.timeout(5):
        turn = await played([call("meet", n=n) for n in range(3)], [meet])

    assert [Success(value=n) for n in range(3)] == [r.outcome for r in turn.tool_calls]


async def test_sync_tools_overlap_in_threads() -> None:
    """
    A blocking function doesn't block the loop, nor another one.
    """
    barrier = threading.Barrier(3, timeout=5)

    @tool
    def meet(n: int) -> int:
        barrier.wait()
        return n

    turn = await played([call("meet", n=n) for n in range(3)], [meet])

    assert [0, 1, 2] == [r.outcome.value for r in turn.tool_calls if isinstance(r.outcome, Success)]


async def test_serial_calls_come_after_all_parallel_ones_and_alone() -> None:
    """
    A tool that says it's serial may count on nothing running beside it.
    """
    running: set[str] = set()
    seen: list[tuple[str, frozenset[str]]] = []
    started = asyncio.Event()

    async def work(name: str) -> str:
        seen.append((name, frozenset(running)))
        running.add(name)
        for _ in range(3):
            await asyncio.sleep(0)
        running.discard(name)
        return name

    @tool(serial=True)
    async def lone(name: str) -> str:
        started.set()
        return await work(name)

    @tool
    async def free(name: str) -> str:
        assert not started.is_set()
        return await work(name)

    order = [("lone", "a"), ("free", "b"), ("lone", "c"), ("free", "d"), ("lone", "e")]
    turn = await played([call(kind, name=name) for kind, name in order], [lone, free])

    assert ["b", "d", "a", "c", "e"] == [name for name, _beside in seen]
    assert frozenset("b") == dict(seen)["d"]
    assert [frozenset()] * 3 == [dict(seen)[name] for name in "ace"]
    assert ["a", "b", "c", "d", "e"] == shown(turn)


async def test_results_are_in_call_order_whatever_ends_first() -> None:
    """
    Records and results pair with the calls by place, too.
    """
    turns = [asyncio.Event() for _ in range(4)]
    turns[3].set()
    ended: list[int] = []

    @tool
    async def wait(n: int) -> int:
        await turns[n].wait()
        ended.append(n)
        if n:
            turns[n - 1].set()
        return n

    turn = await played([call("wait", n=n) for n in range(4)], [wait])

    assert [3, 2, 1, 0] == ended
    assert ["0", "1", "2", "3"] == shown(turn)
    ids = [each.id for each in turn.messages[1].calls]
    assert ids == [record.call for record in turn.tool_calls]
    assert ids == [result.call for result in turn.messages[2].results]


# --- what isn't called ---------------------------------------------------------


async def test_an_unknown_tool_is_unavailable_and_the_rest_is_called() -> None:
    """
    Models make names up; they're told which there are.
    """

    @tool
    async def real() -> str:
        """Be there."""
        return "here"

    turn = await played([call("imagined"), call("real")], [real])

    missing = failure_of(turn.tool_calls[0])
    assert ("unavailable", "tool_unavailable") == (missing.reason, missing.code)
    assert "there is no tool 'imagined'; tools: real" == missing.message
    assert Success(value="here") == turn.tool_calls[1].outcome
    assert "done" == turn.text


async def test_an_unavailable_tool_meets_no_hook_and_no_check() -> None:
    """
    What can't be called isn't looked up, prepared, decided on or looked at after.
    """
    heard: list[str] = []

    class Ears(Plugin):
        @hooks.before_tool
        async def prepare(self, ctx: ToolContext) -> list[Directive]:
            heard.append("before")
            return []

        @hooks.decide_tool
        async def gate(self, ctx: ToolContext) -> Decision:
            heard.append("gate")
            return Allow()

        @hooks.after_tool
        async def look(self, ctx: ToolContext) -> list[Directive]:
            heard.append("after")
            return []

    turn = await played([call("nothing", x=1)], plugins=[Ears])

    assert "tool_unavailable" == failure_of(turn.tool_calls[0]).code
    assert [] == heard


async def test_a_hidden_tool_cannot_be_called() -> None:
    """
    A model that remembers a name from before can't get around availability.
    """
    runs: list[str] = []

    @tool
    async def secret() -> str:
        runs.append("ran")
        return "told"

    class Hides(Plugin):
        @hooks.provide_availability
        def hide(self, ctx: SessionContext) -> dict[str, Visibility]:
            return {"secret": "hidden"}

    @tool(hidden=True)
    async def later() -> str:
        runs.append("ran")
        return "told"

    turn = await played([call("secret"), call("later")], [secret, later], [Hides])

    assert {"tool_unavailable"} == {failure_of(r).code for r in turn.tool_calls}
    assert [] == runs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"n": "x"}', "arguments.n: "),
        ('{"n": 1.0}', "arguments.n: "),
        ('{"n": true}', "arguments.n: "),
        ("{}", "arguments.n: "),
        ('{"n": 1, "m": 2}', "arguments.m: "),
        ("[1]", "arguments: expected an object"),
        ("not json", "arguments: not JSON"),
        ('{"n": NaN}', "arguments"),
        ('{"n": 1', "arguments: not JSON"),
        ("[" * 100_000, "arguments: not JSON"),
    ],
)
async def test_invalid_arguments_never_reach_the_tool(text: str, said: str) -> None:
    """
    The model reads the path of what's wrong and can mend it.
    """
    runs: list[int] = []

    @tool
    async def take(n: int) -> int:
        runs.append(n)
        return n

    turn = await played([ToolCall(id="", name="take", arguments=text)], [take])

    failed = failure_of(turn.tool_calls[0])
    assert ("invalid_request", "invalid_tool_args") == (failed.reason, failed.code)
    assert said in failed.message
    assert text == turn.tool_calls[0].arguments
    assert 0.0 == turn.tool_calls[0].seconds
    assert [] == runs


async def test_a_tool_is_looked_up_and_its_arguments_checked_once_a_call() -> None:
    """
    However often it's tried: a tool that changed meanwhile would get others' arguments.
    """
    checked: list[str] = []
    tries: list[int] = []

    @tool(retry=ToolRetry(attempts=3, first=0.001))
    async def flaky(ctx: ToolContext) -> str:
        tries.append(ctx.attempt)
        raise OSError("no")

    def validate(text: str) -> dict[str, Any]:
        checked.append(text)
        return flaky.validate(text)

    counted = Tool(
        definition=flaky.definition, run=flaky.run, validate=validate, context=flaky.context
    )
    await played([call("flaky")], [counted])

    assert [1, 2, 3] == tries
    assert ["{}"] == checked


# --- what goes wrong in a tool -------------------------------------------------


async def test_an_exception_is_the_calls_outcome() -> None:
    """
    A failing tool is the model's business; the turn goes on.
    """

    @tool
    async def breaks() -> str:
        raise ValueError("no such page")

    turn = await played([call("breaks")], [breaks])

    failed = failure_of(turn.tool_calls[0])
    assert ("execution", "tool_raised", "tool") == (failed.reason, failed.code, failed.source)
    assert "ValueError: no such page" == failed.message
    assert ["[failed: tool_raised] ValueError: no such page"] == shown(turn)
    assert "done" == turn.text


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("many", [1, 2])
async def test_a_tool_cannot_end_the_process(inline: bool, many: int) -> None:
    """
    Libraries call `sys.exit`; the app isn't theirs.
    """

    @tool(inline=inline)
    def leaves() -> str:
        raise SystemExit(3)

    @tool
    async def leaves_too() -> str:
        raise SystemExit(3)

    for made in (leaves, leaves_too):
        turn = await played([call(made.name)] * many, [made])
        assert ["SystemExit: 3"] * many == [failure_of(r).message for r in turn.tool_calls]
        assert "done" == turn.text


def test_an_interrupt_in_a_tool_passes() -> None:
    """
    Ctrl-C belongs to the user, wherever it's thrown; the turn is committed.
    """
    revisions: list[int] = []

    @tool
    async def interrupted() -> str:
        raise KeyboardInterrupt

    async def main() -> None:
        model = ScriptedModel([reply(calls=[call("interrupted")])])
        async with Lash(model=model, tools=[interrupted], autoload=False) as app:
            session = await app.session("s")
            try:
                await session.run("go")
            finally:
                revisions.append(session.revision)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert [1] == revisions


async def test_a_denial_by_the_tool_itself_is_one() -> None:
    """
    A tool knows best what its caller may not do.
    """

    @tool
    async def vault() -> str:
        raise ToolDenied("not on Sundays")

    failed = await outcome_of(vault)

    assert isinstance(failed, Failure)
    assert ("permission_denied", "tool_denied") == (failed.reason, failed.code)
    assert "not on Sundays" == failed.message


@pytest.mark.parametrize(
    "value", [object(), float("nan"), {"x": float("inf")}, [{1: object()}], {"a": {1, object()}}]
)
async def test_what_is_not_json_is_the_calls_failure(value: object) -> None:
    """
    It's refused where it enters; a commit never meets it.
    """

    @tool
    async def odd() -> object:
        return value

    failed = await outcome_of(odd)

    assert isinstance(failed, Failure)
    assert "invalid_tool_value" == failed.code


async def test_values_are_said_in_json() -> None:
    """
    Text as it is, bytes as text, models as pydantic says them; big is no matter.
    """

    class Point(pydantic.BaseModel):
        x: int

    values = ["a\ud800\0", b"bytes", Point(x=1), {"k": [1, None]}, "x" * 1_000_000, None, 0]

    @tool
    async def give(n: int) -> object:
        return values[n]

    calls = [call("give", n=n) for n in range(len(values))]
    turn = await played(calls, [give])

    assert ["a\ud800\0", "bytes", {"x": 1}, {"k": [1, None]}, "x" * 1_000_000, None, 0] == [
        r.outcome.value for r in turn.tool_calls if isinstance(r.outcome, Success)
    ]
    assert "a\ud800\0" == shown(turn)[0]
    assert '{"x":1}' == shown(turn)[2]


async def test_a_returned_value_is_a_copy() -> None:
    """
    What's in the history can't be changed by the tool that made it.
    """
    kept = {"n": 1}

    @tool
    async def share() -> dict[str, int]:
        return kept

    turn = await played([call("share")], [share])
    kept["n"] = 2

    assert Success(value={"n": 1}) == turn.tool_calls[0].outcome


async def test_pictures_and_files_are_stored_with_the_turn() -> None:
    """
    Their bytes travel beside the message and are there for a later process.
    """
    picture, file = Image.of(PIXEL), File.of("a.txt", b"text", "text/plain")

    @tool
    async def draw() -> list[object]:
        return ["look:", picture, file]

    store = MemoryStore()
    model = ScriptedModel([reply(calls=[call("draw")]), reply("done")])
    async with Lash(model=model, tools=[draw], store=store, autoload=False) as app:
        session = await app.session("s")
        turn = await session.run("go")
        blob: Blob = picture.blob
        bare = Blob(sha256=blob.sha256, size=blob.size, media_type=blob.media_type)
        read = await model.requests[1].blob(bare)
    async with Lash(model=model, store=store, autoload=False) as app:
        again = await app.session("s")
        later = await again.blob(bare)
        with pytest.raises(StoreCorrupt):
            await again.blob(Blob(sha256="0" * 64, size=1, media_type="x"))

    assert (Text(text="look:"), picture, file) == turn.messages[2].results[0].parts
    assert PIXEL == read == later
    value = turn.tool_calls[0].outcome
    assert isinstance(value, Success)
    assert ["look:", picture.to_json(), file.to_json()] == value.value


# --- time and retries ----------------------------------------------------------


async def test_a_tool_has_its_time_and_no_more() -> None:
    """
    An attempt that takes longer is a failure with a class of its own.
    """

    @tool(timeout=0.02)
    async def slow() -> str:
        await asyncio.sleep(10)
        return "late"

    free = threading.Event()

    @tool(timeout=0.02)
    def stuck() -> str:
        free.wait(10)
        return "late"

    try:
        turn = await played([call("slow"), call("stuck")], [slow, stuck])
    finally:
        free.set()

    assert {("timeout", "tool_timeout", "never")} == {
        (f.reason, f.code, f.retry) for f in map(failure_of, turn.tool_calls)
    }
    assert "no answer within 0.02 s" == failure_of(turn.tool_calls[0]).message


async def test_a_timeout_inside_a_tool_is_the_tools_own() -> None:
    """
    A library's timeout isn't ours, and the model reads what it said.
    """

    @tool
    async def fetch() -> str:
        raise TimeoutError("example.org did not answer")

    failed = await outcome_of(fetch)

    assert isinstance(failed, Failure)
    assert "timeout" == failed.reason
    assert "example.org did not answer" in failed.message


async def test_only_safe_failures_are_tried_again_and_as_often_as_allowed() -> None:
    """
    The last of them says how often; a failure that isn't safe is tried once.
    """
    tries: dict[str, int] = {}

    def made(kind: str, retry: Any) -> Tool:
        async def body() -> object:
            tries[kind] = tries.get(kind, 0) + 1
            if kind == "lucky" and tries[kind] == 3:
                return "third time"
            return Failure(reason="external", code="down", message="down", retry=retry, after=0.001)

        policy = ToolRetry(attempts=4, first=0.001)
        return tool(name=kind, retry=policy)(body)

    tools = [made("safe", "safe"), made("lucky", "safe"), made("never", "never")]
    turn = await played([call(each.name) for each in tools], tools)

    assert {"safe": 4, "lucky": 3, "never": 1} == tries
    safe = failure_of(turn.tool_calls[0])
    assert ("exhausted", 4) == (safe.retry, safe.attempts)
    assert Success(value="third time") == turn.tool_calls[1].outcome
    assert "never" == failure_of(turn.tool_calls[2]).retry


async def test_attempts_share_one_idempotency_key() -> None:
    """
    Whoever takes the key makes of all attempts one; other calls have others.
    """
    keys: dict[int, list[str]] = {}

    @tool(retry=ToolRetry(attempts=3, first=0.001, idempotent=True))
    async def pay(n: int, ctx: ToolContext) -> str:
        assert len(keys.get(n, ())) + 1 == ctx.attempt
        keys.setdefault(n, []).append(ctx.idempotency_key)
        raise OSError("connection lost")

    turn = await played([call("pay", n=0), call("pay", n=1)], [pay])

    assert [3, 3] == [failure_of(r).attempts for r in turn.tool_calls]
    assert all(len(set(each)) == 1 for each in keys.values())
    assert keys[0][0] != keys[1][0]


async def test_the_key_is_no_providers_call_id() -> None:
    """
    Providers repeat their ids; the key is made of the turn's own.
    """
    keys: list[str] = []

    @tool
    async def note(ctx: ToolContext) -> str:
        keys.append(ctx.idempotency_key)
        return ctx.call.id

    same = ToolCall(id="call_1", name="note", arguments="{}")
    model = ScriptedModel([reply(calls=[same, same]), reply("x"), reply(calls=[same]), reply("y")])
    async with Lash(model=model, tools=[note], autoload=False) as app:
        session = await app.session("s")
        await session.run("one")
        await session.run("two")
        ids = [each.id for message in session.messages for each in message.calls]

    assert 3 == len(set(keys)) == len(set(ids))
    assert "call_1" not in ids


async def test_a_cancelled_outcome_is_never_tried_again() -> None:
    """
    Somebody didn't want the call; asking once more isn't an answer.
    """
    tries: list[int] = []

    @tool(retry=ToolRetry(attempts=5, first=0.001))
    async def given_up(ctx: ToolContext) -> Cancelled:
        tries.append(ctx.attempt)
        return Cancelled(message="by hand")

    outcome = await outcome_of(given_up)

    assert Cancelled(message="by hand") == outcome
    assert [1] == tries


async def test_a_timeout_is_tried_again_only_by_an_idempotent_tool() -> None:
    """
    A call that took too long may have had its effect.
    """
    tries: list[str] = []

    def made(name: str, idempotent: bool) -> Tool:
        async def slow() -> str:
            tries.append(name)
            await asyncio.sleep(10)
            return "late"

        policy = ToolRetry(attempts=2, first=0.001, idempotent=idempotent)
        return tool(name=name, retry=policy, timeout=0.01)(slow)

    tools = [made("once", False), made("twice", True)]
    await played([call("once"), call("twice")], tools)

    assert ["once", "twice", "twice"] == sorted(tries)


# --- contexts, threads and progress --------------------------------------------


async def test_a_tool_gets_the_context_it_asks_for() -> None:
    """
    It's not among the arguments that the model sees or that are recorded.
    """
    seen: list[ToolContext] = []

    @tool
    async def look(n: int, ctx: ToolContext) -> str:
        seen.append(ctx)
        return ctx.session_id

    turn = await played([call("look", n=2)], [look])

    assert "s" == shown(turn)[0]
    assert {"n": 2} == turn.tool_calls[0].arguments
    assert (turn.id, turn.tool_calls[0].call) == (seen[0].turn_id, seen[0].call.id)
    assert {"n"} == set(look.definition.parameters["properties"])  # type: ignore[arg-type]


async def test_a_sync_tool_sees_the_callers_context_variables() -> None:
    """
    Request ids and credentials ride in context variables; a thread loses them.
    """
    who = contextvars.ContextVar("who", default="nobody")
    who.set("ada")
    threads: list[threading.Thread] = []

    @tool
    def whoami() -> str:
        threads.append(threading.current_thread())
        return who.get()

    turn = await played([call("whoami")], [whoami])

    assert ["ada"] == shown(turn)
    assert threads[0] is not threading.main_thread()
    assert threads[0].daemon


async def test_an_inline_tool_runs_on_the_loop() -> None:
    """
    A function that only computes needs no thread.
    """

    @tool(inline=True)
    def where() -> str:
        asyncio.get_running_loop()
        return threading.current_thread().name

    turn = await played([call("where")], [where])

    assert [threading.main_thread().name] == shown(turn)


async def test_progress_comes_before_the_result_and_on_the_loop() -> None:
    """
    Whoever watches isn't called from a thread, and never hears of it too late.
    """
    heard: list[SessionEvent] = []
    threads: set[threading.Thread] = set()

    def listen(event: SessionEvent) -> None:
        heard.append(event)
        threads.add(threading.current_thread())

    @tool
    async def walk(ctx: ToolContext) -> str:
        ctx.progress("left")
        ctx.progress("right")
        return "there"

    @tool
    def walk_in_thread(ctx: ToolContext) -> str:
        ctx.progress("left")
        ctx.progress("right")
        return "there"

    for made in (walk, walk_in_thread):
        heard.clear()
        await played([call(made.name)], [made], listener=listen)
        about = [
            each.text if isinstance(each, ToolProgressed) else type(each).__name__
            for each in heard
            if isinstance(each, (ToolProgressed, ToolStarted, ToolEnded))
        ]
        assert ["ToolStarted", "left", "right", "ToolEnded"] == about
    assert {threading.main_thread()} == threads


async def test_progress_from_a_thread_wakes_whoever_waits_for_it() -> None:
    """
    A stream that sleeps until the tool is done shows no progress at all.
    """
    seen = threading.Event()

    @tool
    def slow(ctx: ToolContext) -> str:
        ctx.progress("half")
        return "seen" if seen.wait(5) else "never seen"

    model = ScriptedModel([reply(calls=[call("slow")]), reply("done")])
    async with Lash(model=model, tools=[slow], autoload=False) as app:
        session = await app.session("s")
        stream = session.stream("go")
        async for event in stream:
            if isinstance(event, ToolProgressed):
                seen.set()
        turn = await stream.result()

    assert ["seen"] == shown(turn)


async def test_a_thread_that_was_given_up_is_not_heard_any_more() -> None:
    """
    Its call has a result; progress after it would be about nothing.
    """
    free, said = threading.Event(), threading.Event()
    heard: list[SessionEvent] = []

    @tool(timeout=0.02)
    def stuck(ctx: ToolContext) -> str:
        free.wait(5)
        ctx.progress("too late")
        said.set()
        return "late"

    async def after(request: Any) -> Any:
        free.set()
        await asyncio.to_thread(said.wait, 5)
        return reply("done")

    model = ScriptedModel([reply(calls=[call("stuck")]), after])
    async with Lash(model=model, tools=[stuck], autoload=False) as app:
        session = await app.session("s")
        session.listen(heard.append)
        await session.run("go")

    assert said.is_set()
    assert [] == [event for event in heard if isinstance(event, ToolProgressed)]


def test_a_tool_that_hangs_in_a_thread_keeps_no_process_alive() -> None:
    """
    The event loop's own threads would be waited for at exit, for ever.
    """
    code = """
import asyncio, threading
from lash_sdk import Lash, tool
from lash_sdk.testing import ScriptedModel, call, reply

@tool(timeout=0.1)
def hang() -> str:
    threading.Event().wait()
    return "never"

async def main():
    model = ScriptedModel([reply(calls=[call("hang")]), reply("done")])
    async with Lash(model=model, tools=[hang], autoload=False) as app:
        session = await app.session("s")
        print((await session.run("go")).text)

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)

    assert ("done\n", "", 0) == (ended.stdout, ended.stderr, ended.returncode)


async def test_a_call_that_waits_for_a_thread_and_is_cancelled_never_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It's reported as cancelled; to run it minutes later would be a surprise.
    """
    monkeypatch.setattr("lash_sdk.dispatch.threads._slots", threading.BoundedSemaphore(1))
    free, reached = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    runs: list[int] = []

    @tool
    def work(n: int) -> int:
        runs.append(n)
        loop.call_soon_threadsafe(reached.set)
        free.wait(5)
        return n

    model = ScriptedModel([reply(calls=[call("work", n=1), call("work", n=2)])])
    async with Lash(model=model, tools=[work], autoload=False) as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await reached.wait()
        await session.cancel()
        await task
        free.set()
        for thread in threading.enumerate():
            if thread.name == "lash-tool":
                await asyncio.to_thread(thread.join, 5)

    assert 1 == len(runs)


# --- controls ------------------------------------------------------------------


async def test_a_tool_can_finish_the_turn() -> None:
    """
    The model isn't asked again; the tool's value is the turn's.
    """

    @tool
    async def submit() -> Success:
        return Success(value="noted", control=Finish(value={"answer": 42}))

    turn = await played([call("submit")], [submit])

    assert Finished(value={"answer": 42}, tool="submit") == turn.outcome
    assert {"answer": 42} == turn.value
    assert "" == turn.text


async def test_a_tool_can_hand_off_or_fail_the_turn() -> None:
    """
    A failed turn has no value that could be taken for an answer.
    """

    @tool
    async def forward() -> Success:
        return Success(value=None, control=Handoff(session="other"))

    @tool
    async def give_up() -> Success:
        return Success(value=None, control=Fail(value="too hard"))

    handed = await played([call("forward")], [forward])
    failed = await played([call("give_up")], [give_up])

    assert HandedOff(session="other", tool="forward") == handed.outcome
    assert isinstance(failed.outcome, Stopped)
    assert ("tool_error", "too hard", "give_up") == (
        failed.outcome.reason,
        failed.outcome.value,
        failed.outcome.tool,
    )


async def test_the_first_control_by_call_order_wins_and_the_batch_is_whole() -> None:
    """
    Whatever ends first, and every call has its result before the turn ends.
    """
    second_done = asyncio.Event()

    @tool
    async def first() -> Success:
        await second_done.wait()
        return Success(value=1, control=Finish(value="first"))

    @tool
    async def second() -> Success:
        second_done.set()
        return Success(value=2, control=Finish(value="second"))

    @tool
    async def plain() -> int:
        return 3

    calls = [call("plain"), call("first"), call("second")]
    turn = await played(calls, [first, second, plain])

    assert Finished(value="first", tool="first") == turn.outcome
    assert ["3", "1", "2"] == shown(turn)


async def test_a_control_on_a_failed_call_is_ignored() -> None:
    """
    A hook that turns a success into a failure takes its control with it.
    """

    @tool
    async def submit() -> Success:
        return Success(value=1, control=Finish(value="no"))

    class Refuses(Plugin):
        @hooks.after_tool
        async def refuse(self, ctx: ToolContext) -> list[Directive]:
            failed = Failure(reason="execution", code="bad", message="bad")
            return [ShortCircuitTool(outcome=failed)]

    turn = await played([call("submit")], [submit], [Refuses])

    assert "done" == turn.text


# --- hooks around a call -------------------------------------------------------


def gate(decision: Decision | Exception) -> type[Plugin]:
    class Gate(Plugin):
        @hooks.decide_tool
        async def decide(self, ctx: ToolContext) -> Decision:
            if isinstance(decision, Exception):
                raise decision
            return decision

    return Gate


def approver(decision: Decision | Exception | None) -> type[Plugin]:
    class Approver(Plugin):
        @hooks.decide_approval
        async def approve(self, ctx: ToolContext) -> Decision | None:
            if isinstance(decision, Exception):
                raise decision
            return decision

    return Approver


@pytest.mark.parametrize(
    ("plugins", "allowed", "decided", "why"),
    [
        ([gate(Allow())], True, "gate", ""),
        ([gate(Deny(reason="not you"))], False, "gate", "not you"),
        ([gate(Ask(question="sure?"))], False, "gate", "nobody approved: sure?"),
        ([gate(Ask()), approver(Allow())], True, "approver", ""),
        ([gate(Ask()), approver(Deny(reason="no"))], False, "approver", "no"),
        ([gate(Ask()), approver(Ask())], False, "gate", "nobody approved"),
        ([gate(Ask()), approver(None)], False, "gate", "nobody approved"),
        ([gate(Ask()), approver(OSError("x"))], False, "approver", "'approver' failed"),
        ([gate(OSError("x"))], False, "gate", "'gate' failed"),
        ([approver(Deny(reason="not asked"))], True, None, ""),
    ],
)
async def test_a_gate_decides_and_is_named(
    plugins: list[type[Plugin]], allowed: bool, decided: str | None, why: str
) -> None:
    """
    Nobody's yes is a no, a fault is a no, and the record says whose word it was.
    """
    runs: list[int] = []

    @tool
    async def act(n: int) -> int:
        runs.append(n)
        return n

    turn = await played([call("act", n=1)], [act], plugins)

    record = turn.tool_calls[0]
    assert decided == record.decided
    assert [1] * allowed == runs
    if not allowed:
        failed = failure_of(record)
        assert ("permission_denied", "tool_denied", "policy") == (
            failed.reason,
            failed.code,
            failed.source,
        )
        assert why in failed.message
        assert 0.0 == record.seconds
    assert "done" == turn.text


async def test_a_gates_abort_ends_the_turn_with_every_call_answered() -> None:
    """
    The history stays one that a model accepts.
    """

    @tool
    async def act() -> int:
        return 1

    class Stops(Plugin):
        @hooks.decide_tool
        async def decide(self, ctx: ToolContext) -> Decision | None:
            if ctx.call.name == "act":
                return None
            return Abort(code="leak", reason="secrets on their way out")

    @tool
    async def send() -> int:
        return 2

    turn = await played([call("act"), call("send")], [act, send], [Stops])

    assert isinstance(turn.outcome, Stopped)
    assert ("plugin_abort", "leak") == (turn.outcome.reason, turn.outcome.code)
    assert Success(value=1) == turn.tool_calls[0].outcome
    assert "leak" == failure_of(turn.tool_calls[1]).code
    assert ["ok", "failed"] == [result.status for result in turn.messages[2].results]


async def test_replaced_arguments_are_checked_decided_on_executed_and_recorded() -> None:
    """
    A gate that saw others than the tool gets would guard nothing.
    """
    seen: list[Any] = []

    class Replaces(Plugin):
        @hooks.before_tool
        async def replace(self, ctx: ToolContext) -> list[Directive]:
            return [ReplaceToolArgs(arguments={"n": 7 if ctx.call.arguments == "{}" else "x"})]

        @hooks.decide_tool
        async def decide(self, ctx: ToolContext) -> Decision:
            seen.append(dict(ctx.arguments or {}))
            return Allow()

    @tool
    async def act(n: int) -> int:
        seen.append(n)
        return n

    turn = await played([call("act"), call("act", n=1)], [act], [Replaces])

    assert [{"n": 7}, 7] == seen
    assert {"n": 7} == turn.tool_calls[0].arguments
    assert "invalid_tool_args" == failure_of(turn.tool_calls[1]).code


async def test_a_hook_may_answer_in_the_tools_place() -> None:
    """
    The tool isn't called, and no hook looks at what it didn't do.
    """
    heard: list[str] = []

    class Cache(Plugin):
        @hooks.before_tool
        async def answer(self, ctx: ToolContext) -> list[Directive]:
            return [ShortCircuitTool(outcome=Success(value="cached"))]

        @hooks.after_tool
        async def look(self, ctx: ToolContext) -> list[Directive]:
            heard.append("after")
            return []

    @tool
    async def act() -> str:
        heard.append("ran")
        return "made"

    turn = await played([call("act")], [act], [Cache])

    assert Success(value="cached") == turn.tool_calls[0].outcome
    assert "cache" == turn.tool_calls[0].decided
    assert [] == heard


@pytest.mark.parametrize(
    ("hook", "code", "ran"),
    [
        ("before_tool", "before_tool_call_failed", False),
        ("after_tool", "after_tool_call_failed", True),
        ("around_tool", "around_tool_failed", False),
    ],
)
async def test_a_failing_hook_fails_its_call_alone(hook: str, code: str, ran: bool) -> None:
    """
    The fault names the plugin, the other call and the turn go on.
    """
    runs: list[int] = []

    class Breaks(Plugin):
        if hook == "around_tool":

            @hooks.around_tool
            async def wrap(
                self, ctx: ToolContext, call_next: Callable[[ToolContext], Awaitable[ToolOutcome]]
            ) -> ToolOutcome:
                if ctx.arguments == {"n": 1}:
                    raise ValueError("oh")
                return await call_next(ctx)

        else:

            @getattr(hooks, hook)  # type: ignore[untyped-decorator]
            async def breaks(self, ctx: ToolContext) -> list[Directive]:
                if ctx.arguments == {"n": 1}:
                    raise ValueError("oh")
                return []

    @tool
    async def act(n: int) -> int:
        runs.append(n)
        return n

    turn = await played([call("act", n=1), call("act", n=2)], [act], [Breaks])

    failed = failure_of(turn.tool_calls[0])
    assert ("internal", code, "plugin") == (failed.reason, failed.code, failed.source)
    assert "'breaks'" in failed.message
    assert "ValueError: oh" in failed.message
    assert Success(value=2) == turn.tool_calls[1].outcome
    assert [code] == [issue.code for issue in turn.issues]
    assert ran == (1 in runs)


async def test_a_wrap_that_returns_nonsense_fails_its_call() -> None:
    """
    What isn't an outcome can't be stored; it's refused where it enters.
    """

    class Odd(Plugin):
        @hooks.around_tool
        async def wrap(
            self, ctx: ToolContext, call_next: Callable[[ToolContext], Awaitable[ToolOutcome]]
        ) -> ToolOutcome:
            return 5  # type: ignore[return-value]

    @tool
    async def act() -> int:
        return 1

    turn = await played([call("act")], [act], [Odd])

    assert "around_tool_failed" == failure_of(turn.tool_calls[0]).code


async def test_wraps_go_around_each_attempt() -> None:
    """
    What a wrap measures or caches is one attempt, not the call.
    """
    seen: list[int] = []

    class Counts(Plugin):
        @hooks.around_tool
        async def wrap(
            self, ctx: ToolContext, call_next: Callable[[ToolContext], Awaitable[ToolOutcome]]
        ) -> ToolOutcome:
            seen.append(ctx.attempt)
            return await call_next(ctx)

    @tool(retry=ToolRetry(attempts=3, first=0.001))
    async def flaky() -> str:
        raise OSError("no")

    await played([call("flaky")], [flaky], [Counts])

    assert [1, 2, 3] == seen


async def test_messages_from_after_tool_come_at_the_next_checkpoint() -> None:
    """
    Between calls and results there's no place for them.
    """

    class Notes(Plugin):
        @hooks.after_tool
        async def note(self, ctx: ToolContext) -> list[Directive]:
            return [EnqueueMessages(messages=(user("mind the gap"),))]

    @tool
    async def act() -> int:
        return 1

    turn = await played([call("act"), call("act")], [act], [Notes])

    roles = [message.role for message in turn.messages]
    assert ["user", "assistant", "tool", "user", "user", "assistant"] == roles
    assert "notes" == turn.messages[3].origin


# --- projection ----------------------------------------------------------------


async def test_the_record_is_raw_and_the_model_sees_the_projection() -> None:
    """
    What's cut for the model isn't cut from history's records.
    """

    def short(name: str, outcome: ToolOutcome) -> tuple[Text, ...]:
        return (Text(text=f"{name}: short"),)

    class Shortens(Plugin):
        @hooks.tool_projector
        def projector(self, ctx: SessionContext) -> Projector:
            return short

    @tool
    async def long() -> str:
        return "x" * 100

    turn = await played([call("long")], [long], [Shortens])

    assert Success(value="x" * 100) == turn.tool_calls[0].outcome
    assert ["long: short"] == shown(turn)


async def test_a_failing_projector_shows_its_error_and_the_record_stays_raw() -> None:
    """
    The model must be told something, and the output isn't lost.
    """

    def broken(name: str, outcome: ToolOutcome) -> tuple[Text, ...]:
        raise ValueError("too clever")

    class Shortens(Plugin):
        @hooks.tool_projector
        def projector(self, ctx: SessionContext) -> Projector:
            return broken

    @tool
    async def act() -> str:
        return "raw"

    turn = await played([call("act")], [act], [Shortens])

    assert Success(value="raw") == turn.tool_calls[0].outcome
    assert ["[failed: projector] ValueError: too clever"] == shown(turn)
    assert ["tool_projector"] == [issue.code for issue in turn.issues]
    assert "done" == turn.text


async def test_a_crash_in_the_making_of_a_call_keeps_its_id() -> None:
    """
    Whatever breaks, calls and results pair.
    """

    def validate(text: str) -> dict[str, Any]:
        raise ZeroDivisionError("a defect")

    made = tool(name="odd")(lambda: None)
    odd = Tool(definition=made.definition, run=made.run, validate=validate)
    turn = await played([call("odd"), call("odd")], [odd])

    assert {("internal", "tool_crashed")} == {
        (f.reason, f.code) for f in map(failure_of, turn.tool_calls)
    }
    assert [c.id for c in turn.messages[1].calls] == [r.call for r in turn.tool_calls]
