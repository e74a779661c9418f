"""The run as data, and as a page."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from typing import Any, Final

from benchmarks.plots import file_of, linked
from benchmarks.scenarios import SCENARIOS
from benchmarks.variants import TITLES
from benchmarks.workers import cores

HEAD: Final = """\
# Benchmarks

Written by `make bench`; don't edit it. Every system runs the same turns with a
scripted model, without a network, in a process and an environment of its own.
Within a lap each system runs a short block of turns, one system after the other,
so that all meet the same machine; a session has some twenty turns. A round's figure is
the median of its laps; a cell shows the median of {rounds} rounds, and their least and
most. Only ratios can be compared with another run's. `bare` is the floor: a loop by
hand with a history of dicts and, where durable, one SQLite transaction a turn (WAL,
`synchronous=FULL`).
"""

NOTES: Final = """\
What each system does in these turns is in `benchmarks/systems` and
`benchmarks/peers`. lash-sdk runs with `durability="turn"` unless said, and with
`synchronous=FULL`, and with no plugin but its store's. S8, S10 and S11 compare ours
with itself or with the floor.
agno remembers nothing between turns in memory, its default. pydantic-ai brings no
persistence: a turn's new messages are written by hand, as its documentation shows.
A model call takes one trip round the event loop in every system. In S4, a turn is one of
S2 with 2 KB of text, and every system tells the model of the whole conversation: agno
would by default tell of its last three turns, and strands of forty messages.
"""


def machine() -> dict[str, Any]:
    """Return what the run was made on."""
    return {
        "cores": cores(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def page(report: dict[str, Any]) -> str:
    """Return the report as a page of Markdown."""
    return "\n".join(_page(report))


def _page(report: dict[str, Any]) -> Iterator[str]:
    yield HEAD.format(rounds=report["rounds"])
    where = report["machine"]
    loops = report["calibration"]
    yield f"Form: {report['form']}. Machine: {where['cores']} cores, {where['system']},"
    yield f"Python {where['python']}. A fixed loop took {loops['before']:.1f} ms before"
    yield f"and {loops['after']:.1f} ms after.\n"
    yield NOTES
    yield "## Targets\n"
    met = [[t["name"], t["wanted"], t["found"], _word(t["met"])] for t in report["targets"]]
    yield from table(("", "wanted", "found", ""), met)
    yield "## Turns\n"
    for label, scenario in report["turns"].items():
        yield f"### {label}: {SCENARIOS[label].what}\n"
        yield linked(file_of(label), f"{label}: µs a turn")
        turns = ("system", "µs a turn", "best", "CPU µs", "× bare", "× lash-sdk", "× (CPU)")
        yield from table(turns, [_turn(name, each) for name, each in scenario.items()])
    yield "## S4: a session of lash-sdk that grows by 2 KB of text a turn\n"
    yield linked("s4.svg", "S4: µs a turn, by the session's turns")
    yield "Bytes are those of the files, the write-ahead log apart; `× payload`: all of them by"
    yield "the canonical bytes of all messages.\n"
    counts = ("bytecodes", "calls", "bytes a turn", "× payload", "instructions")
    head = ("", "at turn", "µs", *counts)
    counted = {"in memory": report["instructions"]}
    rows = [
        [name, length, *_length(at, counted.get(name, {}).get(length))]
        for name, lengths in report["growth"].items()
        for length, at in lengths.items()
    ]
    yield from table(head, rows)
    yield from _more(report)
    yield from _profiles(report["profile"])
    if report["hooks"]:
        yield "## Hook calls, five trivial implementations\n"
        hooks = [[name.replace("_", " "), _spread(ns)] for name, ns in report["hooks"].items()]
        yield from table(("", "ns a call"), hooks)
    if report["starts"]:
        yield "## Start\n"
        rows = [
            [f"`{name}`", _spread(at), f"{at['ratio']:.2f}", str(at.get("modules", ""))]
            for name, at in report["starts"].items()
        ]
        yield from table(("", "ms", "× `import asyncio`", "modules"), rows)
    yield "## Versions\n"
    versions = [
        [name, ", ".join(f"{package} {at}" for package, at in told["packages"].items())]
        for name, told in report["versions"].items()
    ]
    yield from table(("system", "packages"), versions)


def _more(report: dict[str, Any]) -> Iterator[str]:
    if report["peers"]:
        yield "## S4: everybody's durable session, 2 KB of text a turn\n"
        ours = report["peers"]["lash-sdk"]
        rows = [
            [
                name,
                f"{at['turns']:.0f}",
                f"{at['wall']:,.0f}",
                f"{at['wall'] / ours['wall']:,.1f}",
                f"{at['bytes'] / 2**20:,.1f}",
            ]
            for name, at in report["peers"].items()
        ]
        yield from table(("", "turns reached", "µs a turn by then", "× lash-sdk", "MiB"), rows)
    if report["postgres"]:
        yield "## S9: a turn of S2, kept on PostgreSQL\n"
        turns = ("system", "µs a turn", "best", "CPU µs", "× bare", "× lash-sdk", "× (CPU)")
        yield from table(turns, [_turn(name, each) for name, each in report["postgres"].items()])
    if report["opening"]:
        yield f"## S5: open a session of {report['many']:,} turns of S3, and run the next\n"
        opened = [
            [name, _spread(at["ready"]), _spread(at["first"])]
            for name, at in report["opening"].items()
        ]
        yield from table(("", "ms until ready", "ms of the first turn"), opened)
    if report["crowds"]:
        yield f"## S6: {report['many']:,} sessions at once, in one process\n"
        yield "What a process loads for its first turn is counted for no session.\n"
        crowds = [
            [name, f"{at['rate']:,.0f}", f"{at['bytes'] / 1024:,.1f}"]
            for name, at in report["crowds"].items()
        ]
        yield from table(("", "turns a second", "KB a session"), crowds)
    for label, group in report["variants"].items():
        yield f"## {label}: {TITLES[label]}\n"
        rows = [
            [
                name,
                _spread(at["wall"]),
                f"{at['ratio']['median']:.2f}",
                f"{at['bytecodes']:,.0f}" if at["bytecodes"] else "",
            ]
            for name, at in group.items()
        ]
        yield from table(("", "µs", "× the first", "bytecodes"), rows)


def _profiles(profiles: dict[str, Any]) -> Iterator[str]:
    """Yield where our own turns spend their time."""
    for scenario, rooms in profiles.items():
        yield f"## Where a turn of {scenario} spends its time, by room of the kernel\n"
        rows = [
            [
                room,
                f"{at['share']:.1%}",
                *[f"{at[of]:,.0f}" for of in ("wall", "bytecodes", "calls")],
            ]
            for room, at in rooms.items()
        ]
        yield from table(("", "share", "µs", "bytecodes", "calls"), rows)


def _turn(name: str, figures: dict[str, Any]) -> list[str]:
    ratios = figures["ratios"]
    wall, cpu = figures["wall"], figures["cpu"]
    by = [_ratio(ratios, other, "wall") for other in ("bare", "lash-sdk")]
    row = [name, _spread(wall), f"{wall['best']:,.0f}", f"{cpu['median']:,.0f}"]
    return [*row, *by, _ratio(ratios, "lash-sdk", "cpu")]


def _length(at: dict[str, float], instructions: float | None) -> list[str]:
    counts = (at["wall"], at["bytecodes"], at["calls"], at["bytes"])
    times = f"{at['times']:.2f}" if at["bytes"] else ""
    counted = f"{instructions:,.0f}" if instructions else ""
    return [*[f"{count:,.0f}" for count in counts], times, counted]


def _ratio(ratios: dict[str, Any], other: str, unit: str) -> str:
    if other not in ratios:
        return "1"
    at = ratios[other][unit]
    return f"{at['median']:.2f} ({at['min']:.2f}–{at['max']:.2f})"


def _spread(at: dict[str, float]) -> str:
    return f"{at['median']:,.0f} ({at['min']:,.0f}–{at['max']:,.0f})"


def _word(met: bool) -> str:
    return "met" if met else "**missed**"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of a table, columns aligned."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(line[at]) for line in lines)) for at in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        yield f"| {' | '.join(cells)} |"
    yield ""
