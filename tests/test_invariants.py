"""
The table of invariants is whole, and what it names is there.
"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs/decisions/invariants.md").read_text(encoding="utf-8")
PLUGINS, TURNS = PAGE.split("\n## Turns\n")


def rows(text: str) -> dict[int, str]:
    """Return the last cell of each numbered row."""
    found = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    assert len(found) == len({number for number, _ in found})
    return {int(number): cell.strip() for number, cell in found}


def test_every_invariant_has_a_row() -> None:
    """
    What isn't listed is forgotten.
    """
    assert list(range(1, 82)) == list(rows(PLUGINS))
    assert list(range(34, 66)) == list(rows(TURNS))
    assert all(rows(PLUGINS).values()) and all(rows(TURNS).values())


def test_every_test_that_is_named_exists() -> None:
    """
    A renamed test must not leave its invariant bare.
    """
    cited = re.findall(r"`(\w+)::(test_\w+)`", PAGE)
    missing = [
        f"{file}::{name}"
        for file, name in cited
        if not re.search(rf"def {name}\(", (TESTS / f"test_{file}.py").read_text(encoding="utf-8"))
    ]

    assert len(cited) > 50
    assert [] == missing


def test_every_golden_history_that_is_named_exists() -> None:
    """
    The same for histories; `cancel-…` stands for all that begin so.
    """
    folder = TESTS / "golden" / "turns"
    cited = re.findall(r"golden `([\w-]+…?)`", PAGE)

    assert cited
    assert [] == [
        name for name in cited if not list(folder.glob(name.replace("…", "*") + ".jsonl"))
    ]
