"""Processes that a battery starts, listens to and kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias

ROOT: Final = Path(__file__).parents[3]
PATIENCE: Final = 60.0

Said: TypeAlias = list[Any]


class Child:
    """One process, doing one job."""

    def __init__(self, connection: socket.socket, job: Mapping[str, Any]) -> None:
        connection.settimeout(PATIENCE)
        connection.sendall(json.dumps(job).encode() + b"\n")
        self._connection = connection
        self._lines = connection.makefile("r")
        said = self.read()
        assert said is not None and said[0] == "pid", f"no process, but {said!r}"
        self.pid: int = said[1]

    def read(self) -> Said | None:
        """Return what the process says next, or None once it's gone."""
        try:
            text = self._lines.readline()
        except ConnectionResetError:
            return None
        return json.loads(text) if text.endswith("\n") else None

    def until(self, *words: str) -> tuple[Said | None, list[Said]]:
        """Return the next line that begins with one of *words*, and those before it."""
        before: list[Said] = []
        while (said := self.read()) is not None:
            if said[0] in words:
                return said, before
            before.append(said)
        return None, before

    def kill(self) -> list[Said]:
        """Kill the process, wait until it's gone, and return what it had still said."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.ended()

    def ended(self) -> list[Said]:
        """Return everything up to the end of the process."""
        rest: list[Said] = []
        while (said := self.read()) is not None:
            rest.append(said)
        self._lines.close()
        self._connection.close()
        return rest


class Zygote:
    """Starts a fresh process for every job, faster than the interpreter does."""

    def __init__(self, **environment: str) -> None:
        """Take what the processes' environment has beside this one's."""
        self._folder = tempfile.TemporaryDirectory(prefix="lash-zygote-")
        self._path = str(Path(self._folder.name) / "door")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.batteries.crash.worker", self._path],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, do: str, **job: Any) -> Child:
        """Return a process that does a job."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        return Child(connection, {"do": do, **job})

    def __enter__(self) -> Zygote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()
        self._folder.cleanup()


class Tracer:
    """Starts the interpreter anew for each job, under strace, which injects a fault."""

    def __init__(self, inject: str) -> None:
        """Take the fault, as strace writes it: "pwrite64:error=EIO:when=3"."""
        self._inject = inject
        self._process: subprocess.Popen[bytes] | None = None

    def wait(self) -> None:
        """Wait for the end of strace itself."""
        if self._process is not None:
            self._process.wait(PATIENCE)

    def start(self, do: str, **job: Any) -> Child:
        """Return a process that does a job."""
        ours, theirs = socket.socketpair()
        call = self._inject.partition(":")[0]
        tracing = [STRACE, "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
        working = [sys.executable, "-m", "tests.batteries.crash.worker", "--once"]
        self._process = subprocess.Popen(
            [*tracing, "-e", f"inject={self._inject}", *working, str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        return Child(ours, {"do": do, **job})


STRACE: Final = shutil.which("strace") or ""
"""Where it is; empty where there's none."""


def acks(said: list[Said]) -> Iterator[tuple[str, str]]:
    """Yield what a process acknowledged."""
    for words in said:
        if words[0] == "ack":
            yield words[1], words[2]
