"""Sessions with plugins: opened and forked, beside a pluggy manager of a session's own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter_ns
from typing import Any

import pluggy
from pydantic import BaseModel, ConfigDict

from benchmarks.systems.hooked import hooked
from lash_sdk import Lash, Plugin, hooks
from lash_sdk.contexts import TurnContext
from lash_sdk.hooks import HOOKS, Directive
from lash_sdk.memory import MemoryStore
from lash_sdk.testing import ScriptedModel

PACKAGES = ("pluggy",)

PLUGINS = 20
LAPS = 30
"""Laps of a round, at a scale of 1."""

BLOCK = 5
"""Sessions of each case in a lap."""


class Kept(BaseModel):
    """What each plugin remembers."""

    model_config = ConfigDict(frozen=True)

    turns: int = 0


def stateful() -> list[type[Plugin]]:
    """Return the plugins, each with a state that its first turn replaces."""
    return [_with_state(plugin) for plugin in hooked(PLUGINS)]


def _with_state(plugin: type[Plugin]) -> type[Plugin]:
    class Remembers(plugin):  # type: ignore[valid-type, misc]
        """The same, and counts turns."""

        name = plugin.name
        State = Kept
        state: Kept

        @hooks.before_turn
        async def begin(self, ctx: TurnContext) -> Sequence[Directive]:
            self.state = Kept(turns=self.state.turns + 1)
            return ()

    return Remembers


def managed() -> Callable[[], Any]:
    """Return what makes a pluggy manager with the same hooks and plugins."""
    spec, impl = pluggy.HookspecMarker("bench"), pluggy.HookimplMarker("bench")

    def ask() -> Callable[..., None]:
        return lambda self, ctx: None

    theirs = [value for value in vars(hooked(1)[0]).values() if hasattr(value, "lash_impl")]
    names = [each.lash_impl["specname"] for each in theirs]
    specs = type("Specs", (), {name: spec(ask()) for name in HOOKS})
    plugin = type("Theirs", (), {name: impl(ask()) for name in names})

    def make() -> Any:
        manager = pluggy.PluginManager("bench")
        manager.add_hookspecs(specs)
        for at in range(PLUGINS):
            manager.register(plugin(), name=f"trivial{at}")
        return manager

    return make


async def measure(scale: float) -> dict[str, list[float]]:
    """Return each case's nanoseconds, one figure a lap, cases in turn."""
    laps, found = max(5, int(LAPS * scale)), dict[str, list[float]]()
    manager = managed()
    async with _app([]) as bare, _app(hooked(PLUGINS)) as plain, _app(stateful()) as kept:
        cases = {"no plugin": bare, "20 plugins": plain, "20 states": kept}
        for at in range(laps):
            block = [_timed(manager) for _ in range(BLOCK)]
            found.setdefault("a pluggy manager", []).append(median(block))
            gc.collect()
            for case, lash in cases.items():
                opened = [await _open(lash, f"s{at}.{each}") for each in range(BLOCK)]
                for name in opened[0]:
                    times = [each[name] for each in opened]
                    found.setdefault(f"{name}, {case}", []).append(median(times))
    return found


def _timed(make: Callable[[], Any]) -> int:
    began = perf_counter_ns()
    make()
    return perf_counter_ns() - began


async def _open(lash: Lash, id: str) -> dict[str, int]:
    """
    Return how long it took to open a new session, to fork a stored one, and to open it.

    Once with its states in no session's hands, so that they're read, and once while
    its fork has them.
    """
    times = [perf_counter_ns()]
    new = await lash.session(id)
    times.append(perf_counter_ns())
    await new.close()
    times.append(perf_counter_ns())
    old = await lash.session("old")
    times.append(perf_counter_ns())
    fork = await old.fork()
    times.append(perf_counter_ns())
    await old.close()
    times.append(perf_counter_ns())
    old = await lash.session("old")
    times.append(perf_counter_ns())
    await fork.close()
    await old.close()
    return {
        "open": times[1] - times[0],
        "open and read": times[3] - times[2],
        "fork": times[4] - times[3],
        "open again": times[6] - times[5],
    }


class _app:
    """A `Lash` in memory with a session "old" that had a turn."""

    def __init__(self, plugins: list[type[Plugin]]) -> None:
        self._lash = Lash(
            model=ScriptedModel(["done"]), store=MemoryStore(), plugins=plugins, autoload=False
        )

    async def __aenter__(self) -> Lash:
        lash = await self._lash.__aenter__()
        async with lash.session("old") as session:
            await session.run("go")
        return lash

    async def __aexit__(self, *error: Any) -> None:
        await self._lash.__aexit__(*error)
