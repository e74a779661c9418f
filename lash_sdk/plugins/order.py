"""The one order of all plugins: phase, then before/after, then name."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from ..errors import PluginConflict
from .registered import Registered

PHASES: Final = ("early", "normal", "late")


def ordered(plugins: Iterable[Registered]) -> list[Registered]:
    """
    Return *plugins* in the order their hooks are called.

    It doesn't depend on the order they came in. Names of plugins that aren't
    there are ignored.

    Raises:
        PluginConflict: `before` and `after` form a circle; it's named.
    """
    found = list(plugins)
    return [plugin for phase in PHASES for plugin in _phase([p for p in found if p.phase == phase])]


def _phase(plugins: Sequence[Registered]) -> list[Registered]:
    by_name = {plugin.name: plugin for plugin in plugins}
    followers: dict[str, set[str]] = {name: set() for name in by_name}
    for name, plugin in by_name.items():
        followers[name].update(n for n in plugin.before if n in by_name)
        for earlier in plugin.after:
            if earlier in by_name:
                followers[earlier].add(name)
    waits = dict.fromkeys(by_name, 0)
    for names in followers.values():
        for name in names:
            waits[name] += 1
    free = [name for name, count in waits.items() if count == 0]
    heapq.heapify(free)
    out: list[Registered] = []
    while free:
        name = heapq.heappop(free)
        out.append(by_name[name])
        for follower in followers[name]:
            waits[follower] -= 1
            if waits[follower] == 0:
                heapq.heappush(free, follower)
    if len(out) != len(by_name):
        circle = set(by_name) - {plugin.name for plugin in out}
        while led := {name for name in circle if followers[name].isdisjoint(circle)}:
            circle -= led  # they wait for the circle, but aren't in it
        raise PluginConflict(f"plugins wait for each other: {', '.join(sorted(circle))}")
    return out
