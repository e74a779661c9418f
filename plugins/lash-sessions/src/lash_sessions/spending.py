"""What children spend is passed on to who made them, live and once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from lash_sdk.errors import InvalidInput
from lash_sdk.usage import NOTHING, Usage, UsageReport, UsageRow

if TYPE_CHECKING:
    from .tree import Made, Tree

BUCKETS = ("input", "output", "cache_read", "cache_write", "reasoning")


def relay(tree: Tree, made: Made, row: UsageRow) -> None:
    """Pass a row on to the maker as it comes; `pass_on` makes it last."""
    tree.host.relay(made.maker, (_labelled(made, row),))


async def pass_on(tree: Tree, made: Made) -> None:
    """
    Pass on all that a session spent and its maker doesn't have yet.

    Rows keep their ids, so that what was relayed and what's final are one.
    """
    if tree.host.live(made.maker) is None:
        return
    rows = [row for row in made.session.usage().rows if row.id not in made.passed]
    if rows:
        await tree.host.spend(made.maker, [_labelled(made, row) for row in rows])
        made.passed.update(row.id for row in rows)


def _labelled(made: Made, row: UsageRow) -> UsageRow:
    return replace(row, source=made.origin.source)


def difference(before: UsageReport, after: UsageReport) -> dict[tuple[str, str], Usage]:
    """
    Return what was spent between two reports of a session, by (source, model), sorted.

    Raises:
        InvalidInput: A counter went down: they aren't in that order, or of two sessions.
    """
    found: dict[tuple[str, str], Usage] = {}
    for key in _keys(before, after):
        new, old = after.by.get(key, NOTHING), before.by.get(key, NOTHING)
        counts = {name: getattr(new, name) - getattr(old, name) for name in BUCKETS}
        if down := [name for name, count in counts.items() if count < 0]:
            raise InvalidInput(f"usage of {key!r}: {down[0]} went down")
        if any(counts.values()):
            found[key] = Usage(**counts)
    return found


def _keys(*reports: UsageReport) -> Iterable[tuple[str, str]]:
    return sorted({key for report in reports for key in report.by})
