"""A1: the turn's task is cancelled, or something behind a seam fails, at every point."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lash_sdk.errors import LashError

from .checks import counts, examine
from .gate import Cancel, Fault, Gate, Hand
from .matrix import Point
from .places import Place
from .room import ROOM
from .seams import Ledger
from .turn import Stage, play, prepare, recover

MakePlace = Callable[[Path], Place]

HANDS: Final[dict[str, Callable[[], Hand]]] = {"cancel": Cancel, "fault": Fault}


@dataclass(slots=True)
class Case:
    """
    What one point came to.

    Attributes:
        acks: What was acknowledged, in order.
        wrong: Promises found broken.
        twice: Whether its recovery was ended too.
        reached: Whether it came to the point at all.
    """

    found: str = ""
    reached: bool = True
    twice: bool = False
    trace: list[str] = field(default_factory=list)
    acks: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def run(make: MakePlace, point: Point | None) -> Case:
    """Return what comes of the reference turn when it's ended at *point*, or nowhere."""
    case, tasks, threads = Case(), asyncio.all_tasks(), set(threading.enumerate())
    hand = HANDS[point.mode]() if point else None
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        place = make(Path(folder) / "place")
        ledger = Ledger(Path(folder) / "ledger")
        stage = Stage(place=place, ledger=ledger, ack=lambda *ack: case.acks.append(ack))
        await prepare(stage)
        stage.gate = gate = Gate(point.stop if point else None, hand)
        stage.hand = hand
        try:
            played = await play(stage)
            stage.gate, stage.hand = Gate(), None
            again = await recover(stage, acked=("input", "k") in case.acks)
            end, wrong = await examine(place, case.acks)
            case.wrong += [*played.wrong, *again.wrong, *wrong, *await left(tasks, threads)]
            case.found = f"{played.after} {end} {ledger.count('note')} {ledger.count('send')}"
        except LashError as error:
            case.wrong.append(f"nobody could go on: {type(error).__name__}: {error}")
        case.trace = gate.trace
        case.reached = point is None or gate.fired
        if ledger.count("send") > 1:
            case.wrong.append(f"`send` took effect twice: {counts(ledger)}")
    return case


async def left(before: set[asyncio.Task[Any]], others: set[threading.Thread]) -> list[str]:
    """Return the tasks and threads that nobody ended, though a moment was theirs."""
    until = time.monotonic() + 20
    while True:
        tasks = [task.get_name() for task in asyncio.all_tasks() - before]
        new = set(threading.enumerate()) - others
        threads = [thread.name for thread in new if "lash" in thread.name]
        if not (tasks or threads) or time.monotonic() > until:
            return [f"still running: {each}" for each in (*tasks, *threads)]
        await asyncio.sleep(0.001)
