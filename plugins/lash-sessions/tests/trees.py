"""Random trees of sessions, played; and what has to hold of them afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from lash_sdk.contexts import ToolContext
from lash_sdk.errors import LashError, SessionBusy, StoreBusy
from lash_sdk.graph import check_pairs
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Message
from lash_sdk.outcomes import Stopped
from lash_sdk.testing import call, reply
from lash_sessions import SessionRequest, UnknownTurn, handoff

from .making import acting, app, children

COST = 15
"""Tokens of one answer."""

HOWS = ("await", "twice", "cancel", "leave")
"""What becomes of a child's turn: awaited by one, by two, cancelled, left to run."""


@dataclass(frozen=True)
class Plan:
    """
    A session: what it does in its turn, and what becomes of that turn.

    Attributes:
        id: Unique in the tree.
    """

    id: str
    how: str
    below: tuple[Plan, ...]

    def to_json(self) -> Any:
        return [self.id, self.how, [each.to_json() for each in self.below]]

    @classmethod
    def of(cls, body: Any) -> Plan:
        return cls(body[0], body[1], tuple(map(cls.of, body[2])))

    def all(self) -> list[Plan]:
        return [self, *[each for below in self.below for each in below.all()]]


@dataclass(frozen=True)
class Story:
    """A tree, the commits that fail, and whether the root's turn is cancelled or handed on."""

    root: Plan
    failing: frozenset[int]
    cancelled: bool
    handed: bool


def shapes(depth: int) -> st.SearchStrategy[Any]:
    """Return trees as (how, below), without ids."""
    below = st.just([]) if depth == 0 else st.lists(shapes(depth - 1), max_size=3)
    return st.tuples(st.sampled_from(HOWS), below)


def plan(shape: Any, id: str = "root") -> Plan:
    how, below = shape
    return Plan(id, how, tuple(plan(each, f"{id}.{at}") for at, each in enumerate(below)))


STORIES = st.builds(
    lambda shape, failing, cancelled, handed: Story(plan(shape), failing, cancelled, handed),
    shapes(2),
    st.frozensets(st.integers(min_value=0, max_value=12), max_size=3),
    st.booleans(),
    st.booleans(),
)


class FlakyStore(MemoryStore):
    """Refuses some commits of turns, by their number."""

    def __init__(self, failing: frozenset[int]) -> None:
        super().__init__()
        self.failing = failing
        self.number = 0

    async def commit(self, commit: Any) -> Any:
        await asyncio.sleep(0)
        if commit.turn is not None:
            self.number += 1
            if self.number - 1 in self.failing:
                raise StoreBusy("not now")
        return await super().commit(commit)


@dataclass
class Played:
    """What a story's model and tools saw."""

    answers: int = 0
    running: Counter[str] = field(default_factory=Counter)
    most: int = 0
    wrong: list[str] = field(default_factory=list)
    slow: bool = False
    below: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Any) -> Any:
        self.running[request.session] += 1
        self.most = max(self.most, self.running[request.session])
        try:
            if request.session != "root":
                self.below.set()
            await asyncio.sleep(0.05 if self.slow and request.session != "root" else 0.001)
        finally:
            self.running[request.session] -= 1
        self.answers += 1
        last = request.history[-1]
        if last.role == "tool":
            return "done"
        found = Plan.of(json.loads(last.text))
        return reply(calls=[call("do")]) if found.below else "leaf"


async def work(ctx: ToolContext, played: Played) -> str:
    """Have the children of the plan that this turn is about do theirs."""
    mine = PLANS[ctx.session_id]
    await asyncio.gather(*[one(ctx, below, played) for below in mine.below])
    return "ok"


PLANS: dict[str, Plan] = {}


async def one(ctx: ToolContext, below: Plan, played: Played) -> None:
    lifecycle, turns = ctx.role("lifecycle"), ctx.role("turns")
    await lifecycle.create(SessionRequest(id=below.id))
    started = await turns.start_turn_stream(below.id, json.dumps(below.to_json()))
    try:
        await turns.start_turn_stream(below.id, "again")
        played.wrong.append(f"{below.id}: a second turn began")
    except SessionBusy:
        pass
    if below.how == "cancel":
        await turns.cancel_turn(started.turn_id)
    if below.how == "leave":
        return
    again = 2 if below.how == "twice" else 1
    found = await asyncio.gather(
        *[ctx.role("turns").await_turn(started.turn_id) for _ in range(again)],
        return_exceptions=True,
    )
    unknown = sum(isinstance(each, UnknownTurn) for each in found)
    if unknown != again - 1:
        played.wrong.append(f"{below.id}: {again} awaits, {unknown} refused")


async def play(story: Story) -> None:
    """Let a story happen, and check everything that has to hold."""
    PLANS.clear()
    PLANS.update({each.id: each for each in story.root.all()})
    played, store = Played(slow=story.cancelled), FlakyStore(story.failing)
    before = asyncio.all_tasks()

    async def act(ctx: ToolContext) -> str:
        return await work(ctx, played)

    tool = acting(act, on_recovery="resume")
    async with app(answer=played.answer, tools=[tool], store=store) as lash:
        root = await lash.session("root")
        running = asyncio.create_task(root.run(json.dumps(story.root.to_json())))
        if story.cancelled:
            await first(running, played.below)
            await root.cancel()
        record = None
        with contextlib.suppress(LashError):
            record = await running
        for _ in range(len(story.failing) + 1):
            if not root.interrupted:
                break
            with contextlib.suppress(LashError):
                record = await root.resume()
        assert record is not None
        stopped = isinstance(record.outcome, Stopped)
        if stopped:
            assert not any(played.running.values()), "somebody runs on after a cancel"
        await settle(root)
        assert COST * played.answers == root.usage().total, "usage isn't conserved"
        store.failing = frozenset()
        if story.handed:
            await children(root).create(handoff(id="next"))
            turn = await root.run(json.dumps(["next", "await", []]))
            assert "next" == turn.session
        await check(lash, story, played, stopped=stopped)
    leaked = [task for task in asyncio.all_tasks() - before if not task.done()]
    assert [] == leaked, "a task is left"


async def first(running: asyncio.Task[Any], event: asyncio.Event) -> None:
    """Wait until a child is at work, or the whole is over."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.wait((waiting,))


def lasting(plan: Plan) -> set[str]:
    """Return the sessions that nothing may keep from being made."""
    below = () if plan.how == "cancel" and plan.id != "root" else plan.below
    return {plan.id, *[id for each in below for id in lasting(each)]}


async def settle(root: Any) -> None:
    """Wait for what was left to run, and take it."""
    role = children(root)
    for _ in range(10):
        for id in tuple(role._tree.turns):
            with contextlib.suppress(LashError):
                await role.await_turn(id)
    assert {} == role._tree.turns, "a result that was taken is still there"


async def check(lash: Any, story: Story, played: Played, *, stopped: bool) -> None:
    assert [] == played.wrong
    assert 1 >= played.most, "two turns at once in one session"
    heads = {each.id: each for each in await lash.sessions(limit=1000, children=True)}
    for id in set(lash.store._sessions) - set(heads):
        head = lash.store._sessions[id].head
        waited = {row.turn for row in await lash.store.journal(head.parent)}
        assert head.pending in waited, f"{id} is an orphan"
    assert all(each.parent is None or each.parent in heads for each in heads.values())
    more = {"next"} if story.handed else set[str]()
    assert set(heads) <= {each.id for each in story.root.all()} | more, "there's one too many"
    if not stopped and not story.failing:
        assert lasting(story.root) | more <= set(heads), "a session is missing"
    for id in heads:
        async with await lash.session(id) as session:
            check_pairs([n.value for n in session.graph.path() if isinstance(n.value, Message)])
            rows = [row.id for row in session.usage().rows]
            assert len(rows) == len(set(rows)), "a row is there twice"
            assert heads[id].turns <= 1 + (id == "next"), f"{id}: a turn was run twice"
