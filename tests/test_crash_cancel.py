"""
A1: a turn whose task is cancelled, or behind whose doors something fails.

At every point of the golden trace, before, in and after each operation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .batteries.crash import cancel
from .batteries.crash.hunt import caught, sweep
from .batteries.crash.matrix import golden, lost, points
from .batteries.crash.places import MemoryPlace, Place, SqlitePlace
from .batteries.crash.plants import FAILING, FAULTS
from .batteries.report import Report


@pytest.mark.parametrize("make", [lambda folder: MemoryPlace(), SqlitePlace])
async def test_the_trace_is_the_one_that_was_ruled_on(make: Callable[[Path], Place]) -> None:
    """
    A new boundary is a new place to crash at: somebody has to say what is right there.
    """
    case = await cancel.run(make, None)

    assert golden() == case.trace
    assert "committed finished 1 1" == case.found
    assert [] == case.wrong


def test_every_point_has_a_ruling() -> None:
    """
    And a hand wrote it: nothing writes the file of rulings.
    """
    found = points(golden(), "kill", "cancel", "fault")

    assert [] == [str(point) for point in found if point.ruling is None]
    assert 123 == len(found)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_a_turn_that_is_cancelled_or_fails_anywhere_leaves_a_session_to_go_on_with(
    store: str,
) -> None:
    """
    All ten checks hold, what happened is what was ruled, and planted faults are found.
    """
    made: dict[str, Callable[[Path], Place]] = {
        "memory": lambda folder: MemoryPlace(),
        "sqlite": SqlitePlace,
    }
    started = time.perf_counter()
    every = points(golden(), "cancel", "fault")
    tally = await sweep(every, lambda point: cancel.run(made[store], point))
    found = 0
    for name in FAILING:
        # the last operations first: that's where most faults show
        with FAULTS[name]():
            found += await caught(every[::-1], lambda point: cancel.run(made[store], point))
    Report(
        battery=f"crash A1/{store}",
        cases=tally.cases,
        planned=len(every),
        operations=tally.operations,
        floor=3 * len(every),
        faults=tally.cases,
        violations=tuple(tally.wrong),
        caught=found,
        planted=len(FAILING),
        seconds=round(time.perf_counter() - started, 1),
        figures={"resumed": tally.resumed, "replies lost": lost(every)},
    ).publish()
