"""
A8: the process has no descriptor left, or no memory, or its file is taken away, and later
it's back.

That nobody may write, from the start, is in the store's own tests, and that a process is
told twice to end in the command line's: whoever is root can't lose a permission.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import apsw

from lash_sdk.errors import LashError, StoreError

from .cancel import Case
from .full import Want, run
from .places import SqlitePlace
from .plants import FAULTS
from .seams import Ledger
from .vfs import mounted

MIDST: Final = 3
"""The turn before which it begins, where it isn't from the start."""


class Scarce(Want):
    """
    Something that's short from a turn on.

    Attributes:
        begun: Whether it ever was.
    """

    error: type[LashError] = StoreError

    def __init__(self, at: int, begin: Callable[[], None], over: Callable[[], None]) -> None:
        super().__init__(over)
        self.at = at
        self.begun = False
        self._begin = begin

    def before(self, turn: int) -> None:
        """Begin, once."""
        if turn == self.at and not self.begun:
            self.begun = True
            self._begin()


def descriptors(at: int, spare: int, place: SqlitePlace) -> Scarce:
    """Return that there are only so many descriptors more, wherever the file is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def begin() -> None:
        used = {int(name) for name in os.listdir("/proc/self/fd")}
        free = [number for number in range(soft) if number not in used][: spare + 1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], hard))

    return Scarce(at, begin, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))


class Memory:
    """
    A disk on which SQLite has memory for so many calls more that change a file.

    Attributes:
        calls: How many there were.
    """

    def __init__(self, left: int | None) -> None:
        self.left = left
        self.calls = 0

    def over(self) -> None:
        """Have enough of it again."""
        self.left = None

    def _call(self) -> None:
        self.calls += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise apsw.NoMemError("planned: no memory")

    def write(self, name: str, offset: int, data: bytes, size: int) -> None:
        """Count a write."""
        self._call()

    def sync(self, name: str) -> None:
        """Count a flush."""
        self._call()

    def truncate(self, name: str, size: int) -> None:
        """Count a cut."""
        self._call()

    def delete(self, name: str) -> None:
        """Count a removal."""
        self._call()


def taken(place: SqlitePlace, *, replaced: bool) -> Scarce:
    """Return that the database's file is elsewhere; another may stand in its place."""
    kept = place.path.with_name("kept.db")

    def begin() -> None:
        place.path.rename(kept)
        if replaced:
            place.path.write_bytes(kept.read_bytes())

    def over() -> None:
        if kept.exists():
            kept.replace(place.path)

    return Scarce(MIDST, begin, over)


def unlogged(place: SqlitePlace) -> Scarce:
    """Return that the log beside the database is gone; whoever has it open still has it."""
    log = place.path.with_name("a.db-wal")
    return Scarce(MIDST, log.unlink, lambda: None)


Make: TypeAlias = Callable[[SqlitePlace], Scarce]

MAKES: Final[dict[str, Make]] = {
    **{f"{spare} descriptors to open with": partial(descriptors, 0, spare) for spare in range(7)},
    "no descriptor in the midst": partial(descriptors, MIDST, 0),
    "a file taken away": partial(taken, replaced=False),
    "a file replaced": partial(taken, replaced=True),
    "a log taken away": unlogged,
}
"""What else than memory there's too little of."""

UNNOTICED: Final = ("no descriptor in the midst", "a log taken away")
"""Those that a store which has all of its files open needn't notice."""


async def play(folder: Path, name: str, *, planted: str | None = None) -> Case:
    """Return what comes of ten turns while that is scarce."""
    before = len(os.listdir("/proc/self/fd"))
    place = SqlitePlace(folder / "place")
    with ExitStack() as on:
        scarce = MAKES[name](place)
        on.callback(scarce.over)
        if planted is not None:
            on.enter_context(FAULTS[planted]())
        case = await run(place, Ledger(folder / "ledger"), scarce)
    if case.reached is (name in UNNOTICED):
        case.wrong.append("it wasn't noticed" if not case.reached else "it was noticed")
    if more := len(os.listdir("/proc/self/fd")) - before:
        case.wrong.append(f"{more} descriptors are left open")
    return case


async def with_memory(folder: Path, memory: Memory, *, planted: str | None = None) -> Case:
    """Return what comes of ten turns with so much *memory*."""
    with ExitStack() as on:
        if planted is not None:
            on.enter_context(FAULTS[planted]())
        on.enter_context(mounted(memory))
        want = Want(memory.over)
        want.error = StoreError
        return await run(SqlitePlace(folder / "place"), Ledger(folder / "ledger"), want)
