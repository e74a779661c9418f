"""How values look on a line: short, without what a terminal would act on."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

SHORT: Final = 60
"""Characters that a value may take on a line of its own kind."""

PLUGINS: Final = "List plugins, look into one, find out what is wrong, switch one off, start one."
"""What `lash plugins` is for; the list of commands shows it without loading them."""

_KEPT: Final = frozenset("\n\t")


def clean(text: str) -> str:
    """Return *text* without control characters: a model mustn't drive the terminal."""
    if text.isprintable():
        return text
    return "".join([c for c in text if c in _KEPT or unicodedata.category(c) not in ("Cc", "Cs")])


def short(text: str, most: int = SHORT) -> str:
    """Return *text* on one line, cut to *most* characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def value(thing: Any) -> str:
    """Return a JSON value on one line; text stands without quotes."""
    return short(thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False))


def arguments(given: object) -> str:
    """Return a call's arguments as "name=value, …"; *given* may be their JSON text."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return short(str(given))
    if not isinstance(given, Mapping):
        return short(json.dumps(given, ensure_ascii=False))
    pairs = [f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in given.items()]
    return short(", ".join(pairs))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return *rows* under *heads*, in columns as wide as they need to be."""
    lines = [[clean(cell) for cell in row] for row in (heads, *rows)]
    widths = [max([len(line[at]) for line in lines]) for at in range(len(heads))]
    return "\n".join(
        [
            "  ".join(
                [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            ).rstrip()
            for line in lines
        ]
    )
