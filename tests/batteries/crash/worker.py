"""
The process in which things happen that end it: one child for each job.

It is started once, with everything imported, and forks a fresh process a job, before
any thread or loop exists. A child talks over the connection that brought its job, in
lines of JSON; the line ends when the process does.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeAlias

from . import disk
from .gate import Gate, Kill
from .places import MemoryPlace, found
from .plants import FAULTS
from .seams import Ledger
from .turn import Stage, play, prepare, recover

Job: TypeAlias = Mapping[str, Any]


class Line:
    """The child's end of the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def say(self, *words: object) -> None:
        """Send one line; it's there when this returns, whatever comes next."""
        self._connection.sendall(json.dumps(words).encode() + b"\n")

    def block(self, where: str) -> None:
        """Tell where this process is, and stand still until it's killed."""
        self.say("at", where)
        self._connection.recv(1)
        raise AssertionError(f"at {where}: nobody killed this process")


def stage_of(line: Line, job: Job) -> Stage:
    """Return the stage that a job describes."""
    stop = job.get("stop")
    return Stage(
        place=found(job["address"]),
        ledger=Ledger(Path(job["ledger"])),
        gate=Gate(stop, None if stop is None else Kill(line.block)),
        ack=lambda kind, id: line.say("ack", kind, id),
    )


async def do_play(line: Line, job: Job) -> None:
    """Run the turn before, then the reference turn."""
    stage = stage_of(line, job)
    await prepare(stage)
    line.say("prepared")
    played = await play(stage)
    line.say("played", played.after, played.wrong, stage.gate.trace)


async def do_recover(line: Line, job: Job) -> None:
    """Resume what was interrupted, then take the next turn."""
    played = await recover(stage_of(line, job), acked=job["acked"])
    line.say("recovered", played.after, played.wrong)


JOBS: Final[dict[str, Callable[[Line, Job], Any]]] = {
    "play": do_play,
    "recover": do_recover,
    "sweep": disk.do_sweep,
}
"""What can be asked for."""


def child(connection: socket.socket) -> None:
    """Do one job, and end the process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = Line(connection)
    text = connection.makefile("r").readline()
    job: Job = json.loads(text)
    line.say("pid", os.getpid())
    try:
        with ExitStack() as stack:
            for name in job.get("planted", ()):
                stack.enter_context(FAULTS[name]())
            asyncio.run(JOBS[job["do"]](line, job))
    except BaseException as error:
        line.say("raised", type(error).__name__, str(error), traceback.format_exc())
        os._exit(1)
    os._exit(0)


async def warm() -> None:
    """Run a turn, so that no child has to import anything."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(place=MemoryPlace(), ledger=Ledger(Path(folder) / "ledger"))
        await prepare(stage)
        await play(stage)


def main(path: str) -> None:
    """Take jobs until whoever started this is gone."""
    asyncio.run(warm())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the system
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen(64)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([door, sys.stdin], [], [])
        if door not in ready:
            return
        connection, _ = door.accept()
        if os.fork() == 0:
            door.close()
            child(connection)
        connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "--once":  # one job, in this very process
        child(socket.socket(fileno=int(sys.argv[2])))
    main(sys.argv[1])
