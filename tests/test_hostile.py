"""
Hostile plugins: every hook × every way to be bad, contained, and rightly blamed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, Final

import pytest

from lash_sdk.errors import PluginFault
from lash_sdk.plugins import registry
from lash_sdk.plugins.deadline import Deadline
from lash_sdk.plugins.impls import Each
from lash_sdk.plugins.registry import Registry

from .batteries import hostile, hostile_ends
from .batteries.report import Report

pytestmark = pytest.mark.filterwarnings("ignore")  # coroutines that nobody awaits are the point

QUICK: Final = ("F1 raises", "F5 BaseException", "F9 own CancelledError", "F15 an object")


@pytest.mark.parametrize("how", QUICK)
async def test_a_hostile_plugin_harms_nobody_but_its_session(how: str) -> None:
    """
    One of each sort, at every hook; the battery has them all.
    """
    violations: list[str] = []
    for hook, each, act in hostile.cases():
        if each == how:
            violations += (await hostile.run(hook, each, act)).violations

    assert [] == violations


@pytest.mark.parametrize("how", [*hostile_ends.EXITS, hostile_ends.REPLAYED, "F5 BaseException"])
async def test_a_hostile_plugin_harms_no_process_and_no_app(how: str) -> None:
    """
    An exit goes through with the session safe; an app that can't open says why.
    """
    violations: list[str] = []
    for hook, each in hostile_ends.cases():
        if each in (how, hostile_ends.MISSHAPEN):
            violations += (await hostile_ends.run(hook, each)).violations

    assert [] == violations


def escapes(self: Each, ctx: Any, impl: Any, error: BaseException) -> None:
    raise error


def misjudges(self: Each, ctx: Any, impl: Any, error: BaseException) -> None:
    fault = PluginFault("watching", "1", self.hook.name, cause="somebody else's")
    ctx.scope.faults.pending.append((fault, False))


def misjudged(self: Each, ctx: Any, impl: Any, error: BaseException) -> PluginFault:
    return PluginFault("watching", "1", self.hook.name, cause="somebody else's")


def unguarded(self: Registry, hook: Any, ctx: Any) -> list[Any]:
    return [(impl, impl.call(None, ctx)) for impl in self.impls[hook.name]]


ENDS: Final[dict[str, tuple[Any, str, Callable[..., Any], str, str]]] = {
    "an exit is a fault": (Deadline, "cause", lambda s, ctx, e: e, "before_turn", "F6 SystemExit"),
    "an app's hook has no name": (Registry, "ask_host", unguarded, "model", "F1 raises"),
    "any parameters will do": (
        Registry,
        "_add",
        lambda self, plugin: None,
        "before_turn",
        hostile_ends.MISSHAPEN,
    ),
    "on replay nobody is blamed": (
        Each,
        "failed",
        misjudged,
        "at_checkpoint",
        hostile_ends.REPLAYED,
    ),
}

PLANTED: Final[dict[str, tuple[Any, str, Callable[..., Any], str, str]]] = {
    "a fault gets out": (Each, "isolated", escapes, "on_usage", "F5 BaseException"),
    "another is blamed": (Each, "isolated", misjudges, "on_usage", "F1 raises"),
    "no deadline": (Deadline, "start", lambda self: None, "before_turn", "F12 never returns"),
    "nobody looks at the clock": (
        registry,
        "_timed",
        lambda hook, impl: impl.call,
        "on_usage",
        "F13 sleeps on the loop",
    ),
    "nonsense is taken": (Each, "check", lambda self, v: None, "provide_prompt", "F15 a number"),
}


async def planted(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many planted faults the battery finds."""
    found = 0
    acts = {(hook, how): act for hook, how, act in hostile.cases()}
    for thing, name, fault, hook, how in PLANTED.values():
        with monkeypatch.context() as patch:
            patch.setattr(thing, name, fault)
            patch.setattr(hostile, "PATIENTLY", 1.0)
            found += bool((await hostile.run(hook, how, acts[hook, how])).violations)
    for thing, name, fault, hook, how in ENDS.values():
        with monkeypatch.context() as patch:
            patch.setattr(thing, name, fault)
            found += bool((await hostile_ends.run(hook, how)).violations)
    return found


@pytest.mark.slow
async def test_the_battery_of_hostile_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A plugin may do its worst: the kernel names it, and everybody else goes on.
    """
    began, violations, called, uncalled = time.monotonic(), list[str](), 0, 0
    every = list(hostile.cases())
    for hook, how, act in every:
        seen = await hostile.run(hook, how, act)
        violations += seen.violations
        called += seen.called
        uncalled += not seen.called
    ends = list(hostile_ends.cases())
    for hook, how in ends:
        seen = await hostile_ends.run(hook, how)
        violations += seen.violations
        called += seen.called
        uncalled += not seen.called
    caught = await planted(monkeypatch)
    both = [*[(hook, how) for hook, how, _ in every], *ends]
    warnings.resetwarnings()
    Report(
        battery="plugin faults",
        cases=len(both),
        planned=len(both),
        operations=called,
        floor=len(both),
        faults=called,
        violations=tuple(violations),
        caught=caught,
        planted=len(PLANTED) + len(ENDS),
        seconds=time.monotonic() - began,
        figures={
            "hooks": len({hook for hook, _ in both}),
            "behaviours": len({how for _, how in both}),
            "not called": uncalled,
        },
    ).publish()
