"""
The bar for a plugin framework is written down whole, and what it names is there.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/decisions/plugin-bar.md").read_text(encoding="utf-8")
LATER = (ROOT / "docs/decisions/later.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_every_item_has_a_row() -> None:
    """
    What isn't listed is forgotten.
    """
    assert list(range(1, 45)) == [int(number) for number, _what, _how in ROW.findall(PAGE)]


def test_every_test_that_is_named_exists() -> None:
    """
    A renamed test must not leave its item bare.
    """
    cited = re.findall(r"`([\w/-]+)::(test_\w+)`", PAGE)
    missing = [
        f"{file}::{name}" for file, name in cited if f"def {name}(" not in source(file, cited)
    ]

    assert len(cited) > 50
    assert [] == missing


def source(file: str, cited: object) -> str:
    plugin, _, name = file.rpartition("/")
    folder = ROOT / "plugins" / plugin / "tests" if plugin else ROOT / "tests"
    return (folder / f"test_{name}.py").read_text(encoding="utf-8")


def test_what_needs_releases_is_named_among_what_comes_later() -> None:
    """
    Put off is not dropped.
    """
    put_off = [int(number) for number, _what, how in ROW.findall(PAGE) if "later.md" in how]

    assert [10, 11, 33, 36, 38, 39, 40] == put_off
    assert put_off == [int(number) for number in re.findall(r"^\| (\d+) \|", LATER, re.MULTILINE)]
