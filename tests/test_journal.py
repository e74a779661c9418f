"""
The journal is written behind: what may be done again goes on, what may not waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest

from lash_sdk import Plugin, hooks
from lash_sdk.commits import Commit, Receipt
from lash_sdk.contexts import ToolContext
from lash_sdk.errors import StoreError, StoreFull
from lash_sdk.hooks import Directive
from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Claim, JournalRow, ModelRequest
from lash_sdk.session import Session
from lash_sdk.testing import Reply, call, reply
from lash_sdk.tools import tool

from .test_recovery import Bench, Died, dies, opened


class Writes(MemoryStore):
    """
    Notes each write of rows, and may take its time, be full, or lose its reply.

    Attributes:
        puts: The kinds of rows that were kept, a list for each write.
        begun: How many writes have begun.
        log: Writes and commits, as they end.
        may: Cleared while no write comes to its end.
        full: Which writes find no room, by number.
        mute: Whether each write loses its reply.
    """

    def __init__(self, *full: int) -> None:
        super().__init__()
        self.puts: list[list[str]] = []
        self.log: list[str] = []
        self.may = asyncio.Event()
        self.may.set()
        self.full = full
        self.mute = False
        self.begun = 0

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        at, self.begun = self.begun, self.begun + 1
        await self.may.wait()
        self.log.append("put")
        if at in self.full:
            raise StoreFull("no room")
        self.puts.append([row.kind for row in rows])
        await super().journal_put(claim, rows)
        if self.mute:
            raise StoreError("the reply was lost")

    async def commit(self, commit: Commit) -> Receipt:
        receipt = await super().commit(commit)
        self.log.append("commit")
        return receipt


@contextmanager
def freed(store: Writes) -> Generator[None]:
    """
    Let writes come to their end afterwards, also if the test fails.
    """
    try:
        yield
    finally:
        store.may.set()


async def passes() -> None:
    """
    Let everything that can go on do so.
    """
    for _ in range(20):
        await asyncio.sleep(0)


async def test_rows_that_come_together_share_a_write() -> None:
    """
    A write is a flush: a plain turn has one beside its commit, one with tools three.
    The last answer goes with the commit.
    """
    store, bench = Writes(), Bench("rerun")
    calls = reply(calls=[call("charge"), call("charge")])
    async with opened(store, "plain", calls, "done", tools=bench.tools) as session:
        await session.run("go")
        assert [["input"]] == store.puts
        store.puts.clear()
        await session.run("go")

    assert [["input"], ["event", "intent", "intent"], ["result", "result"]] == store.puts
    assert () == tuple(await store.journal("s"))


async def test_a_result_is_kept_while_its_sibling_runs() -> None:
    """
    A tool that takes an hour must not cost those that took a second.
    """
    store, go_on = Writes(), asyncio.Event()

    @tool
    async def quick() -> str:
        """Be done."""
        return "quick"

    @tool
    async def slow() -> str:
        """Take long."""
        await go_on.wait()
        return "slow"

    calls = reply(calls=[call("quick"), call("slow")])
    async with opened(store, calls, "done", tools=[quick, slow]) as session:
        turn = asyncio.create_task(session.run("go"))
        await passes()
        assert ["result"] == store.puts[-1]
        go_on.set()
        await turn

    assert [["result"], ["result"]] == store.puts[-2:]


async def test_a_model_is_asked_while_its_input_is_written_and_a_tool_is_not() -> None:
    """
    Asking again costs money at worst, and yet the write comes first: a model takes long.
    A tool that ran is on record before it ran.
    """
    store, bench = Writes(), Bench("rerun")
    asked: list[int] = []

    def calls(request: ModelRequest) -> Reply:
        asked.append(store.begun)
        return reply(calls=[call("charge")])

    async with opened(store, calls, "done", tools=bench.tools) as session:
        store.may.clear()
        turn = asyncio.create_task(session.run("go"))
        with freed(store):
            await passes()
            assert ([1], []) == (asked, bench.ran)
        await turn

    assert ["charge"] == bench.ran


async def test_a_hook_between_two_calls_waits_for_what_it_is_told_of() -> None:
    """
    Nobody knows what a plugin does with a result: it mustn't be one that's lost.
    """
    store, bench = Writes(), Bench("rerun")
    kept: list[bool] = []

    class Looks(Plugin):
        """Looks at the record at each checkpoint."""

        name = "looks"

        @hooks.at_checkpoint
        async def look(self, ctx: object) -> Sequence[Directive]:
            kept.append(["result"] in store.puts)
            return ()

    calls = reply(calls=[call("charge")])
    async with opened(store, calls, "done", tools=bench.tools, plugins=[Looks]) as session:
        await session.run("go")

    assert kept and all(kept)


async def test_a_commit_comes_after_the_rows_that_are_on_their_way() -> None:
    """
    It clears them: one that came later would stay for good.
    """
    store = Writes()

    @tool
    async def last() -> str:
        """Be done, and let no write end from here on."""
        store.may.clear()
        return "last"

    async with opened(store, reply(calls=[call("last")]), "done", tools=[last]) as session:
        turn = asyncio.create_task(session.run("go"))
        with freed(store):
            await passes()
            assert ["put", "put"] == store.log
        await turn

    assert ["put", "put", "put", "commit"] == store.log
    assert () == tuple(await store.journal("s"))


@pytest.mark.parametrize("kept", [0, 1])
async def test_a_tool_does_not_begin_if_its_intent_cannot_be_kept(kept: int) -> None:
    """
    Otherwise nobody would know that it ran. What was kept can be resumed.
    """
    store, bench = Writes(*range(kept, 9)), Bench("rerun")
    calls = reply(calls=[call("charge"), call("charge")])
    async with opened(store, calls, "done", tools=bench.tools) as session:
        with pytest.raises(StoreFull):
            await session.run("go")
        assert [] == bench.ran
        assert (kept > 0) == session.interrupted
        store.full = ()
        if kept:
            again = await session.resume()
            assert again is not None and "done" == again.text


async def test_a_call_that_never_began_is_not_recorded_as_one_that_may_have() -> None:
    """
    The rest of a turn is kept once there's room; a tool that nobody called is called then.
    """
    store, bench = Writes(1), Bench("rerun")
    calls = reply(calls=[call("charge"), call("charge")])
    async with opened(store, calls, "done", tools=bench.tools) as session:
        with pytest.raises(StoreFull):
            await session.run("go")
        assert [["input"], ["event"]] == store.puts
        again = await session.resume()
        assert again is not None and "done" == again.text

    assert ["charge", "charge"] == bench.ran


@pytest.mark.parametrize("lost", [0, 2])
async def test_what_could_not_be_kept_goes_with_the_next_rows(lost: int) -> None:
    """
    A disk that was full for a moment ends no turn that nothing was lost of.
    """
    store, bench = Writes(lost), Bench("rerun")
    twice = [reply(calls=[call("charge")]), reply(calls=[call("charge")])]
    async with opened(store, *twice, "done", tools=bench.tools) as session:
        assert "done" == (await session.run("go")).text

    assert ["charge", "charge"] == bench.ran
    assert ["input", *["event", "intent", "result"] * 2] == [k for put in store.puts for k in put]
    assert () == tuple(await store.journal("s"))


async def test_a_turn_of_which_nothing_is_known_to_be_kept_leaves_nothing() -> None:
    """
    Not even rows of which nobody knew that they were there.
    """
    store, bench = Writes(), Bench("rerun")
    store.mute = True
    async with opened(store, reply(calls=[call("charge")]), "done", tools=bench.tools) as session:
        with pytest.raises(StoreError):
            await session.run("go")
        assert ([], False) == (bench.ran, session.interrupted)
        assert () == tuple(await store.journal("s"))
        store.mute = False
        assert "done" == (await session.run("again")).text


async def test_a_turn_that_ends_while_it_is_written_waits_for_that() -> None:
    """
    Otherwise its claim would be gone before its rows are there.
    """
    store = Writes()
    async with opened(store, dies) as session:
        store.may.clear()
        turn = asyncio.create_task(ended(session))
        with freed(store):
            await passes()
            assert not turn.done()
        await turn
        assert session.interrupted
    async with opened(store, "done") as session:
        again = await session.resume()
        assert again is not None and "done" == again.text


async def ended(session: Session) -> None:
    """
    Run a turn up to the end of its process.
    """
    with pytest.raises(Died):
        await session.run("go")


async def run_cancelled(session: Session, store: Writes) -> None:
    """
    Run a turn that's cancelled while its first write is on its way.
    """
    store.may.clear()
    turn = asyncio.create_task(session.run("go"))
    with freed(store):
        await passes()
        turn.cancel()
        await passes()
        assert not turn.done()
    with pytest.raises(asyncio.CancelledError):
        await turn


async def test_a_turn_cancelled_while_it_writes_is_committed_as_stopped() -> None:
    """
    A write that's on its way can't be taken back; the commit clears what it left.
    """
    store = Writes()

    @tool
    async def never(ctx: ToolContext) -> str:
        """Never be called."""
        raise AssertionError

    async with opened(store, reply(calls=[call("never")]), "more", tools=[never]) as session:
        await run_cancelled(session, store)
        assert (1, False) == (session.revision, session.interrupted)
        assert () == tuple(await store.journal("s"))
        assert "more" == (await session.run("on")).text


async def test_a_commit_that_waits_for_a_write_outlives_a_cancelled_caller() -> None:
    """
    All that's left of the turn is to be made durable: whoever gives up mustn't lose it.
    """
    store = Writes()

    @tool
    async def last() -> str:
        """Be done, and let no write end from here on."""
        store.may.clear()
        return "last"

    async with opened(store, reply(calls=[call("last")]), "done", tools=[last]) as session:
        turn = asyncio.create_task(session.run("go"))
        with freed(store):
            await passes()
            turn.cancel()
            await passes()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert (1, False, "done") == (
            session.revision,
            session.interrupted,
            session.messages[-1].text,
        )
