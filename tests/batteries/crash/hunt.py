"""How a battery runs its cases, and how it's tried on planted faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .cancel import Case
from .matrix import Point

Try = Callable[[Point], Awaitable[Case]]


@dataclass(slots=True)
class Tally:
    """
    What many cases came to.

    Attributes:
        operations: Acknowledged commits and inputs that were looked for afterwards.
        kept: How many cases went on from a journal.
        landed: How many ended with the reply lost of something that had landed.
    """

    cases: int = 0
    operations: int = 0
    kept: int = 0
    landed: int = 0
    wrong: list[str] = field(default_factory=list)


async def sweep(points: Iterable[Point], attempt: Try) -> Tally:
    """Return what came of all *points*."""
    tally = Tally()
    for point in points:
        case = await attempt(point)
        tally.cases += 1
        tally.operations += len(case.acks)
        tally.kept += case.found.startswith("interrupted")
        tally.landed += point.placement == "inside" and point.mode != "cancel"
        tally.wrong += problems(point, case)
    return tally


def problems(point: Point, case: Case) -> list[str]:
    """Return what is wrong with what came of *point*."""
    judged = point.judge(case.found)
    return [*([judged] if judged else []), *[f"{point}: {each}" for each in case.wrong]]


async def caught(points: Sequence[Point], attempt: Try) -> bool:
    """Return whether anything is wrong at any of *points*."""
    for point in points:
        if problems(point, await attempt(point)):
            return True
    return False
