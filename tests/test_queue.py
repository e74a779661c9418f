"""
A busy session's line: first come first served, in one process and among several.

Two apps on one store stand for two processes; one test has two real ones.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.contexts import TurnContext
from lash_sdk.errors import SessionClosed, TurnInterrupted
from lash_sdk.json import Json
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Image, user
from lash_sdk.outcomes import Stopped
from lash_sdk.ports import InboxItem, ModelRequest, Store
from lash_sdk.session import Session, TurnRecord
from lash_sdk.session.line import Place, join
from lash_sdk.testing import Reply, ScriptedModel, reply

T = TypeVar("T")


class Gate:
    """
    A model call that begins when it's reached, and ends when it's let go.
    """

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.free = asyncio.Event()

    async def __call__(self, request: ModelRequest) -> Reply:
        self.reached.set()
        await self.free.wait()
        return reply("first")


def echo(request: ModelRequest) -> Reply:
    return reply(f"to {request.history[-1].text}")


@asynccontextmanager
async def opened(
    store: MemoryStore, *script: Any, on_busy: Any = "queue", **options: Any
) -> AsyncGenerator[Session]:
    script = script or (echo,) * 9
    async with (
        Lash(
            model=ScriptedModel(script), store=store, on_busy=on_busy, autoload=False, **options
        ) as lash,
        lash.session("s") as session,
    ):
        yield session


async def soon(awaited: Awaitable[T]) -> T:
    async with asyncio.timeout(5):
        return await awaited


async def waits(store: Store, count: int) -> None:
    """
    Return once *count* turns wait in line.
    """
    async with asyncio.timeout(5):
        while len(await store.pending("s")) < count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


def line_up(session: Session, text: str) -> asyncio.Task[Any]:
    return asyncio.create_task(session.run(text))


def place(session: Session, turn: str) -> Awaitable[Place]:
    """
    Join the line as a process does whose turn comes late.
    """
    live = session._lane.live  # pyright: ignore[reportPrivateUsage] - there's no slow public way
    return join(live, turn, user(f"late {turn}"))


async def test_turns_run_in_the_order_they_came_whoever_asked() -> None:
    """
    Neither process has an advantage; each caller gets its own turn.
    """
    store, gate = MemoryStore(), Gate()
    async with opened(store, gate, *(echo,) * 4) as ours, opened(store) as theirs:
        tasks = [line_up(ours, "0")]
        await gate.reached.wait()
        for at, session in enumerate((theirs, ours, ours, theirs, ours), 1):
            tasks.append(line_up(session, str(at)))
            await waits(store, at)
        gate.free.set()
        turns = await soon(asyncio.gather(*tasks))

        assert [1, 2, 3, 4, 5, 6] == [turn.index for turn in turns]
        assert ["first", "to 1", "to 2", "to 3", "to 4", "to 5"] == [turn.text for turn in turns]
    async with opened(store) as session:
        said = [message.text for message in session.messages if message.role == "user"]
        assert ["0", "1", "2", "3", "4", "5"] == said
    assert () == tuple(await store.pending("s"))


async def test_what_waits_in_line_is_not_taken_by_the_running_turn() -> None:
    """
    Unlike what was enqueued for any turn.
    """
    store, gate = MemoryStore(), Gate()
    async with opened(store, gate, echo) as ours, opened(store) as theirs:
        running = line_up(ours, "go")
        await gate.reached.wait()
        waiting = line_up(theirs, "mine")
        await waits(store, 1)
        await theirs.enqueue("anybody's", key="k")
        gate.free.set()
        first, second = await soon(asyncio.gather(running, waiting))

    assert ["to anybody's", "to mine"] == [first.text, second.text]
    assert ["mine", "to mine"] == [message.text for message in second.messages]


async def test_a_newcomer_does_not_overtake() -> None:
    """
    The session is free for a moment, but somebody was there before.
    """
    store = MemoryStore()
    async with opened(store) as ours, opened(store) as theirs:
        await ours.run("0")
        early = await place(ours, "a1")
        late = line_up(theirs, "mine")
        await waits(store, 2)
        await asyncio.sleep(0.05)
        assert not late.done()
        await early.leave()
        turn = await soon(late)

        assert ("to mine", 2) == (turn.text, turn.index)


async def test_input_of_a_caller_who_is_gone_comes_with_the_next_turn() -> None:
    """
    It was durable before its process ended, so it isn't lost.
    """
    store = MemoryStore()
    body: Json = {"turn": "gone", "message": user("of the dead").to_json()}
    await store.enqueue("s", InboxItem(key="gone", body=body))
    async with opened(store) as session:
        turn = await soon(session.run("go"))

        assert ["of the dead", "go", "to go"] == [message.text for message in turn.messages]
    assert () == tuple(await store.pending("s"))


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_who_stops_waiting_leaves_nothing_behind(how: str) -> None:
    """
    The input was never said.
    """
    store, gate = MemoryStore(), Gate()
    async with opened(store, gate) as ours:
        async with opened(store) as theirs:
            running = line_up(ours, "go")
            await gate.reached.wait()
            waiting = line_up(theirs, "mine")
            await waits(store, 1)
            if how == "cancelled":
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
        if how == "closed":
            with pytest.raises(SessionClosed):
                await soon(waiting)
        assert () == tuple(await store.pending("s"))
        gate.free.set()
        assert ["go", "first"] == [message.text for message in (await soon(running)).messages]


async def test_an_app_that_closes_takes_its_line_along(tmp_path: Path) -> None:
    """
    Before its store is closed: whoever waited is told, and said nothing.
    """
    url, gate = f"sqlite:///{tmp_path / 'app.db'}", Gate()
    async with Lash(model=ScriptedModel([gate]), store=url, on_busy="queue") as lash:
        session = await lash.session("s")
        tasks = [line_up(session, "go")]
        await gate.reached.wait()
        tasks += [line_up(session, str(at)) for at in range(3)]
        await waits(lash.store, 3)
    first, *others = await soon(asyncio.gather(*tasks, return_exceptions=True))

    assert isinstance(first, TurnRecord) and isinstance(first.outcome, Stopped)
    assert [SessionClosed] * 3 == [type(error) for error in others]
    async with Lash(model=ScriptedModel([echo]), store=url) as lash:
        assert () == tuple(await lash.store.pending("s"))
        turn = await (await lash.session("s")).run("on")
        assert ["on", "to on"] == [message.text for message in turn.messages]


async def test_a_turn_that_is_refused_leaves_its_place() -> None:
    """
    Its caller has heard so; nobody else is to say it again.
    """

    class Refuses(Plugin):
        @hooks.before_turn
        def ready(self, ctx: TurnContext) -> list[hooks.Directive]:
            no = ctx.messages[-1].text == "no"
            return [hooks.AbortTurn(code="no", message="not now")] if no else []

    store, gate = MemoryStore(), Gate()
    async with opened(store, gate, echo, plugins=[Refuses]) as session:
        running = line_up(session, "go")
        await gate.reached.wait()
        refused, kept = line_up(session, "no"), line_up(session, "yes")
        await waits(store, 2)
        gate.free.set()
        await soon(running)

        assert not (await soon(refused)).committed
        assert ["yes", "to yes"] == [message.text for message in (await soon(kept)).messages]


async def test_an_interrupted_turn_is_told_to_whoever_waited() -> None:
    """
    The policy for it is another one than for waiting.
    """

    class Died(BaseException):
        pass

    gone = asyncio.Event()

    async def dies(request: ModelRequest) -> Reply:
        await gone.wait()
        raise Died

    store = MemoryStore()
    async with opened(store, dies) as ours, opened(store) as theirs:
        running = line_up(ours, "go")
        await asyncio.sleep(0.01)
        waiting = line_up(theirs, "mine")
        await waits(store, 1)
        gone.set()
        with pytest.raises(Died):
            await running
        with pytest.raises(TurnInterrupted):
            await soon(waiting)
        assert () == tuple(await store.pending("s"))


async def test_attachments_stay_with_who_waits() -> None:
    """
    An inbox keeps words: the turn itself has the picture.
    """
    store, gate = MemoryStore(), Gate()
    picture = Image.of(b"pixel", "image/png")
    async with opened(store, gate, echo) as session:
        running = line_up(session, "go")
        await gate.reached.wait()
        waiting = asyncio.create_task(session.run([picture]))
        await waits(store, 1)
        (item,) = await store.pending("s")
        assert "(sent without its attachments)" == item.message.text
        gate.free.set()
        await soon(running)
        turn = await soon(waiting)

        assert (picture,) == turn.messages[0].parts
        assert b"pixel" == await session.blob(picture.blob)


async def test_a_fork_of_a_session_that_others_made_has_its_history() -> None:
    """
    What this process knows of it may be old: the store knows.
    """
    store, gate = MemoryStore(), Gate()
    async with opened(store, on_busy="fork") as theirs, opened(store, echo, gate) as ours:
        assert 0 == theirs.revision
        await ours.run("1")
        running = line_up(ours, "2")
        await gate.reached.wait()
        turn = await soon(theirs.run("aside"))
        gate.free.set()
        await soon(running)

        assert turn.session.startswith("s~")
        assert ("to aside", 2) == (turn.text, turn.index)


WAITER = """
import asyncio, sys
from lash_sdk import Lash
from lash_sdk.testing import ScriptedModel

async def main():
    async with Lash(model=ScriptedModel(["never"]), store=sys.argv[1], on_busy="queue") as lash:
        session = await lash.session("s")
        print("ready", flush=True)
        await session.run("from the other process")

asyncio.run(main())
"""


async def test_a_waiting_process_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    """
    The system knows that it's gone; its words come with the next turn.
    """
    url, gate = f"sqlite:///{tmp_path / 'app.db'}", Gate()
    model = ScriptedModel([gate, echo, echo])
    async with Lash(model=model, store=url, on_busy="queue") as lash, lash.session("s") as session:
        running = line_up(session, "go")
        await gate.reached.wait()
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WAITER, url, stdout=asyncio.subprocess.PIPE
        )
        assert other.stdout is not None
        assert b"ready\n" == await other.stdout.readline()
        await waits(lash.store, 1)
        waiting = line_up(session, "and then")
        other.kill()
        await other.wait()
        gate.free.set()
        await soon(running)
        turn = await soon(waiting)

        assert ["from the other process", "and then", "to and then"] == [
            message.text for message in turn.messages
        ]
        assert () == tuple(await lash.store.pending("s"))


@pytest.mark.parametrize("seed", range(8))
async def test_the_order_holds_whoever_comes_and_goes(seed: int) -> None:
    """
    Three processes, turns of any length, callers who give up: those who stay are served
    in the order they lined up, each with its own turn, and nothing is left behind.
    """

    class Noting(MemoryStore):
        async def enqueue(self, session: str, item: InboxItem) -> InboxItem:
            kept = await super().enqueue(session, item)
            lined_up.append(item.message.text)
            return kept

    async def answer(request: ModelRequest) -> Reply:
        await asyncio.sleep(chance.random() * 0.004)
        return echo(request)

    async def ask(session: Session, text: str, patience: float | None) -> None:
        try:
            async with asyncio.timeout(patience):
                turn = await session.run(text)
        except TimeoutError:
            return
        assert f"to {text}" == turn.text
        served.append(text)

    chance, lined_up, served = random.Random(seed), list[str](), list[str]()
    store = Noting()
    async with (
        opened(store, *[answer] * 40) as one,
        opened(store, *[answer] * 40) as two,
        opened(store, *[answer] * 40) as three,
    ):
        tasks = []
        for at in range(24):
            patience = chance.random() * 0.05 if chance.random() < 0.25 else None
            session = chance.choice((one, two, three))
            tasks.append(asyncio.create_task(ask(session, str(at), patience)))
            await asyncio.sleep(chance.random() * 0.004)
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)

    async with opened(store) as session:
        said = [message.text for message in session.messages if message.role == "user"]
    assert set(served) <= set(said)
    assert len(said) == len(set(said))
    assert [text for text in lined_up if text in said] == [
        text for text in said if text in lined_up
    ]
    assert len(served) > 12 and lined_up
    assert () == tuple(await store.pending("s"))
