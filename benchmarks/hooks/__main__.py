"""`python -m benchmarks.hooks`: measure what plugins cost, and write the page."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.environments import HERE, HOOKS, OPENING
from benchmarks.hooks.commands import COMMANDS, environment, lap, loaded
from benchmarks.hooks.crowd import DISTRIBUTIONS, PLUGINS, lay
from benchmarks.hooks.rows import Laps, Row, judge
from benchmarks.report import machine, table
from benchmarks.scenarios import ROUNDS
from benchmarks.workers import started

STARTS: Final = 15
"""How often each command is started in a round."""

HEAD: Final = """\
# What plugins cost

Written by `make bench` (alone: `python -m benchmarks.hooks`); don't edit it. The cases of a table
take turns within a lap, so that all meet the same machine, and a ratio is taken lap by lap. A
round's figure is the median of its laps; the table has the least, the median and the most of
{rounds} rounds. Machine: {cores} cores, {system}, Python {python}.

Five trivial implementations a hook; `unrolled` and `direct` are the same calls, written out. A
pluggy manager of a session's own has the specs, and the {plugins} plugins with a hook of every kind
of a turn, that ours has. "Open and read" is a session whose states no open session holds: each is
read, checked and decoded, so it has no bound here. Commands run with {distributions} installed
distributions beside the environment's own, {plugins} of them plugins, and a warm index; the floor
is `python -c "import asyncio"`. What causes the times is tested: `tests/test_plugin_costs.py`.
"""


def measure(scale: float) -> tuple[list[Laps], list[Laps], list[Laps]]:
    """Return the laps of each round: of calls, of openings, of commands."""
    calls, openings, starts = list[Laps](), list[Laps](), list[Laps]()
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(lay(Path(folder) / "site"), Path(folder))
        for words in COMMANDS.values():
            loaded(words, variables)  # makes the index, and learns what doctor tells
        for at in range(ROUNDS):
            print(f"round {at + 1} of {ROUNDS} …", file=sys.stderr)
            for system, rounds in ((HOOKS, calls), (OPENING, openings)):
                with started((system,)) as (worker,):
                    rounds.append(worker.measure(scale))
            laps = [lap(variables) for _ in range(max(1, round(STARTS * scale)))]
            starts.append({name: [each[name] for each in laps] for name in laps[0]})
    return calls, openings, starts


def page(rows: tuple[Row, ...], times: dict[str, list[float]], where: dict[str, Any]) -> str:
    """Return the page."""
    return "\n".join(_page(rows, times, where))


def _page(
    rows: tuple[Row, ...], times: dict[str, list[float]], where: dict[str, Any]
) -> Iterator[str]:
    yield HEAD.format(rounds=ROUNDS, plugins=PLUGINS, distributions=DISTRIBUTIONS, **where)
    yield from table(
        ("", "wanted", "min", "median", "max", ""),
        [
            [row.name, row.to_json()["wanted"], *_spread(row.found), "met" if row.met else "MISSED"]
            for row in rows
        ],
    )
    yield "## Times\n\nMicroseconds, which only this machine knows.\n"
    yield from table(
        ("", "min", "median", "max"),
        [[name.replace("_", " "), *_spread(found)] for name, found in times.items()],
    )


def _spread(found: tuple[float, ...] | list[float]) -> list[str]:
    return [f"{each:.4g}" for each in (min(found), median(found), max(found))]


def main() -> None:
    """Measure; the whole writes `docs/plugin-costs.md` and `benchmarks/hooks/results.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer laps; print only")
    quick = parser.parse_args().quick
    calls, openings, starts = measure(0.2 if quick else 1.0)
    rows = judge(calls, openings, starts)
    times = {
        name: [median(laps[name]) / unit for laps in rounds]
        for rounds, unit in ((calls, 1e3), (openings, 1e3), (starts, 1e-3))
        for name in rounds[0]
    }
    where = machine()
    text = page(rows, times, where)
    if not quick:
        (HERE.parent / "docs" / "plugin-costs.md").write_text(text, encoding="utf-8")
        found = {"machine": where, "rows": [row.to_json() for row in rows], "times": times}
        data = json.dumps(found, indent=1, sort_keys=True) + "\n"
        (HERE / "hooks" / "results.json").write_text(data, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
