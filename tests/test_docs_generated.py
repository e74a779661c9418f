"""
Pages of the docs that are made from the code say what the code says.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lash_sdk.turn import TABLE

DOCS = Path(__file__).resolve().parent.parent / "docs"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = load()


@pytest.mark.parametrize("name", GENERATE.PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    """
    Run `make docs` after a change of the code it shows.
    """
    page = (DOCS / name).read_text(encoding="utf-8")

    assert GENERATE.PAGES[name]() == page


def test_the_page_on_turns_shows_every_row_of_the_table() -> None:
    """
    What isn't drawn is looked for in vain.
    """
    page = GENERATE.turn_page()

    for phase, rows in TABLE.items():
        assert f'state "{phase.value}" as {phase.name}' in page
        for event, (_, phases) in rows.items():
            assert f"| {phase.value} | `{event.__name__}` |" in page
            for after in phases:
                drawn = [line for line in page.splitlines() if event.__name__ in line]
                arrow = f"{phase.name} --> {after.name}: "
                assert after is phase or any(arrow in line for line in drawn)
