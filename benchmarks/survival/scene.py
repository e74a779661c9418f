"""
One system in one process of its own: it plays one scene and says how it ended.

Run as a script by the system's own interpreter: the system's file, the scene, a
folder, and what the scene needs. The last line of standard output is the answer, as
JSON. Only the standard library is used here.

A system's file has `opened(folder, scene)`, an async context manager that yields an
object with `run(text)` and `resume(text)`, which return the turn's last words, and
`history()`, which returns one line for each stored message and call.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, Final

# A script's folder comes first on the path, where our names would hide others'.
sys.path[0:1] = []
sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.script import load  # noqa: E402

KILOBYTE: Final = 1024
PATIENCE: Final = 1.5
"""Seconds that a turn waits for the other one to be as far."""

PAY: Final = "Charge the card, then print the slip."
PAID: Final = "The card was charged."
CALLS: Final = ("charge", "boom")


class Scene:
    """
    What the model says and what the tools do, the same for every system.

    Attributes:
        variant: How the system is to be set up; empty means its defaults.
        asked: How often the model was asked in this process.
        knew: How many results the model was shown when it was first asked.
    """

    def __init__(self, name: str, folder: Path, argument: str = "", variant: str = "") -> None:
        self.name = name
        self.folder = folder
        self.argument = argument
        self.variant = variant
        self.asked = 0
        self.knew = 0

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools, called in one parallel batch."""
        return {"grow": (), "race": ("meet",)}.get(self.name, CALLS)

    def next(self, results: int) -> tuple[str, tuple[str, ...]]:
        """
        Return what the model says and which tools it asks for.

        It goes by *results*, how many finished calls it's shown: it asks for the
        calls unless it sees that one was made.
        """
        self.asked += 1
        if self.asked == 1:
            self.knew = results
        match self.name:
            case "grow":
                return text_of(self.argument, "answer", self.asked), ()
            case "race":
                wanted = self.tools if self.asked == 1 else ()
                return f"answer {self.argument}", wanted
            case _:
                return PAID, CALLS if results == 0 else ()

    async def call(self, tool: str) -> str:
        """Do what the tool does; return its result."""
        with (self.folder / f"{tool}.count").open("a") as counter:
            counter.write(f"{self.argument or 1}\n")
        if tool == "meet":
            await self._meet()
        elif tool == "boom" and self.name == "crash":
            await until(self.folder / "charge.count")
            await asyncio.sleep(0.3)  # the finished call has had its time to be written
            os.kill(os.getpid(), signal.SIGKILL)
        return f"result {self.argument}" if tool == "meet" else f"{tool}: done"

    async def _meet(self) -> None:
        other = "B" if self.argument == "A" else "A"
        self.mark("met")
        await until(self.folder / f"met-{other}", self.folder / f"over-{other}", most=PATIENCE)

    def mark(self, what: str) -> None:
        """Let the other process see how far this one is."""
        (self.folder / f"{what}-{self.argument}").touch()


async def until(*paths: Path, most: float = 20.0) -> None:
    """Wait until one of the files is there, or so many seconds."""
    end = perf_counter() + most
    # another process makes them: there's nothing to be told by
    while perf_counter() < end and not any(path.exists() for path in paths):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def text_of(turns: str, who: str, number: int) -> str:
    """Return 1 KB that's said only once."""
    start = f"{who} {turns} {number} "
    words = f"{number * 7919:08d} "
    return (start + words * KILOBYTE)[:KILOBYTE]


async def prepare(system: Any, scene: Scene) -> dict[str, Any]:
    """Have the session's files made, so that two processes don't race for that."""
    async with system.opened(scene.folder, scene):
        return {}


async def crash(system: Any, scene: Scene) -> dict[str, Any]:
    """Run the turn that is killed."""
    async with system.opened(scene.folder, scene) as session:
        return {"answer": await session.run(PAY)}


async def resume(system: Any, scene: Scene) -> dict[str, Any]:
    """Go on after the kill, the documented way."""
    async with system.opened(scene.folder, scene) as session:
        return {"answer": await session.resume(PAY), "knew": scene.knew}


async def race(system: Any, scene: Scene) -> dict[str, Any]:
    """Run one of two turns that meet inside their tools."""
    other = "B" if scene.argument == "A" else "A"
    async with system.opened(scene.folder, scene) as session:
        scene.mark("ready")
        await until(scene.folder / f"ready-{other}")
        try:
            return {"answer": await session.run(f"user {scene.argument}")}
        finally:
            scene.mark("over")


async def history(system: Any, scene: Scene) -> dict[str, Any]:
    """Return what's stored, line by line."""
    async with system.opened(scene.folder, scene) as session:
        return {"history": await session.history()}


async def grow(system: Any, scene: Scene) -> dict[str, Any]:
    """Run as many turns as the argument says, each with 2 KB that's new."""
    count = int(scene.argument.partition("/")[0])
    began = perf_counter()
    async with system.opened(scene.folder, scene) as session:
        for number in range(count):
            await session.run(text_of(scene.argument, "question", number))
    return {"seconds": perf_counter() - began}


SCENES: Final = {each.__name__: each for each in (prepare, crash, resume, race, history, grow)}


def main() -> None:
    """Play the scene that's asked for; print how it ended."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a system prints must not get between our answers
    file, name, folder, argument, variant = sys.argv[1:]
    scene = Scene(name, Path(folder), argument, variant)
    try:
        answer = asyncio.run(SCENES[name](load(Path(file)), scene))
    except Exception as error:
        answer = {"error": type(error).__name__, "said": str(error)[:300]}
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
