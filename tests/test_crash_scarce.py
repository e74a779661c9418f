"""
A8: what a process has too little of costs no turn.

Ten turns, as on a full disk: what can't be done is refused, all that's there can be
read, and once there's enough again the same handle goes on.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

import pytest

from .batteries.crash.cancel import Case
from .batteries.crash.full import TURNS
from .batteries.crash.room import ROOM
from .batteries.crash.scarce import MAKES, UNNOTICED, Memory, play, with_memory
from .batteries.report import Report

ANYWHERE: Final = "sql: written anywhere"
FORGETFUL: Final = (
    "sql: journal apart",
    "sql: journal not written",
    "sql: parts apart",
    "sql: told first",
)
"""Those that a lack of memory shows."""


async def without(name: str, fault: str | None = None) -> Case:
    """Return what comes of ten turns while that is scarce."""
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        return await play(Path(folder), name, planted=fault)


async def short(memory: Memory, fault: str | None = None) -> Case:
    """Return what comes of ten turns with so much memory."""
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        return await with_memory(Path(folder), memory, planted=fault)


async def lane(name: str, step: int) -> None:
    """Lack each thing, and memory from every *step*-th call on."""
    started = time.perf_counter()
    memory = Memory(None)
    assert [] == (await short(memory)).wrong
    found = {name: await without(name) for name in MAKES}
    for at in range(0, memory.calls, step):
        found[f"memory for {at} calls"] = await short(Memory(at))
    caught = int(bool((await without("a file replaced", ANYWHERE)).wrong))
    for fault in FORGETFUL:
        for at in range(memory.calls - 2, 0, -7):
            if (await short(Memory(at), fault)).wrong:
                caught += 1
                break
    Report(
        battery=name,
        cases=len(found),
        planned=len(MAKES) + len(range(0, memory.calls, step)),
        operations=sum([len(case.acks) for case in found.values()]),
        floor=len(found) * len(TURNS),
        faults=sum([case.reached for case in found.values()]) + len(UNNOTICED),
        violations=tuple([f"{each}: {why}" for each, it in found.items() for why in it.wrong]),
        caught=caught,
        planted=1 + len(FORGETFUL),
        seconds=round(time.perf_counter() - started, 1),
        figures={"calls": memory.calls},
    ).publish()


async def test_what_a_process_lacks_now_and_then_costs_no_turn() -> None:
    """
    Descriptors run out in every server; a file is moved by whoever tidies up.
    """
    await lane("crash A8/sqlite, quick", 27)


@pytest.mark.slow
async def test_what_a_process_lacks_at_any_time_costs_no_turn() -> None:
    """
    Memory, from every call on that changes a file.
    """
    await lane("crash A8/sqlite", 1)
