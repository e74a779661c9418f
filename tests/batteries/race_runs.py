"""Races run one after another, and what they report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Final

from lash_sdk.testing.store_crew import Crew

from .arena import Race, Racers, Row
from .lash_races import Played, Stage, storm, two_resume
from .places import Make
from .races import Tally, astray, judge
from .report import Report
from .zombies import haunt

SHARE: Final = 0.2
"""What share of the commits on one session has to meet another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """How much has to happen at least."""

    acks: int
    kills: int = 0
    stops: int = 0
    seconds: float = 60.0  # after which no row is run once more for it


async def run_rows(make: Make, rows: Iterable[Row], folder: Path, racers: Racers) -> Tally:
    """Return what races came to, each on a place of its own."""
    tally = Tally()
    for row in rows:
        place = Path(mkdtemp(dir=folder))
        with make(place) as arena:
            ran = Race(row, arena.place, place, racers).run()
            store = arena.place.handle()
            await store.open()
            try:
                tally.add(ran, *await judge(ran, store))
            finally:
                await store.close()
    return tally


def helps(row: Row, tally: Tally, floor: Floor) -> bool:
    """Return whether a row brings what's still under the floor."""
    busy = row.sessions > 1 and row.work == "commits"
    missing = tally.acks < floor.acks, tally.kills < floor.kills, tally.stops < floor.stops
    return any(
        lack and has for lack, has in zip(missing, (busy, row.kills, row.stops), strict=True)
    )


async def report_races(
    name: str,
    make: Make,
    rows: Sequence[Row],
    floor: Floor,
    folder: Path,
    planted: Sequence[Make] = (),
) -> Report:
    """Return the report of races on one kind of store; *planted* are faulty ones of it."""
    start = time.monotonic()
    (errors := folder / "errors").mkdir()
    racers = Racers(errors)
    try:
        tally = await run_rows(make, rows, folder, racers)
        while tally.short_of(floor.acks, floor.kills, floor.stops):
            if time.monotonic() - start > floor.seconds:
                break
            again = [
                replace(row, seed=row.seed + tally.rows) for row in rows if helps(row, tally, floor)
            ]
            tally.take(await run_rows(make, again, folder, racers))
        caught = [
            bool((await run_rows(faulty, FOUND_BY, folder, racers)).broken) for faulty in planted
        ]
    finally:
        racers.dismiss()
    broken = [*tally.broken, *racers.complaints()]
    if tally.contended and min(tally.contended) < SHARE:
        broken.append(f"expected {SHARE:.0%} conflicts on one session, found {tally.figures}")
    if tally.kills < floor.kills or tally.stops < floor.stops:
        broken.append(f"expected {floor}, found {tally.kills} kills and {tally.stops} stops")
    return Report(
        battery=f"races/{name}",
        seed=rows[0].seed,
        cases=len(rows),
        planned=len(rows),
        operations=tally.acks,
        floor=floor.acks,
        faults=tally.kills + tally.stops,
        violations=tuple(broken),
        caught=sum(caught),
        planted=len(caught),
        seconds=time.monotonic() - start,
        figures=tally.figures,
    )


FOUND_BY: Final = (Row(seconds=0.8),)
"""The race that finds planted faults."""


async def report_control(name: str, make: Make, row: Row, folder: Path) -> Report:
    """Return what a race finds on a store that doesn't compare before it swaps."""
    start = time.monotonic()
    (errors := folder / "errors").mkdir()
    racers = Racers(errors)
    try:
        with make(folder) as arena:
            ran = Race(row, arena.place, folder, racers).run()
            store = arena.place.handle()
            await store.open()
            acks, lost = await astray(ran, store)
            await store.close()
    finally:
        racers.dismiss()
    return Report(
        battery=f"races/{name}, control: no compare-and-swap",
        seed=row.seed,
        cases=1,
        planned=1,
        operations=acks,
        floor=20,
        seconds=time.monotonic() - start,
        figures={
            "acks": acks,
            "of them not in the conversation": lost,
            "share": round(lost / acks, 2),
        },
    )


async def report_zombies(
    name: str, make: Make, rounds: int, floor: int, folder: Path, planted: Sequence[Make] = ()
) -> Report:
    """Return the report of zombies on one kind of store; *planted* are faulty ones of it."""
    start = time.monotonic()
    crew = Crew()
    try:
        with make(folder) as arena:
            seen = await haunt(arena.place, arena.sever, crew, rounds, Random(0))
        caught = 0
        for faulty in planted:
            with faulty(Path(mkdtemp(dir=folder))) as arena:
                found = await haunt(arena.place, arena.sever, crew, 4, Random(0))
                caught += bool(found.broken)
    finally:
        crew.dismiss()
    return Report(
        battery=f"zombies/{name}",
        seed=0,
        cases=seen.zombies + seen.sleepers,
        planned=rounds,
        operations=seen.zombies,
        floor=floor,
        faults=rounds,
        violations=tuple(seen.broken),
        caught=caught,
        planted=len(planted),
        seconds=time.monotonic() - start,
        figures={"whose commit was first": seen.won, "that kept their claim": seen.sleepers},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """How much apps do: dead turns, and storms of so many turns by so many apps."""

    resumed: int
    storms: int
    apps: int
    turns: int


async def report_apps(name: str, make: Make, show: Show, folder: Path) -> Report:
    """Return the report of apps in several processes on one session."""
    start = time.monotonic()
    seen = Played()
    policies = ("reject", "queue", "fork")
    with make(folder) as arena:
        stage = Stage(arena.place, folder / "effects.txt")
        store = arena.place.handle()
        await store.open()
        try:
            for number in range(show.resumed):
                await two_resume(seen, stage, store, f"dead{number}")
            for number in range(show.storms):
                for policy in policies:
                    size = show.apps, show.turns
                    await storm(seen, stage, store, f"{policy}{number}", policy, size)
        finally:
            await store.close()
            stage.close()
    wanted = show.storms * len(policies) * show.apps * show.turns
    return Report(
        battery=f"apps/{name}",
        cases=seen.resumed + (seen.turns + seen.refused) // (show.apps * show.turns),
        planned=show.resumed + show.storms * len(policies),
        operations=seen.turns,
        floor=wanted * 2 // 3,  # of those that meet a busy session, a third is refused
        faults=show.resumed,
        violations=tuple(seen.broken),
        seconds=time.monotonic() - start,
        figures={"dead turns finished once": seen.resumed, "refused": seen.refused},
    )
