"""
What causes the times of `docs/plugin-costs.md`: modules that are loaded, and the page itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.environments import HERE
from benchmarks.hooks.__main__ import page
from benchmarks.hooks.commands import COMMANDS, FLOOR, environment, loaded
from benchmarks.hooks.crowd import DISTRIBUTIONS, PLUGINS, lay
from benchmarks.hooks.rows import CALLS, OPENINGS, STATES, Laps, judge
from lash_sdk.plugins.registered import register
from lash_sdk.plugins.registry import Registry

HEAVY = ("pydantic", "importlib.metadata", "importlib_metadata", "asyncio", "rich", "lash_sdk.app")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what a command sees among 300 packages, with a warm index."""
    home = tmp_path_factory.mktemp("crowd")
    variables = environment(lay(home / "site"), home)
    loaded(("plugins", "doctor"), variables)
    return variables


def test_the_crowd_is_300_packages_with_20_plugins(crowd: dict[str, str]) -> None:
    """
    Times among fewer would promise too much.
    """
    site = Path(crowd["PYTHONPATH"])
    (index,) = Path(crowd["LASH_CACHE"]).glob("plugins-*.json")
    names = {row["name"] for row in json.loads(index.read_text())["plugins"]}

    assert len(list(site.glob("*.dist-info"))) == DISTRIBUTIONS == 300
    assert {f"crowd{at}" for at in range(PLUGINS)} <= names


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_loads_a_plugin_or_what_is_heavy(crowd: dict[str, str], name: str) -> None:
    """
    A start among many packages costs what a start costs.
    """
    found = loaded(COMMANDS[name], crowd)

    assert not found & set(HEAVY)
    assert not [each for each in found if each.startswith(("lash_crowd", "lash_store", "pydantic"))]


def test_a_session_with_twenty_plugins_makes_their_instances_and_no_plan() -> None:
    """
    Plans are the process's; a session's own are its instances alone.
    """
    from benchmarks.systems.hooked import hooked

    registry = Registry([register(each) for each in hooked(PLUGINS)])
    plans = dict(vars(registry.plans))
    first, second = registry.instances(), registry.instances()

    assert [PLUGINS, PLUGINS] == [len(set(map(id, first))), len(set(map(id, second)))]
    assert plans == vars(registry.plans)


def laps(cases: set[str]) -> Laps:
    return {case: [1.0, 1.0] for case in cases}


def test_the_page_has_a_row_for_every_bound() -> None:
    """
    What isn't on it, nobody would miss.
    """
    calls = laps({case for row in CALLS for case in row[1:3]})
    openings = laps({*STATES.values(), *[case for row in OPENINGS for case in row[1:3]]})
    starts = laps({FLOOR, *COMMANDS})

    rows = judge([calls] * 3, [openings] * 3, [starts] * 3)
    text = page(rows, {}, {"cores": 2, "system": "Linux", "python": "3.11"})

    assert len(CALLS) + len(OPENINGS) + len(STATES) + len(COMMANDS) == len(rows)
    assert all(f"| {row.name} " in text for row in rows)
    assert {row.name for row in rows if not row.met} == {
        row.name
        for row in rows
        if not row.most  # as fast as the others isn't faster
    }


def test_the_page_in_the_docs_is_of_the_last_run() -> None:
    """
    `python -m benchmarks.hooks` writes both; a figure that's typed in is none.
    """
    written = (HERE.parent / "docs" / "plugin-costs.md").read_text(encoding="utf-8")
    found = json.loads((HERE / "hooks" / "results.json").read_text(encoding="utf-8"))

    for row in found["rows"]:
        cells = [f"{row[which]:.4g}" for which in ("min", "median", "max")]
        (line,) = [each for each in written.splitlines() if each.startswith(f"| {row['name']} ")]
        assert cells == [cell.strip() for cell in line.split("|")[3:6]]
