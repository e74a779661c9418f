"""
A7: a disk that's full after so many bytes, and has room again later.

The ten turns and what has to come of them are A8's too, where something else is short.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import apsw

from lash_sdk import Lash
from lash_sdk.errors import LashError, StoreFull
from lash_sdk.session import Session

from .cancel import Case
from .checks import Seen, seen
from .gate import Gate
from .places import Place, SqlitePlace
from .plants import FAULTS
from .seams import GatedStore, Ledger, StrictModel, refusal, tools
from .vfs import mounted

TURNS: Final = ("hi", "go", *[f"{number} {'x' * 3000}" for number in range(1, 9)])
"""What is said, each once."""


class Budget:
    """
    A disk on which files may grow by so many bytes together.

    Attributes:
        left: What there's still room for; None if there's no end of it.
        peak: How much they had grown at most.
        refused: How many writes found no room.
    """

    def __init__(self, left: int | None) -> None:
        self.left = left
        self.peak = 0
        self.refused = 0
        self._grown = 0
        self._sizes: dict[str, int] = {}

    def write(self, name: str, offset: int, data: bytes, size: int) -> None:
        """Refuse a write that makes its file too long."""
        growth = max(0, offset + len(data) - size)
        if self.left is not None and growth > self.left:
            self.refused += 1
            raise apsw.FullError("planned: no room")
        self._grow(growth)
        self._sizes[name] = max(size, offset + len(data))

    def sync(self, name: str) -> None:
        """Accept."""

    def truncate(self, name: str, size: int) -> None:
        """Give back what is cut off."""
        self._grow(min(0, size - self._sizes.get(name, size)))
        self._sizes[name] = size

    def delete(self, name: str) -> None:
        """Give back what is removed."""
        self._grow(-self._sizes.pop(name, 0))

    def _grow(self, growth: int) -> None:
        self._grown += growth
        self.peak = max(self.peak, self._grown)
        if self.left is not None:
            self.left -= growth


@contextmanager
def small(folder: Path) -> Generator[Callable[[], None] | None]:
    """
    Yield what makes room on a real disk of four megabytes, mounted at *folder*.

    None if this process may not mount anything.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "battery", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(3600 * 1024))
        yield partial(ballast.unlink, missing_ok=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class Want:
    """
    Something that there's too little of: here room, which ends by itself.

    Attributes:
        error: What its lack has to be told as.
    """

    error: type[LashError] = StoreFull

    def __init__(self, over: Callable[[], None]) -> None:
        self.over = over

    def before(self, turn: int) -> None:
        """Begin, if that's before the turn of this number."""


async def run(place: Place, ledger: Ledger, want: Want) -> Case:
    """Return what comes of ten turns in *want*, which is over once it was told of."""
    case = Case(reached=False)
    left = list(TURNS)
    while left:
        want.before(len(TURNS) - len(left))
        try:
            await _talk(place, ledger, left, want, case)
        except want.error:  # it couldn't even be opened
            case.reached = True
            want.over()
        except LashError as error:
            case.wrong.append(f"told {type(error).__name__}: {error}")
            return case
    if case.reached:
        case.wrong += _left(place)  # else want lasted to the end, and the log stays for the next
    want.over()
    case.wrong += place.look()
    store = place.store()
    await store.open()
    case.wrong += check(await seen(store, place.session), case, ledger)
    await store.close()
    case.wrong += _left(place)
    return case


def _left(place: Place) -> list[str]:
    files = place.leftovers()
    return [f"left behind: {files!r}"] if files else []


async def _talk(place: Place, ledger: Ledger, left: list[str], want: Want, case: Case) -> None:
    """Take turns until none is *left*; in want read, let it be over, go on."""
    gate = Gate()
    store, model = GatedStore(place.store(), gate), StrictModel(gate)
    made = tools(gate, ledger)
    async with (
        Lash(model=model, store=store, tools=made, autoload=False) as lash,
        lash.session(place.session) as session,
    ):
        while left:
            want.before(len(TURNS) - len(left))
            try:
                record = await session.run(left[0])
                case.acks.append(("turn", record.id))
            except want.error:
                case.reached = True
                await _read(session, store, case)
                want.over()
                await _again(session, left[0], case)
            left.pop(0)
        case.wrong += model.refused


async def _read(session: Session, store: GatedStore, case: Case) -> None:
    """Read everything there is, in want."""
    told = await seen(store, session.id)
    if len(session.messages) != len(told.messages):
        case.wrong.append(f"{len(session.messages)} messages here, {len(told.messages)} there")
    for _, id in case.acks:
        if id not in told.operations:
            case.wrong.append(f"acknowledged and lost in want: turn {id!r}")


async def _again(session: Session, text: str, case: Case) -> None:
    """Do what there was no room for; nothing is opened again for that."""
    record = await (session.resume() if session.interrupted else session.run(text))
    if record is None:
        case.wrong.append(f"{text[:5]!r}: interrupted, and nothing to resume")
    else:
        case.acks.append(("turn", record.id))


def check(told: Seen, case: Case, ledger: Ledger) -> list[str]:
    """Return what isn't as it should be in the end: every turn is there, once."""
    wrong: list[str] = []
    said = [message.text for message in told.messages if message.role == "user"]
    if said != list(TURNS):
        wrong.append(f"expected {len(TURNS)} inputs, found {[each[:5] for each in said]!r}")
    if told.operations != [id for _, id in case.acks]:
        wrong.append("the commits aren't those that were acknowledged")
    if told.revisions != list(range(1, len(TURNS) + 1)) or told.turns != len(TURNS):
        wrong.append(f"revisions {told.revisions!r}, {told.turns} turns")
    if told.pending or told.journal:
        wrong.append(f"stranded: {told.pending!r}, {told.journal} journal rows")
    if why := refusal([*told.messages, *told.messages[:1]]):
        wrong.append(f"a provider would refuse: {why}")
    if ledger.count("send") != 1 or ledger.count("note") not in (1, 2):
        wrong.append(f"`send` {ledger.count('send')} times, `note` {ledger.count('note')}")
    return wrong


async def with_budget(folder: Path, budget: Budget, *, planted: str | None = None) -> Case:
    """Return what comes of it on a disk with a *budget*."""

    def make_room() -> None:
        budget.left = None

    with ExitStack() as on:
        if planted is not None:
            on.enter_context(FAULTS[planted]())
        on.enter_context(mounted(budget))
        return await run(SqlitePlace(folder / "place"), Ledger(folder / "ledger"), Want(make_room))
