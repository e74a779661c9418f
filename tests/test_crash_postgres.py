"""
A1, A2 and A6 on PostgreSQL: the same points, and a server that dies under its clients.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Final, LiteralString

import pytest

from .batteries.crash import cancel, kill
from .batteries.crash.cancel import Case
from .batteries.crash.hunt import caught, sweep
from .batteries.crash.matrix import Point, golden, lost, points
from .batteries.crash.places import Place
from .batteries.crash.plants import FAILING, FAULTS, KILLED
from .batteries.crash.postgres import PostgresPlace
from .batteries.crash.siege import SLUGGISH, UNFLUSHED, Enough, Siege, besiege
from .batteries.crash.zygote import Zygote
from .batteries.postgres_server import PostgresServer, shared
from .batteries.report import Report

SEED: Final = 20261125
ENOUGH: Final = Enough(turns=400, killed=50, seconds=240.0)
"""What A6 goes on until, however quick the machine is."""


@pytest.fixture
def make(pytestconfig: pytest.Config) -> Callable[[Path], Place]:
    """What makes a place: each a schema of its own on the server that tests share."""
    server = shared(pytestconfig)
    return lambda folder: PostgresPlace(server.schema())


@pytest.fixture
def zygote() -> Generator[Zygote]:
    """What starts the processes."""
    with Zygote() as started:
        yield started


async def matrix(make: Callable[[Path], Place], name: str, sample: int | None) -> None:
    """Cancel and fail at a *sample* of the points, or at all."""
    started = time.perf_counter()
    every = points(golden(), "cancel", "fault")
    chosen = every if sample is None else random.Random(SEED).sample(every, sample)
    tally = await sweep(chosen, lambda point: cancel.run(make, point))
    planted = FAILING if sample is None else ()
    found = 0
    for fault in planted:
        with FAULTS[fault]():
            found += await caught(every[::-1], lambda point: cancel.run(make, point))
    Report(
        battery=name,
        seed=None if sample is None else SEED,
        cases=tally.cases,
        planned=len(chosen),
        operations=tally.operations,
        floor=3 * len(chosen),
        faults=tally.cases,
        violations=tuple(tally.wrong),
        caught=found,
        planted=len(planted),
        seconds=round(time.perf_counter() - started, 1),
        figures={"resumed": tally.resumed, "replies lost": lost(chosen)},
    ).publish()


async def killing(
    make: Callable[[Path], Place], zygote: Zygote, name: str, sample: int | None
) -> None:
    """Kill at a *sample* of the points, or at all."""
    started = time.perf_counter()
    every = points(golden(), "kill")
    chosen = every if sample is None else random.Random(SEED).sample(every, sample)
    tally = await sweep(chosen, lambda point: kill.run(zygote, make, point))
    planted = KILLED if sample is None else ()
    found = 0
    for fault in planted:

        async def attempt(point: Point, fault: str = fault) -> Case:
            return await kill.run(zygote, make, point, planted=[fault])

        found += await caught(every[::-1], attempt)
    Report(
        battery=name,
        seed=None if sample is None else SEED,
        cases=tally.cases,
        planned=len(chosen),
        operations=tally.operations,
        floor=3 * len(chosen),
        faults=tally.cases,
        violations=tuple(tally.wrong),
        caught=found,
        planted=len(planted),
        seconds=round(time.perf_counter() - started, 1),
        figures={"points": len(every), "resumed": tally.resumed, "replies lost": lost(chosen)},
    ).publish()


async def test_the_trace_is_the_same_on_a_server(make: Callable[[Path], Place]) -> None:
    """
    A turn asks a store for the same things, wherever it lies.
    """
    case = await cancel.run(make, None)

    assert golden() == case.trace
    assert "committed finished 1 1" == case.found
    assert [] == case.wrong


async def test_a_turn_on_a_server_that_fails_leaves_a_session_to_go_on_with(
    make: Callable[[Path], Place],
) -> None:
    """
    Five points by chance, the same in every run.
    """
    await matrix(make, "crash A1/postgres, quick", 5)


async def test_a_turn_on_a_server_that_is_killed_is_finished(
    make: Callable[[Path], Place], zygote: Zygote
) -> None:
    """
    Three points by chance, the same in every run.
    """
    await killing(make, zygote, "crash A2/postgres, quick", 3)


@pytest.mark.slow
async def test_a_turn_on_a_server_that_fails_anywhere_leaves_a_session(
    make: Callable[[Path], Place],
) -> None:
    """
    All points.
    """
    await matrix(make, "crash A1/postgres", None)


@pytest.mark.slow
async def test_a_turn_on_a_server_that_is_killed_anywhere_is_finished(
    make: Callable[[Path], Place], zygote: Zygote
) -> None:
    """
    All points.
    """
    await killing(make, zygote, "crash A2/postgres", None)


@pytest.mark.slow
async def test_a_server_that_dies_under_its_clients_loses_no_turn() -> None:
    """
    It's killed and comes up from its log, or its backends are ended, during commits.
    """
    started = time.perf_counter()
    siege = await besieged(ENOUGH)
    spoilt = await besieged(replace(ENOUGH, turns=0, killed=10), UNFLUSHED)
    Report(
        battery="crash A6/postgres",
        seed=SEED,
        cases=siege.killed,
        planned=siege.killed,
        operations=len(siege.acks),
        floor=ENOUGH.turns // 2,
        faults=siege.killed,
        violations=tuple(siege.wrong),
        caught=int(bool(spoilt.wrong)),
        planted=1,
        seconds=round(time.perf_counter() - started, 1),
        figures={"unknown": siege.unknown, "of them landed": siege.landed},
    ).publish()
    assert siege.killed >= ENOUGH.killed


async def besieged(enough: Enough, fault: LiteralString = "") -> Siege:
    """Return what becomes of turns on a server of their own."""
    server = PostgresServer(*SLUGGISH)
    server.start()
    try:
        return await besiege(server, seed=SEED, enough=enough, fault=fault)
    finally:
        server.remove()
