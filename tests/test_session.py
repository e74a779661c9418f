"""
A session as applications see it: the public names, and what each of them means.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

import pydantic
import pytest

from lash_sdk import Lash, Limits, Plugin, Usage, hooks, tool
from lash_sdk.commits import Commit, Receipt
from lash_sdk.contexts import CommitContext, ConfigContext, SessionContext, TurnContext
from lash_sdk.errors import (
    InvalidInput,
    ModelError,
    OperationMismatch,
    PluginFault,
    SessionBusy,
    SessionClosed,
    StoreFull,
    Unavailable,
)
from lash_sdk.events import Gap, SessionEvent, TextDelta, TurnEnded, TurnStarted
from lash_sdk.hooks import AbortTurn, Directive, EnqueueMessages
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Image, Message, Text, assistant, note, user
from lash_sdk.outcomes import Finished, Stopped
from lash_sdk.policy import Policy
from lash_sdk.ports import Chunk, Emit, ModelAnswer, ModelRequest, Store
from lash_sdk.session import Session
from lash_sdk.testing import Reply, ScriptedModel, call, failure, reply


def app(*script: Any, **options: Any) -> Lash:
    return Lash(model=ScriptedModel(script), autoload=False, **options)


class Gate:
    """An answer that's given only once it's let go."""

    def __init__(self, text: str = "done") -> None:
        self.reached = asyncio.Event()
        self.free = asyncio.Event()
        self._text = text

    async def __call__(self, request: ModelRequest) -> Reply:
        self.reached.set()
        await self.free.wait()
        return reply(self._text)


# --- one turn ------------------------------------------------------------------


async def test_a_turns_id_is_used_once() -> None:
    """
    Who uses it again is told so before a model is paid for an answer that can't be kept.
    """
    store = MemoryStore()
    async with app("one", "two", store=store) as lash:
        session = await lash.session("s")
        await session.run("go", turn="t")
        fork = await session.fork(id="f")
        for again in (session, fork):
            said = f"session '{again.id}': 't' was used already, and stands for what it did"
            for input in ("go", "on"):
                with pytest.raises(OperationMismatch, match=said):
                    await again.run(input, turn="t")
        with pytest.raises(OperationMismatch, match="session 'other': 't' was used already"):
            await (await lash.session("other")).run("go", turn="t")
        assert "two" == (await session.run("go", turn="t2")).text


async def test_a_turns_id_that_is_used_meanwhile_runs_no_tool_again() -> None:
    """
    Whoever tries once more with the same id wants it done once: in line, by another
    app, or after another one's turn.
    """
    charged: list[int] = []

    @tool
    async def charge() -> str:
        """Charge once."""
        charged.append(1)
        return "done"

    def answer(request: ModelRequest) -> Reply:
        last = request.history[-1].role
        return reply("ok") if last == "tool" else reply(calls=[call("charge")])

    script, store = [answer] * 9, MemoryStore()
    async with (
        app(*script, store=store, tools=[charge], on_busy="queue") as ours,
        app(*script, store=store, tools=[charge], on_busy="queue") as theirs,
    ):
        session, stale = await ours.session("s"), await theirs.session("s")
        twice = await asyncio.gather(
            *[session.run("go", turn="t") for _ in range(2)], return_exceptions=True
        )
        with pytest.raises(OperationMismatch):
            await stale.run("go", turn="t")

    assert [1] == charged
    assert ["OperationMismatch", "TurnRecord"] == sorted(type(each).__name__ for each in twice)


@pytest.mark.parametrize("turn", ["", "a/b", "a:b", "\ud800", "x" * 129, "/spent"])
async def test_what_is_no_turns_id_is_refused(turn: str) -> None:
    """
    It stands in keys, in ids of nodes and in cursors, and in the kernel's own rows.
    """
    async with app("one", "two") as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput, match="turn: expected 1 to 128 of"):
            await session.run("go", turn=turn)

        assert "spent" == (await session.run("go", turn="spent")).id


async def test_a_turn_that_goes_to_a_fork_keeps_its_id() -> None:
    """
    Its caller made the id up to find the turn by it.
    """
    gate = Gate()
    async with app("hi", gate, "there", on_busy="fork") as lash:
        session = await lash.session("s")
        await session.run("first")
        task = asyncio.create_task(session.run("long"))
        await gate.reached.wait()
        turn = await session.run("at once", turn="mine")
        gate.free.set()
        await task

    assert ("mine", "s~mine") == (turn.id, turn.session)


async def test_three_lines_make_a_turn() -> None:
    """
    What the readme promises.
    """

    @tool
    async def add(a: int, b: int) -> int:
        """Add two integers."""
        return a + b

    script = [reply(calls=[call("add", a=2, b=3)], usage=Usage(input=10, output=5)), "It's 5."]
    async with app(*script, tools=[add]) as lash:
        session = await lash.session("chat-1")
        turn = await session.run("What is 2 + 3?")

        assert "It's 5." == turn.text
        assert Finished(text="It's 5.") == turn.outcome
        assert None is turn.value
        assert 5 == turn.tool_calls[0].to_json()["outcome"]["value"]  # type: ignore[index,call-overload]
        assert Usage(input=20, output=10) == turn.usage
        assert Usage() == turn.children_usage
        assert () == turn.issues
        assert (1, 1, "chat-1") == (turn.index, turn.revision, turn.session)
        assert turn.committed
        assert turn.messages == session.messages
        assert ["user", "assistant", "tool", "assistant"] == [m.role for m in session.messages]
        assert turn.to_json()["text"] == turn.text


async def test_index_counts_turns_and_revision_counts_moves_of_the_head() -> None:
    """
    Configuring moves the head without being a turn.
    """
    async with app("one", "two") as lash:
        session = await lash.session("s")
        assert 0 == session.revision
        first = await session.run("go")
        await session.configure(instructions="Be brief.")
        assert 2 == session.revision
        second = await session.run("go")

    assert (1, 1) == (first.index, first.revision)
    assert (2, 3) == (second.index, second.revision)


@pytest.mark.parametrize(
    "input", ["", "   ", [], [Text(text="")], 5, None, ["text"], [call("tool")]]
)
async def test_an_input_that_says_nothing_is_refused(input: Any) -> None:
    """
    No provider takes an empty question; nothing is written and the index stays.
    """
    async with app("hi") as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput):
            await session.run(input)
        with pytest.raises(InvalidInput):
            session.stream(input)

        assert 0 == session.revision
        turn = await session.run("go")
        assert 1 == turn.index


async def test_an_input_may_hold_pictures() -> None:
    """
    Their bytes are stored with the turn and read back from it.
    """
    picture = Image.of(b"\x89PNG")
    store = MemoryStore()
    async with app("nice", store=store) as lash:
        session = await lash.session("s")
        await session.run([Text(text="look"), picture])
    async with app("x", store=store) as lash:
        again = await lash.session("s")
        shown = again.messages[0].parts[1]

        assert isinstance(shown, Image)
        assert b"\x89PNG" == await again.blob(shown.blob)


async def test_what_is_read_is_the_last_committed_state() -> None:
    """
    A running turn isn't seen before it's durable, and nobody sees a view change.
    """
    gate = Gate()
    async with app("one", gate) as lash:
        session = await lash.session("s")
        await session.run("go")
        messages, graph, revision = session.messages, session.graph, session.revision
        size, leaf = len(graph), graph.leaf
        task = asyncio.create_task(session.run("more"))
        await gate.reached.wait()

        running = session.running
        assert running
        assert (messages, revision) == (session.messages, session.revision)
        assert graph is session.graph
        gate.free.set()
        await task
        assert not session.running
        assert (size, leaf) == (len(graph), graph.leaf)
        assert (4, 2) == (len(session.messages), session.revision)
        assert not session.interrupted


async def test_usage_counts_what_is_committed_and_what_is_not_yet() -> None:
    """
    A bill shown while a turn runs never goes down when it's committed.
    """
    reached, free = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> str:
        reached.set()
        await free.wait()
        return "done"

    script = [reply(calls=[call("wait")], usage=Usage(input=7)), reply("x", usage=Usage(output=2))]
    async with app(*script, tools=[wait]) as lash:
        session = await lash.session("s")
        assert 0 == session.usage().total
        task = asyncio.create_task(session.run("go"))
        await reached.wait()
        assert 7 == session.usage().total
        free.set()
        await task

        report = session.usage()
        assert (9, 7, 2) == (report.total, report.input, report.output)
        assert {"turn": Usage(input=7, output=2)} == report.by_source
        assert 2 == len(report.rows)


@pytest.mark.parametrize("durability", ["effect", "turn"])
async def test_what_a_failed_commit_cost_is_still_owed(durability: Any) -> None:
    """
    The provider was paid; the next commit brings the rows home, once.
    """

    class Full(MemoryStore):
        full = True

        async def commit(self, commit: Commit) -> Receipt:
            if self.full:
                raise StoreFull("no room")
            return await super().commit(commit)

    store = Full()
    async with app("first", "second", store=store, durability=durability) as lash:
        session = await lash.session("s")
        with pytest.raises(StoreFull):
            await session.run("go")
        assert (0, (), 15) == (session.revision, session.messages, session.usage().total)
        store.full = False
        resumed = await session.resume()
        assert (durability == "effect") == (resumed is not None)
        await session.run("again")
        assert 30 == session.usage().total
    async with app(store=store) as lash:
        session = await lash.session("s")

        assert 30 == session.usage().total
        said = [message.text for message in session.messages]
        assert (["go", "first"] if resumed else []) + ["again", "second"] == said


async def test_a_refused_turn_leaves_nothing_behind() -> None:
    """
    It's returned, not committed, and the index isn't used up.
    """
    heard: list[str] = []

    class Refuses(Plugin):
        @hooks.before_turn
        async def refuse(self, ctx: TurnContext) -> list[Directive]:
            if ctx.messages[0].text == "bad":
                return [AbortTurn(code="policy", message="not that")]
            return []

        @hooks.after_turn
        async def look(self, ctx: TurnContext) -> list[Directive]:
            heard.append("after")
            return []

    async with app("fine", plugins=[Refuses]) as lash:
        session = await lash.session("s")
        refused = await session.run("bad")
        assert isinstance(refused.outcome, Stopped)
        assert ("plugin_abort", "policy") == (refused.outcome.reason, refused.outcome.code)
        assert not refused.committed
        assert [] == heard
        assert (0, ()) == (session.revision, session.messages)
        turn = await session.run("good")

    assert (1, 1) == (refused.index, turn.index)
    assert ["after"] == heard


# --- streams -------------------------------------------------------------------


async def test_a_stream_yields_a_turns_events_in_order() -> None:
    """
    The start first, the end last, and the record besides.
    """
    async with app("hello") as lash:
        session = await lash.session("s")
        stream = session.stream("go")
        assert 0 == session.revision
        events = [event async for event in stream]
        turn = await stream.result()

    assert isinstance(events[0], TurnStarted)
    assert isinstance(events[-1], TurnEnded)
    assert ["hello"] == [event.text for event in events if isinstance(event, TextDelta)]
    assert "hello" == turn.text


async def test_leaving_a_stream_leaves_the_turn_running() -> None:
    """
    A browser tab that's closed must not lose the answer.
    """
    gate = Gate()
    async with app(gate) as lash:
        session = await lash.session("s")
        stream = session.stream("go")
        async for event in stream:
            assert isinstance(event, TurnStarted)
            break
        gate.free.set()
        turn = await stream.result()

    assert "done" == turn.text


async def test_cancelling_who_waits_for_a_result_leaves_the_turn_running() -> None:
    """
    The stream owns the turn; whoever looks at it doesn't.
    """
    gate = Gate()
    async with app(gate) as lash:
        session = await lash.session("s")
        stream = session.stream("go")
        waiter = asyncio.create_task(stream.result())
        await gate.reached.wait()
        waiter.cancel()
        await asyncio.wait([waiter])
        gate.free.set()

        assert waiter.cancelled()
        assert "done" == (await stream.result()).text


async def test_leaving_its_block_cancels_a_stream() -> None:
    """
    `async with` says that the turn is wanted no longer than the block.
    """
    gate = Gate()
    async with app(gate, "next") as lash:
        session = await lash.session("s")
        async with session.stream("go") as stream:
            async for _event in stream:
                await gate.reached.wait()
                break

        assert 1 == session.revision
        assert "next" == (await session.run("more")).text


async def test_a_stream_that_nobody_reads_runs_nothing() -> None:
    """
    Nothing is started, and nothing is left to complain about.
    """
    async with app("hi") as lash:
        session = await lash.session("s")
        stream = session.stream("go")
        await asyncio.sleep(0)
        assert not session.running
        await stream.aclose()
        with pytest.raises(InvalidInput, match="closed before its turn began"):
            await stream.result()
        session.stream("never read")
        gc.collect()

        assert 0 == session.revision


async def test_a_stream_raises_what_the_turn_raises() -> None:
    """
    An empty stream would be taken for an empty answer.
    """
    gate = Gate()
    async with app(failure("no key", code="auth"), gate) as lash:
        session = await lash.session("s")
        events: list[SessionEvent] = []
        with pytest.raises(ModelError, match="no key"):
            async for event in session.stream("go"):
                events.append(event)
        assert isinstance(events[-1], TurnEnded)
        task = asyncio.create_task(session.run("slow"))
        await gate.reached.wait()
        with pytest.raises(SessionBusy):
            async for event in session.stream("busy"):
                pytest.fail(f"heard {event}")
        gate.free.set()
        await task


class Chatty:
    """A model that says a lot, and knows when it was done."""

    name = "chatty"
    window = None

    def __init__(self, pieces: int) -> None:
        self.done = asyncio.Event()
        self._pieces = pieces

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        for at in range(self._pieces):
            emit(Chunk(text=f"{at} "))
        self.done.set()
        return ModelAnswer(parts=(Text(text="long"),), usage=Usage(output=1))

    async def close(self) -> None: ...


async def test_a_slow_consumer_gets_one_gap_and_slows_nobody() -> None:
    """
    The turn ends while the consumer still holds the first event.
    """
    model = Chatty(5000)
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        stream = session.stream("go")
        first = await anext(stream)
        turn = await stream.result()
        rest = [event async for event in stream]

    gaps = [event for event in rest if isinstance(event, Gap)]
    deltas = [event.text for event in rest if isinstance(event, TextDelta)]
    assert isinstance(first, TurnStarted)
    assert "long" == turn.text
    assert 1 == len(gaps)
    assert 5000 == gaps[0].dropped + len(deltas)
    assert [f"{at} " for at in range(5000)][-len(deltas) :] == deltas
    assert len(rest) <= 1001
    assert isinstance(rest[-1], TurnEnded)


async def test_a_stream_in_a_queue_hears_its_own_turn_alone() -> None:
    """
    Another turn's words in this turn's answer would be read as the answer.
    """
    gate = Gate("first")
    async with app(gate, "second", on_busy="queue") as lash:
        session = await lash.session("s")
        running = asyncio.create_task(session.run("one"))
        await gate.reached.wait()
        stream = session.stream("two")
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        gate.free.set()
        await running
        events = [await reading, *[event async for event in stream]]

    assert {events[0].turn} == {event.turn for event in events if not isinstance(event, Gap)}  # type: ignore[union-attr]
    assert ["second"] == [event.text for event in events if isinstance(event, TextDelta)]


async def test_a_listener_that_fails_harms_no_turn(caplog: pytest.LogCaptureFixture) -> None:
    """
    Watching is watching, whatever the watcher does.
    """

    def broken(event: SessionEvent) -> None:
        raise ZeroDivisionError

    heard: list[SessionEvent] = []
    async with app("hi") as lash:
        session = await lash.session("s")
        stop = session.listen(broken)
        session.listen(heard.append)
        with caplog.at_level(logging.ERROR, logger="lash.session"):
            turn = await session.run("go")
        stop()
        stop()

    assert "hi" == turn.text
    assert isinstance(heard[-1], TurnEnded)
    assert "a listener of session 's' failed" in caplog.text


# --- handles -------------------------------------------------------------------


async def test_handles_of_one_id_share_one_session() -> None:
    """
    What one commits the other sees; closing the last releases it.
    """
    closed: list[str] = []

    class Ears(Plugin):
        @hooks.on_session_closed
        async def hear(self, ctx: SessionContext) -> None:
            closed.append(ctx.session_id)

    async with app("hi", plugins=[Ears]) as lash:
        first, second = await asyncio.gather(lash.session("s"), lash.session("s"))
        await first.run("go")
        assert first.messages == second.messages
        await first.close()
        await first.close()
        assert [] == closed
        assert 1 == second.revision
        async with second:
            pass
        assert ["s"] == closed
        third = await lash.session("s")
        assert (1, 2) == (third.revision, len(third.messages))


async def test_a_closed_handle_says_so() -> None:
    """
    Other handles of the session go on.
    """
    async with app("hi") as lash:
        session = await lash.session("s")
        other = await lash.session("s")
        await session.close()
        uses: list[Callable[[], Any]] = [
            lambda: session.run("go"),
            lambda: session.cancel(),
            lambda: session.configure(instructions="x"),
            lambda: session.hide("x"),
            lambda: session.act("x"),
        ]
        for use in uses:
            with pytest.raises(SessionClosed, match="session 's' is closed"):
                await use()
        with pytest.raises(SessionClosed):
            session.stream("go")
        with pytest.raises(SessionClosed):
            session.listen(print)

        assert "s" == session.id
        assert 0 == session.usage().total
        assert "hi" == (await other.run("go")).text


async def test_a_session_is_opened_anew_while_it_closes() -> None:
    """
    The last handle is given back while somebody asks for the id: both are served.
    """
    reached, free = asyncio.Event(), asyncio.Event()

    class Slow(Plugin):
        @hooks.on_session_closed
        async def close_slowly(self, ctx: SessionContext) -> None:
            reached.set()
            await free.wait()

    async with app("one", "two", plugins=[Slow]) as lash:
        session = await lash.session("s")
        await session.run("go")
        closing = asyncio.create_task(session.close())
        await reached.wait()
        opening = asyncio.create_task(lash.session("s").__aenter__())
        await asyncio.sleep(0)
        free.set()
        await closing
        again = await opening

        assert (2, 2) == ((await again.run("go")).index, again.revision)


async def test_a_close_that_is_cancelled_leaves_an_id_that_can_be_opened() -> None:
    """
    Whoever gives up waiting for a slow plugin hasn't lost the session.
    """

    class Slow(Plugin):
        @hooks.on_session_closed
        async def close_slowly(self, ctx: SessionContext) -> None:
            await asyncio.sleep(10)

    async with app("one", plugins=[Slow]) as lash:
        session = await lash.session("s")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await session.close()
        again = await lash.session("s")

        assert "one" == (await again.run("go")).text
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await again.close()


async def test_closing_settles_what_runs_and_begins_nothing_new() -> None:
    """
    Turns that waited in the queue are told that they're too late.
    """
    gate = Gate()
    async with app(gate, "never", on_busy="queue") as lash:
        session = await lash.session("s")
        running = asyncio.create_task(session.run("one"))
        await gate.reached.wait()
        waiting = asyncio.create_task(session.run("two"))
        await asyncio.sleep(0)
        await session.close()
        turn = await running
        with pytest.raises(SessionClosed):
            await waiting

    assert isinstance(turn.outcome, Stopped)
    assert "cancelled" == turn.outcome.reason
    assert turn.committed


@pytest.mark.parametrize("id", ["", "a\0b", "x" * 256, "é" * 128, "\ud800", "a\udfff"])
async def test_an_id_that_cannot_be_one_is_refused(id: str) -> None:
    """
    Every store can hold what's let in here.
    """
    async with app() as lash:
        with pytest.raises(InvalidInput, match="expected 1 to 255 bytes of UTF-8"):
            lash.session(id)


@pytest.mark.parametrize("id", ["a", "é" * 127, "x" * 255, "../..", "a/b c\n", "🦜", "~'%_"])
async def test_any_other_text_is_an_id(id: str) -> None:
    """
    An id is data, whatever's in it.
    """
    async with app("hi") as lash:
        session = await lash.session(id)
        await session.run("go")

        assert [id] == [row.id for row in await lash.sessions()]


class Bare(MemoryStore):
    """
    A store that can only commit.
    """

    capabilities = frozenset(("commit",))
    claim = Store.claim
    journal_put = Store.journal_put
    journal = Store.journal
    enqueue = Store.enqueue
    pending = Store.pending
    withdraw = Store.withdraw
    fork = Store.fork


async def test_a_store_that_can_only_commit_will_do() -> None:
    """
    What it can't do isn't done, and asking for it says what's missing.
    """
    async with app("hi", store=Bare()) as lash:
        session = await lash.session("s")
        await session.run("go")

        assert (1, False) == (session.revision, session.interrupted)
        assert await session.resume() is None
        assert await session.discard() is None
        for capability, refused in (
            ("inbox", session.enqueue("text", key="k")),
            ("inbox", session.withdraw("k")),
            ("fork", session.fork()),
        ):
            with pytest.raises(Unavailable, match=capability):
                await refused


# --- at the same time ----------------------------------------------------------


async def test_a_busy_session_rejects_a_second_turn() -> None:
    """
    One turn at any instant, and the refused one leaves no trace.
    """
    gate = Gate()
    async with app(gate) as lash:
        session = await lash.session("s")
        other = await lash.session("s")
        tasks = [asyncio.create_task(each.run("go")) for each in (session, other, other)]
        await gate.reached.wait()
        with pytest.raises(SessionBusy, match="session 's' is running a turn"):
            await session.configure(instructions="x")
        with pytest.raises(SessionBusy):
            await session.hide()
        gate.free.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)

    assert [True, False, False] == [not isinstance(each, SessionBusy) for each in done]
    assert 1 == session.revision


async def test_a_queue_is_first_come_first_served() -> None:
    """
    Turns run one after the other in the order they were asked for.
    """
    running = 0

    async def answer(request: ModelRequest) -> Reply:
        nonlocal running
        running += 1
        assert 1 == running
        await asyncio.sleep(0)
        running -= 1
        return reply(f"to {request.history[-1].text}")

    async with app(*[answer] * 5, on_busy="queue") as lash:
        session = await lash.session("s")
        turns = await asyncio.gather(*[session.run(str(n)) for n in range(5)])

    assert [f"to {n}" for n in range(5)] == [turn.text for turn in turns]
    assert [1, 2, 3, 4, 5] == [turn.index for turn in turns]


async def test_a_fork_on_busy_runs_on_what_is_committed() -> None:
    """
    Both go on from the same point; the record says which session has which.
    """
    gate = Gate()
    async with app("first", gate, "aside", on_busy="fork") as lash:
        session = await lash.session("s")
        await session.run("go")
        task = asyncio.create_task(session.run("on"))
        await gate.reached.wait()
        aside = await session.run("meanwhile")
        gate.free.set()
        await task
        fork = await lash.session(aside.session)

        assert f"s~{aside.id}" == aside.session
        assert ["go", "first", "meanwhile", "aside"] == [m.text for m in fork.messages]
        assert "meanwhile" not in [m.text for m in session.messages]
        assert (2, 2) == (session.revision, fork.revision)


async def test_a_fork_on_busy_of_a_first_turn_has_nothing_to_share() -> None:
    """
    It's a session of its own all the same.
    """
    gate = Gate()
    async with app(gate, "aside", on_busy="fork") as lash:
        session = await lash.session("s")
        task = asyncio.create_task(session.run("on"))
        await gate.reached.wait()
        aside = await session.run("meanwhile")
        gate.free.set()
        await task

        assert (f"s~{aside.id}", 1) == (aside.session, aside.revision)


async def test_turns_of_different_sessions_run_at_once() -> None:
    """
    Each waits for the other: one after the other they'd never end.
    """
    barrier = asyncio.Barrier(2)

    async def meet(request: ModelRequest) -> Reply:
        await barrier.wait()
        return reply(request.session)

    async with app(meet, meet) as lash, asyncio.timeout(5):
        one, two = await lash.session("one"), await lash.session("two")
        turns = await asyncio.gather(one.run("go"), two.run("go"))

    assert ["one", "two"] == [turn.text for turn in turns]


# --- settings ------------------------------------------------------------------


async def test_a_sessions_own_settings_stand_in_place_of_the_apps() -> None:
    """
    None means the app's; an empty list of tools means none.
    """

    @tool
    async def add() -> int:
        """Add."""
        return 1

    @tool
    async def take() -> int:
        """Take."""
        return 1

    model, own = ScriptedModel(["app"] * 2), ScriptedModel(["own"] * 2, name="own")
    lash = Lash(model=model, tools=[add], instructions="App.", autoload=False)
    async with lash:
        plain = await lash.session("plain")
        other = await lash.session(
            "other", model=own, instructions="Own.", tools=[take], limits=Limits(tokens=9)
        )
        none = await lash.session("none", tools=[])
        turns = [await each.run("go") for each in (plain, other, none)]

    assert ["app", "own", "app"] == [turn.text for turn in turns]
    assert ["App.", "App."] == [request.system for request in model.requests]
    assert "Own." == own.requests[0].system
    assert [["add"], []] == [[t.name for t in request.tools] for request in model.requests]
    assert ["take"] == [t.name for t in own.requests[0].tools]
    assert (None, 9) == (plain.policy.limits.tokens, other.policy.limits.tokens)


async def test_an_open_session_is_not_opened_with_other_settings() -> None:
    """
    They'd change under whoever has it open; `configure` says so to all.
    """
    async with app() as lash:
        session = await lash.session("s")
        await lash.session("s")
        others: list[dict[str, Any]] = [
            {"instructions": "x"},
            {"model": "scripted:x"},
            {"limits": Limits()},
            {"tools": []},
        ]
        for options in others:
            with pytest.raises(InvalidInput, match=r"open already: use session\.configure"):
                await lash.session("s", **options)
        await session.configure(instructions="x")

        assert "x" == (await lash.session("s")).policy.instructions


async def test_what_is_configured_outlives_the_process(tmp_path: Any) -> None:
    """
    A model by name is kept, an object isn't: another process knows nothing of it.
    """
    script = tmp_path / "script.jsonl"
    script.write_text('"named"\n"named"\n')
    store = MemoryStore()
    own = ScriptedModel(["object"], name="own")
    async with app("app", "app", store=store) as lash:
        session = await lash.session("s")
        policy = await session.configure(
            model=f"scripted:{script}", instructions="Be brief.", limits=Limits(iterations=3)
        )
        assert policy == session.policy
        assert "named" == (await session.run("go")).text
        other = await lash.session("o")
        await other.configure(model=own)
        assert "own" == other.policy.model
        assert "object" == (await other.run("go")).text
    async with app("app", "app", store=store) as lash:
        session, other = await lash.session("s"), await lash.session("o")
        assert ("Be brief.", 3) == (session.policy.instructions, session.policy.limits.iterations)
        assert "named" == (await session.run("go")).text
        assert "app" == (await other.run("go")).text
        chosen = await lash.session("s2", instructions="Chosen.")
        await chosen.configure(limits=Limits(tokens=5))
    async with app(store=store, instructions="App.") as lash:
        session = await lash.session("s", instructions="Chosen.")

        assert "Chosen." == session.policy.instructions
        assert 3 == session.policy.limits.iterations


@pytest.mark.parametrize("wrong", [{"limits": 5}, {"instructions": 5}, {"model": 5}])
async def test_what_could_not_be_read_back_is_not_configured(wrong: Any) -> None:
    """
    Once stored it would keep the session from ever being opened again.
    """
    store = MemoryStore()
    async with Lash(model=ScriptedModel(["Hi."]), store=store, autoload=False) as lash:
        session = await lash.session("s")
        await session.run("Hello")
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            await session.configure(**wrong)
        assert 1 == session.revision
    async with Lash(model=ScriptedModel(["Hi."]), store=store, autoload=False) as lash:
        assert 2 == (await (await lash.session("s")).run("Still there?")).index


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("run", {"input": 5}, "input: expected str | list | tuple, found 5"),
    ("run", {"input": "go", "output": {"a": 1}}, "output: {'a': 1} has no schema"),
    ("run", {"input": "go", "instructions": ["x"]}, "instructions: expected str, found ['x']"),
    ("run", {"input": "go", "turn": 5}, "turn: expected str, found 5"),
    (
        "run",
        {"input": "go", "model": b"x"},
        "model: expected '<scheme>:<name>' or Model, found b'x'",
    ),
    ("configure", {"limits": 3}, "limits: expected Limits, found 3"),
    ("configure", {"instructions": 3}, "instructions: expected str, found 3"),
    ("configure", {"model": 3}, "model: expected '<scheme>:<name>' or Model, found 3"),
    ("enqueue", {"text": None, "key": "k"}, "text: expected str, found None"),
    ("enqueue", {"text": "x", "key": b"k"}, "key: expected str, found b'k'"),
    ("withdraw", {"key": 5}, "key: expected str, found 5"),
    ("fork", {"id": 5}, "session id 5: expected"),
    ("fork", {"at": ["n"]}, "at: expected str | None, found ['n']"),
    ("fork", {"journal": 5}, "journal: expected str | None, found 5"),
    ("append", {"values": 5}, "values: expected Iterable, found 5"),
    ("append", {"values": [user("x")], "after": ["n"]}, "after: expected str | None, found ['n']"),
    ("checkout", {"node": ["n"]}, "node: expected str, found ['n']"),
    ("apply_tool_state", {"state": {}}, "state: expected ToolState, found {}"),
]
"""What a session is asked with arguments of the wrong types, and what it says to that."""


@pytest.mark.parametrize(("name", "arguments", "says"), WRONG)
async def test_an_argument_of_a_wrong_type_is_named(
    name: str, arguments: dict[str, Any], says: str
) -> None:
    """
    A bare TypeError from deep inside says neither which argument nor what it should be.
    """
    async with app("hi", "there") as lash:
        session = await lash.session("s")
        await session.run("go")
        with pytest.raises(InvalidInput, match=f"^{re.escape(says)}"):
            await getattr(session, name)(**arguments)
        assert (1, False) == (session.revision, session.interrupted)
        assert "there" == (await session.run("go on")).text


async def test_what_is_no_model_begins_no_turn() -> None:
    """
    A turn that can't be asked must not be left behind as one to resume.
    """
    async with Lash(model=ScriptedModel(["Hi."]), autoload=False) as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput, match="expected '<scheme>:<name>' or Model, found 5"):
            await session.run("Hello", model=5)  # type: ignore[arg-type]
        assert not session.interrupted
        assert 1 == (await session.run("Hello")).index


async def test_configuring_nothing_new_moves_nothing() -> None:
    """
    A revision for no change would make other processes read for nothing.
    """
    async with app() as lash:
        session = await lash.session("s")
        await session.configure()
        await session.configure(instructions="", limits=Limits())
        assert 0 == session.revision
        with pytest.raises(Unavailable):
            await session.configure(model="nothing:x")

        assert (0, "scripted") == (session.revision, session.policy.model)


async def test_a_configuration_that_is_not_committed_does_not_count() -> None:
    """
    The model in use is what the store says, not what was tried.
    """

    class Full(MemoryStore):
        async def commit(self, commit: Commit) -> Receipt:
            if commit.components:
                raise StoreFull("no room")
            return await super().commit(commit)

    async with app("app's", store=Full()) as lash:
        session = await lash.session("s")
        with pytest.raises(StoreFull):
            await session.configure(model=ScriptedModel(["tried"], name="tried"))

        assert "scripted" == session.policy.model
        assert "app's" == (await session.run("go")).text


async def test_plugins_have_a_word_in_a_configuration_and_hear_of_it() -> None:
    """
    The policy that's committed is theirs; one that fails leaves the one before.
    """
    heard: list[tuple[str, str]] = []

    class Polite(Plugin):
        @hooks.transform_policy
        def mend(self, ctx: SessionContext, value: Policy) -> Policy:
            return value.with_overrides(instructions=value.instructions + " Please.")

        @hooks.on_config_changed
        async def hear(self, ctx: ConfigContext) -> None:
            heard.append((ctx.before.instructions, ctx.after.instructions))

    class Zealous(Plugin):
        @hooks.transform_policy
        def mend(self, ctx: SessionContext, value: Policy) -> Policy:
            raise ValueError("no")

    async with app(plugins=[Polite, Zealous]) as lash:
        session = await lash.session("s")
        await session.configure(instructions="Be brief.")

        assert "Be brief. Please." == session.policy.instructions
        assert [("", "Be brief. Please.")] == heard
        assert 1 == session.revision


async def test_a_plugin_may_choose_the_model_by_name(tmp_path: Any) -> None:
    """
    It counts also where an object was in use.
    """
    script = tmp_path / "script.jsonl"
    script.write_text('"by name"\n')

    class Chooses(Plugin):
        @hooks.transform_policy
        def choose(self, ctx: SessionContext, value: Policy) -> Policy:
            return value.with_overrides(model=f"scripted:{script}")

    async with app("by object", plugins=[Chooses]) as lash:
        session = await lash.session("s")
        await session.configure(instructions="x")

        assert "by name" == (await session.run("go")).text


async def test_settings_of_one_turn_are_for_that_turn_alone() -> None:
    """
    They're never stored, and the ledger names the model that was really called.
    """
    store = MemoryStore()
    model, guest = ScriptedModel(["one", "two"]), ScriptedModel(["guest"], name="guest")
    async with Lash(model=model, store=store, instructions="App.", autoload=False) as lash:
        session = await lash.session("s")
        await session.run("go")
        turn = await session.run("go", model=guest, instructions="Now rhyme.")
        await session.run("go")
        head = await store.head("s")

        assert "guest" == turn.text
        assert ["scripted", "guest", "scripted"] == [row.model for row in session.usage().rows]
        assert "App.\n\nNow rhyme." == guest.requests[0].system
        assert ["App.", "App."] == [request.system for request in model.requests]
        assert head is not None
        assert {} == dict(head.manifest)
        with pytest.raises(InvalidInput, match="expected '<scheme>:<name>'"):
            await session.run("go", model="typo")


async def test_the_ledger_names_the_model_that_answered() -> None:
    """
    A provider may answer with another model than the one it was asked for.
    """

    def other(request: ModelRequest) -> ModelAnswer:
        return ModelAnswer(parts=(Text(text="x"),), usage=Usage(input=1), model="other-2")

    async with app(other) as lash:
        session = await lash.session("s")
        await session.run("go")

        assert {"other-2": Usage(input=1)} == session.usage().by_model


async def test_hidden_tools_stay_hidden_in_the_next_process() -> None:
    """
    The tool state is the session's, committed when it changes.
    """

    @tool
    async def add() -> int:
        """Add."""
        return 1

    store = MemoryStore()
    async with app(store=store, tools=[add]) as lash:
        session = await lash.session("s")
        state = await session.hide("add")
        assert 2 == state.generation == session.tool_state.generation
        assert 1 == session.revision
        with pytest.raises(InvalidInput, match="no tool 'typo'"):
            await session.hide("typo")
        assert 1 == session.revision
    model = ScriptedModel(["x", "y"])
    async with Lash(model=model, store=store, tools=[add], autoload=False) as lash:
        session = await lash.session("s")
        await session.run("go")
        assert [False] == [shown for _d, _s, shown in session.catalogue.values()]
        old = session.tool_state
        await session.show("add")
        with pytest.raises(InvalidInput, match="expected generation 2, found 1"):
            await session.apply_tool_state(old)
        await session.run("go")

    assert [[], ["add"]] == [[t.name for t in request.tools] for request in model.requests]


# --- structured output ---------------------------------------------------------


class City(pydantic.BaseModel):
    name: str
    people: int


async def test_an_answer_that_fits_is_an_instance() -> None:
    """
    The model is told the schema, and the history keeps its words.
    """
    model = ScriptedModel(
        ['{"name": "Paris", "people": 2}', '```json\n{"name": "Rome", "people": 3}\n```']
    )
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        first = await session.run("Which?", output=City)
        second = await session.run("Which?", output=City)

    assert [City(name="Paris", people=2), City(name="Rome", people=3)] == [
        first.value,
        second.value,
    ]
    assert '{"name": "Paris", "people": 2}' == first.text
    assert Finished(text=first.text, value={"name": "Paris", "people": 2}) == first.outcome
    assert City.model_json_schema() == model.requests[0].output


async def test_any_type_that_pydantic_knows_can_be_asked_for() -> None:
    """
    A list or a number needs no class around it.
    """
    async with app("[1, 2]", "3") as lash:
        session = await lash.session("s")

        assert [1, 2] == (await session.run("go", output=list[int])).value
        assert 3 == (await session.run("go", output=int)).value
        with pytest.raises(InvalidInput, match="has no schema"):
            await session.run("go", output=Callable)


@pytest.mark.parametrize(
    "wrong", ["no json", '{"name": 5}', '"\ud800', '{"name": "x", "people": 1e400}']
)
async def test_an_answer_that_does_not_fit_is_corrected(wrong: str) -> None:
    """
    The model is told what's wrong and asked again.
    """
    model = ScriptedModel([wrong, '{"name": "Paris", "people": 2}'])
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        turn = await session.run("Which?", output=City)

    assert City(name="Paris", people=2) == turn.value
    said = model.requests[1].history[-1]
    assert "system" == said.role
    assert said.text.startswith("The answer doesn't fit what was asked for: ")


async def test_a_number_that_json_cannot_say_does_not_fit() -> None:
    """
    pydantic reads NaN; no store does.
    """

    class Weight(pydantic.BaseModel):
        kilos: float

    async with app('{"kilos": NaN}', '{"kilos": Infinity}', '{"kilos": 1.5}') as lash:
        session = await lash.session("s")
        turn = await session.run("go", output=Weight)

    assert Weight(kilos=1.5) == turn.value


async def test_two_corrections_are_enough() -> None:
    """
    The turn stops, committed, with what was wrong the last time.
    """
    model = ScriptedModel(["bad"] * 9)
    async with Lash(model=model, autoload=False) as lash:
        session = await lash.session("s")
        turn = await session.run("Which?", output=City)

    assert isinstance(turn.outcome, Stopped)
    assert "submitted_error" == turn.outcome.reason
    assert None is turn.value
    assert 3 == model.calls
    assert turn.committed


async def test_tools_can_be_called_on_the_way_to_an_output() -> None:
    """
    An answer that calls is not yet one that must fit.
    """

    @tool
    async def count() -> int:
        return 2

    script = [reply("thinking", calls=[call("count")]), '{"name": "Paris", "people": 2}']
    async with app(*script, tools=[count]) as lash:
        session = await lash.session("s")

        assert City(name="Paris", people=2) == (await session.run("go", output=City)).value


# --- plugins' part -------------------------------------------------------------


class Count(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)
    n: int = 0


async def test_plugin_state_is_saved_with_the_turn_and_rolled_back_without() -> None:
    """
    A turn that wasn't committed never happened, for plugins too.
    """

    class Counter(Plugin):
        State = Count

        @hooks.before_turn
        async def count(self, ctx: TurnContext) -> list[Directive]:
            self.state = Count(n=self.state.n + 1)
            seen.append(self.state.n)
            if ctx.messages[0].text == "bad":
                raise ValueError("no")
            if ctx.messages[0].text == "refused":
                return [AbortTurn(code="x", message="x")]
            return []

    seen: list[int] = []
    store = MemoryStore()
    async with app("hi", "hi", store=store, plugins=[Counter]) as lash:
        session = await lash.session("s")
        await session.run("go")
        with pytest.raises(PluginFault):
            await session.run("bad")
        await session.run("refused")
        await session.run("go")
    async with app("hi", store=store, plugins=[Counter]) as lash:
        session = await lash.session("s")
        await session.run("go")

    assert [1, 2, 2, 2, 3] == seen


async def test_only_users_and_notes_may_be_put_into_a_history_by_plugins() -> None:
    """
    Nobody speaks in the model's name; who did speak is signed.
    """

    class Speaks(Plugin):
        @hooks.before_turn
        async def begin(self, ctx: TurnContext) -> list[Directive]:
            return [EnqueueMessages(messages=(assistant("I promise."), note("Mind."), user("Hm.")))]

        @hooks.after_turn
        async def end(self, ctx: TurnContext) -> list[Directive]:
            picture = Message(role="user", parts=(Image.of(b"later"),))
            return [EnqueueMessages(messages=(assistant("Bye."), picture))]

    async with app("hi", plugins=[Speaks]) as lash:
        session = await lash.session("s")
        turn = await session.run("go")
        shown = session.messages[-1].parts[0]

        assert ["user", "system", "user", "assistant", "user"] == [m.role for m in session.messages]
        assert [None, "speaks", "speaks", None, "speaks"] == [m.origin for m in session.messages]
        assert turn.messages == session.messages
        assert isinstance(shown, Image)
        bare = type(shown.blob)(
            sha256=shown.blob.sha256, size=shown.blob.size, media_type=shown.blob.media_type
        )
        assert b"later" == await session.blob(bare)


@pytest.mark.parametrize("hook", ["around_turn", "around_commit"])
async def test_a_wrap_that_fails_after_the_commit_loses_nothing(hook: str) -> None:
    """
    The turn is durable; it's returned, and the fault is told.
    """

    class Breaks(Plugin):
        if hook == "around_turn":

            @hooks.around_turn
            async def around(self, ctx: TurnContext, call_next: Any) -> Any:
                await call_next(ctx)
                raise ValueError("too late")

        else:

            @hooks.around_commit
            async def around_it(self, ctx: CommitContext, call_next: Any) -> Any:
                await call_next(ctx)
                raise ValueError("too late")

    heard: list[SessionEvent] = []
    async with app("one", "two", plugins=[Breaks]) as lash:
        session = await lash.session("s")
        session.listen(heard.append)
        first = await session.run("go")
        second = await session.run("go")

    assert ("one", "two") == (first.text, second.text)
    assert (1, 2) == (first.revision, second.revision)
    assert "PluginFailed" in {type(event).__name__ for event in heard}


@pytest.mark.parametrize("hook", ["around_turn", "around_commit", "provide_commit", "after_turn"])
async def test_a_plugin_that_fails_before_the_commit_fails_the_turn_alone(hook: str) -> None:
    """
    Nothing is written, the session is as it was, and goes on.
    """

    class Breaks(Plugin):
        if hook == "around_turn":

            @hooks.around_turn
            async def around(self, ctx: TurnContext, call_next: Any) -> Any:
                if ctx.messages[0].text == "bad":
                    raise ValueError("no")
                return await call_next(ctx)

        elif hook == "around_commit":

            @hooks.around_commit
            async def around_it(self, ctx: CommitContext, call_next: Any) -> Any:
                if ctx.commit.nodes[0].value == user("bad"):
                    raise ValueError("no")
                return await call_next(ctx)

        elif hook == "provide_commit":

            @hooks.provide_commit
            def rows(self, ctx: CommitContext) -> Sequence[Any]:
                if ctx.commit.nodes[0].value == user("bad"):
                    raise ValueError("no")
                return []

        else:

            @hooks.after_turn
            async def end(self, ctx: TurnContext) -> list[Directive]:
                if ctx.messages[0].text == "bad":
                    raise ValueError("no")
                return []

    async with app("one", "two", plugins=[Breaks]) as lash:
        session = await lash.session("s")
        with pytest.raises(PluginFault, match=f"'breaks'.*{hook}.*ValueError: no"):
            await session.run("bad")
        assert (0, ()) == (session.revision, session.messages)
        turn = await session.run("good")

    assert (1, 1) == (turn.index, turn.revision)


async def test_a_wrap_that_leaves_the_turn_out_is_told() -> None:
    """
    There's no record to return of a turn that never ran.
    """

    class Skips(Plugin):
        @hooks.around_turn
        async def around(self, ctx: TurnContext, call_next: Any) -> Any:
            if ctx.messages[0].text == "skip":
                return "nothing"
            return await call_next(ctx)

    async with app("hi", plugins=[Skips]) as lash:
        session = await lash.session("s")
        with pytest.raises(Exception, match="around_turn"):
            await session.run("skip")

        assert "hi" == (await session.run("go")).text


async def test_a_session_tells_of_itself() -> None:
    """
    What a debugger shows first.
    """
    async with app() as lash:
        session: Session = await lash.session("s")

        assert "<Session 's' at revision 0>" == repr(session)
