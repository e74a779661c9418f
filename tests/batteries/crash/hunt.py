"""How a battery runs its cases, and how it's tried on planted faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from .cancel import Case


class Aim(Protocol):
    """Something that a case is made of: a point, or the n-th call of a kind."""

    def judge(self, found: str) -> str | None:
        """Return what is wrong with what was found, if anything is."""
        ...


A = TypeVar("A", bound=Aim)


@dataclass(slots=True)
class Tally:
    """
    What many cases came to.

    Attributes:
        cases: Those that came to their point.
        operations: Acknowledged commits and inputs that were looked for afterwards.
        resumed: How many cases went on from a journal.
    """

    cases: int = 0
    operations: int = 0
    resumed: int = 0
    wrong: list[str] = field(default_factory=list)


async def sweep(aims: Iterable[A], attempt: Callable[[A], Awaitable[Case]]) -> Tally:
    """Return what came of all *aims*."""
    tally = Tally()
    for aim in aims:
        case = await attempt(aim)
        tally.cases += case.reached
        tally.operations += len(case.acks)
        tally.resumed += case.found.startswith("interrupted")
        tally.wrong += problems(aim, case)
    return tally


def problems(aim: Aim, case: Case) -> list[str]:
    """Return what is wrong with what came of *aim*."""
    if not case.reached:
        return []
    judged = aim.judge(case.found)
    return [*([judged] if judged else []), *[f"{aim}: {each}" for each in case.wrong]]


async def caught(aims: Iterable[A], attempt: Callable[[A], Awaitable[Case]]) -> bool:
    """Return whether anything is wrong at any of *aims*."""
    for aim in aims:
        if problems(aim, await attempt(aim)):
            return True
    return False
