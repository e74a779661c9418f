"""
A7: a full disk stops writes and nothing else.

Ten turns on a disk with room for so many bytes. What had no room is refused as that,
everything can be read, and once there's room the same handle goes on.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from .batteries.crash.cancel import Case
from .batteries.crash.full import TURNS, Budget, Want, run, small, with_budget
from .batteries.crash.places import SqlitePlace
from .batteries.crash.room import ROOM
from .batteries.crash.seams import Ledger
from .batteries.report import Report

SIZES: Final = 40
PLANTED: Final = (
    "sql: full is any error",
    "sql: blind rollback",
    "sql: told first",
    "sql: parts apart",
    "sql: journal apart",
)


async def attempt(left: int | None, planted: str | None = None) -> tuple[Case, Budget]:
    """Return what comes of ten turns with room for *left* bytes, and the disk."""
    budget = Budget(left)
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        return await with_budget(Path(folder), budget, planted=planted), budget


async def test_a_full_disk_loses_nothing_and_says_that_it_is_full() -> None:
    """
    Forty sizes, from nothing to nearly enough.
    """
    started = time.perf_counter()
    whole, disk = await attempt(None)
    assert [] == whole.wrong
    sizes = [disk.peak * number // SIZES for number in range(SIZES)]
    wrong: list[str] = []
    full = acks = refused = 0
    for size in sizes:
        case, budget = await attempt(size)
        full += case.reached
        acks += len(case.acks)
        refused += budget.refused
        wrong += [f"{size} bytes: {each}" for each in case.wrong]
    found = 0
    for fault in PLANTED:
        for size in sizes[4::6]:
            case, _ = await attempt(size, fault)
            if case.wrong:
                found += 1
                break
    Report(
        battery="crash A7/sqlite",
        cases=full,
        planned=SIZES,
        operations=acks,
        floor=SIZES * len(TURNS),
        faults=refused,
        violations=tuple(wrong),
        caught=found,
        planted=len(PLANTED),
        seconds=round(time.perf_counter() - started, 1),
        figures={"bytes needed": disk.peak},
    ).publish()


async def test_a_real_disk_that_is_full_is_the_same(tmp_path: Path) -> None:
    """
    Four megabytes, most of it taken; where nothing can be mounted, the report says so.
    """
    started = time.perf_counter()
    with small(tmp_path / "disk") as make_room:
        case = Case()
        if make_room is not None:
            place = SqlitePlace(tmp_path / "disk" / "place")
            case = await run(place, Ledger(tmp_path / "ledger"), Want(make_room))
            assert case.reached
    Report(
        battery="crash A7/sqlite, tmpfs",
        cases=1,
        planned=1,
        operations=len(case.acks),
        floor=0 if make_room is None else len(TURNS),
        faults=0 if make_room is None else 1,
        violations=tuple(case.wrong),
        seconds=round(time.perf_counter() - started, 1),
        figures={"tmpfs": "absent" if make_room is None else "4 MiB"},
    ).publish()
