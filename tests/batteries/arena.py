"""Where racers race: a store that many processes share, and what can be done to them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lash_sdk.json import Json
from lash_sdk.testing.store_place import Place

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One race.

    Attributes:
        work: What racers do; a method of `Racer`.
        processes: How many there are at a time.
        sessions: How many they share.
        seconds: How long it takes, starting apart.
        tasks: How many each process does at a time.
        hold: Seconds that a read is held at most.
        kills, stops: How many a second.
        skew: Seconds that their clocks may be off.
        seed: What chance comes from.
    """

    work: str = "commits"
    processes: int = 4
    sessions: int = 1
    seconds: float = 2.0
    tasks: int = 1
    hold: float = 0.02
    kills: float = 0.0
    stops: float = 0.0
    skew: float = 0.0
    seed: int = 0

    @property
    def name(self) -> str:
        """What it's called in a report."""
        what = {"kills": self.kills, "stops": self.stops, "skew": self.skew}
        names = [name for name, value in what.items() if value] or ["plain"]
        return f"{self.work} {self.processes}x{self.sessions} {'+'.join(names)}"


@dataclass(slots=True)
class Ran:
    """What a race left: the lines of all racers, and what was done to them."""

    row: Row
    lines: list[list[Json]] = field(default_factory=list)
    effects: list[list[Json]] = field(default_factory=list)
    kills: int = 0
    stops: int = 0
    seconds: float = 0.0


class Racers:
    """Processes at hand: started once, used for one race after another."""

    def __init__(self, folder: Path) -> None:
        """Start none yet; what they have to complain of is written in *folder*."""
        self._folder = folder
        self._idle: list[subprocess.Popen[bytes]] = []
        self._number = 0

    def take(self) -> subprocess.Popen[bytes]:
        """Return a process that waits for an order."""
        if self._idle:
            return self._idle.pop()
        self._number += 1
        with (self._folder / f"{self._number}.err").open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.batteries.racer"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            )

    def give(self, racer: subprocess.Popen[bytes]) -> None:
        """Take a process back that has done its order."""
        self._idle.append(racer)

    def complaints(self) -> list[str]:
        """Return the last line of all that ended as they weren't meant to."""
        files = sorted(self._folder.glob("*.err"))
        return [text.splitlines()[-1] for file in files if (text := file.read_text().strip())]

    def dismiss(self) -> None:
        """End them all."""
        for racer in self._idle:
            racer.communicate()
        self._idle.clear()


class Race:
    """The processes of a row, and the one that troubles them."""

    def __init__(self, row: Row, place: Place, folder: Path, racers: Racers) -> None:
        self._row = row
        self._place = place
        self._folder = folder
        self._racers = racers
        self._dice = random.Random(row.seed)
        self._number = 0
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ran = Ran(row)

    def run(self) -> Ran:
        """Return what a race left; nothing of it runs any more."""
        start = time.monotonic()
        try:
            for _ in range(self._row.processes):
                self._start(self._row.seconds)
            self._trouble(start + self._row.seconds)
            while self._running:
                _, racer = self._running.popitem()
                assert racer.stdout is not None
                if b"done\n" == racer.stdout.readline():
                    self._racers.give(racer)
                else:
                    racer.communicate()
        finally:
            for racer in self._running.values():
                racer.kill()
                racer.communicate()
        self._ran.seconds = time.monotonic() - start
        self._ran.lines = list(_read(self._folder.glob("*.log")))
        self._ran.effects = list(_read([self._folder / "effects"]))
        return self._ran

    def _start(self, seconds: float, heir: str = "") -> None:
        """Start a racer; it repeats the last of what *heir*, the log of a dead one, says."""
        self._number += 1
        name = f"p{self._number}"
        order = {
            "name": name,
            "factory": self._place.factory,
            "url": self._place.url,
            "work": self._row.work,
            "sessions": [f"s{number}" for number in range(self._row.sessions)],
            "hold": self._row.hold,
            "seconds": seconds,
            "tasks": self._row.tasks,
            "heir": heir,
            "offset": self._dice.uniform(-1, 1) * self._row.skew,
            "seed": self._row.seed,
            "log": str(self._folder / f"{name}.log"),
            "effects": str(self._folder / "effects"),
        }
        self._running[name] = racer = self._racers.take()
        assert racer.stdin is not None
        racer.stdin.write(json.dumps(order).encode() + b"\n")
        racer.stdin.flush()

    def _trouble(self, until: float) -> None:
        """Kill and stop racers at random until time is up; a dead one has an heir."""
        rate = self._row.kills + self._row.stops
        while rate and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self._dice.expovariate(rate)))
            ready = [name for name in self._running if (self._folder / f"{name}.log").exists()]
            if not ready or time.monotonic() >= until:
                continue
            name = self._dice.choice(ready)
            racer = self._running[name]
            if self._dice.random() * rate < self._row.kills:
                del self._running[name]
                racer.kill()
                racer.communicate()
                self._ran.kills += 1
                left = max(until - time.monotonic(), 0.1)
                self._start(left, str(self._folder / f"{name}.log"))
            else:
                racer.send_signal(signal.SIGSTOP)
                time.sleep(self._dice.uniform(0.02, 0.15))
                racer.send_signal(signal.SIGCONT)
                self._ran.stops += 1


def _read(files: Iterable[Path]) -> Iterator[list[Json]]:
    for file in files:
        if file.exists():
            for line in file.read_bytes().splitlines():
                yield json.loads(line)
