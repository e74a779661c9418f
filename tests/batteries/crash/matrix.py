"""
Every point at which the reference turn can be ended, and what was ruled for each.

Points are made from the golden trace: a new operation brings its points by itself, and
a point without a ruling fails. Rulings are written by hand, in `crash_rulings.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[1] / "crash_rulings.json"

MODES: Final = ("kill", "cancel", "fault")

STORE: Final = {
    "kill": ("before", "inside", "after"),
    "cancel": ("before", "inside", "after"),
    "fault": ("before", "inside"),
}
SEAMS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "model": {
        "kill": ("before", "first", "last", "after"),
        "cancel": ("before", "first", "last", "after"),
        "fault": ("before", "first", "last"),
    },
    "tool": {
        "kill": ("before", "effect", "after"),
        "cancel": ("before", "effect", "after"),
        "fault": ("before", "effect"),
    },
    # a claim that fails isn't held, and one is given back by whoever is cancelled or cut
    # off meanwhile: that's the store's own affair
    "claim": {**STORE, "fault": ("before",)},
    "release": {**STORE, "cancel": ("inside", "after"), "fault": ("inside",)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """
    One way to end the turn.

    Attributes:
        mode: "kill", "cancel" or "fault".
        ruling: What was ruled; None if nobody did.
    """

    operation: str
    placement: str
    mode: str
    ruling: str | None

    @property
    def stop(self) -> str:
        """How the gate knows it."""
        return f"{self.operation}.{self.placement}"

    def __str__(self) -> str:
        return f"{self.mode} {self.stop}"

    def judge(self, found: str) -> str | None:
        """Return what is wrong with what was *found*: it isn't what was ruled."""
        if self.ruling is None:
            return f"{self}: nobody ruled; found {found!r}"
        fits = any(_fits(each.split(), found.split()) for each in self.ruling.split(" or "))
        return None if fits else f"{self}: expected {self.ruling!r}, found {found!r}"


def _fits(wanted: Sequence[str], words: Sequence[str]) -> bool:
    return len(words) == len(wanted) and all(
        word in choice.split("|") for word, choice in zip(words, wanted, strict=True)
    )


def golden() -> list[str]:
    """Return the golden trace."""
    found: list[str] = json.loads(FILE.read_text())["trace"]
    return found


def points(trace: Sequence[str], *modes: str) -> list[Point]:
    """Return every point of *trace*, in its order."""
    rulings = json.loads(FILE.read_text())["rulings"]
    return list(_points(trace, rulings, modes))


def _points(
    trace: Sequence[str],
    rulings: Mapping[str, Mapping[str, Mapping[str, str]]],
    modes: Sequence[str],
) -> Iterator[Point]:
    for operation in trace:
        seam = SEAMS.get(operation.partition("#")[0].partition(".")[0], STORE)
        for mode in modes:
            for placement in seam[mode]:
                ruling = rulings.get(operation, {}).get(mode, {}).get(placement)
                yield Point(operation=operation, placement=placement, mode=mode, ruling=ruling)


def lost(points: Sequence[Point]) -> int:
    """Return at how many points something is done and its reply lost: nobody can tell."""
    return sum(point.placement == "inside" and point.mode != "cancel" for point in points)
