"""
Plans: what the kernel calls in pluggy's place, compiled once per hook.

A plan is a closure over the implementations of one hook, in order. It calls
each on the session's own instance, awaits what must be awaited (decided here,
not per call) and treats faults by the hook's rule. A hook that nobody
implements has no plan, and costs the kernel one look.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

from ..graph import History, check_pairs
from ..hooks.answers import Abort, Allow, Ask, Deny
from ..hooks.kinds import Hook, Next
from .deadline import Deadline
from .impls import Each, Impl, Impls
from .registered import Registered


def compile_plan(hook: Hook[Any], impls: Impls, *, strict: bool, deadline: Deadline) -> Any:
    """Return the plan of *hook*, or None if no session calls it, or nobody implements it."""
    if not impls or hook.life == "host":
        return None
    each = Each(hook, impls, deadline, strict=strict)
    if hook.kind in _COLOURS:
        plain, awaiting = _COLOURS[hook.kind]
        return (awaiting if hook.awaits else plain)(each)
    plan = _ASYNC[hook.kind](each)
    return plan if hook.awaits else _at_once(plan)


def _at_once(plan: Callable[..., Any]) -> Callable[..., Any]:
    """Return the plan of a sync hook: the async one, which then never waits."""

    def run(*arguments: Any) -> Any:
        try:
            plan(*arguments).send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("a sync hook has no async implementation")

    return run


def _collect_sync(each: Each) -> Any:
    """Where a call will do, a coroutine would cost more than the call."""
    steps, keep, of = each.steps, each.hook.kind != "listen", each.hook.of

    def plan(ctx: Any) -> list[tuple[Registered, Any]] | None:
        faults, instances, out = ctx.scope.faults, ctx.scope.instances, []
        struck = dict(faults.strikes) if faults.strikes else None
        for index, call, _waits, plugin, impl in each.active(faults.off) if faults.off else steps:
            try:
                value = call(instances[index], ctx)
                if of is not None and value is not None:
                    each.check(value)
            except BaseException as error:
                value = each.isolated(ctx, impl, error)
            if value is not None:
                out.append((plugin, value))
        if struck:
            each.forgive(faults, struck)
        return out if keep else None

    return plan


def _collect_async(each: Each) -> Any:
    steps, calls, keep = each.steps, each.calls, each.hook.kind != "listen"
    late = each.deadline.late

    async def plan(ctx: Any) -> list[tuple[Registered, Any]] | None:
        faults, instances, out = ctx.scope.faults, ctx.scope.instances, []
        struck = dict(faults.strikes) if faults.strikes else None
        if calls is not None:
            calls.add(ctx)
        for index, call, waits, plugin, impl in each.active(faults.off) if faults.off else steps:
            try:
                if waits:
                    value = await call(instances[index], ctx)
                    if late:
                        each.deadline.check(ctx)
                else:
                    value = call(instances[index], ctx)
                if value is not None:
                    out.append((plugin, value))
            except BaseException as error:
                each.isolated(ctx, impl, error)
        if calls is not None:
            calls.discard(ctx)
        if struck:
            each.forgive(faults, struck)
        return out if keep else None

    return plan


def _transform(each: Each) -> Any:
    steps, calls, late = each.steps, each.calls, each.deadline.late
    history = History if each.hook.name == "transform_history" else ()

    async def plan(ctx: Any, value: Any) -> Any:
        faults, instances, kind = ctx.scope.faults, ctx.scope.instances, type(value)
        struck = dict(faults.strikes) if faults.strikes else None
        if calls is not None:
            calls.add(ctx)
        for index, call, waits, _, impl in each.active(faults.off) if faults.off else steps:
            try:
                after = call(instances[index], ctx, value)
                if waits:
                    after = await after
                    if late:
                        each.deadline.check(ctx)
                if after is None or after is value:
                    continue
                if not isinstance(after, kind):
                    raise TypeError(f"expected {kind.__name__} or None, found {after!r}")
                if isinstance(after, history):
                    check_pairs(after)
                value = after
            except BaseException as error:
                each.isolated(ctx, impl, error)
        if calls is not None:
            calls.discard(ctx)
        if struck:
            each.forgive(faults, struck)
        return value

    return plan


Directives: TypeAlias = Sequence[tuple[Registered, Any]]
"""What a hook asks for; directives are applied one by one, so each is kept with its plugin."""


class DirectivesPlan:
    """
    A directives hook: asked as a whole, or up to whoever asks for something.

    Attributes:
        count: How many implementations there are.
        ask: Takes the context, and the numbers to start at and to stop before. Returns
            the directives of the first implementation that gives any, and the number
            after it; raises the `PluginFault` of one that fails.
    """

    __slots__ = ("ask", "count")

    def __init__(self, each: Each) -> None:
        self.count = len(each.steps)
        self.ask = _asking(each)

    async def __call__(self, ctx: Any) -> Directives:
        """
        Return all directives, in order.

        Raises:
            PluginFault: An implementation failed, or returned something else.
        """
        found, at = await self.ask(ctx)
        out = list(found)
        while at < self.count:
            found, at = await self.ask(ctx, at)
            out += found
        return out


def _asking(each: Each) -> Callable[..., Coroutine[Any, Any, tuple[Directives, int]]]:
    steps, calls, late = each.steps, each.calls, each.deadline.late

    async def ask(ctx: Any, at: int = 0, stop: int = len(steps)) -> tuple[Directives, int]:
        instances = ctx.scope.instances
        if calls is not None:
            calls.add(ctx)
        for step in steps[at:stop]:
            index, call, waits, plugin, impl = step
            try:
                found = call(instances[index], ctx)
                if waits:
                    found = await found
                    if late:
                        each.deadline.check(ctx)
                if not isinstance(found, (list, tuple, type(None))):
                    raise TypeError(f"expected a list of directives, found {found!r}")
                if not found:
                    continue
            except BaseException as error:
                fault = each.failed(ctx, impl, error)
                raise fault from fault.__cause__
            if calls is not None:
                calls.discard(ctx)
            return [(plugin, directive) for directive in found], steps.index(step) + 1
        if calls is not None:
            calls.discard(ctx)
        return (), stop

    return ask


def _gate(each: Each) -> Any:
    """
    A gate asks all, and a weaker answer never undoes a stronger; else the first one counts.

    Where a fault denies, it's an answer, and nonsense is a `Deny` too.
    """
    steps, calls, late = each.steps, each.calls, each.deadline.late
    first, denies = each.hook.kind == "decide", each.hook.fault == "deny"

    async def plan(ctx: Any) -> tuple[Registered, Any] | None:
        strongest, instances = None, ctx.scope.instances
        if calls is not None:
            calls.add(ctx)
        for index, call, waits, plugin, impl in steps:
            try:
                value = call(instances[index], ctx)
                if waits:
                    value = await value
                    if late:
                        each.deadline.check(ctx)
                if denies and not isinstance(value, _DECISIONS):
                    raise TypeError(f"expected a decision or None, found {value!r}")
            except BaseException as error:
                value = each.isolated(ctx, impl, error)
            if value is None:
                continue
            if strongest is None or value.strength > strongest[1].strength:
                strongest = (plugin, value)
            if first:
                break
        if calls is not None:
            calls.discard(ctx)
        return strongest

    return plan


def _wrap(each: Each) -> Any:
    """Return what nests the wraps around an inner call, the first outermost."""

    def nest(inner: Next[Any, Any]) -> Next[Any, Any]:
        for impl in reversed(each.impls):
            inner = _ring(each, impl, inner)
        return inner

    return nest


def _ring(each: Each, impl: Impl, inner: Next[Any, Any]) -> Next[Any, Any]:
    """Return *inner* with one wrap around it; only its own faults are its own."""
    call, index, of = impl.call, impl.index, each.hook.of

    async def ring(ctx: Any) -> Any:
        raised: BaseException | None = None

        async def call_next(passed: Any) -> Any:
            nonlocal raised
            try:
                return await inner(passed)
            except BaseException as error:
                raised = error
                raise

        try:
            value = await call(ctx.scope.instances[index], ctx, call_next)
            if value is None:
                raise TypeError("expected what call_next returned, found None")
            if of is not None and not isinstance(value, of):
                each.check(value)
            return value
        except BaseException as error:
            if error is raised:  # pyright: ignore[reportUnnecessaryComparison]
                raise
            fault = each.failed(ctx, impl, error)
            raise fault from fault.__cause__

    return ring


_DECISIONS: Final = (Allow, Ask, Deny, Abort, type(None))

_COLOURS: Final[dict[str, tuple[Callable[..., Any], Callable[..., Any]]]] = {
    "listen": (_collect_sync, _collect_async),
    "collect": (_collect_sync, _collect_async),
    "supply": (_collect_sync, _collect_async),
}
"""Rules in two colours, for speed; what a listener returns is dropped."""

_ASYNC: Final[dict[str, Callable[..., Any]]] = {
    "directives": DirectivesPlan,
    "transform": _transform,
    "decide": _gate,
    "gate": _gate,
    "wrap": _wrap,
}
