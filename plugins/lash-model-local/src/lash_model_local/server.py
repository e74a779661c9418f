"""
The server of a set of weights: one subprocess, shared by all who use the weights.

It holds a pipe whose other end is ours, and ends when that closes. When somebody
kills it, the next `address` starts another.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from lash_sdk.errors import ModelError

PATIENCE: Final = 5.0
"""Seconds that a server may take to end by itself."""

DYING: Final = 1.0
"""Seconds after which a process that was lost is taken to be alive after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What a server is started with.

    Attributes:
        weights: The .gguf file.
        context: Tokens that prompt and answer may hold together.
        threads: One, for a small model: two collapse when anything else runs.
        template: The chat template, or "" for the one in the weights.
        prefixes: The folder in which computed prompt prefixes may be kept.
    """

    weights: Path
    context: int = 4096
    threads: int = 1
    template: str = ""
    prefixes: Path


class Server:
    """
    A server process, started by the first `address` and restarted when it died.

    Get one with `lease` and give it back with `release`; the last one out ends
    the process.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._ready: Future[str] = Future()

    @property
    def pid(self) -> int | None:
        """The process' id, or None while there's none."""
        return self._process.pid if self._process else None

    async def address(self) -> str:
        """
        Return the base URL of the running server, on loopback.

        Raises:
            ModelError: It doesn't start; the message has its last words.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process, self._ready = self._start()
            ready = self._ready
        # Shielded: who gives up waiting must not take the others along.
        return await asyncio.shield(asyncio.wrap_future(ready))

    async def lost(self) -> None:
        """
        Return once a process that's dying is dead; for who just lost its stream.

        A killed process closes its connections a moment before it can be seen to
        be gone. Without the wait, the next `address` might be the last one's.
        """
        process = self._process
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, DYING)

    def end(self) -> None:
        """Return once the process is gone, if there was one."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> tuple[subprocess.Popen[str], Future[str]]:
        self.settings.prefixes.mkdir(mode=0o700, parents=True, exist_ok=True)
        order = asdict(self.settings) | {
            "weights": str(self.settings.weights),
            "prefixes": f"{self.settings.prefixes}{os.sep}",
            # The death signal follows the thread that starts the process: only
            # the main thread lives as long as we do.
            "tied": threading.current_thread() is threading.main_thread(),
        }
        process = subprocess.Popen(  # noqa: S603 - our own script
            (sys.executable, "-m", "lash_model_local.serve", json.dumps(order)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
        )
        ready: Future[str] = Future()
        threading.Thread(target=_listen, args=(process, ready), daemon=True).start()
        return process, ready


def _listen(process: subprocess.Popen[str], ready: Future[str]) -> None:
    """Settle *ready*, then read what the server says until it ends."""
    last: collections.deque[str] = collections.deque(maxlen=5)
    assert process.stdout  # noqa: S101 - both are pipes
    assert process.stderr  # noqa: S101
    complaints = threading.Thread(target=_keep, args=(process.stderr, last))
    complaints.start()
    first = process.stdout.readline()
    if first:
        ready.set_result(str(json.loads(first)["address"]))
    process.stdout.read()
    complaints.join()
    if not first:
        said = " / ".join(last) or "it said nothing"
        code = process.wait()
        ready.set_exception(
            ModelError(f"the local server ended with code {code!r}: {said}", code="server_failed")
        )
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _keep(stream: IO[str], last: collections.deque[str]) -> None:
    for line in stream:
        if line.strip():
            last.append(line.strip())


_leases: Final[dict[Settings, list[Server]]] = {}
_leasing: Final = threading.Lock()


def lease(settings: Settings) -> Server:
    """Return the process-wide server for *settings*; `release` it once."""
    with _leasing:
        leases = _leases.setdefault(settings, [])
        server = leases[0] if leases else Server(settings)
        leases.append(server)
        return server


async def release(server: Server) -> None:
    """Give a leased server back; the last release ends its process."""
    with _leasing:
        leases = _leases.get(server.settings, [])
        if leases:
            leases.pop()
        last = not leases
        if last:
            _leases.pop(server.settings, None)
    if last:
        await asyncio.to_thread(server.end)
