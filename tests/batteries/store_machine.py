"""
Anything that can be asked of a store, in any order, held against the model.

Each move is asked of the model and of every store on a stand; all must answer alike,
and afterwards show the same. A move counts only where it did what it's for.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeAlias, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from lash_sdk.commits import Commit
from lash_sdk.ports import Claim, JournalRow

from .stands import Stand, answer
from .store_looks import look, referred, shown
from .store_model import Model, Refused
from .store_plans import Dice, Plans

T = TypeVar("T")

DICES: Final = st.binary(min_size=16, max_size=16).map(Dice)
Asked: TypeAlias = Callable[[Stand], Awaitable[object]]
"""Asks one store."""

SESSIONS: Final = 6
"""How many sessions there are at most at a time, children apart."""


@dataclass(slots=True)
class Shape:
    """
    What a run did.

    Attributes:
        steps: Moves that began.
        found: The step that found the first fault; 0 for none.
        moves: Moves that did what they're for, by name.
        examples: How many runs there were.
    """

    steps: int = 0
    found: int = 0
    examples: int = 0
    moves: Counter[str] = field(default_factory=Counter)


class Machine(RuleBasedStateMachine):
    """The moves; `makes` says on which stores, `shape` is what they came to."""

    makes: ClassVar[Sequence[Callable[[], Stand]]] = ()
    shape: ClassVar[Shape] = Shape()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.plans = Plans(self.model, 0, {}, {}, {})
        self.stands = [make() for make in self.makes]
        self.fetched: set[str] = set()
        self.now = 1e9
        self.days = 0
        self.failed = False
        self.clock = time.time
        time.time = lambda: self.now + 86400.0 * self.days

    @initialize(dice=DICES)
    def begin(self, dice: Dice) -> None:
        """Open every store, and make the first sessions."""
        self.shape.examples += 1
        for stand in self.stands:
            self.run(stand.begin())
        self.checked(lambda: self.furnish(dice))

    def furnish(self, dice: Dice) -> None:
        """Bring the stores to where every move has something to do."""

    def teardown(self) -> None:
        """See everything once more, and clear it away."""
        try:
            if not self.failed:
                self.checked(lambda: self.check([*self.everything, *self.model.gone]))
        finally:
            time.time = self.clock
            for stand in self.stands:
                self.run(stand.end())
            self.loop.close()

    # --- what every move does --------------------------------------------------------

    def run(self, asked: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(asked)

    def checked(self, act: Callable[[], T]) -> T:
        """Return what *act* does; note the first step that found anything."""
        try:
            return act()
        except Exception:
            self.failed = True
            self.shape.found = self.shape.found or self.shape.steps
            raise

    def ask(
        self, expected: Callable[[], object], act: Callable[[Stand], Awaitable[object]]
    ) -> bool:
        """Ask the model and every store; return whether they, all alike, didn't refuse."""
        try:
            want = expected()
            refused = False
        except Refused as refusal:
            want, refused = refusal.answer, True
        for stand, got in self.each(lambda stand: answer(act(stand))):
            assert want == got, f"{stand.name}: expected {want!r}, found {got!r}"
        return not refused

    def each(
        self, act: Callable[[Stand], Coroutine[object, object, T]]
    ) -> Iterator[tuple[Stand, T]]:
        """Yield what every store answers, all of them asked at once."""
        if len(self.stands) == 1:
            yield self.stands[0], self.run(act(self.stands[0]))
            return
        tasks = [self.loop.create_task(act(stand)) for stand in self.stands]
        self.run(_ended(tasks))
        for stand, task in zip(self.stands, tasks, strict=True):
            yield stand, task.result()

    def check(self, sessions: Iterable[str]) -> None:
        """
        Compare all that can be seen of *sessions*, of lists, and of the feed.

        Blobs that were there are fetched again when every session is looked at, as it is
        after whatever takes something away.
        """
        ids = sorted(set(sessions))
        if self.model.sessions.keys() <= set(ids):
            self.fetched.clear()
        refs = sorted(referred(self.model, ids) - self.fetched)
        want = shown(self.model, ids, refs)
        for stand, got in self.each(lambda stand: look(stand, self.model, ids, refs)):
            for name, value in want.items():
                assert value == got[name], (
                    f"{stand.name}: {name}: expected {value!r}, found {got[name]!r}"
                )
        self.fetched.update(refs)

    @property
    def everything(self) -> list[str]:
        """Every session there is or is to be, and the last that's gone."""
        begun = [id for id, rows in self.model.journals.items() if rows]
        return [*self.model.sessions, *list(self.model.gone)[-1:], *begun]

    @property
    def made(self) -> list[str]:
        """The sessions that are there."""
        return list(self.model.sessions)

    @property
    def committed(self) -> list[str]:
        """The sessions that have a commit."""
        return [id for id, found in self.model.sessions.items() if found.head.revision]

    def waiting_for(self, turn: str) -> list[str]:
        """Return the sessions that wait for a turn of that id, whoever's it is."""
        return [id for id, found in self.model.sessions.items() if found.head.pending == turn]

    def commit(self, commit: Commit) -> bool:
        """Commit; note it if it's taken."""

        def expected() -> object:
            return self.model.commit(commit, time.time())

        async def act(stand: Stand) -> object:
            receipt = await stand.store.commit(commit)
            return receipt.session, receipt.operation, receipt.revision, receipt.leaf

        taken = self.ask(expected, act)
        if taken:
            self.plans.remember(commit)
        elif commit.nodes:
            node = commit.nodes[0].id
            self.ask(lambda: self.model.visible(node), lambda stand: _shows(stand, node))
        return taken

    def hold(self, session: str) -> bool:
        """Take a claim on every store."""
        claims: dict[Stand, Claim] = {}

        async def act(stand: Stand) -> object:
            claim = claims[stand] = await stand.store.claim(session)
            assert claim.generation > stand.latest.get(session, 0), stand.name
            return claim.revision, claim.unfinished, claim.waiting

        taken = self.ask(lambda: self.model.claim(session), act)
        for stand, claim in claims.items():
            stand.claims.append(claim)
        return taken

    def put(self, claim: int, rows: Sequence[JournalRow]) -> bool:
        """Write journal rows by one of the claims, stale or not."""

        async def act(stand: Stand) -> None:
            held = stand.claims[claim]
            await stand.store.journal_put(held, rows)
            stand.latest[held.session] = held.generation

        return self.ask(lambda: self.model.put(claim, rows, time.time()), act)

    def let_go(self, again: Callable[[Stand], Coroutine[object, object, None]]) -> None:
        """Let every claim's holder end, and open the stores again."""
        self.model.held.clear()
        for _ in self.each(again):
            pass


async def _ended(tasks: Iterable[asyncio.Task[T]]) -> None:
    await asyncio.wait(tasks)


async def _shows(stand: Stand, node: str) -> bool:
    return await stand.store.node(node) is not None
