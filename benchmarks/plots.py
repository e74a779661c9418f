"""
The plots of the page, as small SVG files.

They're written by hand: bars and lines take fewer lines than a plotting library's
environment takes packages, and the files stay small and the same for the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from pathlib import Path
from typing import Any, Final

WIDTH: Final = 640
LEFT: Final = 170
RIGHT: Final = 90
ROW: Final = 24
TOP: Final = 40
INK: Final = "#334155"
OURS: Final = "#0f766e"
THEIRS: Final = "#94a3b8"
LINES: Final = ("#0f766e", "#b45309", "#1d4ed8", "#be123c")


def bars(title: str, values: Mapping[str, float]) -> str:
    """Return horizontal bars on a scale of powers of ten, each with its value."""
    low = min(values.values()) / 2
    span = log10(max(values.values()) / low)
    rows = []
    for at, (name, value) in enumerate(values.items()):
        y, width = TOP + at * ROW, (WIDTH - LEFT - RIGHT) * log10(value / low) / span
        colour = OURS if name.startswith("lash-sdk") else THEIRS
        rows += [
            _text(LEFT - 8, y + 15, name, anchor="end"),
            f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="18" fill="{colour}"/>',
            _text(LEFT + width + 6, y + 15, f"{value:,.0f}"),
        ]
    return _drawn(title, TOP + len(values) * ROW + 10, rows)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return a line for each series of points, both scales in powers of ten."""
    points = [point for each in series.values() for point in each]
    xs, ys = ([log10(point[at]) for point in points] for at in (0, 1))
    high, wide = 240, WIDTH - LEFT - RIGHT
    floor, ceiling = min(ys) - 0.2, max(ys) + 0.2

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = (log10(point[0]) - min(xs)) / ((max(xs) - min(xs)) or 1)
        y = (log10(point[1]) - floor) / (ceiling - floor)
        return LEFT + wide * x, TOP + high * (1 - y)

    rows = []
    for at, (name, each) in enumerate(series.items()):
        colour = LINES[at % len(LINES)]
        path = " ".join([f"{x:.1f},{y:.1f}" for x, y in map(place, each)])
        rows += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            _text(LEFT - 8, place(each[0])[1] + 4, name, anchor="end"),
            _text(LEFT + wide + 6, place(each[-1])[1] + 4, f"{each[-1][1]:,.0f}"),
        ]
    marks = sorted({point[0] for point in points})
    rows += [_text(place((x, 1))[0], TOP + high + 18, f"{x:,.0f}", anchor="middle") for x in marks]
    return _drawn(title, TOP + high + 30, rows)


def plots(report: dict[str, Any]) -> dict[str, str]:
    """Return the plots of a report by the name of their file."""
    found = {}
    for label, scenario in report["turns"].items():
        values = {name: each["wall"]["median"] for name, each in scenario.items()}
        found[file_of(label)] = bars(f"{label}: µs a turn", values)
    if crowds := report["crowds"]:
        rates = {name: each["rate"] for name, each in crowds.items()}
        found["s6.svg"] = bars("S6: turns a second, many sessions at once", rates)
    found["s4.svg"] = lines(
        "S4: µs a turn, by the session's turns",
        {
            name: [(float(length), at["wall"]) for length, at in lengths.items()]
            for name, lengths in report["growth"].items()
        },
    )
    return found


def write(report: dict[str, Any], folder: Path) -> None:
    """Write the plots of a report into a folder."""
    folder.mkdir(exist_ok=True)
    for name, drawn in plots(report).items():
        (folder / name).write_text(drawn, encoding="utf-8")


def linked(name: str, title: str) -> str:
    """Return the line of Markdown that shows a plot."""
    return f"![{title}](benchmarks/{name})\n"


def file_of(label: str) -> str:
    """Return the name of a scenario's plot."""
    return label.lower().replace(" ", "-") + ".svg"


def _text(x: float, y: float, words: str, *, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}"'
    return f"<text {place}>{escape(words)}</text>"


def _drawn(title: str, height: float, rows: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        'font-family="sans-serif" font-size="12">'
    )
    heading = f'<text x="8" y="20" font-size="14" fill="{INK}">{escape(title)}</text>'
    back = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, back, heading, *rows, "</svg>"]) + "\n"
