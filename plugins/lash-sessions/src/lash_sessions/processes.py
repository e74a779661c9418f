"""A shell command in a process group of its own, and the end of all that it started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

Where: TypeAlias = Literal["stdout", "stderr"]

PATIENCE: Final = 0.2
"""Seconds between asking a process to end and ending it."""
MARK: Final = "LASH_MONITOR"
"""In the environment of all that a command started, by which those that ran away are found."""
LINE: Final = 64 * 1024
"""The most bytes of a line that's kept."""


class Shell:
    """A running command; every line that it prints is handed on."""

    def __init__(
        self, process: asyncio.subprocess.Process, take: Callable[[Where, str], None], mark: str
    ) -> None:
        self._process = process
        self._mark = mark
        self._take = take
        assert process.stdout is not None  # noqa: S101 - they're pipes
        assert process.stderr is not None  # noqa: S101
        self._readers = [
            asyncio.create_task(self._read("stdout", process.stdout)),
            asyncio.create_task(self._read("stderr", process.stderr)),
        ]

    @classmethod
    async def start(
        cls,
        command: str,
        take: Callable[[Where, str], None],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Shell:
        """
        Start *command*.

        Raises:
            OSError: It can't be started.
        """
        mark = os.urandom(8).hex()
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(env or {}), MARK: mark},
            start_new_session=True,
            limit=LINE,
        )
        return cls(process, take, mark)

    @property
    def pid(self) -> int:
        """The process' id, and its group's."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit status, once everything that was printed is handed on."""
        status = await self._process.wait()
        # what it left behind may hold the pipes open for ever
        await asyncio.wait(self._readers, timeout=PATIENCE)
        for reader in self._readers:
            reader.cancel()
        return status

    async def stop(self) -> None:
        """End the command and all that it started: asked first, then not."""
        tree = [self.pid, *self._below()]
        _signal(tree, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        _signal([*tree, *self._below()], signal.SIGKILL)
        await self._process.wait()

    def _below(self) -> list[int]:
        """Return all that the command started, also what is nobody's child any more."""
        found = [*descendants(self.pid), *marked(self._mark)]
        return [pid for pid in dict.fromkeys(found) if pid != self.pid]

    async def _read(self, where: Where, pipe: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await pipe.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                line = error.partial
            except asyncio.LimitOverrunError as error:
                line = await pipe.readexactly(min(error.consumed, LINE))
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._take(where, text)


def descendants(pid: int) -> list[int]:
    """Return the processes that one started, and theirs, where the system tells."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def marked(mark: str) -> list[int]:
    """Return the processes whose environment has a *mark*, where the system tells."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found


def _signal(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to the first's group, then to each that left it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pids[0], number)
    for pid in pids[1:]:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
