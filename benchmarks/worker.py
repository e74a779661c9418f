"""
One system in a process of its own: told over a pipe what to run, it says how long it took.

Run as a script by the system's own interpreter, with the system's file as its
argument, and after it folders for the end of the import path. Each line of standard
input is a JSON command, each line of standard output its answer. Only the standard
library is used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import json
import os
import platform
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from types import CodeType, FrameType
from typing import Any, TextIO

# A script's folder comes first on the path, where our names would hide others'.
sys.path[0:1] = []
sys.path += [str(Path(__file__).resolve().parent.parent), *sys.argv[2:]]

from benchmarks.script import WARM_UP, Script, load  # noqa: E402

Turn = Callable[[], Awaitable[str]]

CROWD_LAPS = 2
"""Turns of each session of a crowd that are measured."""


class Worker:
    """The system, and the session that's open in it."""

    def __init__(self, system: Any) -> None:
        self._system = system
        self._stack = contextlib.AsyncExitStack()
        self._script = Script("S1")
        self._turns = 0
        self._turn: Turn | None = None
        self._opened = "", Path()

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one command."""
        match command["do"]:
            case "tell":
                return self._tell()
            case "open":
                return await self._open(command["scenario"], Path(command["folder"]))
            case "run":
                return await self._run(command["turns"])
            case "count":
                return await self._count()
            case "reopen":
                return await self._reopen()
            case "crowd":
                return await self._crowd(command["scenario"], command["folder"], command["count"])
            case "measure":
                return dict(await self._system.measure(command["scale"]))
            case "close":
                return await self._close()
            case other:
                raise ValueError(f"no such command: {other!r}")

    def _tell(self) -> dict[str, Any]:
        return {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "packages": {name: version(name) for name in self._system.PACKAGES},
        }

    async def _open(self, scenario: str, folder: Path) -> dict[str, Any]:
        self._script = Script(scenario)
        self._turns = 0
        self._opened = scenario, folder
        opening = self._system.open_session(scenario, folder, self._script)
        self._turn = await self._stack.enter_async_context(opening)
        await self._run(WARM_UP)
        gc.collect()
        return {}

    async def _run(self, turns: int) -> dict[str, Any]:
        """Return each turn's time, and the processor's time for all of them."""
        turn, said = self._turn, self._script.answer
        assert turn is not None
        walls = []
        cpu = process_time_ns()
        for _ in range(turns):
            began = perf_counter_ns()
            answer = await turn()
            walls.append(perf_counter_ns() - began)
            if answer != said:
                raise AssertionError(f"expected {said!r}, found {answer!r}")
        cpu = process_time_ns() - cpu
        self._turns += turns
        return {"walls": walls, "cpu": cpu}

    async def _count(self) -> dict[str, Any]:
        """Return how many bytecodes and calls the next turn takes in this thread."""
        assert self._turn is not None
        found = Counted()
        with found:
            await self._turn()
        self._turns += 1
        return {"bytecodes": found.bytecodes.total(), "calls": found.calls.total()}

    async def _reopen(self) -> dict[str, Any]:
        """Return the time until the closed session is ready again, and its first turn's."""
        await self._stack.aclose()
        gc.collect()
        began = perf_counter_ns()
        opening = self._system.open_session(*self._opened, self._script)
        self._turn = await self._stack.enter_async_context(opening)
        ready = perf_counter_ns() - began
        first = await self._run(1)
        return {"ready": ready, "first": first["walls"][0]}

    async def _crowd(self, scenario: str, folder: str, count: int) -> dict[str, Any]:
        """
        Return how many turns a second that many sessions make at once, and their memory.

        One session comes before them, elsewhere: what's loaded for the first turn of a
        process is no session's.
        """
        async with contextlib.AsyncExitStack() as stack:
            apart = Path(folder) / "first"
            apart.mkdir()
            (turn,) = await self._open_crowd(stack, scenario, apart, [Script(scenario)])
            await turn()
        scripts = [Script(scenario) for _ in range(count)]
        async with contextlib.AsyncExitStack() as stack:
            gc.collect()
            before = resident()
            turns = await self._open_crowd(stack, scenario, Path(folder), scripts)
            await asyncio.gather(*[turn() for turn in turns])  # warm
            gc.collect()
            memory = resident() - before
            began = perf_counter_ns()
            for _ in range(CROWD_LAPS):
                await asyncio.gather(*[turn() for turn in turns])
            seconds = (perf_counter_ns() - began) / 1e9
        for script in scripts:
            script.check(CROWD_LAPS + 1)
        return {"rate": count * CROWD_LAPS / seconds, "bytes": memory / count}

    async def _open_crowd(
        self, stack: contextlib.AsyncExitStack, scenario: str, folder: Path, scripts: list[Script]
    ) -> list[Turn]:
        if hasattr(self._system, "open_crowd"):
            crowd = self._system.open_crowd(scenario, folder, scripts)
            return list(await stack.enter_async_context(crowd))
        one = self._system.open_session
        return [
            await stack.enter_async_context(one(scenario, folder, script)) for script in scripts
        ]

    async def _close(self) -> dict[str, Any]:
        await self._stack.aclose()
        self._script.check(self._turns)
        self._turn = None
        return {}


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Counted:
    """
    Counts what's executed inside a `with`: the same on every run, unlike time.

    Attributes:
        bytecodes: By Python function; work that C code does at once counts as one.
        calls: By Python function; a coroutine that goes on counts again.
    """

    def __init__(self) -> None:
        self.bytecodes: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()

    def __enter__(self) -> Counted:
        # frames that are there already are resumed without a call event
        frame = inspect.currentframe()
        while frame is not None:
            frame.f_trace, frame.f_trace_opcodes, frame.f_trace_lines = self._step, True, False
            frame = frame.f_back
        sys.settrace(self._enter)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.calls[frame.f_code] += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.bytecodes[frame.f_code] += event == "opcode"
        return self._step


async def serve(system: Any, commands: TextIO, answers: TextIO) -> None:
    """Obey *commands* until they end."""
    worker = Worker(system)
    for line in commands:
        try:
            answer = await worker.obey(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Serve the system whose file is named on the command line."""
    # What a system prints must not get between our answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(serve(load(Path(sys.argv[1])), sys.stdin, answers))


if __name__ == "__main__":
    main()
