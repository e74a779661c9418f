"""
A turn that ended in the middle: what's on record is never done again.

A process' end is played by an exception that nothing may swallow; the store and
what it holds live on. Batteries kill real processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.commits import Commit, Receipt
from lash_sdk.contexts import ToolContext, TurnContext
from lash_sdk.errors import (
    InvalidInput,
    PluginFault,
    RevisionConflict,
    SessionBusy,
    StoreCorrupt,
    StoreError,
    TurnInterrupted,
)
from lash_sdk.graph import chain
from lash_sdk.json import decode
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Blob, Image, user
from lash_sdk.outcomes import Cancelled, Failure, Stopped, Success
from lash_sdk.ports import Claim, JournalRow, ModelRequest
from lash_sdk.session import Session
from lash_sdk.testing import Reply, ScriptedModel, call, reply
from lash_sdk.tools import Tool, tool
from lash_sdk.usage import Usage

PIXEL = Image.of(b"pixel", "image/png")


class Died(BaseException):
    """
    The process' end.
    """


class Disk(MemoryStore):
    """
    Gives journal rows back as a file would: JSON, and blobs by reference.
    """

    async def journal(self, session: str) -> Sequence[JournalRow]:
        rows = await super().journal(session)
        return tuple([replace(row, body=decode(row.data), blobs=()) for row in rows])


@pytest.fixture(params=[MemoryStore, Disk])
def store(request: pytest.FixtureRequest) -> MemoryStore:
    """
    A store whose journal holds values, and one whose journal holds JSON.
    """
    made: MemoryStore = request.param()
    return made


@asynccontextmanager
async def opened(
    store: MemoryStore, *script: Any, tools: Sequence[Any] = (), **options: Any
) -> AsyncGenerator[Session]:
    options.setdefault("autoload", False)
    model = ScriptedModel([reply(each) if isinstance(each, str) else each for each in script])
    async with (
        Lash(model=model, store=store, tools=tools, **options) as lash,
        lash.session("s") as session,
    ):
        yield session


def dies(request: ModelRequest) -> Reply:
    """
    A model call in the middle of which the process ends.
    """
    raise Died


class Bench:
    """
    Two tools: one that works, and one in which the process ends the first time.
    """

    def __init__(self, on_recovery: Literal["rerun", "report", "resume"]) -> None:
        self.ran: list[str] = []
        self.keys: list[str] = []
        self.recovered: list[bool] = []
        bench = self

        @tool
        async def charge() -> str:
            """Charge a card."""
            bench.ran.append("charge")
            return "charged"

        @tool(on_recovery=on_recovery)
        async def boom(ctx: ToolContext, n: int) -> str:
            """End the process."""
            bench.ran.append(f"boom {n}")
            bench.keys.append(ctx.idempotency_key)
            bench.recovered.append(ctx.recovered)
            if len(bench.keys) == 1:
                raise Died
            return "survived"

        self.tools: list[Tool] = [charge, boom]

    async def crash(self, store: MemoryStore, **options: Any) -> None:
        """
        Run a turn up to the end of the process in its second tool.
        """
        calls = reply(calls=[call("charge"), call("boom", n=1)], usage=Usage(input=7))
        async with opened(store, calls, tools=self.tools, **options) as session:
            with pytest.raises(Died):
                await session.run("go")
            assert session.interrupted


# --- resuming ------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["rerun", "resume"])
async def test_a_tool_that_may_run_again_does_and_its_sibling_does_not(
    rule: Any, store: MemoryStore
) -> None:
    """
    With the same idempotency key, and told that it's a second time.
    """
    bench = Bench(rule)
    await bench.crash(store)
    async with opened(store, "done", tools=bench.tools) as session:
        turn = await session.resume()

        assert turn is not None
        assert ("done", 1, 1) == (turn.text, turn.index, turn.revision)
        assert ["charge", "boom 1", "boom 1"] == bench.ran
        assert bench.keys[0] == bench.keys[1]
        assert [False, True] == bench.recovered
        assert ["charged", "survived"] == [
            record.outcome.value
            for record in turn.tool_calls
            if isinstance(record.outcome, Success)
        ]
        assert not session.interrupted
        again: object = await session.resume()
        assert again is None


async def test_a_tool_that_may_not_run_again_is_reported_to_the_model(store: MemoryStore) -> None:
    """
    Nobody knows whether it took effect; the model is told to look.
    """
    bench = Bench("report")
    await bench.crash(store)
    async with opened(store, "done", tools=bench.tools) as session:
        turn = await session.resume()

        assert turn is not None and "done" == turn.text
        assert ["charge", "boom 1"] == bench.ran
        outcome = turn.tool_calls[1].outcome
        assert isinstance(outcome, Failure)
        assert ("outcome_unknown", "runtime") == (outcome.code, outcome.source)
        assert {"n": 1} == turn.tool_calls[1].arguments
        shown = session.messages[2].results
        assert ["ok", "failed"] == [each.status for each in shown]
        assert "check before calling it again" in shown[1].text


async def test_a_tool_that_is_gone_or_has_changed_is_reported(store: MemoryStore) -> None:
    """
    It can't be run again with arguments that it doesn't take any more.
    """
    bench = Bench("rerun")
    await bench.crash(store)

    @tool(name="boom", on_recovery="rerun")
    async def other(text: str) -> str:
        """Something else."""
        bench.ran.append("other")
        return text

    async with opened(store, "done", tools=[bench.tools[0], other]) as session:
        turn = await session.resume()

        assert turn is not None
        assert isinstance(turn.tool_calls[1].outcome, Failure)
        assert ["charge", "boom 1"] == bench.ran


async def test_what_an_interrupted_turn_cost_is_counted_once(store: MemoryStore) -> None:
    """
    The bill never goes down, not even meanwhile.
    """
    bench = Bench("rerun")
    calls = reply(calls=[call("boom", n=1)], usage=Usage(input=7))
    last = reply("done", usage=Usage(output=5))
    async with opened(store, calls, last, tools=bench.tools) as session:
        with pytest.raises(Died):
            await session.run("go")
        assert 7 == session.usage().total
        turn = await session.resume()
        assert turn is not None
        assert 12 == session.usage().total == turn.usage.total
    async with opened(store) as session:
        assert 12 == session.usage().total
        assert 2 == len(session.usage().rows)


@pytest.mark.parametrize("ends", ["resume", "discard"])
async def test_a_bill_never_goes_down_through_the_end_of_a_process(
    ends: str, store: MemoryStore
) -> None:
    """
    What the interrupted turn's models cost is on record, and shown from the start.
    """
    bench = Bench("rerun")
    await bench.crash(store)
    async with opened(store, reply("done", usage=Usage(output=5)), tools=bench.tools) as session:
        assert 7 == session.usage().total
        await (session.resume() if ends == "resume" else session.discard())
        assert (12 if ends == "resume" else 7) == session.usage().total
    async with opened(store) as session:
        assert (12 if ends == "resume" else 7) == session.usage().total
        assert (2 if ends == "resume" else 1) == len(session.usage().rows)


async def test_a_turn_at_work_elsewhere_is_counted_there(store: MemoryStore) -> None:
    """
    It isn't owed here: its commit brings it.
    """
    seen: list[int] = []

    @tool
    async def look() -> str:
        """Look at this very session through another app."""
        async with opened(store) as other:
            seen.append(other.usage().total)
        return "seen"

    calls = reply(calls=[call("look")], usage=Usage(input=7))
    async with opened(store, calls, "done", tools=[look]) as session:
        await session.run("go")

    assert [0] == seen


async def test_hooks_behind_a_row_are_not_asked_again(store: MemoryStore) -> None:
    """
    Nor are gates: what they said is on record with the call.
    """
    asked: list[str] = []

    class Nosy(Plugin):
        @hooks.before_turn
        def ready(self, ctx: TurnContext) -> None:
            asked.append("before_turn")

        @hooks.before_tool
        def prepare(self, ctx: ToolContext) -> None:
            asked.append(f"before {ctx.call.name}")

        @hooks.decide_tool
        def decide(self, ctx: ToolContext) -> hooks.Allow:
            asked.append(f"decide {ctx.call.name}")
            return hooks.Allow()

        @hooks.on_usage
        def count(self, ctx: Any) -> None:
            asked.append("usage")

    bench = Bench("rerun")
    await bench.crash(store, plugins=[Nosy])
    before = list(asked)
    asked.clear()
    async with opened(store, "done", tools=bench.tools, plugins=[Nosy]) as session:
        turn = await session.resume()

        assert turn is not None and "nosy" == turn.tool_calls[1].decided
    assert ["before_turn", "usage"] == before[:2]
    assert {"before charge", "decide charge", "before boom", "decide boom"} == set(before[2:])
    assert ["usage"] == asked  # of the answer that came after


async def test_an_answer_on_record_is_not_asked_for_again(store: MemoryStore) -> None:
    """
    The last model call hadn't begun to answer; all before it stand.
    """
    bench = Bench("rerun")
    script = (reply(calls=[call("charge")]), dies)
    async with opened(store, *script, tools=bench.tools) as session:
        with pytest.raises(Died):
            await session.run("go")
    async with opened(store, "done", tools=bench.tools) as session:
        turn = await session.resume()

        assert turn is not None and "done" == turn.text
        assert ["charge"] == bench.ran
        assert ["user", "assistant", "tool", "assistant"] == [m.role for m in session.messages]


async def test_a_second_end_goes_on_from_the_first(store: MemoryStore) -> None:
    """
    Rows of the recovery stand beside those of before.
    """
    bench = Bench("report")
    await bench.crash(store)
    async with opened(store, reply(calls=[call("charge")]), dies, tools=bench.tools) as session:
        with pytest.raises(Died):
            await session.resume()
        assert session.interrupted
    async with opened(store, "done", tools=bench.tools) as session:
        turn = await session.resume()

        assert turn is not None
        assert ["charge", "boom 1", "charge"] == bench.ran
        assert ["charge", "boom", "charge"] == [record.name for record in turn.tool_calls]


async def test_a_picture_on_record_is_there_after_the_end(store: MemoryStore) -> None:
    """
    Its bytes are kept with the row, and go with the commit.
    """
    ran: list[int] = []

    @tool
    async def draw() -> Image:
        """Draw."""
        ran.append(1)
        return PIXEL

    async with opened(store, reply(calls=[call("draw")]), dies, tools=[draw]) as session:
        with pytest.raises(Died):
            await session.run("go")
    assert 0 == await store.gc(dry_run=True)
    async with opened(store, "done", tools=[draw]) as session:
        await session.resume()
        assert b"pixel" == await session.blob(PIXEL.blob)
    async with opened(store) as session:
        shown = session.messages[2].results[0].parts[0]
        assert isinstance(shown, Image)
        assert b"pixel" == await session.blob(shown.blob)
    assert [1] == ran
    assert 0 == await store.gc()


async def test_messages_that_waited_for_a_checkpoint_are_not_lost(store: MemoryStore) -> None:
    """
    `after_tool` queued them before the end; the model hears them once.
    """

    class Adds(Plugin):
        @hooks.after_tool
        def look(self, ctx: ToolContext) -> list[hooks.Directive]:
            return [hooks.EnqueueMessages(messages=(user(f"about {ctx.call.name}"),))]

    bench = Bench("report")
    await bench.crash(store, plugins=[Adds])
    async with opened(store, dies, tools=bench.tools, plugins=[Adds]) as session:
        with pytest.raises(Died):
            await session.resume()
    async with opened(store, "done", tools=bench.tools, plugins=[Adds]) as session:
        await session.resume()

        assert ["go", "", "", "about charge", "done"] == [m.text for m in session.messages]


async def test_a_turn_is_resumed_with_what_it_was_asked_with(store: MemoryStore) -> None:
    """
    Its own model, its instructions and the form of its answer.
    """
    from pydantic import BaseModel

    class Answer(BaseModel):
        n: int

    asked: list[ModelRequest] = []

    def answers(request: ModelRequest) -> Reply:
        asked.append(request)
        return reply('{"n": 3}')

    async with opened(store, dies) as session:
        with pytest.raises(Died):
            await session.run("go", output=Answer, instructions="Be exact.")
    async with opened(store, answers) as session:
        turn = await session.resume(output=Answer)

        assert turn is not None and Answer(n=3) == turn.value
        assert "Be exact." in asked[0].system
        assert asked[0].output is not None


async def test_without_its_form_an_answer_is_plain_json(store: MemoryStore) -> None:
    """
    The class lives in the application, not in the store.
    """
    async with opened(store, dies) as session:
        with pytest.raises(Died):
            await session.run("go", output=list[int])
    async with opened(store, "[1, 2]") as session:
        turn = await session.resume()

        assert turn is not None and [1, 2] == turn.value


# --- an interrupted session ----------------------------------------------------


async def test_an_interrupted_session_takes_no_turn_and_no_change(store: MemoryStore) -> None:
    """
    Whatever is committed would leave what was done behind.
    """
    bench = Bench("rerun")
    await bench.crash(store)
    async with opened(store, "done", tools=bench.tools) as session:
        with pytest.raises(TurnInterrupted, match="unfinished turn"):
            await session.run("more")
        with pytest.raises(TurnInterrupted):
            await session.configure(instructions="x")
        with pytest.raises(TurnInterrupted):
            await session.append([user("x")])
        assert session.interrupted
        assert 0 == session.revision


async def test_an_app_may_choose_to_resume_by_itself(store: MemoryStore) -> None:
    """
    The old turn is finished first, then comes the new one.
    """
    bench = Bench("rerun")
    await bench.crash(store)
    async with opened(store, "done", "more", tools=bench.tools, on_interrupted="resume") as session:
        turn = await session.run("and?")

        assert (2, "more") == (turn.index, turn.text)
        assert ["go", "", "", "done", "and?", "more"] == [m.text for m in session.messages]


async def test_without_a_journal_there_is_nothing_to_resume(store: MemoryStore) -> None:
    """
    `durability="turn"`: the revision before is what's left.
    """
    bench = Bench("rerun")
    calls = reply(calls=[call("boom", n=1)])
    async with opened(store, calls, "on", tools=bench.tools, durability="turn") as session:
        with pytest.raises(Died):
            await session.run("go")
        assert not session.interrupted
        assert await session.resume() is None
        assert "on" == (await session.run("again")).text


async def test_a_refused_turn_leaves_no_journal(store: MemoryStore) -> None:
    """
    Neither one that a plugin refused, nor one that its fault ended.
    """

    class Refuses(Plugin):
        @hooks.before_turn
        def ready(self, ctx: TurnContext) -> list[hooks.Directive]:
            if ctx.messages[0].text == "no":
                return [hooks.AbortTurn(code="no", message="not now")]
            raise ValueError("broken")

    async with opened(store, plugins=[Refuses]) as session:
        turn = await session.run("no")
        assert not turn.committed
        with pytest.raises(PluginFault):
            await session.run("go")

        assert not session.interrupted
    assert () == tuple(await store.journal("s"))


async def test_a_turn_at_work_is_not_an_interrupted_one(store: MemoryStore) -> None:
    """
    Its holder lives: another process sees a busy session.
    """
    seen: list[object] = []

    @tool
    async def look() -> str:
        """Look at this very session through another app."""
        async with opened(store, "x") as other:
            seen.append(other.interrupted)
            for ask in (other.run("x"), other.resume(), other.discard()):
                with pytest.raises(SessionBusy):
                    await ask
        return "seen"

    async with opened(store, reply(calls=[call("look")]), "done", tools=[look]) as session:
        await session.run("go")

        assert [False] == seen
        assert "ok" == session.messages[2].results[0].status


async def test_a_journal_that_does_not_begin_is_corrupt(store: MemoryStore) -> None:
    """
    It isn't guessed at.
    """
    claim = await store.claim("s")
    await store.journal_put(claim, [JournalRow(turn="t", key="t/2", kind="event", body={})])
    await store.release(claim)
    with pytest.raises(StoreCorrupt, match="doesn't say how it began"):
        async with opened(store):
            pass


async def test_a_stale_claim_ends_its_turn_before_an_effect(store: MemoryStore) -> None:
    """
    Somebody took over: nothing more is begun here, and nothing of theirs is lost.
    """
    bench = Bench("rerun")

    async def steals(request: ModelRequest) -> Reply:
        journal = store._journals["s"]  # pyright: ignore[reportPrivateUsage] - a takeover
        journal.claim = Claim(session="s", holder="other", generation=99)
        return reply(calls=[call("charge")])

    async with opened(store, steals, tools=bench.tools) as session:
        with pytest.raises(SessionBusy):
            await session.run("go")
    assert [] == bench.ran


# --- discarding ----------------------------------------------------------------


async def test_a_discarded_turn_keeps_what_was_done(store: MemoryStore) -> None:
    """
    Finished calls have their results, open ones say that they may have run.
    """
    bench = Bench("rerun")
    await bench.crash(store)
    async with opened(store, "on", tools=bench.tools) as session:
        turn = await session.discard()

        assert turn is not None
        assert isinstance(turn.outcome, Stopped) and "discarded" == turn.outcome.reason
        done, lost = [record.outcome for record in turn.tool_calls]
        assert Success(value="charged") == done
        assert Cancelled(message="discarded; it may have been made") == lost
        assert ["charge", "boom 1"] == bench.ran
        assert 1 == session.revision and not session.interrupted
        assert "on" == (await session.run("more")).text
        assert await session.discard() is None


async def test_a_turn_without_an_answer_is_discarded_too(store: MemoryStore) -> None:
    """
    The user's message stays: it was said.
    """
    async with opened(store, dies) as session:
        with pytest.raises(Died):
            await session.run("go")
        turn = await session.discard()

        assert turn is not None
        assert ["go"] == [message.text for message in session.messages]


class Unsure(MemoryStore):
    """
    Loses the reply to a commit, and maybe the one to the question whether it landed.
    """

    def __init__(self, *, asks: bool) -> None:
        super().__init__()
        self.asks = asks
        self.loses = True

    async def commit(self, commit: Commit) -> Receipt:
        receipt = await super().commit(commit)
        if self.loses:
            raise StoreError("the connection broke")
        return receipt

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        if self.loses and not self.asks:
            raise StoreError("there's no connection")
        return await super().receipt(session, operation)


async def test_a_commit_that_landed_though_its_reply_was_lost_is_one() -> None:
    """
    The store is asked, so the turn is what it is: committed.
    """
    store = Unsure(asks=True)
    async with opened(store, reply("done", usage=Usage(output=5))) as session:
        turn = await session.run("go")

        assert ("done", 1, True) == (turn.text, turn.revision, turn.committed)
        assert (5, False) == (session.usage().total, session.interrupted)


async def test_a_commit_whose_fate_is_unknown_is_found_later() -> None:
    """
    Nothing is done again or counted twice, and the session goes on from it.
    """
    store = Unsure(asks=False)
    async with opened(store, reply("done", usage=Usage(output=5)), "on") as session:
        with pytest.raises(StoreError, match="there's no connection"):
            await session.run("go")
        store.loses = False
        resumed = await session.resume()
        assert resumed is None
        assert (1, 5, False) == (session.revision, session.usage().total, session.interrupted)
        turn = await session.run("more")

        assert ("on", 2) == (turn.text, turn.index)
        assert ["go", "done", "more", "on"] == [message.text for message in session.messages]


# --- losing --------------------------------------------------------------------


async def overtake(store: MemoryStore, session: str = "s") -> None:
    """
    Commit as somebody would who has no claim.
    """
    head = await store.head(session)
    revision, leaf = (head.revision, head.leaf) if head else (0, None)
    nodes = chain("other", leaf, [user("other")])
    await store.commit(
        Commit(
            session=session,
            expected=revision,
            operation="other",
            nodes=nodes,
            leaf=nodes[-1].id,
            turns=head.turns if head else 0,
        )
    )


@pytest.mark.parametrize("first", [True, False])
async def test_of_two_commits_one_wins_and_the_other_can_become_a_session(
    first: bool, store: MemoryStore
) -> None:
    """
    What the loser did is on record, and nothing of it is done again.
    """
    bench = Bench("rerun")

    async def late(request: ModelRequest) -> Reply:
        await overtake(store)
        return reply("lost", usage=Usage(output=5))

    script: list[Any] = [*([] if first else ["hi"]), reply(calls=[call("charge")]), late]
    async with (
        Lash(model=ScriptedModel(script), store=store, tools=bench.tools, autoload=False) as lash,
        lash.session("s") as session,
    ):
        if not first:
            await session.run("hello")
        with pytest.raises(RevisionConflict) as caught:
            await session.run("go")
        lost = caught.value.turn
        assert lost is not None
        assert {"input", "event", "intent", "result"} == {
            row.kind for row in caught.value.journal if isinstance(row, JournalRow)
        }
        assert not session.interrupted
        assert "other" == session.messages[-1].text
        assert len(caught.value.journal) == len(await session.journal(lost))

        other = await session.fork(journal=lost, id="saved")
        assert other.interrupted
        turn = await other.resume()

        assert turn is not None and "lost" == turn.text
        assert ["charge"] == bench.ran
        assert "other" not in [message.text for message in other.messages]
        with pytest.raises(InvalidInput, match="no turn"):
            await session.journal(lost)


async def test_a_lost_turn_is_owed_in_every_process(store: MemoryStore) -> None:
    """
    Until somebody forgets it; then the next commit has it.
    """

    async def late(request: ModelRequest) -> Reply:
        await overtake(store)
        return reply("lost", usage=Usage(output=5))

    async with opened(store, late) as session:
        with pytest.raises(RevisionConflict) as caught:
            await session.run("go")
    async with opened(store, reply("on", usage=Usage(output=1))) as session:
        assert 5 == session.usage().total
        assert caught.value.turn is not None
        await session.discard(caught.value.turn)
        assert 5 == session.usage().total
        await session.run("more")
    async with opened(store) as session:
        assert 6 == session.usage().total


async def test_a_lost_turn_can_be_forgotten(store: MemoryStore) -> None:
    """
    What it cost is owed all the same.
    """

    async def late(request: ModelRequest) -> Reply:
        await overtake(store)
        return reply("lost", usage=Usage(output=5))

    async with opened(store, late, reply("on", usage=Usage(output=1))) as session:
        with pytest.raises(RevisionConflict) as caught:
            await session.run("go")
        assert 5 == session.usage().total
        assert caught.value.turn is not None
        await session.discard(caught.value.turn)
        assert 5 == session.usage().total
        await session.run("more")
        assert 6 == session.usage().total
        with pytest.raises(InvalidInput):
            await session.discard("nobody")
    async with opened(store) as session:
        assert 6 == session.usage().total


async def test_a_lost_turn_does_not_stand_in_the_way(store: MemoryStore) -> None:
    """
    It waits to be looked at; the session goes on.
    """

    async def late(request: ModelRequest) -> Reply:
        await overtake(store)
        return reply("lost")

    async with opened(store, late, "on") as session:
        with pytest.raises(RevisionConflict):
            await session.run("go")
    async with opened(store, "on") as session:
        assert not session.interrupted
        assert "on" == (await session.run("more")).text


# --- rows ----------------------------------------------------------------------


class Loses(MemoryStore):
    """
    Does what it's asked once, and loses the reply; then it may be away for a while.
    """

    def __init__(self, method: str, *, away: bool = False) -> None:
        super().__init__()
        self.method = method
        self.away = away

    def lose(self, method: str) -> None:
        if method == self.method:
            self.method = "receipt" if self.away else ""
            raise StoreError(f"{method}: the reply was lost")

    async def commit(self, commit: Commit) -> Receipt:
        receipt = await super().commit(commit)
        self.lose("commit")
        return receipt

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        self.lose("receipt")
        return await super().receipt(session, operation)

    async def release(self, claim: Claim) -> None:
        await super().release(claim)
        self.lose("release")


@pytest.mark.parametrize("method", ["commit", "release"])
async def test_a_turn_that_landed_is_returned_though_a_reply_was_lost(method: str) -> None:
    """
    Whoever is told of an error takes it that nothing was written.
    """
    async with opened(Loses(method), "done", "more") as session:
        turn = await session.run("go")

        assert ("done", 1) == (turn.text, session.revision)
        assert not session.interrupted
        assert 2 == (await session.run("on")).index


async def test_a_commit_that_nobody_can_ask_about_is_found_by_the_next_turn() -> None:
    """
    Nothing is added to the record of a turn that may be committed: it would stand
    there alone, and the session couldn't be opened again.
    """
    store = Loses("commit", away=True)
    async with opened(store, "done") as session:
        with pytest.raises(StoreError, match="the reply was lost"):
            await session.run("go")
    assert () == tuple(await store.journal("s"))
    async with opened(store, "more") as session:
        assert 1 == session.revision and not session.interrupted
        assert 2 == (await session.run("on")).index


def test_a_blob_is_not_a_part_of_a_rows_body() -> None:
    """
    Its reference is; bytes go beside.
    """
    blob = Blob.of(b"x", "image/png")
    row = JournalRow(turn="t", key="t/1/0", kind="result", body={"a": 1}, blobs=(blob,))

    assert b'{"a":1}' == row.data


async def test_a_call_that_is_stopped_before_it_is_made_says_so() -> None:
    """
    Whoever was told of its beginning is told of its end.
    """
    reached = asyncio.Event()

    class Slow(MemoryStore):
        async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
            if rows[-1].kind == "intent":
                reached.set()
                await asyncio.sleep(30)
            await super().journal_put(claim, rows)

    bench, seen = Bench("rerun"), list[str]()
    async with opened(Slow(), reply(calls=[call("charge")]), tools=bench.tools) as session:
        session.listen(lambda event: seen.append(type(event).__name__))
        task = asyncio.create_task(session.run("go"))
        await reached.wait()
        await session.cancel()
        turn = await task

    assert ["ToolStarted", "ToolEnded", "TurnEnded"] == seen[-3:]
    assert Cancelled() == turn.tool_calls[0].outcome
    assert [] == bench.ran
