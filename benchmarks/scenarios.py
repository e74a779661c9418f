"""What's measured, and how systems take turns at it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any, Final

from benchmarks.environments import HOOKS, LASH, System
from benchmarks.script import WARM_UP
from benchmarks.workers import MEMORY, Block, Worker, cores, started

ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """
    How much is measured.

    A round of a scenario has sessions, a session has laps, and in a lap each
    system runs one block of turns, one system after the other.

    Attributes:
        many: Turns of the session that S5 opens, and sessions at once of S6.
        patience: Seconds that a peer has to grow a session; none if it's 0.
    """

    name: str
    sessions: int
    laps: int = 2
    growth: tuple[int, ...] = (10, 100, 200, 1000, 2000)
    starts: int = 5
    many: int = 1000
    instructions: bool = False
    patience: float = 0.0


FULL: Final = Form(name="full", sessions=10, instructions=True, patience=60.0)
QUICK: Final = Form(name="quick", sessions=4, many=100)


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One kind of turn.

    Attributes:
        name: What a worker calls it.
        what: What happens in it.
        turns: In a block: as many as take some milliseconds.
        in_memory: Whether its files are.
    """

    name: str
    what: str
    turns: int
    in_memory: bool = False


SCENARIOS: Final = {
    "S1": Scenario("S1", "plain turn, in memory", 10),
    "S2": Scenario("S2", "two model calls with four parallel tool calls, in memory", 5),
    "S3 in memory": Scenario("S3", "S2 with SQLite, its files in memory", 5, in_memory=True),
    "S3 effect in memory": Scenario(
        "S3 effect", "S3 in memory, ours at `durability=effect`", 5, in_memory=True
    ),
    "S3 effect on disk": Scenario("S3 effect", "S3 on disk, ours at `durability=effect`", 5),
    "S3 on disk": Scenario("S3", "S2 with SQLite, its files on disk", 5),
}
"""By label."""

Laps = list[list[dict[str, Block]]]
"""By round and lap, each system's block."""


def spread(rounds: Iterable[Iterable[float]]) -> dict[str, float]:
    """Return the median of the rounds' medians, their least and most, and the best of all."""
    kept = [list(each) for each in rounds]
    medians = [median(each) for each in kept]
    return {
        "min": min(medians),
        "median": median(medians),
        "max": max(medians),
        "best": min(min(each) for each in kept),
    }


def run_turns(workers: list[Worker], label: str, form: Form) -> dict[str, Any]:
    """Return each system's times in a scenario, and their ratios to the others'."""
    laps: Laps = []
    for _ in range(ROUNDS):
        laps.append([])
        for _ in range(form.sessions):
            laps[-1] += _session(workers, label, form)
    return compared(laps, [worker.system.name for worker in workers])


def compared(laps: Laps, systems: list[str]) -> dict[str, Any]:
    """Return each system's own times, and their ratios to the others'."""
    return {name: _figures(laps, name, systems) for name in systems}


def _session(workers: list[Worker], label: str, form: Form) -> list[dict[str, Block]]:
    scenario = SCENARIOS[label]
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(worker.session(scenario.name, in_memory=scenario.in_memory))
        return [
            {worker.system.name: worker.run(scenario.turns) for worker in workers}
            for _ in range(form.laps)
        ]


def _figures(laps: Laps, name: str, systems: list[str]) -> dict[str, Any]:
    """Return a system's own times, and how many times each other system's they are."""

    def over(pick: Callable[[dict[str, Block]], float]) -> dict[str, float]:
        return spread([pick(lap) for lap in each] for each in laps)

    figures: dict[str, Any] = {
        unit: over(lambda lap, unit=unit: lap[name][unit])  # type: ignore[misc]
        for unit in ("wall", "cpu")
    }
    figures["ratios"] = {
        other: {
            unit: over(lambda lap, o=other, u=unit: lap[name][u] / lap[o][u])  # type: ignore[misc]
            for unit in ("wall", "cpu")
        }
        for other in systems
        if other != name
    }
    return figures


# --- growth --------------------------------------------------------------------

GROWTHS: Final = {"in memory": "S4", "durable": "S4 durable"}
PAYLOAD: Final = "SELECT coalesce(sum(length(body)), 0) FROM nodes WHERE kind = 'message'"
NEAR: Final = 20
"""Turns that are measured at each length."""


def run_growth(worker: Worker, form: Form) -> dict[str, dict[str, dict[str, float]]]:
    """
    Return what a turn costs at each length of a session that grows 2 KB a turn.

    The best of the rounds: here nobody else runs in turns, to take out the noise.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, scenario in GROWTHS.items():
        rounds = [_grow(worker, scenario, form) for _ in range(ROUNDS)]
        found[name] = {
            length: {unit: min(each[length][unit] for each in rounds) for unit in at}
            for length, at in rounds[0].items()
        }
    return found


def _grow(worker: Worker, scenario: str, form: Form) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with worker.session(scenario, in_memory=True) as folder:
        turns, before, measured = WARM_UP, 0, 0
        for length in form.growth:
            if length > turns:
                worker.run(length - turns)
            block = worker.run(NEAR)
            counts = [worker.count() for _ in range(NEAR)]
            turns = max(length, turns) + 2 * NEAR
            size = _size(folder)
            grown, before = (size - before) / max(1, turns - measured), size
            measured = turns
            found[str(length)] = {
                **block,
                "bytes": grown,
                "times": size / max(1, _payload(folder)),
                "bytecodes": mean(each["bytecodes"] for each in counts),
                "calls": mean(each["calls"] for each in counts),
            }
    return found


REACHED: Final = 450
"""Turns of a peer's session at which it's compared, if it gets there in time."""


def run_peers_growth(peers: Iterable[System], form: Form) -> dict[str, dict[str, float]]:
    """
    Return how far each system's durable session came, and what its last turns took.

    Ours is told first. Each is stopped after `form.patience` seconds.
    """
    found = {}
    for system in (LASH, *peers):
        with started((system,)) as (worker,), worker.session("S4 durable", in_memory=True) as at:
            turns, until, block = WARM_UP, perf_counter() + form.patience, {}
            while turns < REACHED and perf_counter() < until:
                block = worker.run(NEAR)
                turns += NEAR
            found[system.name] = {**block, "turns": turns, "bytes": _total(at)}
    return found


def _total(folder: Path) -> int:
    return sum([each.stat().st_size for each in folder.rglob("*") if each.is_file()])


def _size(folder: Path) -> int:
    """Return the bytes of a session's files, the write-ahead log apart."""
    return sum([each.stat().st_size for each in folder.glob("*.db")])


def _payload(folder: Path) -> int:
    """Return the canonical bytes of the messages that our store has in a folder."""
    total = 0
    for path in folder.glob("*.db"):
        with closing(sqlite3.connect(path)) as db:
            (found,) = db.execute(PAYLOAD).fetchone()
            total += found
    return total


def instructions(scenario: str, lengths: tuple[int, ...]) -> dict[str, float]:
    """
    Return how many instructions a turn takes at each length, if valgrind is here.

    A turn's are the difference between two processes that run one count of turns
    and a few more: all else is the same in both.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return {}
    turns = [length + more for length in lengths for more in (0, NEAR)]
    count = partial(_counted, valgrind, scenario)
    with ThreadPoolExecutor(cores()) as pool:  # counts don't mind company
        found = dict(zip(turns, pool.map(count, turns), strict=True))
    return {str(at): (found[at + NEAR] - found[at]) / NEAR for at in lengths}


def _counted(valgrind: str, scenario: str, turns: int) -> int:
    """Return the instructions of a process that runs so many turns."""
    with tempfile.TemporaryDirectory() as folder:
        commands = [
            {"do": "open", "scenario": scenario, "folder": folder},
            {"do": "run", "turns": turns},
            {"do": "close"},
        ]
        done = subprocess.run(
            [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *LASH.command],
            input="".join([json.dumps(command) + "\n" for command in commands]),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None or '"error"' in done.stdout:
        raise RuntimeError(f"callgrind counted nothing: {done.stdout}{done.stderr}")
    return int(found[1])


# --- hooks and start-up --------------------------------------------------------


def run_hooks(form: Form) -> dict[str, dict[str, float]]:
    """Return each case's nanoseconds a hook call."""
    with started((HOOKS,)) as (worker,):
        found = worker.measure(1.0 if form.sessions > 1 else 0.1)
    return {
        name: {"min": min(laps), "median": median(laps), "max": max(laps)}
        for name, laps in found.items()
    }


STARTS: Final = {
    "python": "pass",
    "import asyncio": "import asyncio",
    "import lash_sdk": "import lash_sdk",
    "from lash_sdk import Lash, tool": "from lash_sdk import Lash, tool",
}
FORBIDDEN: Final = (
    "pydantic",
    "lash_cli",
    "lash_model_local",
    "lash_model_openai",
    "lash_store_sqlite",
)
"""What `import lash_sdk` may not load."""
PEER_STARTS: Final = {
    "agno": "import agno.agent",
    "pydantic-ai": "import pydantic_ai",
    "openai-agents": "import agents",
    "langgraph": "import langgraph.prebuilt",
}
MODULES: Final = "; import sys; print('\\n'.join(sys.modules))"


def run_starts(systems: Iterable[System], form: Form) -> dict[str, dict[str, Any]]:
    """Return how long each start takes, in turns, and what it loads."""
    commands = {name: [sys.executable, "-c", code] for name, code in STARTS.items()}
    for system in systems:
        if (code := PEER_STARTS.get(system.name)) is not None:
            system.ready()
            commands[code] = [system.python_of_venv, "-c", code]
    for system in (LASH, *systems):
        system.ready()
        commands[f"hello world: {system.name}"] = system.command
    lash = Path(sys.executable).with_name("lash")
    if lash.is_file():
        commands["lash --help"] = [str(lash), "--help"]
        commands["lash plugins list"] = [str(lash), "plugins", "list"]
    laps = [
        {name: _timed(command) for name, command in commands.items()} for _ in range(form.starts)
    ]
    return {
        name: {
            **spread([[lap[name]] for lap in laps]),
            "ratio": median(lap[name] / lap["import asyncio"] for lap in laps),
            **_loaded(command),
        }
        for name, command in commands.items()
    }


HELLO: Final = '{"do": "open", "scenario": "S1", "folder": "."}\n{"do": "close"}\n'
"""A worker's hello world: an agent is made, and runs the turns of a warm-up."""


def _timed(command: list[str]) -> float:
    """Return the milliseconds that a process takes."""
    began = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, input=HELLO, text=True)
    return (perf_counter() - began) * 1e3


def _loaded(command: list[str]) -> dict[str, Any]:
    """Return how many modules a start loads, and which of the forbidden ones."""
    if command[1] != "-c":
        return {}
    code = command[2] + MODULES
    done = subprocess.run([command[0], "-c", code], check=True, capture_output=True, text=True)
    names = set(done.stdout.split())
    forbidden = [name for name in FORBIDDEN if name in names]
    return {"modules": len(names), "forbidden": forbidden}


def calibrate() -> float:
    """Return the milliseconds of a loop that's always the same: the machine's mood."""
    best = float("inf")
    for _ in range(5):
        began = perf_counter()
        total = 0
        for number in range(300_000):
            total += number & 7
        best = min(best, perf_counter() - began)
    return best * 1e3


def memory_files() -> bool:
    """Return whether files can be kept in memory here."""
    return MEMORY.is_dir()
