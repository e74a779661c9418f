"""
A2 and A5: a process that is killed in the middle of a turn, and another that goes on.

The process stands still at a point of the golden trace, is killed there, and a fresh
one opens the session. Twice, in A5: the one that resumes is killed as well.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from typing import Final

import pytest

from .batteries.crash import kill
from .batteries.crash.cancel import Case
from .batteries.crash.hunt import caught, sweep
from .batteries.crash.matrix import Point, golden, lost, points
from .batteries.crash.places import SqlitePlace
from .batteries.crash.plants import KILLED
from .batteries.crash.zygote import Zygote
from .batteries.report import Report

SEED: Final = 20261125


@pytest.fixture(scope="module")
def zygote() -> Generator[Zygote]:
    """What starts the processes."""
    with Zygote() as started:
        yield started


async def lane(zygote: Zygote, name: str, chosen: list[Point], *, hunt: bool) -> None:
    """Kill at every point that was *chosen*; *hunt* for the planted faults at all points."""
    started = time.perf_counter()
    every = points(golden(), "kill")
    tally = await sweep(chosen, lambda point: kill.run(zygote, SqlitePlace, point))
    found = 0
    for fault, stop in KILLED.items():
        suspects = every[::-1] if hunt else [each for each in every if each.stop == stop]

        async def attempt(point: Point, fault: str = fault) -> Case:
            return await kill.run(zygote, SqlitePlace, point, planted=[fault])

        found += await caught(suspects, attempt)
    Report(
        battery=name,
        seed=SEED if len(chosen) < len(every) else None,
        cases=tally.cases,
        planned=len(chosen),
        operations=tally.operations,
        floor=3 * len(chosen),
        faults=tally.cases,
        violations=tuple(tally.wrong),
        caught=found,
        planted=len(KILLED),
        seconds=round(time.perf_counter() - started, 1),
        figures={"points": len(every), "resumed": tally.resumed, "replies lost": lost(chosen)},
    ).publish()


async def test_a_killed_turn_is_finished_by_another_process(zygote: Zygote) -> None:
    """
    Ten points by chance, the same ones in every run.
    """
    chosen = random.Random(SEED).sample(points(golden(), "kill"), 10)
    await lane(zygote, "crash A2/sqlite, quick", chosen, hunt=False)


@pytest.mark.slow
async def test_a_turn_that_is_killed_anywhere_is_finished_by_another_process(
    zygote: Zygote,
) -> None:
    """
    All points; and each planted fault is found without being told where to look.
    """
    await lane(zygote, "crash A2/sqlite", points(golden(), "kill"), hunt=True)


@pytest.mark.slow
async def test_a_recovery_that_is_killed_too_is_finished_by_a_third_process(zygote: Zygote) -> None:
    """
    Whatever the first end left, the second may come at any point of the way back.
    """
    started = time.perf_counter()
    chance = random.Random(SEED)
    every = points(golden(), "kill")
    cases: list[tuple[Point, int]] = [
        (point, again) for point in every for again in chance.sample(range(30), 5)
    ]
    wrong: list[str] = []
    twice = acks = 0
    for point, again in cases:
        case = await kill.run(zygote, SqlitePlace, point, again=again)
        twice += case.twice
        acks += len(case.acks)
        wrong += [f"{point}, then {again}: {each}" for each in case.wrong]
    found = 0
    for fault, stop in KILLED.items():

        async def attempt(point: Point, fault: str = fault) -> Case:
            return await kill.run(zygote, SqlitePlace, point, planted=[fault], again=3)

        found += await caught([each for each in every if each.stop == stop], attempt)
    Report(
        battery="crash A5/sqlite",
        seed=SEED,
        cases=len(cases),
        planned=5 * len(every),
        operations=acks,
        floor=3 * len(cases),
        faults=len(cases) + twice,
        violations=tuple(wrong),
        caught=found,
        planted=len(KILLED),
        seconds=round(time.perf_counter() - started, 1),
        figures={"killed twice": twice},
    ).publish()
    assert twice >= len(cases) // 4
