"""`python -m benchmarks.survival`: play the scenes with every system, and write the page."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Final

from benchmarks.environments import HERE
from benchmarks.report import machine
from benchmarks.survival.page import page
from benchmarks.survival.scenes import OURS, THEIRS, flatness, survive

NEAR: Final = 100
FAR: Final = 1000
EACH: Final = 50
"""Turns that a time is the median of."""


def survival() -> dict[str, Any]:
    """Return what every system showed in one run."""
    found: dict[str, Any] = {"machine": machine(), "systems": {}}
    for candidate in (*OURS, *THEIRS):
        print(f"{candidate.name} …", file=sys.stderr)
        found["systems"][candidate.name] = survive(candidate)
    found["flat"] = flatness(NEAR, FAR, EACH)
    return found


def main() -> None:
    """Measure; write `docs/survival.md` and `benchmarks/survival.json`; fail if ours is wrong."""
    argparse.ArgumentParser(prog="python -m benchmarks.survival", description=__doc__).parse_args()
    found = survival()
    text = page(found)
    (HERE.parent / "docs" / "survival.md").write_text(text, encoding="utf-8")
    data = json.dumps(found, indent=1, sort_keys=True) + "\n"
    (HERE / "survival.json").write_text(data, encoding="utf-8")
    print(text)
    ours = [found["flat"], *[found["systems"][each.name] for each in OURS]]
    if not all(_right(each) for each in ours):
        sys.exit("a measurement of lash-sdk has the wrong answer")


def _right(found: dict[str, Any]) -> bool:
    """Whether everything in there that has a right answer has it."""
    inner = [each for each in found.values() if isinstance(each, dict)]
    return found.get("right", True) is True and all(_right(each) for each in inner)


if __name__ == "__main__":
    main()
