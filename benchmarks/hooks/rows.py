"""What plugins may cost, and what three rounds found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.hooks.commands import COMMANDS, FLOOR

Laps = dict[str, list[float]]
"""Each case's time, one figure a lap; in a lap all cases took turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One bound.

    Attributes:
        name: What's measured.
        wanted: The bound; *most* says on which side of it is good.
        found: One figure a round.
        unit: After each figure: "×", "µs".
    """

    name: str
    wanted: float
    found: tuple[float, ...]
    unit: str = "×"
    most: bool = True

    @property
    def met(self) -> bool:
        """Whether the median of the rounds is on the good side."""
        found = median(self.found)
        return found <= self.wanted if self.most else found >= self.wanted

    def to_json(self) -> dict[str, Any]:
        """Return the row for the report."""
        return {
            "name": self.name,
            "wanted": f"{'at most' if self.most else 'at least'} {self.wanted:g} {self.unit}",
            "min": min(self.found),
            "median": median(self.found),
            "max": max(self.found),
            "met": self.met,
        }


Ratio = tuple[str, str, str, float, bool]
"""Name, the case above, the case below, the bound, and whether it's the most."""

CALLS: Final[tuple[Ratio, ...]] = (
    ("async collect of 5, by the unrolled awaits", "our_async", "unrolled_awaits", 2, True),
    ("async collect of 5, times faster than apluggy", "apluggy_async", "our_async", 10, False),
    ("sync collect of 5, by direct calls", "our_sync", "direct_calls", 4, True),
    ("sync collect of 5, times faster than pluggy", "pluggy_sync", "our_sync", 4, False),
    ("no implementation, times faster than pluggy", "pluggy_nobody", "our_nobody", 6, False),
)
OPENINGS: Final[tuple[Ratio, ...]] = (
    (
        "a session opened with 20 plugins, times faster than a pluggy manager a session",
        "a pluggy manager",
        "open, 20 plugins",
        100,
        False,
    ),
)
STATES: Final = {
    "a new session opened with 20 states": "open, 20 states",
    "a stored session opened with 20 states that its fork has": "open again, 20 states",
    "a session forked and opened with 20 states": "fork, 20 states",
}
"""By row, its case: at most `MICROSECONDS`."""
MICROSECONDS: Final = 100.0

STARTS: Final = {name: 2.5 if name == "lash --help" else 1.5 for name in COMMANDS}
"""By command, how many times `import asyncio` it may take."""


def judge(
    calls: Sequence[Laps], openings: Sequence[Laps], starts: Sequence[Laps]
) -> tuple[Row, ...]:
    """Return every row, from the laps of each round."""
    rows = [_ratio(ratio, calls) for ratio in CALLS]
    rows += [_ratio(ratio, openings) for ratio in OPENINGS]
    rows += [
        Row(
            name=name,
            wanted=MICROSECONDS,
            found=_each(openings, lambda laps, case=case: median(laps[case]) / 1e3),  # type: ignore[misc]
            unit="µs",
        )
        for name, case in STATES.items()
    ]
    starting = [(f"{name}, by {FLOOR}", name, FLOOR, most, True) for name, most in STARTS.items()]
    return (*rows, *[_ratio(ratio, starts) for ratio in starting])


def _ratio(ratio: Ratio, rounds: Sequence[Laps]) -> Row:
    """Return a row of the median of the laps' own ratios, so that a slow lap decides nothing."""
    name, above, below, wanted, most = ratio

    def of(laps: Laps) -> float:
        return median([a / b for a, b in zip(laps[above], laps[below], strict=True)])

    return Row(name=name, wanted=wanted, found=_each(rounds, of), most=most)


def _each(rounds: Sequence[Laps], of: Callable[[Laps], float]) -> tuple[float, ...]:
    return tuple([of(laps) for laps in rounds])
