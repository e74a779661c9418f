"""
The reference turn: what a crash is tried on.

"go" is accepted; the model streams text and two parallel calls, while a client puts
"also" into the inbox; `note` runs and its result is kept; `send` runs; a checkpoint
takes what waits; the model answers; the turn is committed. Before it there is a turn
already. `STAGES` is where sessions and background tasks will join.

Rows are written behind. So that the trace has one order, the client waits until the
input is written, `send` until the result of `note` is, and the model's second call until
both results are: two tools that end in one pass of the loop would share a write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from lash_sdk import Lash
from lash_sdk.errors import LashError, StoreError
from lash_sdk.messages import Message
from lash_sdk.ports import JournalRow
from lash_sdk.session import Session, TurnRecord

from .gate import Cancel, Gate, Hand
from .places import Place
from .seams import GatedStore, Ledger, StrictModel, tools

Ack = Callable[[str, str], None]
"""Told what was acknowledged: "turn" and its id, "input" and its key."""

STAGES: Final[list[Callable[[Session], Awaitable[None]]]] = []
"""Awaited by the client after it has put its input in; children and tasks come here."""

PATIENCE: Final = 30
"""Seconds after which a turn hangs."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything that a turn is played with."""

    place: Place
    ledger: Ledger
    gate: Gate = field(default_factory=Gate)
    ack: Ack = lambda kind, id: None
    hand: Hand | None = None


class Pace:
    """
    Told of each attempt to write rows once it's over, well or badly.

    Attributes:
        keeps: Whether anybody waits for anything.
    """

    def __init__(self, keeps: bool) -> None:
        self.keeps = keeps
        self._tried: set[tuple[str, str]] = set()
        self._told = asyncio.Event()

    def __call__(self, rows: Sequence[JournalRow]) -> None:
        """Take note."""
        self._tried |= {(row.kind, row.key) for row in rows}
        self._told.set()

    async def past(self, kind: str, count: int) -> None:
        """Return once so many rows of a *kind* were tried, and the next write has begun."""
        while self.keeps and sum(each == kind for each, _ in self._tried) < count:
            self._told.clear()
            await self._told.wait()
        await asyncio.sleep(0)


@dataclass(slots=True, kw_only=True)
class Opened:
    """A session in an app of its own, with what stands behind it."""

    session: Session
    model: StrictModel
    store: GatedStore
    pace: Pace


@asynccontextmanager
async def opened(stage: Stage, *, first: bool = False) -> AsyncGenerator[Opened]:
    """Yield the session, opened anew; *first* paces the tools."""
    store = GatedStore(stage.place.store(), stage.gate)
    model = StrictModel(stage.gate)
    pace = store.wrote = Pace(first)

    async def sends() -> None:
        await pace.past("result", 1)

    async def asks() -> None:
        await pace.past("result", 2 * (model.asked - 1))

    model.paced = asks
    made = tools(stage.gate, stage.ledger, sends)
    async with (
        Lash(model=model, store=store, tools=made, autoload=False) as lash,
        lash.session(stage.place.session) as session,
    ):
        model.meanwhile = lambda: client(session, stage.ack, pace)
        yield Opened(session=session, model=model, store=store, pace=pace)


async def client(session: Session, ack: Ack, pace: Pace) -> None:
    """Put "also" in; if that fails it's tried again later, under the same key."""
    await pace.past("input", 1)
    with suppress(StoreError):
        await session.enqueue("also", key="k")
        ack("input", "k")
    for stage in STAGES:
        await stage(session)


async def prepare(stage: Stage) -> None:
    """Run the turn that comes before."""
    async with opened(stage) as on:
        before = await on.session.run("hi")
        stage.ack("turn", before.id)


@dataclass(slots=True)
class Played:
    """
    What became of the reference turn, as its caller saw it.

    Attributes:
        after: What it left behind: "none", "interrupted" or "committed".
        wrong: What shouldn't be, a sentence each.
    """

    record: TurnRecord | None = None
    error: BaseException | None = None
    after: str = ""
    wrong: list[str] = field(default_factory=list)


async def play(stage: Stage) -> Played:
    """Run the reference turn past the gate; what's interrupted is resumed by its handle."""
    played = Played()
    async with opened(stage, first=True) as on:
        stage.gate.open()
        task = asyncio.create_task(on.session.run("go"), name="go")
        if isinstance(stage.hand, Cancel):
            stage.hand.task = task
        await asyncio.wait([task], timeout=PATIENCE)
        stage.gate.shut()
        on.pace.keeps = False
        if not task.done():
            played.wrong.append("the turn hangs")
            task.cancel()
        try:
            played.record = await task
        except (LashError, asyncio.CancelledError) as error:
            played.error = error
        if played.record is not None:
            stage.ack("turn", played.record.id)
        played.after = await state(on, played.wrong)
        if played.after == "committed" and isinstance(played.error, StoreError):
            played.wrong.append(f"committed, and yet the caller was told {played.error!r}")
        if played.after == "interrupted":
            await on.session.resume()
        played.wrong += on.model.refused
    return played


async def state(on: Opened, wrong: list[str]) -> str:
    """Return what the store has of the reference turn; what a handle says is to agree."""
    id = on.session.id
    head = await on.store.head(id)
    rows = await on.store.journal(id)
    nodes = [node async for page in on.store.load(id) for node in page.nodes]
    said = any(isinstance(n.value, Message) and n.value.text == "go" for n in nodes)
    if rows and said:
        wrong.append("a committed turn has left its journal behind")
    if bool(rows) != on.session.interrupted:
        wrong.append(f"{len(rows)} journal rows, interrupted: {on.session.interrupted}")
    if (head.revision if head else 0) != on.session.revision:
        wrong.append(f"the handle is at {on.session.revision}, the store at {head}")
    return "committed" if said else "interrupted" if rows else "none"


async def recover(stage: Stage, *, acked: bool) -> Played:
    """
    Open the session anew, resume what's interrupted, and take the next turn.

    A client whose input wasn't *acked* sends it again.
    """
    played = Played()
    async with opened(stage) as on:
        stage.gate.open()
        played.after = await state(on, played.wrong)
        if on.session.interrupted:
            await on.session.resume()
        stage.gate.shut()
    async with opened(stage) as on:
        if not acked:
            await on.session.enqueue("also", key="k")
            stage.ack("input", "k")
        played.record = await on.session.run("next")
        stage.ack("turn", played.record.id)
        if played.record.text != "fine":
            played.wrong.append(f"the next turn came to {played.record.outcome!r}")
        played.wrong += on.model.refused
    return played
