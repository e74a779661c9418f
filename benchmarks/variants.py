"""Scenarios that compare ours with itself or with the floor: S5, S6, S8, S10 and S11."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import mean, median
from typing import Any, Final

from benchmarks.environments import BARE, LASH, System
from benchmarks.scenarios import ROUNDS, Form, spread
from benchmarks.workers import started

FORKS: Final = {
    "bare commit": (BARE, "S11"),
    "10 turns, forked in the store": (LASH, "S11/stored 10"),
    "1,000 turns, forked in the store": (LASH, "S11/stored 1000"),
    "1,000 turns, forked and opened": (LASH, "S11/opened 1000"),
}

GROUPS: Final[dict[str, dict[str, tuple[System, str]]]] = {
    "S8": {
        "no plugin": (LASH, "S2"),
        "1 plugin": (LASH, "S2/1"),
        "5 plugins": (LASH, "S2/5"),
        "20 plugins": (LASH, "S2/20"),
    },
    "S10": {
        "never an observer": (LASH, "S2"),
        "an observer that left": (LASH, "S2/left"),
        "an observer": (LASH, "S2/observed"),
    },
    "S11 on disk": FORKS,
    "S11 in memory": FORKS,
}
"""By scenario: what takes turns, the first being what the others are compared with."""

TITLES: Final = {
    "S8": "plugins with a hook of every kind of a turn of S2",
    "S10": "an observer of S2",
    "S11 on disk": "a fork of a durable session, its files on disk",
    "S11 in memory": "the same, its files in memory: what it takes but for the flush",
}
ON_DISK: Final = "S11 on disk"
"""Whose files have to reach the disk; the others' are in memory."""

BLOCK: Final = 5


def run_variants(label: str, form: Form) -> dict[str, dict[str, Any]]:
    """Return what each variant's turn costs, and its ratio to the first's, lap by lap."""
    group = GROUPS[label]
    first = next(iter(group))
    laps: list[list[dict[str, float]]] = []
    with started(tuple([system for system, _ in group.values()])) as workers, ExitStack() as stack:
        for worker, (_, scenario) in zip(workers, group.values(), strict=True):
            stack.enter_context(worker.session(scenario, in_memory=label != ON_DISK))
        for _ in range(ROUNDS):
            laps.append([])
            for _ in range(form.sessions * form.laps):
                blocks = [median(worker.walls(BLOCK)) for worker in workers]
                laps[-1].append(dict(zip(group, blocks, strict=True)))
        counts = {
            name: mean([worker.count()["bytecodes"] for _ in range(BLOCK)])
            for (name, (system, _)), worker in zip(group.items(), workers, strict=True)
            if system is LASH
        }
    return {
        name: {
            "wall": spread([lap[name] for lap in each] for each in laps),
            "ratio": spread([lap[name] / lap[first] for lap in each] for each in laps),
            "bytecodes": counts.get(name),
        }
        for name in group
    }


def run_opening(form: Form) -> dict[str, dict[str, Any]]:
    """Return the ms until a long session is ready, and its first turn's, bare and ours."""
    found: dict[str, list[dict[str, float]]] = {}
    with started((BARE, LASH)) as workers, ExitStack() as stack:
        for worker in workers:
            stack.enter_context(worker.session("S3", in_memory=True))
            worker.run(form.many)
        for _ in range(ROUNDS * 3):
            for worker in workers:
                found.setdefault(worker.system.name, []).append(worker.reopen())
    return {
        name: {unit: spread([[lap[unit]] for lap in laps]) for unit in laps[0]}
        for name, laps in found.items()
    }


def run_crowds(systems: tuple[System, ...], form: Form) -> dict[str, dict[str, float]]:
    """Return each system's turns a second with a crowd of sessions, and the memory of one."""
    found: dict[str, dict[str, float]] = {}
    for system in systems:
        scenarios = {"": "S2"}
        if system is LASH:
            scenarios |= {", durable, turn": "S3", ", durable, effect": "S3 effect"}
        for special, scenario in scenarios.items():
            with started((system,)) as (worker,):  # memory is measured in a fresh process
                found[system.name + special] = worker.crowd(scenario, form.many)
    return found
