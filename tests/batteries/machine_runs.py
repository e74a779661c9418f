"""Runs of the state machine, and what they report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, TypeAlias

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from .report import Report
from .stands import Stand
from .store_machine import Shape
from .store_moves import MOVES, Moves

SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

Stands: TypeAlias = Sequence[Callable[[], Stand]]
"""What makes the stands of a run: one, or several that go in lockstep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """
    How long a run is: so many examples of so many steps.

    Attributes:
        share: What part of the steps each move has to have at least.
    """

    examples: int
    steps: int
    share: float = 0.005  # in a short run chance alone may leave a move behind


FULL: Final = Size(examples=2000, steps=100, share=0.01)
"""What a full run has to be, on every store."""


def play(
    makes: Stands, size: Size, chance: int, *, shrink: bool = True
) -> tuple[Shape, BaseException | None]:
    """Return what a run did on these stores, and what it found."""

    class Played(Moves):
        pass

    Played.makes, Played.shape = makes, Shape()
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    test = get_state_machine_test(
        Played,
        settings=settings(
            max_examples=size.examples,
            stateful_step_count=size.steps,
            database=None,
            deadline=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=[*SLOW_IS_FINE],
        ),
    )
    try:
        seed(chance)(test)()
    except Exception as error:
        return Played.shape, error
    return Played.shape, None


def report(
    name: str, makes: Stands, size: Size, chance: int, planted: Sequence[Stands] = ()
) -> Report:
    """
    Return the report of a run: its shape, and how soon planted faults were found.

    Raises:
        Exception: What the run found, with the shortest way to it that's known.
    """
    start = time.monotonic()
    shape, error = play(makes, size, chance)
    if error is not None:
        raise error
    caught = [play(each, size, chance, shrink=False)[0].found for each in planted]
    rarest, times = min(counts(shape).items(), key=lambda move: move[1])
    figures: dict[str, float | str] = {
        "steps": shape.steps,
        "rarest": f"{rarest} {times / shape.steps:.1%}",
    }
    if found := [steps for steps in caught if steps]:
        figures["steps to find a planted fault, median"] = median(found)
        figures["most"] = max(found)
    return Report(
        battery=f"state machine/{name}",
        seed=chance,
        cases=min(shape.examples, size.examples),
        planned=size.examples,
        operations=sum(shape.moves.values()),
        floor=size.examples * size.steps * 9 // 10,
        faults=sum(shape.moves[move] for move in FAULTS),
        violations=tuple(missed(name, shape, size)),
        caught=len(found),
        planted=len(planted),
        seconds=time.monotonic() - start,
        figures=figures,
    )


def missed(name: str, shape: Shape, size: Size) -> Iterator[str]:
    """Yield what a run of that name and size should have done and hasn't, a sentence each."""
    least = FULL if name.endswith(", full") else size
    if shape.examples < least.examples:
        yield f"expected {least.examples} examples, found {shape.examples}"
    if size.steps < least.steps:
        yield f"expected examples of {least.steps} steps, found {size.steps}"
    for move, times in counts(shape).items():
        if times < least.share * shape.steps:
            yield f"{move} is under {least.share:.1%} of the steps"


def counts(shape: Shape) -> dict[str, int]:
    """Return how often each move did what it's for, those that never did included."""
    return {move.act.__name__: shape.moves[move.act.__name__] for move in MOVES}


FAULTS = ("crash", "steal", "lose_the_reply", "jump", "write_stale")
"""The moves that are faults: a death, a theft, a cancel, a clock that jumps."""
