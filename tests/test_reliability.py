"""
The page on reliability prints no promise that no battery backs.
"""

from __future__ import annotations

from typing import Any

import pytest

from .test_docs_generated import GENERATE

PAGE = GENERATE.reliability.page
PROMISES = GENERATE.reliability.PROMISES


def report(battery: str, **found: Any) -> dict[str, Any]:
    """Return the report of a battery in which all was well, but for what was *found*."""
    good = {
        "battery": battery,
        "cases": 3,
        "planned": 3,
        "operations": 9,
        "floor": 9,
        "faults": 3,
        "violations": [],
        "caught": 5,
        "planted": 5,
        "seconds": 1.0,
        "figures": {"resumed": 2},
    }
    return good | found


def promised(page: str) -> list[str]:
    """Return the names of the promises that a page makes."""
    head, _, rest = page.partition("## Not promised yet")
    names = [promise.name for promise in PROMISES]

    assert all((f"**{name}.**" in head) != (f"**{name}.**" in rest) for name in names)
    return [name for name in names if f"**{name}.**" in head]


def test_there_are_fourteen() -> None:
    """
    None is left out because it would be hard to show.
    """
    assert [f"P{number}" for number in range(1, 15)] == [p.name.split()[0] for p in PROMISES]
    assert all(promise.needs for promise in PROMISES)


def test_without_figures_nothing_is_promised() -> None:
    """
    A promise is what a battery has shown, not what was meant.
    """
    assert [] == promised(PAGE([]))


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ({}, True),
        ({"violations": ["lost"]}, False),
        ({"caught": 4}, False),
        ({"operations": 8}, False),
        ({"cases": 2}, False),
    ],
)
def test_one_violation_takes_a_promise_back(found: dict[str, Any], kept: bool) -> None:
    """
    So does a planted fault that got through, a floor that was missed, a case left out.
    """
    names = promised(PAGE([report("crash A7/sqlite", **found)]))

    assert ([PROMISES[4].name] if kept else []) == names


def test_any_battery_has_its_row_and_a_control_a_table_of_its_own() -> None:
    """
    Whoever adds a battery has nothing to add here; its small lane makes way for the large.
    """
    page = PAGE(
        [
            report("new/store"),
            report("old, quick", cases=1, planned=1),
            report("old"),
            report("new/store, control: no flush", figures={"lost": 7}),
        ]
    )
    figures, _, controls = page.partition("## What failure looks like")

    assert "| new/store | 3 | 9 | 3 | 0 | 5/5 | 1 | resumed 2 |" in figures
    assert "old, quick" not in figures
    assert "| new/store, control: no flush | 3 | lost 7 |" in controls
