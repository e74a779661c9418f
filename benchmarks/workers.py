"""The other end of a worker's pipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeAlias

from benchmarks.environments import System

MEMORY: Final = Path("/dev/shm")
"""Where files are kept in memory, on systems that have such a place."""

Block: TypeAlias = dict[str, float]
"""One block of turns: the median turn's wall time and the mean turn's CPU, in µs."""


class WorkerFailed(Exception):
    """
    Raised when a system couldn't do what it was told.

    What it printed is on standard error.
    """


class Worker:
    """A process that runs one system's turns when it's told to."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._process = subprocess.Popen(
            system.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self) -> dict[str, Any]:
        """Return the versions of what the system runs on."""
        return dict(self._ask(do="tell"))

    @contextmanager
    def session(
        self, scenario: str, *, in_memory: bool = False, server: str = ""
    ) -> Generator[Path, None, None]:
        """
        Have a new session open for *scenario*, warmed up; yield where its files are.

        Its files are on disk, or in memory if that's wanted and there; *server* is
        the URL of its database, if it's on one.
        """
        place = MEMORY if in_memory and MEMORY.is_dir() else None
        folder = tempfile.mkdtemp(prefix="lash-bench-", dir=place)
        try:
            if server:
                (Path(folder) / "postgres").write_text(server)
            self._ask(do="open", scenario=scenario, folder=folder)
            yield Path(folder)
            self._ask(do="close")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, turns: int) -> Block:
        """Return what *turns* turns of the open session take."""
        said = self._ask(do="run", turns=turns)
        return {"wall": median(said["walls"]) / 1e3, "cpu": said["cpu"] / turns / 1e3}

    def walls(self, turns: int) -> list[float]:
        """Return the wall time of each of *turns* turns, in µs."""
        return [wall / 1e3 for wall in self._ask(do="run", turns=turns)["walls"]]

    def count(self) -> dict[str, int]:
        """Return what the next turn executes."""
        return dict(self._ask(do="count"))

    def reopen(self) -> dict[str, float]:
        """Return the ms until the open session, closed, is ready again, and its first turn's."""
        return {name: ns / 1e6 for name, ns in self._ask(do="reopen").items()}

    def crowd(self, scenario: str, count: int) -> dict[str, float]:
        """Return the turns a second and the bytes a session of so many sessions at once."""
        place = MEMORY if MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="lash-bench-", dir=place) as folder:
            return dict(self._ask(do="crowd", scenario=scenario, folder=folder, count=count))

    def measure(self, scale: float) -> dict[str, list[float]]:
        """Return what the system measures by itself."""
        return dict(self._ask(do="measure", scale=scale))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ask(self, **command: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        said = json.loads(line) if line else {"error": "the process ended"}
        if "error" in said:
            raise WorkerFailed(f"{self.system.name}: {command['do']}: {said['error']}")
        return said


@contextmanager
def started(systems: tuple[System, ...]) -> Generator[list[Worker], None, None]:
    """Have a worker for each system, all alive at once."""
    with ExitStack() as stack:
        workers = []
        for system in systems:
            system.ready()
            worker = Worker(system)
            stack.callback(worker.close)
            workers.append(worker)
        yield workers


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
