"""
`python -m benchmarks.profile`: where a turn of ours spends its time, by room of the kernel.

A sampler looks a thousand times a second at what runs, which distorts less than
a tracer. What a function of ours spends in the standard library or in C is its own.
Bytecodes and calls are those of one turn, and the same on every run.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from types import CodeType, FrameType
from typing import Final

from benchmarks.environments import HERE
from benchmarks.script import Script
from benchmarks.systems import lash
from benchmarks.worker import Counted
from benchmarks.workers import MEMORY

ROOT: Final = HERE.parent
INTERVAL: Final = 0.001
Turn = Callable[[], Awaitable[str]]
Place = tuple[str, str, str]
"""Room, file and function."""

LOOP: Final = ("(event loop, waiting)", "(event loop, waiting)", "")


class Sampler:
    """Counts, while it's entered, in which of our functions the main thread is."""

    def __init__(self) -> None:
        self.samples: Counter[Place] = Counter()
        self._known: dict[str, tuple[str, str] | None] = {}

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
        return self

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _look(self, number: int, frame: FrameType | None) -> None:
        while frame is not None:
            path = frame.f_code.co_filename
            if path not in self._known:
                self._known[path] = room_of(path)
            if (known := self._known[path]) is not None:
                self.samples[(*known, frame.f_code.co_qualname)] += 1
                return
            frame = frame.f_back
        self.samples[LOOP] += 1


def room_of(path: str) -> tuple[str, str] | None:
    """Return the room and the file that a path of ours is; None for others'."""
    below = Path(path)
    if not below.is_relative_to(ROOT) or "site-packages" in path or ".venv" in path:
        return None
    parts = below.relative_to(ROOT).parts
    if parts[0] == "plugins":
        return parts[1], "/".join(parts[4:])
    if parts[0] == "benchmarks":
        return ("benchmarks", parts[-1]) if parts[-1] in ("lash.py", "script.py") else None
    return parts[1].removesuffix(".py"), "/".join(parts[1:])


Found = tuple[float, Counter[Place], Counted]
"""A turn's median time in µs, what was seen of many, and what one executes."""


async def profile(scenario: str, seconds: float) -> Found:
    """Return where a scenario's turn spends its time."""
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        async with lash.open_session(scenario, Path(folder), Script(scenario)) as turn:
            usual = median([await _timed(turn) for _ in range(300)]) * 1e6
            with Sampler() as sampler:
                end = perf_counter() + seconds
                while perf_counter() < end:
                    await turn()
            with Counted() as counted:
                await turn()
    return usual, sampler.samples, counted


def profiled(scenario: str, seconds: float) -> dict[str, dict[str, float]]:
    """Return by room of the kernel: the share of a turn's time, its µs, bytecodes and calls."""
    usual, samples, counted = asyncio.run(profile(scenario, seconds))
    bytecodes, calls = (
        _grouped(_by_place(counts), 0) for counts in (counted.bytecodes, counted.calls)
    )
    total = samples.total()
    return {
        room: {
            "share": count / total,
            "wall": count / total * usual,
            "bytecodes": bytecodes[room],
            "calls": calls[room],
        }
        for room, count in _grouped(samples, 0).most_common()
    }


async def _timed(turn: Turn) -> float:
    began = perf_counter()
    await turn()
    return perf_counter() - began


def _by_place(counts: Counter[CodeType]) -> Counter[Place]:
    """Return *counts* by room, file and function; others' code is one place."""
    found: Counter[Place] = Counter()
    for code, count in counts.items():
        known = room_of(code.co_filename)
        found[(*known, code.co_qualname) if known else LOOP] += count
    return found


def _show(scenario: str, usual: float, samples: Counter[Place], counted: Counted) -> None:
    bytecodes, calls = _by_place(counted.bytecodes), _by_place(counted.calls)
    print(f"{scenario}: {usual:.0f} µs a turn (median), {bytecodes.total():,} bytecodes,")
    print(f"  {calls.total():,} calls of Python functions, {samples.total():,} samples")
    for depth, title in enumerate(("room", "file", "function")):
        print(f"  {'share':>7} {'µs':>7} {'bytecodes':>9} {'calls':>5}  by {title}")
        grouped = [_grouped(counts, depth) for counts in (samples, bytecodes, calls)]
        for name, count in grouped[0].most_common((14, 20, 40)[depth]):
            share = count / samples.total()
            counts = f"{grouped[1][name]:9,} {grouped[2][name]:5,}"
            print(f"  {share:7.1%} {share * usual:7.1f} {counts}  {name}")


def _grouped(counts: Counter[Place], depth: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for (room, file, function), count in counts.items():
        found[(room, file, f"{file} {function}".strip())[depth]] += count
    return found


def main() -> None:
    """Profile the scenarios that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("scenario", nargs="*", default=["S1", "S2", "S3"])
    parser.add_argument("--seconds", type=float, default=5.0)
    wanted = parser.parse_args()
    for scenario in wanted.scenario:
        _show(scenario, *asyncio.run(profile(scenario, wanted.seconds)))


if __name__ == "__main__":
    main()
