"""Other processes that work on a store: started, told, killed, and used again."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from .store_place import Place

if TYPE_CHECKING:
    from ..json import Json

PATIENCE: Final = 60.0
"""Seconds until a process that doesn't answer is killed."""


class Answer(NamedTuple):
    """What a command returned, or the name of its error."""

    value: Json
    error: str = ""


DEAD: Final = Answer(None, "killed")
"""The answer of a process that isn't there any more."""


class Child:
    """A process that does what it's told by `lash_sdk.testing.store_child`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lash_sdk.testing.store_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def tell(self, command: str, *args: Json) -> None:
        """Have a command done; `answer` waits for what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, *args]) + "\n")
        self._process.stdin.flush()

    async def answer(self) -> Answer:
        """Return the next answer."""
        reading = asyncio.ensure_future(asyncio.to_thread(self._read))
        done, _ = await asyncio.wait([reading], timeout=PATIENCE)
        if not done:
            self.kill()
        return await reading

    async def ask(self, command: str, *args: Json) -> Answer:
        """Have a command done; return what comes of it."""
        self.tell(command, *args)
        return await self.answer()

    async def enter(self, place: Place) -> None:
        """Let it open a store on *place*."""
        assert Answer(None) == await self.ask("open", place.factory, place.url)

    def kill(self) -> None:
        """End it as a power cut would, and see it dead."""
        self._process.kill()
        self._process.wait()

    def leave(self) -> bool:
        """Let it close its store; return whether it's still there."""
        if self._process.poll() is None:
            self.tell("close")
            if Answer(None) == self._read():
                return True
            self.kill()
        self.bury()
        return False

    def bury(self) -> None:
        """End it in peace if it's there, and close its pipes."""
        self._process.communicate()

    def _read(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            return DEAD
        said = json.loads(line)
        return Answer(said["value"], said["error"])


class Crew:
    """Processes at hand; one that lives through its work is used again."""

    def __init__(self) -> None:
        self._idle: list[Child] = []

    @contextmanager
    def working(self, count: int) -> Generator[list[Child]]:
        """Lend *count* processes that have no store open."""
        while len(self._idle) < count:
            self._idle.append(Child())
        children = [self._idle.pop() for _ in range(count)]
        try:
            yield children
        except BaseException:
            for child in children:
                child.kill()
                child.bury()
            raise
        self._idle += [child for child in children if child.leave()]

    def dismiss(self) -> None:
        """End them all."""
        while self._idle:
            self._idle.pop().bury()
