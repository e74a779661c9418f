"""
Cancelling a turn: at every point where it can wait, in every way it can be told.

Whatever the point and the way, the turn is committed, its history is one that a
model accepts, nothing runs on, and the next turn works.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lash_sdk import Lash, Limits, Plugin, hooks, tool
from lash_sdk.commits import Commit, Receipt
from lash_sdk.contexts import CommitContext, ModelContext, ToolContext, TurnContext
from lash_sdk.events import SessionEvent, TurnEnded
from lash_sdk.graph import History, check_pairs
from lash_sdk.hooks import Allow, Ask, Decision, Directive
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Text
from lash_sdk.outcomes import (
    Cancelled,
    Ending,
    Finished,
    Stopped,
    Success,
    ToolOutcome,
    TurnOutcome,
)
from lash_sdk.ports import Chunk, Emit, Model, ModelAnswer, ModelRequest
from lash_sdk.session import Session, TurnRecord
from lash_sdk.testing import Reply, ScriptedModel, call, failure, reply
from lash_sdk.tools import Tool

PROMPT = 2.0
"""Seconds within which a cancelled turn must be back."""


class Hold:
    """A place where a turn waits for ten seconds, and says that it's there."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.free = asyncio.Event()
        self.thread_free = threading.Event()
        self._loop = asyncio.get_running_loop()

    async def __call__(self) -> None:
        self.reached.set()
        await asyncio.sleep(10)

    def in_thread(self) -> None:
        self._loop.call_soon_threadsafe(self.reached.set)
        self.thread_free.wait(10)


@dataclass
class Scene:
    """An app that waits at one place: what it's made of, and how the turn ends."""

    answer: Callable[[ModelRequest], Any] = field(
        default_factory=lambda: lambda request: reply("done")
    )
    tools: tuple[Tool, ...] = ()
    plugin: type[Plugin] | None = None
    store: MemoryStore | None = None
    model: Model | None = None
    finished: bool = False
    calls: int = 0

    def app(self) -> Lash:
        def brain(request: ModelRequest) -> Any:
            if request.history[-1].text == "next":
                return reply("fine")
            return self.answer(request)

        return Lash(
            model=self.model or ScriptedModel([brain] * 9),
            tools=self.tools,
            plugins=[] if self.plugin is None else [self.plugin],
            store=self.store or MemoryStore(),
            autoload=False,
        )


def asks(*names: str) -> Callable[[ModelRequest], Reply]:
    """Return a brain that asks for tools once, then is done."""

    def answer(request: ModelRequest) -> Reply:
        if request.history[-1].role == "tool":
            return reply("done")
        return reply(calls=[call(name) for name in names])

    return answer


@tool
async def quick() -> str:
    """Return at once."""
    return "quick"


# --- the places ----------------------------------------------------------------


def in_before_turn(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.before_turn
        async def wait(self, ctx: TurnContext) -> list[Directive]:
            if ctx.messages[-1].text == "go":
                await hold()
            return []

    return Scene(plugin=Waits)


def in_transform_context(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.transform_context
        async def wait(self, ctx: TurnContext, value: History) -> History:
            if value[-1].text == "go":
                await hold()
            return value

    return Scene(plugin=Waits)


def in_decide_spend(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.decide_spend
        async def wait(self, ctx: ModelContext) -> Decision:
            if not hold.reached.is_set():
                await hold()
            return Allow()

    return Scene(plugin=Waits)


def in_model(hold: Hold) -> Scene:
    async def answer(request: ModelRequest) -> Reply:
        await hold()
        return reply("too late")

    return Scene(answer=answer)


def in_around_model(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.around_model
        async def wait(
            self, ctx: ModelContext, call_next: Callable[[ModelContext], Awaitable[ModelAnswer]]
        ) -> ModelAnswer:
            answer = await call_next(ctx)
            if not hold.reached.is_set():
                await hold()
            return answer

    return Scene(plugin=Waits)


def in_retry_wait(hold: Hold) -> Scene:
    def answer(request: ModelRequest) -> Reply:
        hold.reached.set()
        return failure("busy", retryable=True, after=10.0)

    return Scene(answer=answer)


def in_mid_stream(hold: Hold) -> Scene:
    class Dripping:
        name = "dripping"
        window = None

        async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
            emit(Chunk(text="half an ans"))
            if request.history[-1].text == "go":
                await hold()
            return ModelAnswer(parts=(Text(text="fine"),))

        async def close(self) -> None: ...

    return Scene(model=Dripping())


def in_before_tool(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.before_tool
        async def wait(self, ctx: ToolContext) -> list[Directive]:
            await hold()
            return []

    return Scene(asks("quick"), (quick,), Waits, calls=1)


def in_decide_tool(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.decide_tool
        async def wait(self, ctx: ToolContext) -> Decision:
            await hold()
            return Allow()

    return Scene(asks("quick", "quick"), (quick,), Waits, calls=2)


def in_decide_approval(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.decide_tool
        async def gate(self, ctx: ToolContext) -> Decision:
            return Ask(question="really?")

        @hooks.decide_approval
        async def wait(self, ctx: ToolContext) -> Decision:
            await hold()
            return Allow()

    return Scene(asks("quick"), (quick,), Waits, calls=1)


def in_around_tool(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.around_tool
        async def wait(
            self, ctx: ToolContext, call_next: Callable[[ToolContext], Awaitable[ToolOutcome]]
        ) -> ToolOutcome:
            await hold()
            return await call_next(ctx)

    return Scene(asks("quick"), (quick,), Waits, calls=1)


def in_async_tool(hold: Hold) -> Scene:
    @tool
    async def slow() -> str:
        await hold()
        return "slow"

    return Scene(asks("slow"), (slow,), calls=1)


def in_parallel_tools(hold: Hold) -> Scene:
    @tool
    async def slow() -> str:
        await hold()
        return "slow"

    return Scene(asks("quick", "slow", "slow", "quick"), (quick, slow), calls=4)


def in_thread_tool(hold: Hold) -> Scene:
    @tool
    def slow() -> str:
        hold.in_thread()
        return "slow"

    return Scene(asks("slow"), (slow,), calls=1)


def in_thread_tools(hold: Hold) -> Scene:
    @tool
    def slow() -> str:
        hold.in_thread()
        return "slow"

    return Scene(asks("slow", "quick", "slow"), (quick, slow), calls=3)


def in_serial_tools(hold: Hold) -> Scene:
    @tool(serial=True)
    async def first() -> str:
        await hold()
        return "slow"

    return Scene(asks("first", "quick", "first"), (quick, first), calls=3)


def in_tool_retry(hold: Hold) -> Scene:
    @tool(retry=3)
    async def flaky() -> str:
        hold.reached.set()
        raise OSError("no")

    return Scene(asks("flaky"), (flaky,), calls=1)


def in_after_tool(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.after_tool
        async def wait(self, ctx: ToolContext) -> list[Directive]:
            await hold()
            return []

    return Scene(asks("quick"), (quick,), Waits, calls=1)


def in_checkpoint(at: str) -> Callable[[Hold], Scene]:
    def make(hold: Hold) -> Scene:
        class Waits(Plugin):
            @hooks.at_checkpoint
            async def wait(self, ctx: TurnContext) -> list[Directive]:
                if ctx.checkpoint == at and ctx.messages[0].text == "go":
                    await hold()
                return []

        return Scene(asks("quick"), (quick,), Waits, calls=1)

    return make


def in_after_turn(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.after_turn
        async def wait(self, ctx: TurnContext) -> list[Directive]:
            if ctx.messages[0].text == "go":
                await hold()
            return []

    return Scene(plugin=Waits, finished=True)


class SlowStore(MemoryStore):
    """
    Holds the first commit until it's let go, whoever is cancelled.

    It tells a cancelled caller so, once the commit is known: a store may.
    """

    def __init__(self, hold: Hold, *, tells: bool) -> None:
        super().__init__()
        self._hold = hold
        self._tells = tells

    async def commit(self, commit: Commit) -> Receipt:
        if self._hold.reached.is_set():
            return await super().commit(commit)
        self._hold.reached.set()
        free = asyncio.ensure_future(self._hold.free.wait())
        cancelled = False
        while not free.done():
            try:
                await asyncio.wait([free])
            except asyncio.CancelledError:
                cancelled = True
        receipt = await super().commit(commit)
        if cancelled and self._tells:
            raise asyncio.CancelledError
        return receipt


def in_commit(*, tells: bool) -> Callable[[Hold], Scene]:
    return lambda hold: Scene(store=SlowStore(hold, tells=tells), finished=True)


def in_around_commit(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.around_commit
        async def wait(
            self, ctx: CommitContext, call_next: Callable[[CommitContext], Awaitable[Receipt]]
        ) -> Receipt:
            if not hold.reached.is_set():
                await hold()
            return await call_next(ctx)

    return Scene(plugin=Waits, finished=True)


def in_on_turn_committed(hold: Hold) -> Scene:
    class Waits(Plugin):
        @hooks.on_turn_committed
        async def wait(self, ctx: TurnContext) -> None:
            if not hold.reached.is_set():
                await hold()

    return Scene(plugin=Waits, finished=True)


PLACES: dict[str, Callable[[Hold], Scene]] = {
    "before_turn": in_before_turn,
    "transform_context": in_transform_context,
    "decide_spend": in_decide_spend,
    "model": in_model,
    "around_model": in_around_model,
    "retry_wait": in_retry_wait,
    "mid_stream": in_mid_stream,
    "before_tool": in_before_tool,
    "decide_tool": in_decide_tool,
    "decide_approval": in_decide_approval,
    "around_tool": in_around_tool,
    "async_tool": in_async_tool,
    "parallel_tools": in_parallel_tools,
    "thread_tool": in_thread_tool,
    "thread_tools": in_thread_tools,
    "serial_tools": in_serial_tools,
    "tool_retry": in_tool_retry,
    "after_tool": in_after_tool,
    "after_work": in_checkpoint("after_work"),
    "before_completion": in_checkpoint("before_completion"),
    "after_turn": in_after_turn,
    "commit": in_commit(tells=False),
    "commit_telling": in_commit(tells=True),
    "around_commit": in_around_commit,
    "on_turn_committed": in_on_turn_committed,
}

# --- the ways ------------------------------------------------------------------


async def by_task(session: Session, hold: Hold) -> None:
    task = asyncio.create_task(session.run("go"))
    await hold.reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    hold.free.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def by_session(session: Session, hold: Hold) -> None:
    async def main() -> tuple[TurnRecord, int]:
        record = await session.run("go")
        task = asyncio.current_task()
        assert task is not None
        return record, task.cancelling()

    task = asyncio.create_task(main())
    await hold.reached.wait()
    stopping = asyncio.create_task(session.cancel())
    await asyncio.sleep(0)
    hold.free.set()
    await stopping
    record, cancelling = await task

    assert 0 == cancelling
    assert record.committed
    await asyncio.sleep(0)  # nothing is left to be thrown


async def by_timeout(session: Session, hold: Hold) -> None:
    async def main() -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await session.run("go")
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        return task.cancelling()

    limits: list[asyncio.Timeout] = []
    task = asyncio.create_task(main())
    await hold.reached.wait()
    limits[0].reschedule(asyncio.get_running_loop().time())
    await asyncio.sleep(0.01)
    hold.free.set()

    assert 0 == await task


async def by_close(session: Session, hold: Hold) -> None:
    task = asyncio.create_task(session.run("go"))
    await hold.reached.wait()
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0)
    hold.free.set()
    await closing
    record = await task

    assert record.committed


async def by_stream(session: Session, hold: Hold) -> None:
    stream = session.stream("go")
    reading = asyncio.create_task(anext(stream))
    await hold.reached.wait()
    closing = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    hold.free.set()
    await closing

    await reading


async def by_stream_and_task(session: Session, hold: Hold) -> None:
    """Both at once: the session's own word mustn't hide the caller's."""
    task = asyncio.create_task(session.run("go"))
    await hold.reached.wait()
    stopping = asyncio.create_task(session.cancel())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    hold.free.set()
    await stopping

    with pytest.raises(asyncio.CancelledError):
        await task


WAYS = {
    "task": by_task,
    "session": by_session,
    "timeout": by_timeout,
    "close": by_close,
    "stream": by_stream,
    "both": by_stream_and_task,
}


@pytest.fixture
def freed() -> Iterator[list[Hold]]:
    """Yield where holds are put whose threads are let go at the end."""
    holds: list[Hold] = []
    yield holds
    for hold in holds:
        hold.thread_free.set()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_cancelled_turn_is_committed(place: str, way: str, freed: list[Hold]) -> None:
    """
    What was done stays known, nothing hangs, and the session goes on.
    """
    hold = Hold()
    freed.append(hold)
    scene = PLACES[place](hold)
    async with scene.app() as app:
        before = asyncio.all_tasks()
        session = await app.session("s")
        async with asyncio.timeout(PROMPT):
            await WAYS[way](session, hold)
        session = await app.session("s")

        outcome = ending(session)
        assert isinstance(outcome, Finished if scene.finished else Stopped)
        if isinstance(outcome, Stopped):
            assert "cancelled" == outcome.reason
        assert 1 == session.revision
        assert "go" == session.messages[0].text
        check_pairs(session.messages)
        results = [r for message in session.messages for r in message.results]
        assert scene.calls == len(results)
        turn = await session.run("next")
        assert "fine" == turn.text
        assert (2, 2) == (turn.index, turn.revision)
        assert not asyncio.all_tasks() - before


def ending(session: Session) -> TurnOutcome:
    """Return how the last turn of a session ended, as its graph has it."""
    leaf = session.graph.leaf
    assert leaf is not None
    value = session.graph.node(leaf).value
    assert isinstance(value, Ending)
    return value.outcome


def scripted(*script: Any, **options: Any) -> Lash:
    return Lash(model=ScriptedModel(script), autoload=False, **options)


# --- what becomes of the calls -------------------------------------------------


async def test_calls_that_had_returned_keep_their_results() -> None:
    """
    A turn that's cancelled in a batch loses nothing that was done.
    """
    hold = Hold()
    done = asyncio.Event()

    @tool
    async def first() -> str:
        done.set()
        return "kept"

    @tool
    async def slow() -> str:
        await hold()
        return "slow"

    async with scripted(reply(calls=[call("first"), call("slow")]), tools=[first, slow]) as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        await done.wait()
        await asyncio.sleep(0)
        await session.cancel()
        turn = await task

    assert [Success(value="kept"), Cancelled()] == [r.outcome for r in turn.tool_calls]


async def test_a_cancelled_thread_is_said_to_go_on(freed: list[Hold]) -> None:
    """
    Nobody can stop a thread, and the model mustn't think that it was.
    """
    hold = Hold()
    freed.append(hold)
    contexts: list[ToolContext] = []

    @tool
    def slow(ctx: ToolContext) -> str:
        contexts.append(ctx)
        hold.in_thread()
        return "slow"

    async with scripted(reply(calls=[call("slow")]), tools=[slow]) as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        await session.cancel()
        turn = await task

    assert Cancelled(message="cancelled, may still run") == turn.tool_calls[0].outcome
    assert contexts[0].cancelled


async def test_a_serial_call_that_never_began_is_cancelled_too() -> None:
    """
    Every call has a result with its own id, whether or not it was started.
    """
    hold = Hold()
    runs: list[int] = []

    @tool(serial=True)
    async def step(n: int) -> int:
        runs.append(n)
        await hold()
        return n

    calls = [call("step", n=1), call("step", n=2), call("step", n=3)]
    async with scripted(reply(calls=calls), tools=[step]) as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        await session.cancel()
        turn = await task

    assert [1] == runs
    ids = [each.id for each in session.messages[1].calls]
    assert ids == [record.call for record in turn.tool_calls]
    assert 3 == len(set(ids))
    assert ["cancelled"] * 3 == [r.status for r in session.messages[2].results]


async def test_text_of_a_cancelled_answer_is_not_kept() -> None:
    """
    Half an answer in the history would be taken for a whole one.
    """
    hold = Hold()
    scene = in_mid_stream(hold)
    async with scene.app() as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        await session.cancel()
        turn = await task

    assert "" == turn.text
    assert ["go"] == [message.text for message in session.messages]


async def test_a_tool_that_swallows_its_cancellation_cannot_keep_the_turn() -> None:
    """
    A tool that returns in spite of being cancelled has a result; the turn stops.
    """
    hold = Hold()

    @tool
    async def stubborn() -> str:
        try:
            await hold()
        except asyncio.CancelledError:
            return "so what"
        return "never"

    script = [reply(calls=[call("stubborn")]), reply("must not be asked")]
    for way in ("session", "task"):
        model = ScriptedModel(script)
        async with Lash(model=model, tools=[stubborn], autoload=False) as app:
            session = await app.session("s")
            task = asyncio.create_task(session.run("go"))
            await hold.reached.wait()
            hold.reached.clear()
            if way == "session":
                await session.cancel()
                await task
            else:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

            outcome = ending(session)
            assert isinstance(outcome, Stopped)
            assert "cancelled" == outcome.reason
            assert 1 == model.calls
            assert ["ok"] == [r.status for r in session.messages[2].results]


@pytest.mark.parametrize("names", [("deaf",), ("deaf", "deaf"), ("lone", "lone")])
async def test_a_tool_that_ignores_cancellation_holds_nobody_for_long(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After the grace time the turn goes on without it.
    """
    monkeypatch.setattr("lash_sdk.dispatch.batch.GRACE", 0.05)
    hold = Hold()
    free = asyncio.Event()

    async def ignore() -> str:
        hold.reached.set()
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    @tool
    async def deaf() -> str:
        return await ignore()

    @tool(serial=True)
    async def lone() -> str:
        return await ignore()

    script = [reply(calls=[call(name) for name in names]), reply("next")]
    async with scripted(*script, tools=[deaf, lone]) as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        async with asyncio.timeout(PROMPT):
            await session.cancel()
            turn = await task
            after = await session.run("and now?")
        free.set()
        await asyncio.sleep(0.01)

    assert isinstance(turn.outcome, Stopped)
    assert [Cancelled()] * len(names) == [r.outcome for r in turn.tool_calls]
    assert "next" == after.text


async def test_a_tool_that_raises_a_cancellation_of_its_own_cancels_nobody() -> None:
    """
    A tool may have had something of its own cancelled; nobody asked the turn to stop.
    """

    @tool
    async def broken() -> str:
        raise asyncio.CancelledError

    for names in (("broken",), ("broken", "broken")):
        calls = [call(name) for name in names]
        async with scripted(reply(calls=calls), reply("went on"), tools=[broken]) as app:
            session = await app.session("s")
            turn = await session.run("go")

        assert "went on" == turn.text
        assert {"cancelled"} == {r.outcome.kind for r in turn.tool_calls}


async def test_a_model_that_raises_a_cancellation_of_its_own_cancels_no_caller() -> None:
    """
    The caller wasn't cancelled and mustn't be told that it was.
    """

    async def broken(request: ModelRequest) -> Reply:
        raise asyncio.CancelledError

    async with scripted(broken, reply("fine")) as app:
        session = await app.session("s")
        turn = await session.run("go")
        after = await session.run("next")

    assert isinstance(turn.outcome, Stopped)
    assert turn.committed
    assert "fine" == after.text


# --- more than once, and at odd times ------------------------------------------


async def test_cancelling_twice_while_committing_leaves_nothing_unknown() -> None:
    """
    However impatient the caller is, the session knows what its store has.
    """
    hold = Hold()
    store = SlowStore(hold, tells=True)
    async with scripted(reply("done"), reply("fine"), store=store) as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0)
        hold.free.set()
        for _ in range(5):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert 1 == session.revision
        turn = await session.run("next")
        assert "fine" == turn.text


async def test_a_second_cancel_of_the_session_changes_nothing() -> None:
    """
    An impatient user presses the button twice.
    """
    hold = Hold()
    async with in_async_tool(hold).app() as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        await asyncio.gather(session.cancel(), session.cancel(), session.cancel())
        turn = await task
        await session.cancel()

        assert isinstance(turn.outcome, Stopped)
        assert 1 == session.revision


async def test_cancelling_an_idle_session_is_harmless() -> None:
    """
    Cancel and completion race: the loser must not hurt the next turn.
    """
    async with scripted(reply("one"), reply("two")) as app:
        session = await app.session("s")
        await session.cancel()
        first = await session.run("go")
        await session.cancel()
        second = await session.run("go")

    assert ("one", "two") == (first.text, second.text)


async def test_a_caller_that_is_cancelled_already_begins_nothing() -> None:
    """
    The cancellation was asked for before the turn was; it's thrown at once.
    """
    async with scripted(reply("done")) as app:
        session = await app.session("s")

        async def main() -> str:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await session.run("go")
            task.uncancel()
            await asyncio.sleep(0)
            return "alive"

        said = await asyncio.create_task(main())

        assert "alive" == said
        assert 0 == session.revision
        turn = await session.run("next")
        assert "done" == turn.text


async def test_a_cancellation_that_waits_to_be_thrown_is_not_left_behind() -> None:
    """
    A turn that never waits is over before it can be cancelled; what comes next
    in its caller mustn't be hit instead.
    """
    sessions: list[Session] = []

    @tool(inline=True)
    def cancel_me() -> str:
        task = tasks[0]
        task.cancel()
        return "done"

    async def main() -> str:
        with pytest.raises(asyncio.CancelledError):
            await sessions[0].run("go")
        tasks[0].uncancel()
        await asyncio.sleep(0)
        return "alive"

    async with scripted(reply(calls=[call("cancel_me")]), tools=[cancel_me]) as app:
        session = await app.session("s")
        sessions.append(session)
        tasks = [asyncio.create_task(main())]

        assert "alive" == await tasks[0]
        assert isinstance(ending(session), Stopped)


async def test_a_tool_may_cancel_its_own_session() -> None:
    """
    A stop button can be a tool; it mustn't wait for itself.
    """
    sessions: list[Session] = []

    @tool
    async def stop() -> str:
        await sessions[0].cancel()
        return "stopped"

    for names in (("stop",), ("stop", "quick")):
        calls = [call(name) for name in names]
        async with scripted(reply(calls=calls), tools=[stop, quick]) as app:
            session = await app.session("s")
            sessions[:] = [session]
            async with asyncio.timeout(PROMPT):
                turn = await session.run("go")

        assert isinstance(turn.outcome, Stopped)
        assert "cancelled" == turn.outcome.reason


async def test_cancel_waits_for_the_running_turn_alone() -> None:
    """
    Turns that queue behind it are others' and go on.
    """
    hold = Hold()

    async def answer(request: ModelRequest) -> Reply:
        if request.history[-1].text == "first":
            await hold()
        else:
            await release.wait()
        return reply("done")

    release = asyncio.Event()
    model = ScriptedModel([answer] * 3)
    async with Lash(model=model, autoload=False, on_busy="queue") as app:
        session = await app.session("s")
        first = asyncio.create_task(session.run("first"))
        await hold.reached.wait()
        second = asyncio.create_task(session.run("second"))
        await asyncio.sleep(0)
        async with asyncio.timeout(PROMPT):
            await session.cancel()
            stopped = await first
        release.set()
        turn = await second

    assert isinstance(stopped.outcome, Stopped)
    assert isinstance(turn.outcome, Finished)


async def test_a_cancelled_turn_is_over_once_for_whoever_watches() -> None:
    """
    A display that's told twice, or never, is stuck.
    """
    hold = Hold()
    heard: list[SessionEvent] = []
    async with in_async_tool(hold).app() as app:
        session = await app.session("s")
        session.listen(heard.append)
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        await session.cancel()
        await task

    ended = [event for event in heard if isinstance(event, TurnEnded)]
    assert 1 == len(ended)
    assert heard[-1] is ended[0]
    assert ended[0].committed


async def test_a_cancelled_turn_does_not_wait_long_for_after_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A plugin that's slow at the end has the grace time, no more.
    """
    monkeypatch.setattr("lash_sdk.runner.settle.GRACE", 0.05)
    hold = Hold()

    class Slow(Plugin):
        @hooks.after_turn
        async def wait(self, ctx: TurnContext) -> list[Directive]:
            await asyncio.sleep(10)
            return []

    scene = in_async_tool(hold)
    scene.plugin = Slow
    async with scene.app() as app:
        session = await app.session("s")
        task = asyncio.create_task(session.run("go"))
        await hold.reached.wait()
        async with asyncio.timeout(PROMPT):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        assert isinstance(ending(session), Stopped)


# --- out of time ---------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["before_turn", "model", "retry_wait", "async_tool", "after_work"]
)
async def test_a_turn_out_of_time_is_committed_and_returned(place: str) -> None:
    """
    A limit of the application's own is no error of its caller.
    """
    hold = Hold()
    scene = PLACES[place](hold)
    async with scene.app() as app:
        session = await app.session("s", limits=Limits(seconds=0.05))
        started = time.monotonic()
        turn = await session.run("go")
        task = asyncio.current_task()

        assert task is not None
        assert 0 == task.cancelling()
        assert time.monotonic() - started < PROMPT
        assert isinstance(turn.outcome, Stopped)
        assert "max_seconds" == turn.outcome.reason
        assert turn.committed
        check_pairs(session.messages)


async def test_time_that_is_not_used_up_stops_nothing() -> None:
    """
    The clock of one turn must not ring in the next.
    """
    async with scripted(reply("one"), reply("two", delay=0.08), limits=Limits(seconds=0.06)) as app:
        session = await app.session("s")
        first = await session.run("go")
        await asyncio.sleep(0.03)
        await session.configure(limits=Limits())
        second = await session.run("go")

    assert ("one", "two") == (first.text, second.text)
