"""The survival run as a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.report import table

HEAD: Final = """\
# After a kill, after two turns at once, after many turns

Written by `make bench` (alone: `python -m benchmarks.survival`); don't edit it. Every
system plays the same scenes in processes of its own, with a scripted model and its own
persistence on SQLite, at its defaults unless said. What each does is in
`benchmarks/survival`. pydantic-ai brings no persistence: a turn's messages are written
by hand once it's over, as its documentation shows.
"""

CRASH: Final = """\
## Killed inside the second tool of a parallel batch

The model asks for `charge` and `boom` at once. `charge` finishes; 0.3 s later the process
gets SIGKILL inside `boom`. A second process goes on the documented way; where there's
none, the input is run again. The model asks for both calls unless it's shown that one
was made. Right is: each ran once (`boom` has the default policy, `report`: it isn't run
again without being asked for), and the turn completed.
"""

RACE: Final = """\
## Two turns at once on one session, in two processes

Both are inside their tool before either may end. Right is: what succeeded is stored
whole, in one piece, and what failed left nothing.
"""

GROWTH: Final = """\
## Bytes on disk, 2 KB of new text a turn

After {turns} turns and as many again. `× payload`: by the canonical bytes of the
messages, write-ahead logs apart; right is at most 2, and a second half that costs at
most 1.1 × the first.
"""

FLAT: Final = """\
## A durable turn of lash-sdk, late by early

Turn {far} by turn {near}: {time:.2f} × in time (medians), {bytecode:.3f} × in bytecodes,
{counted} × in instructions. Right is at most 1.4 and 1.1: {word}.
"""


def page(found: dict[str, Any]) -> str:
    """Return a run as a page of Markdown."""
    return "\n".join(_page(found))


def _page(found: dict[str, Any]) -> Iterator[str]:
    systems: dict[str, Any] = found["systems"]
    yield HEAD
    yield CRASH
    head = ("system", "`charge` ran", "`boom` ran", "result known", "turn", "")
    yield from table(head, [_crash(name, each["crash"]) for name, each in systems.items()])
    yield RACE
    kept = ("system", "outcome", "stored", "")
    yield from table(kept, [_race(name, each["race"]) for name, each in systems.items()])
    grown = {name: each["growth"] for name, each in systems.items() if "growth" in each}
    yield GROWTH.format(turns=next(iter(grown.values()))["turns"])
    head = ("system", "KB", "× payload", "second half by first", "seconds", "")
    yield from table(head, [_growth(name, each) for name, each in grown.items()])
    flat = found["flat"]
    near, far = flat["lengths"]
    counts = flat["instructions"]
    yield FLAT.format(
        near=near,
        far=far,
        counted="(no valgrind) ?" if counts is None else f"{counts:.3f}",
        word=_word(flat["right"]),
        time=flat["time"],
        bytecode=flat["bytecode"],
    )


def _crash(name: str, found: dict[str, Any]) -> list[str]:
    turn = "completed" if found["completed"] else f"lost: {found['error']}"
    counts = [str(found["charged"]), str(found["boomed"])]
    return [name, *counts, "yes" if found["knew"] else "no", turn, _word(found["right"])]


def _race(name: str, found: dict[str, Any]) -> list[str]:
    errors = [f"{turn} gets {error}" for turn, error in found["errors"].items()]
    won = f"{' and '.join(found['won']) or 'none'} succeeded"
    said = [
        *(["interleaved"] if found["interleaved"] else []),
        *([f"lost: {', '.join(found['lost'])}"] if found["lost"] else []),
        *([f"left over: {', '.join(found['stranded'])}"] if found["stranded"] else []),
    ]
    outcome = "; ".join([won, *errors])
    return [name, outcome, "; ".join(said) or "whole, in one piece", _word(found["right"])]


def _growth(name: str, found: dict[str, Any]) -> list[str]:
    if "times" not in found:
        return [name, "", "", "", "", found["error"]]
    size, seconds = sum(found["bytes"]) / 1024, sum(found["seconds"])
    figures = [f"{size:,.0f}", f"{found['times']:.2f}", f"{found['linear']:.2f}", f"{seconds:.1f}"]
    return [name, *figures, _word(found["right"])]


def _word(right: bool) -> str:
    return "right" if right else "**wrong**"
