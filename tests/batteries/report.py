"""The one line that every battery reports, printed and saved."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "build" / "batteries"
"""Where the figures of the last run lie; what is published of them is in docs/reliability.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What a battery did and found.

    Attributes:
        battery: Its name, and the lane if there are several: "crash A1/sqlite".
        seed: What all its chance came from; None where nothing was left to chance.
        cases: Cases that ran.
        planned: Cases that there are; equal to *cases* where all of them ran.
        operations: Operations that took effect, which the floor is on.
        floor: How many operations it must have done.
        faults: Faults that were injected.
        violations: Promises found broken, a sentence each.
        caught: Planted faults that were caught.
        planted: Planted faults that there are.
        seconds: How long it took.
        figures: What else is worth printing, by name.
    """

    battery: str
    cases: int
    planned: int
    operations: int
    floor: int
    seconds: float
    seed: int | None = None
    faults: int = 0
    violations: tuple[str, ...] = ()
    caught: int = 0
    planted: int = 0
    figures: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The report in one line."""
        parts = [
            self.battery,
            f"seed {self.seed}" if self.seed is not None else "enumerated",
            f"cases {self.cases}/{self.planned}",
            f"operations {self.operations} (floor {self.floor})",
            f"faults {self.faults}",
            f"violations {len(self.violations)}",
            f"planted {self.caught}/{self.planted}",
            f"{self.seconds:.1f} s",
            *[f"{name} {value}" for name, value in self.figures.items()],
        ]
        return " | ".join(parts)

    def publish(self) -> None:
        """
        Print the line, save it as JSON, and hold the battery to its word.

        Raises:
            AssertionError: A promise was broken, a floor missed or a planted fault
                got through.
        """
        print(self.line)
        FOLDER.mkdir(parents=True, exist_ok=True)
        name = "".join([c if c.isalnum() else "-" for c in self.battery])
        found = asdict(self) | {"python": platform.python_version(), "at": int(time.time())}
        text = json.dumps(found, indent=2, sort_keys=True, default=list)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        sys.stdout.flush()

        assert () == self.violations
        assert self.cases == self.planned
        assert self.operations >= self.floor
        assert self.caught == self.planted
