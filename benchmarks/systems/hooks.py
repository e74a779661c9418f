"""Hook calls: ours beside plain calls, pluggy and apluggy, in one process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

import apluggy  # pyright: ignore[reportMissingImports] - in its own environment
import pluggy

from lash_sdk.hooks import Plugin
from lash_sdk.hooks.kinds import Hook
from lash_sdk.plugins.faults import Faults
from lash_sdk.plugins.registered import register
from lash_sdk.plugins.registry import Registry

PACKAGES = ("pluggy", "apluggy")

IMPLS = 5
LAPS = 15
CALLS = 400
"""Calls in a lap, at a scale of 1."""


class Context:
    """What a plan looks at in a context, and nothing else."""

    __slots__ = ("instances", "scope", "session_id")

    def __init__(self, instances: tuple[object, ...]) -> None:
        self.instances = instances
        self.scope = Scope(instances)
        self.session_id = "benchmark"


class Scope:
    """A session without faults."""

    def __init__(self, instances: tuple[object, ...]) -> None:
        self.faults = Faults()
        self.instances = instances


def ask(ctx: Any) -> int:  # type: ignore[empty-body]
    """Spec of a sync collect."""


async def ask_async(ctx: Any) -> int:  # type: ignore[empty-body]
    """Spec of an async collect."""


async def direct(ctx: Any) -> list[int]:  # type: ignore[empty-body]
    """Spec of directives, as `before_turn` is one."""


SYNC, ASYNC = Hook[Any]("collect", ask), Hook[Any]("collect", ask_async)
DIRECTIVES = Hook[Any]("directives", direct)


def _ours() -> tuple[Registry, Context]:
    made = []
    for at in range(IMPLS):

        class Trivial(Plugin):
            """Answers each hook with one value."""

            name = f"trivial{at}"
            specs = (SYNC, ASYNC, DIRECTIVES)

            @SYNC
            def sync(self, ctx: Any) -> int:
                return 1

            @ASYNC
            async def awaited(self, ctx: Any) -> int:
                return 1

            @DIRECTIVES
            async def directed(self, ctx: Any) -> list[int]:
                return [1]

        made.append(register(Trivial))
    registry = Registry(made)
    return registry, Context(registry.instances())


class _Spec:
    """The same hooks for pluggy and apluggy, and one that nobody implements."""

    def ask(self, ctx: Any) -> int:  # type: ignore[empty-body]
        ...

    async def ask_async(self, ctx: Any) -> int:  # type: ignore[empty-body]
        ...

    def nobody(self, ctx: Any) -> int:  # type: ignore[empty-body]
        ...


class _Impl:
    def ask(self, ctx: Any) -> int:
        return 1

    async def ask_async(self, ctx: Any) -> int:
        return 1


def _theirs(package: Any) -> Any:
    spec, impl = package.HookspecMarker("bench"), package.HookimplMarker("bench")
    for wanted in ("ask", "ask_async", "nobody"):
        spec(getattr(_Spec, wanted))
    for given in ("ask", "ask_async"):
        impl(getattr(_Impl, given))
    manager = package.PluginManager("bench")
    manager.add_hookspecs(_Spec)
    for at in range(IMPLS):
        manager.register(_Impl(), name=f"trivial{at}")
    return manager


Case = Callable[[int], Awaitable[None]]
"""Makes one call so many times."""


def _cases() -> dict[str, Case]:
    registry, ctx = _ours()
    sync, awaited, directed = (getattr(registry.plans, h.name) for h in (SYNC, ASYNC, DIRECTIVES))
    plans = registry.plans
    a, b, c, d, e = (_Impl() for _ in range(IMPLS))
    plug, aplug = _theirs(pluggy), _theirs(apluggy)

    async def direct_calls(times: int) -> None:
        for _ in range(times):
            _ = [a.ask(ctx), b.ask(ctx), c.ask(ctx), d.ask(ctx), e.ask(ctx)]

    async def our_sync(times: int) -> None:
        for _ in range(times):
            sync(ctx)

    async def pluggy_sync(times: int) -> None:
        for _ in range(times):
            plug.hook.ask(ctx=ctx)

    async def unrolled() -> list[int]:
        return [
            await a.ask_async(ctx),
            await b.ask_async(ctx),
            await c.ask_async(ctx),
            await d.ask_async(ctx),
            await e.ask_async(ctx),
        ]

    async def unrolled_awaits(times: int) -> None:
        for _ in range(times):
            await unrolled()

    async def our_async(times: int) -> None:
        for _ in range(times):
            await awaited(ctx)

    async def our_directives(times: int) -> None:
        for _ in range(times):
            await directed(ctx)

    async def pluggy_awaited(times: int) -> None:
        for _ in range(times):
            [await each for each in plug.hook.ask_async(ctx=ctx)]

    async def apluggy_async(times: int) -> None:
        for _ in range(times):
            await aplug.ahook.ask_async(ctx=ctx)

    async def our_nobody(times: int) -> None:
        for _ in range(times):
            if plans.around_commit is not None:
                raise AssertionError

    async def pluggy_nobody(times: int) -> None:
        for _ in range(times):
            plug.hook.nobody(ctx=ctx)

    cases = [direct_calls, our_sync, pluggy_sync, unrolled_awaits, our_async, our_directives]
    cases += [pluggy_awaited, apluggy_async, our_nobody, pluggy_nobody]
    return {case.__name__: case for case in cases}


async def measure(scale: float) -> dict[str, list[float]]:
    """Return each case's nanoseconds a call, one figure a lap, cases in turn."""
    cases, calls = _cases(), max(20, int(CALLS * scale))
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(LAPS):
        for name, case in cases.items():
            each = []
            for _ in range(3):
                began = perf_counter_ns()
                await case(calls)
                each.append((perf_counter_ns() - began) / calls)
            found[name].append(median(each))
    return found
