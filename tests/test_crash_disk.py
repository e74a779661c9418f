"""
A3: the n-th call that changes a file fails, or is the last that the process makes.

Every write, sync, truncate and delete of a run, from making the file to closing it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Final

import pytest

from .batteries.crash import disk
from .batteries.crash.cancel import Case
from .batteries.crash.disk import Snap
from .batteries.crash.hunt import caught, sweep
from .batteries.crash.zygote import Zygote
from .batteries.report import Report

DOES: Final = ("kill", "eio", "enospc")
PLANTED: Final = {
    "sql: parts apart": "kill",
    "sql: journal apart": "kill",
    "sql: journal not written": "kill",
    "sql: told first": "kill",
    "sql: full is any error": "enospc",
    "sql: blind rollback": "enospc",
}
"""Each fault, and what the disk does when it shows."""


@pytest.fixture(scope="module")
def zygote() -> Generator[Zygote]:
    """What starts the processes."""
    with Zygote() as started:
        yield started


async def lane(zygote: Zygote, name: str, faults: Mapping[str, str], *, step: int) -> None:
    """Fail at every *step*-th call, in each way, and hunt for the planted faults."""
    started = time.perf_counter()
    calls = await disk.calls(zygote)
    # each way begins elsewhere, so that they share no call
    snaps = [
        Snap(at=at, does=does)
        for first, does in enumerate(DOES)
        for at in range(1 + first * step // len(DOES), len(calls) + 1, step)
    ]
    tally = await sweep(snaps, lambda snap: disk.run(zygote, snap))
    found = 0
    for fault, does in faults.items():
        last = len(await disk.calls(zygote, planted=[fault]))

        async def attempt(snap: Snap, fault: str = fault) -> Case:
            return await disk.run(zygote, snap, planted=[fault])

        found += await caught([Snap(at=at, does=does) for at in range(last - 1, 0, -2)], attempt)
    Report(
        battery=name,
        cases=tally.cases,
        planned=len(snaps),
        operations=tally.operations,
        floor=2 * len(snaps),
        faults=tally.cases,
        violations=tuple(tally.wrong),
        caught=found,
        planted=len(faults),
        seconds=round(time.perf_counter() - started, 1),
        figures={"calls": len(calls), "resumed": tally.resumed},
    ).publish()


async def test_a_disk_that_fails_now_and_then_costs_no_turn(zygote: Zygote) -> None:
    """
    Every twenty-seventh call, each way at calls of its own; the one planted fault that
    only an early call shows is left to the slow lane.
    """
    near = {fault: does for fault, does in PLANTED.items() if fault != "sql: journal not written"}
    await lane(zygote, "crash A3/sqlite, quick", near, step=27)


@pytest.mark.slow
async def test_a_disk_that_fails_anywhere_costs_no_turn(zygote: Zygote) -> None:
    """
    Every call, each way.
    """
    await lane(zygote, "crash A3/sqlite", PLANTED, step=1)
