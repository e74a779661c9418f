"""Runs of the state machine, and what they report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from .report import Report
from .stands import Stand
from .store_machine import Shape
from .store_moves import MOVES, Moves

SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

SHARE: Final = 0.01
"""What part of the steps each move has to have at least; half of it in a short run."""

LONG: Final = 5000
"""Steps from which on a run is long: before, chance alone may leave a move behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long a run is: so many examples of so many steps."""

    examples: int
    steps: int


def play(
    makes: Sequence[Callable[[], Stand]], size: Size, chance: int, *, shrink: bool = True
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
    name: str,
    makes: Sequence[Callable[[], Stand]],
    size: Size,
    chance: int,
    planted: Sequence[Callable[[], Stand]] = (),
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
    rare = {act.__name__: shape.moves[act.__name__] for _, act in MOVES}
    caught = [play([make], size, chance, shrink=False)[0].found for make in planted]
    figures: dict[str, float | str] = {"steps": shape.steps, "rarest": _rarest(shape, rare)}
    if found := [steps for steps in caught if steps]:
        figures["steps to find a planted fault, median"] = median(found)
        figures["most"] = max(found)
    share = SHARE if shape.steps >= LONG else SHARE / 2
    few = [name for name, times in rare.items() if times < share * shape.steps]
    return Report(
        battery=f"state machine/{name}",
        seed=chance,
        cases=min(shape.examples, size.examples),
        planned=size.examples,
        operations=sum(shape.moves.values()),
        floor=size.examples * size.steps // 2,
        faults=sum(shape.moves[move] for move in FAULTS),
        violations=tuple([f"{move} is under {share:.1%} of the steps" for move in few]),
        caught=len(found),
        planted=len(planted),
        seconds=time.monotonic() - start,
        figures=figures,
    )


FAULTS = ("crash", "steal", "lose_the_reply", "jump", "write_stale")
"""The moves that are faults: a death, a theft, a cancel, a clock that jumps."""


def _rarest(shape: Shape, moves: dict[str, int]) -> str:
    name, times = min(moves.items(), key=lambda item: item[1])
    return f"{name} {times / shape.steps:.1%}"
