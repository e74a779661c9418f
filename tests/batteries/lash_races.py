"""Apps in several processes on one session: who finishes a dead turn, who runs the next."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lash_sdk.json import Json
from lash_sdk.ports import Store
from lash_sdk.testing.store_crew import DEAD, Child
from lash_sdk.testing.store_place import Place

from .arena import ROOT

WAIT: Final = 60.0
"""Seconds until something that has to come is given up."""


class Player(Child):
    """A process that runs `lash_child`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.batteries.lash_child"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        )


@dataclass(slots=True)
class Played:
    """
    What came of turns that met.

    Attributes:
        turns: Those that were committed.
        refused: Those that met `SessionBusy`.
        resumed: Dead turns that were finished.
    """

    turns: int = 0
    refused: int = 0
    resumed: int = 0
    broken: list[str] = field(default_factory=list)

    def hold(self, what: str, wanted: object, found: object) -> None:
        """Note where something isn't as it has to be."""
        if wanted != found:
            self.broken.append(f"{what}: expected {wanted!r}, found {found!r}")


class Stage:
    """
    Players on one place, each with its app on the same session; they're used again.

    Attributes:
        gate: A file that a model waits for, before it answers to tools.
    """

    def __init__(self, place: Place, effects: Path) -> None:
        """Start no player yet; what tools do is written to *effects*."""
        self._place = place
        self._effects = effects
        self.gate = Path(f"{effects}.gate")
        self._idle: list[Player] = []

    @asynccontextmanager
    async def players(
        self, count: int, session: str, policy: str = "reject"
    ) -> AsyncGenerator[list[Player]]:
        """Yield so many processes that have the session open."""
        while len(self._idle) < count:
            self._idle.append(Player())
        players = [self._idle.pop() for _ in range(count)]
        place, effects = self._place, str(self._effects)
        try:
            for each in players:
                each.tell("open", place.factory, place.url, policy, effects, session)
            for each in players:
                said = await each.answer()
                assert not said.error, said
            yield players
        finally:
            self._idle += [each for each in players if each.leave()]

    def close(self) -> None:
        """End every player."""
        while self._idle:
            self._idle.pop().bury()

    def effects(self) -> Counter[str]:
        """Return how often each tool ran."""
        lines = self._effects.read_text().splitlines() if self._effects.exists() else []
        return Counter([line.split()[0] for line in lines])

    async def dead_turn(self, store: Store, session: str) -> None:
        """Leave a turn whose process was killed in one of its three tools."""
        before = self.effects()
        async with self.players(1, session) as (victim,):
            victim.tell("run", "go")
            deadline = asyncio.get_running_loop().time() + WAIT
            while not await self._in_the_middle(store, session, before):
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.005)  # another process' doing: nobody here can tell
            victim.kill()
            assert DEAD == await victim.answer()

    async def _in_the_middle(self, store: Store, session: str, before: Counter[str]) -> bool:
        """Return whether two tools are on record as done, and the third has begun."""
        done = [row for row in await store.journal(session) if row.kind == "result"]
        return len(done) == 2 and self.effects()["ship"] > before["ship"]


async def two_resume(seen: Played, stage: Stage, store: Store, session: str) -> None:
    """Two processes finish one dead turn: one does, the other is told who's at it."""
    before = stage.effects()
    await stage.dead_turn(store, session)
    async with stage.players(2, session) as players:
        for each in players:
            each.tell("resume")
        answers = [asyncio.ensure_future(each.answer()) for each in players]
        await asyncio.wait(answers, return_when="FIRST_COMPLETED")
        first = [each.result().error for each in answers if each.done()]
        stage.gate.touch()  # before, the one that resumes can't end
        words = sorted([(await each).error or str((await each).value) for each in answers])
        stage.gate.unlink()
    seen.hold("the first that's answered", ["SessionBusy"], first)
    seen.hold("two that resume", ["SessionBusy", "re: go"], words)
    ran = {name: stage.effects()[name] - before[name] for name in ("charge", "look", "ship")}
    seen.hold("tools that ran", {"charge": 1, "look": 1, "ship": 1}, ran)
    head = await store.head(session)
    seen.hold("revision", 1, head and head.revision)
    seen.hold("journal", [], list(await store.journal(session)))
    seen.resumed += 1


async def storm(
    seen: Played, stage: Stage, store: Store, session: str, policy: str, size: tuple[int, int]
) -> None:
    """Some processes run some turns each, all at once, under one `on_busy`."""
    count, turns = size
    async with stage.players(count, session, policy) as players:
        for number, each in enumerate(players):
            each.tell("storm", f"{policy}{number}", turns)
        outcomes: list[Json] = []
        for each in players:
            said = await each.answer()
            assert isinstance(said.value, list), said
            outcomes += said.value
    done = [each for each in outcomes if isinstance(each, list)]
    refused = Counter([str(each) for each in outcomes if not isinstance(each, list)])
    seen.turns += len(done)
    seen.refused += refused["SessionBusy"]
    allowed = {"SessionBusy"} if policy == "reject" else set[str]()
    seen.hold(f"{policy}: other refusals", set[str](), set(refused) - allowed)
    if policy != "fork":
        seen.hold(f"{policy}: whose turns", {session}, {str(each[0]) for each in done})
        indices = sorted([index for _, index, *_ in done if isinstance(index, int)])
        seen.hold(f"{policy}: indices", list(range(1, len(done) + 1)), indices)
    for id, *_, text in done:
        question = str(text).removeprefix("re: ")
        times = (await _said(store, str(id))).count((question, str(text)))
        seen.hold(f"{policy}: {text!r} in {id!r}", 1, times)


async def _said(store: Store, session: str) -> list[tuple[str, str]]:
    """Return questions and answers by pairs: nothing stands between the two."""
    texts: list[str] = []
    async for page in store.load(session):
        for node in page.nodes:
            if node.kind == "message":
                texts.append(getattr(node.value, "text", ""))
    return list(zip(texts[::2], texts[1::2], strict=True))
