"""
A3: the n-th call that changes a file fails, or is the last that the process makes.

Every write, sync, truncate and delete of a run, from making the file to closing it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Final

import pytest

from .batteries.crash import disk, preload
from .batteries.crash.cancel import Case
from .batteries.crash.disk import Snap
from .batteries.crash.hunt import caught, sweep
from .batteries.crash.zygote import STRACE, Tracer, Zygote
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


@pytest.fixture(scope="module")
def armed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Zygote]:
    """What starts processes with the preload library in them."""
    library = preload.build(tmp_path_factory.mktemp("preload"))
    with Zygote(LD_PRELOAD=str(library)) as started:
        yield started


async def library(zygote: Zygote, name: str, snaps: list[Snap]) -> None:
    """Fail where the C library is asked, as *snaps* say."""
    started = time.perf_counter()
    tally = await sweep(snaps, lambda snap: disk.run(zygote, snap))
    Report(
        battery=name,
        cases=tally.cases,
        planned=len(snaps),
        operations=tally.operations,
        floor=2 * len(snaps),
        faults=tally.cases,
        violations=tuple(tally.wrong),
        seconds=round(time.perf_counter() - started, 1),
        figures={"resumed": tally.resumed},
    ).publish()


async def test_a_claims_file_that_fails_costs_no_turn(armed: Zygote) -> None:
    """
    It's beside the database, and no SQLite sees it: the C library is where it fails.
    """
    calls = len(await disk.calls(armed, suffix="-claims"))
    assert calls >= 6
    snaps = [
        Snap(at=at, does=does, suffix="-claims")
        for does in ("kill", "eio")
        for at in range(1, calls + 1)
    ]
    # the first call makes the file: that's where there may be no room, or no number
    snaps += [Snap(at=1, does=does, suffix="-claims") for does in ("enospc", "emfile")]
    await library(armed, "crash A3/sqlite, claims file", snaps)


@pytest.mark.slow
async def test_a_shared_memory_file_that_fails_costs_no_turn(armed: Zygote) -> None:
    """
    The index of the log: opened, locked and grown past any VFS of ours.
    """
    calls = len(await disk.calls(armed, suffix="-shm"))
    kills = [Snap(at=at, does="kill", suffix="-shm") for at in range(1, calls + 1, 8)]
    fails = [Snap(at=at, does="eio", suffix="-shm") for at in range(4, calls + 1, 24)]
    await library(armed, "crash A3/sqlite, shared memory", [*kills, *fails])


@pytest.mark.slow
async def test_the_kernel_itself_fails_or_kills_at_the_nth_call(zygote: Zygote) -> None:
    """
    The same sweep from outside the process, where strace is installed; it counts the
    calls of each thread apart.
    """
    started = time.perf_counter()
    aims = [
        (call, at, fault, does)
        for call, every, last in (("pwrite64", 5, 46), ("fdatasync", 3, 10))
        for fault, does in (("signal=SIGKILL", "kill"), ("error=EIO", "eio anywhere"))
        for at in range(1, last + 1, every)
    ]
    aims += [("pwrite64", at, "error=ENOSPC", "enospc anywhere") for at in range(20, 46, 8)]
    wrong: list[str] = []
    acks = reached = 0
    for call, at, fault, does in aims if STRACE else ():
        tracer = Tracer(f"{call}:{fault}:when={at}")
        case = await disk.run(zygote, Snap(at=0, does=does), first=tracer)
        tracer.wait()
        reached += case.reached
        acks += len(case.acks)
        wrong += [f"{call} {at} {fault}: {each}" for each in case.wrong]
    Report(
        battery="crash A3/sqlite, strace",
        cases=reached,
        planned=len(aims) if STRACE else 0,
        operations=acks,
        floor=2 * len(aims) if STRACE else 0,
        faults=reached,
        violations=tuple(wrong),
        seconds=round(time.perf_counter() - started, 1),
        figures={"strace": "present" if STRACE else "absent"},
    ).publish()
