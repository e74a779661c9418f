"""
Watching a session across turns: nothing committed is missed, and nothing waits.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.contexts import TurnContext
from lash_sdk.errors import InvalidInput, SessionDeleted
from lash_sdk.events import Gap, TextDelta, TurnEnded, TurnStarted
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Text, user
from lash_sdk.ports import Chunk, Emit, ModelAnswer, ModelRequest, Store
from lash_sdk.session import Committed, Seen, Session, Snapshot
from lash_sdk.session.feed import BUFFER
from lash_sdk.testing import Reply, ScriptedModel, reply
from lash_sdk.usage import Usage


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """
    A store that isn't told of commits, and looks more often than it would.
    """
    monkeypatch.setattr("lash_sdk.ports.store.LOOK", 0.005)
    return MemoryStore()


class Chatty:
    """
    Streams a number of pieces.
    """

    name = "chatty"
    window = None

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        for at in range(self.pieces):
            emit(Chunk(text=f"{at} "))
        return ModelAnswer(parts=(Text(text="long"),), usage=Usage(output=1))

    async def close(self) -> None: ...


@asynccontextmanager
async def opened(
    *script: Any, store: Store | str | None = None, **options: Any
) -> AsyncGenerator[Session]:
    model = ScriptedModel([reply(each) if isinstance(each, str) else each for each in script])
    options.setdefault("autoload", False)
    async with (
        Lash(model=model, store=store or MemoryStore(), **options) as lash,
        lash.session("s") as session,
    ):
        yield session


async def seen(
    session: Session, count: int, cursor: str | None = None, *, meanwhile: Any = None
) -> list[Seen]:
    """
    Return the next *count* things that are seen; *meanwhile* happens after the first.
    """
    found: list[Seen] = []
    async with aclosing(session.observe(cursor)) as observation:
        async with asyncio.timeout(5):
            async for each in observation:
                found.append(each)
                if len(found) == 1 and meanwhile is not None:
                    await meanwhile
                if len(found) == count:
                    break
    return found


def kinds(found: list[Seen]) -> list[str]:
    return [type(each.event).__name__ for each in found]


PLAIN = ["TurnStarted", "ModelStarted", "TextDelta", "UsageAdded", "TurnEnded", "Committed"]


# --- what is seen --------------------------------------------------------------


async def test_a_snapshot_comes_first_then_events_then_the_commit(store: MemoryStore) -> None:
    """
    Whoever starts to watch knows where the session is.
    """
    async with opened("hi", "again", store=store) as session:
        await session.run("go")
        found = await seen(session, 7, meanwhile=session.run("more"))

    assert ["Snapshot", *PLAIN] == kinds(found)
    first, last = found[0].event, found[-1].event
    assert isinstance(first, Snapshot) and isinstance(last, Committed)
    assert ("s", 1, 1, None) == (first.session, first.revision, first.turns, first.running)
    assert ["go", "hi"] == [message.text for message in first.messages]
    assert 2 == last.head.revision
    started = found[1].event
    assert isinstance(started, TurnStarted)
    assert started.turn == last.head.operation
    assert ["message", "message", "turn"] == [node.kind for node in last.nodes]


async def test_a_commit_tells_what_it_cost() -> None:
    """
    Ledger rows come with the commit that made them count.
    """
    async with opened(reply("hi", usage=Usage(output=3))) as session:
        found = await seen(session, 7, meanwhile=session.run("go"))

    last = found[-1].event
    assert isinstance(last, Committed)
    assert [3] == [row.usage.total for row in last.usage]


async def test_every_move_of_the_head_is_seen(store: MemoryStore) -> None:
    """
    Settings, appended nodes and checkouts move it as turns do.
    """
    async with opened("hi", store=store) as session:
        await session.run("go")
        first = session.graph.leaf
        assert first is not None

        async def change() -> None:
            await session.configure(instructions="Be brief.")
            await session.append([user("by the way")])
            await session.checkout(first)

        found = await seen(session, 4, meanwhile=change())

    heads = [each.event.head for each in found if isinstance(each.event, Committed)]
    assert [2, 3, 4] == [head.revision for head in heads]
    assert first == heads[-1].leaf


async def test_a_session_that_does_not_exist_yet_can_be_watched() -> None:
    """
    Its first commit is one like any other.
    """
    async with opened("hi") as session:
        found = await seen(session, 7, meanwhile=session.run("go"))

    assert isinstance(found[0].event, Snapshot)
    assert 0 == found[0].event.revision
    assert ["Snapshot", *PLAIN] == kinds(found)


async def test_reading_does_not_wait_for_a_turn() -> None:
    """
    While one runs, the last committed state is there at once, and what's live.
    """
    reached, go = asyncio.Event(), asyncio.Event()

    async def slow(request: ModelRequest) -> Reply:
        reached.set()
        await go.wait()
        return reply("hi")

    async with opened("first", slow) as session:
        await session.run("one")
        before = (await seen(session, 1))[0]
        running = asyncio.create_task(session.run("two"))
        await reached.wait()
        found = await seen(session, 1)
        late = await seen(session, 1, before.cursor)
        go.set()
        turn = await running

    snapshot = found[0].event
    assert isinstance(snapshot, Snapshot)
    assert (1, turn.id) == (snapshot.revision, snapshot.running)
    assert isinstance(late[0].event, Gap)


async def test_a_turn_that_is_not_kept_is_seen_to_end() -> None:
    """
    With no commit behind it.
    """

    class Refuses(Plugin):
        @hooks.before_turn
        def ready(self, ctx: TurnContext) -> list[hooks.Directive]:
            no = ctx.messages[0].text == "no"
            return [hooks.AbortTurn(code="no", message="not now")] if no else []

    async def turns(session: Session) -> None:
        await session.run("no")
        await session.run("go")

    async with opened("hi", plugins=[Refuses]) as session:
        found = await seen(session, 9, meanwhile=turns(session))

    ends = [each.event for each in found if isinstance(each.event, TurnEnded)]
    assert [False, True] == [each.committed for each in ends]
    assert ["Snapshot", "TurnStarted", "TurnEnded", *PLAIN] == kinds(found)


async def test_an_observation_ends_with_the_session() -> None:
    """
    Also while a turn has to be settled first: its end is seen.
    """
    reached = asyncio.Event()

    async def slow(request: ModelRequest) -> Reply:
        reached.set()
        await asyncio.sleep(30)
        return reply("late")

    found: list[Seen] = []

    async def watch(observation: AsyncIterator[Seen]) -> None:
        async for each in observation:
            found.append(each)

    async with opened(slow) as session:
        watching = asyncio.create_task(watch(session.observe()))
        running = asyncio.create_task(session.run("go"))
        await reached.wait()
        await session.close()
        async with asyncio.timeout(5):
            await watching
        await asyncio.wait([running])

    assert ["TurnEnded", "Committed"] == kinds(found)[-2:]


# --- from elsewhere ------------------------------------------------------------


async def test_commits_of_another_process_are_seen(store: MemoryStore) -> None:
    """
    Two apps on one store stand for two processes; live events stay where they are.
    """
    async with opened("hi", "again", store=store) as ours, opened(store=store) as theirs:

        async def turns() -> None:
            await ours.run("go")
            await ours.run("more")

        found = await seen(theirs, 3, meanwhile=turns())

    assert ["Snapshot", "Committed", "Committed"] == kinds(found)
    assert [1, 2] == [each.event.head.revision for each in found[1:]]  # type: ignore[union-attr]


async def test_a_commit_elsewhere_is_seen_by_who_was_busy_meanwhile(store: MemoryStore) -> None:
    """
    The store tells of it once, and nobody may be there to hear it.
    """
    revisions: list[int] = []
    async with (
        opened("hi", store=store) as session,
        opened("there", store=store) as other,
        aclosing(session.observe()) as observation,
        asyncio.timeout(5),
    ):
        await anext(observation)
        waiting = asyncio.create_task(anext(observation))
        await asyncio.sleep(0.02)
        await session.run("go")
        await waiting
        await other.run("more")
        await asyncio.sleep(0.05)  # while what's seen first is looked at
        async for each in observation:
            if isinstance(each.event, Committed):
                revisions.append(each.event.head.revision)
            if len(revisions) == 2:
                break

    assert [1, 2] == revisions


async def test_commits_in_one_file_are_seen_from_another_store(tmp_path: Path) -> None:
    """
    SQLite tells nobody; the head is looked at.
    """
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with (
        opened("hi", store=url, autoload=True) as ours,
        opened(store=url, autoload=True) as theirs,
    ):
        found = await seen(theirs, 2, meanwhile=ours.run("go"))
        again = await seen(theirs, 1, found[0].cursor)

    assert ["Snapshot", "Committed"] == kinds(found)
    assert found[1] == again[0]


async def test_a_cursor_is_good_in_another_process(store: MemoryStore) -> None:
    """
    Commits since then come from the store; of what was live there, one gap is left.
    """
    async with opened("a", "b", "c", store=store) as session:
        await session.run("1")
        cursor = (await seen(session, 1))[0].cursor
        await session.run("2")
        await session.run("3")
    async with opened(store=store) as session:
        found = await seen(session, 3, cursor)

    assert ["Gap", "Committed", "Committed"] == kinds(found)
    assert [2, 3] == [each.event.head.revision for each in found[1:]]  # type: ignore[union-attr]


async def test_a_deleted_session_ends_its_observation(store: MemoryStore) -> None:
    """
    With the error that says so.
    """
    async with opened("hi", store=store) as ours, opened(store=store) as theirs:
        await ours.run("go")
        observation = theirs.observe()
        await anext(observation)
        await store.delete("s")
        with pytest.raises(SessionDeleted):
            async with asyncio.timeout(5):
                async for _each in observation:
                    pass


# --- coming back ---------------------------------------------------------------


async def test_who_comes_back_in_time_misses_nothing() -> None:
    """
    The rest of the running turn is kept, though nobody watches it.
    """
    async with opened("hi", "again") as session:
        stream = session.stream("go")
        found: list[Seen] = []
        async with aclosing(session.observe()) as observation:
            found.append(await anext(observation))
            await stream.result()
            found.append(await anext(observation))
            found.append(await anext(observation))
        rest = await seen(session, 4, found[-1].cursor)

    assert ["Snapshot", *PLAIN] == kinds(found + rest)


async def test_a_cursor_can_be_used_twice() -> None:
    """
    It's a place, not a subscription.
    """
    async with opened("hi") as session:
        found = await seen(session, 7, meanwhile=session.run("go"))
        for at in range(6):
            again = await seen(session, 6 - at, found[at].cursor)
            assert found[at + 1 :] == again


async def test_turns_that_nobody_saw_are_one_gap() -> None:
    """
    Their events were never made; their commits are there.
    """
    async with opened("a", "b", "c") as session:
        cursor = (await seen(session, 1))[0].cursor
        await session.run("1")
        await session.run("2")
        found = await seen(session, 3, cursor)
        assert ["Gap", "Committed", "Committed"] == kinds(found)
        gap = found[0].event
        assert isinstance(gap, Gap) and ("unseen", 0) == (gap.kind, gap.dropped)


async def test_who_is_too_slow_gets_one_gap_and_then_the_rest() -> None:
    """
    The turn doesn't wait for a watcher, and memory is bounded.
    """
    async with Lash(model=Chatty(BUFFER + 50), autoload=False) as lash:
        session = await lash.session("s")
        found = await seen(session, 2, meanwhile=session.run("go"))
        rest = await seen(session, BUFFER + 1, found[1].cursor)

    gap, live = found[1].event, [each.event for each in rest]
    assert isinstance(gap, Gap) and "buffer" == gap.kind
    assert not any(isinstance(event, Gap) for event in live)
    assert ["UsageAdded", "TurnEnded", "Committed"] == kinds(rest)[-3:]
    deltas = sum(isinstance(event, TextDelta) for event in live)
    assert BUFFER - 2 == deltas
    assert BUFFER + 50 == deltas + gap.dropped - 2  # of those, two began the turn


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "1", "x//a.0", "1//a.b", "-1//.0", "9//.0", "1/" * 50, "9" * 5000]
)
async def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    """
    Nor is one of a revision that isn't there yet: a restored backup must not go unseen.
    """
    async with opened("hi") as session:
        await session.run("go")
        with pytest.raises(InvalidInput, match="cursor"):
            await seen(session, 1, cursor)


# --- what it costs -------------------------------------------------------------


async def test_without_an_observer_no_event_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nor once the last one has gone and the turn is over.
    """
    async with opened("a", "b", "c") as session:
        live = session._lane.live  # pyright: ignore[reportPrivateUsage] - what's made shows only here
        await session.run("1")
        assert live.watch is None
        await seen(session, 7, meanwhile=session.run("2"))
        assert live.watch is None
        await session.run("3")
        assert live.watch is None


async def test_two_observers_see_the_same() -> None:
    """
    Each at its own pace.
    """
    async with opened("hi") as session:
        one, two = session.observe(), session.observe()
        await anext(one)
        await anext(two)
        await session.run("go")
        first = [await anext(one) for _ in PLAIN]
        second = [await anext(two) for _ in PLAIN]

    assert PLAIN == kinds(first)
    assert first == second


@pytest.mark.parametrize("seed", range(12))
async def test_no_commit_is_missed_or_seen_twice_whoever_comes_and_goes(
    seed: int, store: MemoryStore
) -> None:
    """
    Turns, settings and another process on one side; on the other an observer who is
    slow, leaves at any time and comes back with the last cursor.
    """
    chance = random.Random(seed)
    done = asyncio.Event()
    found: list[Seen] = []

    async def work(ours: Session, theirs: Session) -> None:
        for at in range(12):
            session = ours if chance.random() < 0.7 else theirs
            if chance.random() < 0.7:
                await session.run(str(at))
            else:
                await session.configure(instructions=f"{at} {session is ours}")
            await asyncio.sleep(chance.random() * 0.004)
        done.set()

    async def watch(session: Session) -> None:
        while not (done.is_set() and found and last(found) == 12):
            cursor = found[-1].cursor if found else None
            stay = chance.randrange(1, 9)
            async with aclosing(session.observe(cursor)) as observation:
                async for each in observation:
                    found.append(each)
                    await asyncio.sleep(chance.random() * 0.002)
                    stay -= 1
                    if not stay or (done.is_set() and last(found) == 12):
                        break

    def last(found: list[Seen]) -> int:
        heads = [each.event.head.revision for each in found if isinstance(each.event, Committed)]
        return heads[-1] if heads else 0

    async with (
        opened(*["x"] * 12, store=store, on_busy="queue") as ours,
        opened(*["x"] * 12, store=store, on_busy="queue") as theirs,
    ):
        async with asyncio.timeout(20):
            await asyncio.gather(work(ours, theirs), watch(ours))

    revisions = [each.event.head.revision for each in found if isinstance(each.event, Committed)]
    first = found[0].event
    assert isinstance(first, Snapshot)
    assert list(range(first.revision + 1, 13)) == revisions
    assert 1 == sum(isinstance(each.event, Snapshot) for each in found)
    ended: list[int] = []
    for each in found:  # a turn that was seen live was over before its commit was seen
        if isinstance(each.event, TurnEnded):
            ended.append(each.event.revision)
        elif isinstance(each.event, Committed) and each.event.head.revision in ended:
            assert ended[-1] == each.event.head.revision
