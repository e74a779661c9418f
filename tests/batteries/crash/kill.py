"""A2 and A5: a process is killed at a point, a fresh one goes on; maybe killed as well."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from .cancel import Case, MakePlace
from .checks import examine
from .matrix import Point
from .room import ROOM
from .seams import Ledger
from .zygote import Said, Zygote, acks


async def run(
    zygote: Zygote,
    make: MakePlace,
    point: Point,
    *,
    planted: Sequence[str] = (),
    again: int | None = None,
) -> Case:
    """
    Return what comes of the reference turn when its process is killed at *point*.

    With *again*, the process that resumes it is killed at that many points of its own,
    and a third one goes on. Faults may be *planted*.
    """
    case = Case()
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        place = make(Path(folder) / "place")
        ledger = Path(folder) / "ledger"
        job = {"address": place.address(), "ledger": str(ledger), "planted": list(planted)}
        child = zygote.start("play", stop=point.stop, **job)
        _take(case, *child.until("at"))
        _take(case, None, child.kill())
        said = None
        while said is None or said[0] == "at":
            child = zygote.start("recover", stop=again, acked=_acked(case), **job)
            again, said = None, _take(case, *child.until("at", "recovered"))
            case.twice = case.twice or (said is not None and said[0] == "at")
            _take(case, None, child.kill())
            if said is None:
                break
        if said is not None:
            case.wrong += said[2]
        end, wrong = await examine(place, case.acks)
        case.wrong += wrong
        counts = Ledger(ledger)
        after = said[1] if said else "?"
        case.found = f"{after} {end} {counts.count('note')} {counts.count('send')}"
        if counts.count("send") > 1:
            case.wrong.append("`send` took effect twice")
    return case


def _acked(case: Case) -> bool:
    return ("input", "k") in case.acks


def _take(case: Case, last: Said | None, said: list[Said]) -> Said | None:
    """Keep what a process acknowledged and what went wrong in it; return its last word."""
    case.acks += acks(said)
    for words in said:
        if words[0] == "raised":
            case.wrong.append(f"{words[1]}: {words[2]}")
        case.reached = case.reached and words[0] != "played"
    return last
