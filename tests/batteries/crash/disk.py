"""A3: the n-th call that changes a file fails, or is the process' last."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from lash_sdk.errors import LashError

from . import preload
from .cancel import Case
from .checks import examine
from .places import SqlitePlace
from .room import ROOM
from .seams import Ledger
from .turn import Stage, opened, play, prepare
from .vfs import SPRINGS, Trap, die, mounted
from .zygote import Child, Said, Zygote, acks

TYPED: Final = {
    "enospc": {"StoreFull"},
    "eio": {"StoreError", "StoreCorrupt", "StoreBusy"},
    "emfile": {"StoreError"},
    # of its shared memory SQLite says that it couldn't grow, and not why
    "enospc anywhere": {"StoreFull", "StoreError"},
    "eio anywhere": {"StoreError", "StoreCorrupt", "StoreBusy", "StoreFull"},
}
"""What a caller may be told, by what the disk did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snap:
    """
    One way for a disk to fail.

    Attributes:
        at: The number of the call; 0 for none.
        does: "kill", "eio" or "enospc".
        suffix: How the names of files end whose calls count, in the C library; empty
            for what SQLite does to its own, in the VFS.
    """

    at: int
    does: str
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.does} at call {self.at} {self.suffix}".rstrip()

    def judge(self, found: str) -> str | None:
        """Return nothing: where it strikes isn't known, so what must hold always must."""
        return None


async def mend(stage: Stage) -> None:
    """Do again what the turn before didn't come to, once the disk works."""
    async with opened(stage) as on:
        if on.session.interrupted:
            await on.session.resume()
        elif on.session.revision == 0:
            await on.session.run("hi")


async def do_sweep(line: Any, job: Mapping[str, Any]) -> None:
    """Run the turn before and the reference turn on a disk that fails once."""
    stage = Stage(
        place=SqlitePlace(Path(job["address"]["folder"])),
        ledger=Ledger(Path(job["ledger"])),
        ack=lambda kind, id: line.say("ack", kind, id),
    )
    suffix = job["suffix"]
    trap = Trap(job["at"], SPRINGS.get(job["does"], die))
    if suffix:
        preload.arm(suffix, job["at"], job["does"])
    with nullcontext() if suffix else mounted(trap):
        for step in (prepare, mend, play):
            try:
                played = await step(stage)
            except LashError as error:
                line.say("failed", type(error).__name__, str(error))
                continue
            if played is not None:
                line.say("wrong", played.wrong)
                if played.error is not None:
                    line.say("failed", type(played.error).__name__, str(played.error))
    line.say("swept", ["call"] * preload.calls() if suffix else trap.calls)


async def calls(zygote: Zygote, *, suffix: str = "", planted: Sequence[str] = ()) -> list[str]:
    """Return every call that a run makes, in order."""
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        place = SqlitePlace(Path(folder) / "place")
        child = zygote.start(
            "sweep",
            address=place.address(),
            ledger=str(Path(folder) / "ledger"),
            at=0,
            does="kill",
            suffix=suffix,
            planted=list(planted),
        )
        said, before = child.until("swept")
        child.ended()
        assert said is not None, before
        found: list[str] = said[1]
        return found


class Starts(Protocol):
    """What starts a process for a job: a zygote, or strace."""

    def start(self, do: str, **job: Any) -> Child:
        """Return a process that does a job."""
        ...


async def run(
    zygote: Zygote, snap: Snap, *, planted: Sequence[str] = (), first: Starts | None = None
) -> Case:
    """
    Return what comes of it when the disk fails as *snap* says.

    Whoever starts the process that it happens to may be another.
    """
    case = Case()
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        place = SqlitePlace(Path(folder) / "place")
        path = Path(folder) / "ledger"
        job = {"address": place.address(), "ledger": str(path), "planted": list(planted)}
        child = (first or zygote).start(
            "sweep", at=snap.at, does=snap.does, suffix=snap.suffix, **job
        )
        said = child.ended()
        _judge(case, snap, said)
        child = zygote.start("recover", acked=("input", "k") in case.acks, **job)
        last, before = child.until("recovered")
        case.acks += acks(before)
        child.ended()
        if last is None:
            case.wrong.append(f"nobody could go on: {before!r}")
            return case
        case.wrong += last[2]
        end, wrong = await examine(place, case.acks)
        case.wrong += wrong
        ledger = Ledger(path)
        notes, sends = ledger.count("note"), ledger.count("send")
        case.found = f"{last[1]} {end} {notes} {sends}"
        if sends > 1 or notes > 2:
            case.wrong.append(f"`send` took effect {sends} times, `note` {notes} times")
        if end == "-" and (notes or sends):
            case.wrong.append("tools took effect in a turn of which nothing is left")
        if ("turn" in [kind for kind, _id in acks(said)]) and end == "?":
            case.wrong.append("an acknowledged turn is gone")
    return case


def _judge(case: Case, snap: Snap, said: Sequence[Said]) -> None:
    """Keep what a process told before it ended, and what it shouldn't have."""
    case.acks += acks(list(said))
    for words in said:
        if words[0] == "wrong":
            case.wrong += words[1]
        elif words[0] == "failed" and words[1] not in TYPED.get(snap.does, ()):
            case.wrong.append(f"told {words[1]}: {words[2]}")
        elif words[0] == "raised":
            case.wrong.append(f"raised {words[1]}: {words[2]}")
    swept = [len(words[1]) for words in said if words[0] == "swept"]
    case.reached = not swept or (snap.does != "kill" and swept[0] >= snap.at)
