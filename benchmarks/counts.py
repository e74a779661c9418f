"""
`python -m benchmarks.counts`: what a turn of ours asks for, in counts instead of times.

Counts don't mind what else the machine does, so CI can hold them: each has to stay
within a tenth of the figure in `counts.json`. `--record` writes that file again, in
the commit that means to change it. Bytecodes and calls are those of the event loop's
thread; instructions are counted under valgrind, where it's installed and asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import apsw

from benchmarks.environments import HERE
from benchmarks.scenarios import instructions
from benchmarks.script import WARM_UP, Script
from benchmarks.systems import lash
from benchmarks.worker import Counted

RECORDED: Final = HERE / "counts.json"
SCENARIOS: Final = ("S1", "S2", "S3", "S3 effect")
WITHIN: Final = 0.1
TURNS: Final = 20
"""Turns that a count is the mean of."""

OPTIONAL: Final = frozenset(("instructions",))
"""What's counted only where it's asked for."""
OF_THE_STORE: Final = frozenset(("statements", "transactions", "fsyncs"))
"""What doesn't depend on the version of Python."""
VERSION: Final = platform.python_version().rpartition(".")[0]

LENGTH: Final = 10
"""Turns before those whose instructions are counted."""

Counts = dict[str, dict[str, float]]
"""By scenario and by what's counted, a turn's mean."""


def counts() -> Counts:
    """Return a turn's counts in each scenario, counted in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "counting.so"
        compiler = sysconfig.get_config_var("CC") or "cc"
        source = str(HERE / "counting.c")
        build = [compiler.split()[0], "-shared", "-fPIC", "-O2", "-o", str(library), source]
        subprocess.run(build, check=True)
        child = [sys.executable, "-m", "benchmarks.counts", "--child", str(library)]
        preload = {"LD_PRELOAD": str(library), "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            child,
            check=True,
            capture_output=True,
            text=True,
            cwd=HERE.parent,
            env={**os.environ, **preload},
        )
    return dict(json.loads(done.stdout))


def off(found: Counts, held: Counts) -> list[str]:
    """Return what isn't within a tenth of the figure that's held, a sentence each."""
    said = []
    for scenario, wanted in held.items():
        for name, figure in wanted.items():
            now = found[scenario].get(name)
            if now is None and name in OPTIONAL:
                continue
            if now is None or abs(now - figure) > WITHIN * figure:
                said.append(f"{scenario}: {name} a turn: expected {figure:g}, found {now!r}")
    return said


def recorded() -> Counts:
    """Return the figures that are held on this version of Python: the store's, on another."""
    file = json.loads(RECORDED.read_text(encoding="utf-8"))
    if file["python"] == VERSION:
        return dict(file["counts"])
    return {
        scenario: {name: figure for name, figure in wanted.items() if name in OF_THE_STORE}
        for scenario, wanted in file["counts"].items()
    }


class Tally:
    """Counts statements, transactions, flushes and allocations of this process."""

    def __init__(self, library: str) -> None:
        self._counting = ctypes.PyDLL(library)
        self._statements: Counter[str] = Counter()
        apsw.connection_hooks.append(self._listen)

    def count_allocations(self) -> None:
        """Put the counter before Python's allocators; there's no way back."""
        api = ctypes.pythonapi
        get, put = api.PyMem_GetAllocator, api.PyMem_SetAllocator
        place = ctypes.c_void_p
        self._counting.count_allocations(ctypes.cast(get, place), ctypes.cast(put, place))

    def read(self) -> Counter[str]:
        """Return all counts so far."""
        found = self._statements.copy()
        found["fsyncs"] = int(self._counting.flushes_so_far())
        found["allocations"] = int(self._counting.allocations_so_far())
        return found

    def _listen(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, self._note)

    def _note(self, event: dict[str, object]) -> None:
        words = str(event["sql"])
        if not words.startswith("--"):  # a trigger's
            self._statements["statements"] += 1
            self._statements["transactions"] += words.upper().startswith("BEGIN")


async def count(scenario: str, tally: Tally) -> dict[str, float]:
    """Return the means of a session's turns."""
    with tempfile.TemporaryDirectory() as folder:
        async with lash.open_session(scenario, Path(folder), Script(scenario)) as turn:
            for _ in range(WARM_UP):
                await turn()
            gc.collect()
            before = tally.read()
            for _ in range(TURNS):
                await turn()
            found = tally.read()
            found.subtract(before)
            with Counted() as counted:
                await turn()
    means = {name: total / TURNS for name, total in found.items()}
    codes = {"bytecodes": counted.bytecodes.total(), "calls": counted.calls.total()}
    return {**dict(sorted(means.items())), **codes}


def _child(library: str) -> None:
    tally = Tally(library)
    tally.count_allocations()
    print(json.dumps({name: asyncio.run(count(name, tally)) for name in SCENARIOS}))


def with_instructions(found: Counts) -> Counts:
    """Return the counts with the instructions of S2, if valgrind is here."""
    if shutil.which("valgrind") is None:
        return found
    ran = instructions("S2", (LENGTH,))
    return {**found, "S2": {**found["S2"], "instructions": ran[str(LENGTH)]}}


def main() -> None:
    """Print the counts, and what they're off by."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write them as what CI holds")
    parser.add_argument("--instructions", action="store_true", help="under valgrind, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        _child(wanted.child)
        return
    found = counts()
    if wanted.record or wanted.instructions:
        found = with_instructions(found)
    print(json.dumps(found, indent=1))
    if wanted.record:
        file = json.dumps({"python": VERSION, "counts": found}, indent=1)
        RECORDED.write_text(file + "\n", encoding="utf-8")
    elif said := off(found, recorded()):
        sys.exit("\n".join(said))


if __name__ == "__main__":
    main()
