"""
A4: whatever a power cut leaves of unflushed writes, nothing acknowledged is lost.

The states are put together from the recorded writes. The control rows show what the
same states lose without the flush, so that it's known what the zeros are worth.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Final

import pytest

from .batteries.crash.power import LyingDisk, Recorder, State, judge, record, states
from .batteries.report import Report

SEED: Final = 20261125
PLANTED: Final = (
    "sql: not flushed",
    "sql: never flushed",
    "sql: told first",
    "sql: journal not written",
    "sql: parts apart",
)


async def cut(chosen: list[State]) -> tuple[int, int, list[str]]:
    """Return how many states lost something, how many are broken, and all of it."""
    lost = broken = 0
    told: list[str] = []
    for state in chosen:
        verdict = await judge(state)
        lost += bool(verdict.lost)
        broken += bool(verdict.broken)
        told += [f"{state}: lost {each}" for each in verdict.lost]
        told += [f"{state}: {each}" for each in verdict.broken]
    return lost, broken, told


async def caught(disk: Recorder, planted: tuple[str, ...], sample: int) -> bool:
    """Return whether a state of a record with *planted* faults shows them."""
    await record(disk, planted)
    found = list(states(disk.entries, seed=SEED))
    random.Random(SEED).shuffle(found)
    for state in found[:sample]:
        verdict = await judge(state)
        if verdict.lost or verdict.broken:
            return True
    return False


async def lane(name: str, *, sample: int | None, chances: int) -> None:
    """Judge a *sample* of the states, or all, and hunt for the planted faults."""
    started = time.perf_counter()
    disk = Recorder()
    await record(disk)
    every = list(states(disk.entries, seed=SEED, chances=chances))
    chosen = every if sample is None else random.Random(SEED).sample(every, sample)
    lost, broken, told = await cut(chosen)
    found = sum([await caught(Recorder(), (fault,), 400) for fault in PLANTED])
    found += await caught(LyingDisk(), (), 400)
    calls = Counter(entry.what for entry in disk.entries)
    Report(
        battery=name,
        seed=SEED,
        cases=len(chosen),
        planned=len(chosen),
        operations=sum(len(state.acks) for state in chosen),
        floor=5 * len(chosen),
        faults=len(chosen),
        violations=tuple(told),
        caught=found,
        planted=len(PLANTED) + 1,
        seconds=round(time.perf_counter() - started, 1),
        figures={
            "states": len(every),
            "writes": calls["write"],
            "flushes": calls["sync"],
            "states that lost": lost,
            "states that broke": broken,
        },
    ).publish()


async def test_a_power_cut_loses_nothing_that_was_acknowledged() -> None:
    """
    A sample of the states, the same in every run.
    """
    await lane("crash A4/sqlite, quick", sample=250, chances=1)


@pytest.mark.slow
async def test_no_state_after_a_power_cut_loses_anything() -> None:
    """
    All states, with many draws of what was kept.
    """
    await lane("crash A4/sqlite", sample=None, chances=12)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["sql: not flushed", "sql: never flushed"])
async def test_without_flushes_acknowledged_commits_are_lost(fault: str) -> None:
    """
    The control: `synchronous=NORMAL` and `OFF` do lose what they acknowledged.
    """
    started = time.perf_counter()
    disk = Recorder()
    await record(disk, (fault,))
    every = list(states(disk.entries, seed=SEED))
    lost, broken, _told = await cut(every)
    word = {"sql: not flushed": "NORMAL", "sql: never flushed": "OFF"}[fault]
    Report(
        battery=f"crash A4/sqlite, control: synchronous={word}",
        seed=SEED,
        cases=len(every),
        planned=len(every),
        operations=sum(len(state.acks) for state in every),
        floor=len(every),
        faults=len(every),
        seconds=round(time.perf_counter() - started, 1),
        figures={"states that lost": lost, "states that broke": broken},
    ).publish()
    assert lost > len(every) // 10
