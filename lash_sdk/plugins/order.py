"""The one order of all plugins: phase, then before/after, then name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Final

from ..errors import PluginConflict, PluginFault
from .registered import Registered

PHASES: Final = ("early", "normal", "late")


def ordered(plugins: Iterable[Registered]) -> list[Registered]:
    """
    Return *plugins* in the order their hooks are called.

    It doesn't depend on the order they came in. Names of plugins that aren't
    there are ignored.

    Raises:
        PluginConflict: `before` and `after` form a circle; it's named.
        PluginFault: One of them isn't names, but a method, say.
    """
    found = list(plugins)
    out: list[Registered] = []
    for phase in PHASES:
        out += _phase([p for p in found if getattr(p.thing, "phase", "normal") == phase])
    return out


def _phase(plugins: Sequence[Registered]) -> list[Registered]:
    by_name = {plugin.name: plugin for plugin in plugins}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, plugin in by_name.items():
        sorter.add(name, *by_name.keys() & _names(plugin, "after"))
        for later in by_name.keys() & _names(plugin, "before"):
            sorter.add(later, name)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = ", ".join(sorted(set(error.args[1])))
        raise PluginConflict(f"plugins wait for each other: {circle}") from None
    out: list[Registered] = []
    free: list[str] = []
    while sorter.is_active():
        free = sorted([*free, *sorter.get_ready()])
        first = free.pop(0)
        sorter.done(first)
        out.append(by_name[first])
    return out


def _names(plugin: Registered, which: str) -> tuple[str, ...]:
    names = getattr(plugin.thing, which, ())
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        wrong = f"{which}: expected names of plugins, found {names!r}"
        raise PluginFault(plugin.name, plugin.version, "registration", cause=wrong)
    return tuple(names)
