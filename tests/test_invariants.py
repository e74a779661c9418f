"""
The table of invariants is whole, and what it names is there.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs/decisions/invariants.md").read_text(encoding="utf-8")
SECTIONS = {
    part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
NUMBERS = {
    "Plugins, tools and the machine": range(1, 82),
    "Graph and store": range(1, 34),
    "Turns": range(34, 66),
    "Sessions among sessions": range(66, 101),
}
"""The rows of each section that have to be there."""

PLACES = (TESTS, TESTS.parent / "lash_sdk" / "testing", *TESTS.parent.glob("plugins/*/tests"))


def rows(text: str) -> dict[int, str]:
    """Return the last cell of each numbered row."""
    found = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    assert len(found) == len({number for number, _ in found})
    return {int(number): cell.strip() for number, cell in found}


@pytest.mark.parametrize("section", NUMBERS)
def test_every_invariant_has_a_row(section: str) -> None:
    """
    What isn't listed is forgotten, and what isn't answered is open.
    """
    found = rows(SECTIONS[section])

    assert list(NUMBERS[section]) == list(found)
    assert [] == [number for number, cell in found.items() if len(cell) < 10]


def test_every_test_that_is_named_exists() -> None:
    """
    A renamed test must not leave its invariant bare.
    """
    cited = re.findall(r"`(\w+)::(test_\w+)`", PAGE)
    texts: dict[str, str] = {}
    for place in PLACES:
        for path in place.glob("*.py"):
            name = path.stem.removeprefix("test_")
            texts[name] = texts.get(name, "") + path.read_text(encoding="utf-8")
    missing = [
        f"{file}::{name}"
        for file, name in cited
        if not re.search(rf"def {name}\(", texts.get(file, ""))
    ]

    assert len(cited) > 200
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
