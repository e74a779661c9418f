"""
`python -m benchmarks.profile`: where a turn of ours spends its time, by room of the kernel.

A sampler looks a thousand times a second at what runs, which distorts less than
a tracer. A sample counts for the innermost function of ours: what it spends in
the standard library or in C is its own. Calls are counted in a second pass.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import signal
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter
from types import FrameType
from typing import Final

from benchmarks.environments import HERE
from benchmarks.script import Script
from benchmarks.systems import lash
from benchmarks.workers import MEMORY

ROOT: Final = HERE.parent
INTERVAL: Final = 0.001
COUNTED: Final = 50
"""Turns whose calls are counted."""

Turn = Callable[[], Awaitable[str]]
Place = tuple[str, str, str]
"""Room, file and function."""

LOOP: Final = ("(event loop)", "(event loop, and waiting for the disk)", "")


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


async def profile(scenario: str, seconds: float) -> None:
    """Print where a scenario's turn spends its time."""
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        async with lash.open_session(scenario, Path(folder), Script(scenario)) as turn:
            usual = median([await _timed(turn) for _ in range(300)]) * 1e6
            with Sampler() as sampler:
                end = perf_counter() + seconds
                while perf_counter() < end:
                    await turn()
            tracer = cProfile.Profile()
            tracer.enable()
            for _ in range(COUNTED):
                await turn()
            tracer.disable()
    _show(scenario, usual, sampler.samples, _calls(tracer))


async def _timed(turn: Turn) -> float:
    began = perf_counter()
    await turn()
    return perf_counter() - began


def _calls(tracer: cProfile.Profile) -> Counter[tuple[str, str]]:
    """Return calls a turn, by file and plain function name."""
    calls: Counter[tuple[str, str]] = Counter()
    stats = pstats.Stats(tracer).stats  # type: ignore[attr-defined]
    for (path, _line, name), (_primitive, count, *_times) in stats.items():
        if (known := room_of(path)) is not None:
            calls[known[1], name] += count
        calls["", ""] += count
    return calls


def _show(
    scenario: str, usual: float, samples: Counter[Place], calls: Counter[tuple[str, str]]
) -> None:
    total = samples.total()
    rooms, files = Counter[str](), Counter[str]()
    for (room, file, _function), count in samples.items():
        rooms[room] += count
        files[file] += count
    every = calls["", ""] / COUNTED
    print(f"{scenario}: {usual:.0f} µs a turn (median), {every:.0f} calls, {total} samples")
    for title, counts in (("by room", rooms), ("by file", files)):
        print(f"  {title}")
        _lines(((name, count, "") for name, count in counts.most_common(18)), total, usual)
    print("  by function")
    top = []
    for (_room, file, function), count in samples.most_common(40):
        made = calls[file, function.rpartition(".")[2]] / COUNTED
        top.append((f"{file} {function}", count, f"{made:.3g} calls" if made else ""))
    _lines(top, total, usual)


def _lines(counts: Iterable[tuple[str, int, str]], total: int, usual: float) -> None:
    for name, count, more in counts:
        share = count / total
        print(f"    {share:6.1%} {share * usual:7.1f} µs  {name}  {more}".rstrip())


def main() -> None:
    """Profile the scenarios that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("scenario", nargs="*", default=["S1", "S2", "S3"])
    parser.add_argument("--seconds", type=float, default=5.0)
    wanted = parser.parse_args()
    for scenario in wanted.scenario:
        asyncio.run(profile(scenario, wanted.seconds))


if __name__ == "__main__":
    main()
