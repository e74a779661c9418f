"""
Plans: what the kernel calls in pluggy's place, compiled once per hook.

A plan is a closure over the implementations of one hook, in order. It calls
each on the session's own instance, awaits what must be awaited (decided here,
not per call) and treats faults by the hook's rule. A hook that nobody
implements has no plan, and costs the kernel one look.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from ..errors import ToolDenied
from ..graph import History, check_pairs
from ..hooks.answers import Abort, Allow, Ask, Deny
from ..hooks.kinds import Hook, Next
from .deadline import Deadline
from .impls import Each, Impl
from .registered import Registered


def compile_plan(
    hook: Hook[Any], impls: tuple[Impl, ...], *, strict: bool, deadline: Deadline
) -> Any:
    """Return the plan of *hook*, or None if no session calls it, or nobody implements it."""
    if not impls or hook.life == "host":
        return None
    each = Each(hook, impls, deadline, isolate=hook.fault != "abort" and not strict)
    kind = "closed" if hook.fault == "closed" else hook.kind
    if kind in _COLOURS:
        plain, awaiting = _COLOURS[kind]
        return (awaiting if hook.awaits else plain)(each)
    plan = _ASYNC[kind](each)
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
        faults, instances, out = ctx.scope.faults, ctx.instances, []
        struck = dict(faults.strikes) if faults.strikes else None
        for index, call, _waits, plugin, impl in each.active(faults.off) if faults.off else steps:
            try:
                value = call(instances[index], ctx)
                if value is not None:
                    if of is not None:
                        each.checked(value)
                    out.append((plugin, value))
            except BaseException as error:
                each.isolated(ctx, impl, error)
        if struck:
            each.forgive(faults, struck)
        return out if keep else None

    return plan


def _collect_async(each: Each) -> Any:
    steps, calls, keep = each.steps, each.calls, each.hook.kind != "listen"
    late = each.deadline.late

    async def plan(ctx: Any) -> list[tuple[Registered, Any]] | None:
        faults, instances, out = ctx.scope.faults, ctx.instances, []
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


def _closed(each: Each) -> Any:
    """
    Everyone is asked, whoever fails, and a fault stands in its answer's place.

    What one plugin hides must stay hidden when another one breaks.
    """

    async def plan(ctx: Any) -> list[tuple[Registered, Any]]:
        out = []
        for impl in each.impls:
            try:
                value = impl.call(ctx.instances[impl.index], ctx)
            except BaseException as error:
                value = each.failed(ctx, impl, error)
                if not each.isolate:
                    raise value from value.__cause__
            if value is not None:
                out.append((impl.plugin, value))
        return out

    return plan


def _transform(each: Each) -> Any:
    steps, calls, late = each.steps, each.calls, each.deadline.late
    check = _sound if each.hook.name == "transform_history" else _same_kind

    async def plan(ctx: Any, value: Any) -> Any:
        faults, instances, kind = ctx.scope.faults, ctx.instances, type(value)
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
                value = value if after is None else check(after, kind)
            except BaseException as error:
                each.isolated(ctx, impl, error)
        if calls is not None:
            calls.discard(ctx)
        if struck:
            each.forgive(faults, struck)
        return value

    return plan


def _same_kind(after: object, kind: type) -> object:
    if not isinstance(after, kind):
        raise TypeError(f"expected {kind.__name__} or None, found {after!r}")
    return after


def _sound(after: object, kind: type) -> object:
    if isinstance(after, History):
        check_pairs(after)
    return _same_kind(after, kind)


class DirectivesPlan:
    """
    A directives hook: asked as a whole, or one plugin after the other.

    Directives are applied one by one, so each is kept with its plugin.
    """

    __slots__ = ("_each", "_ones")

    def __init__(self, each: Each) -> None:
        self._each = each
        self._ones = [each.only(at) for at in range(len(each.impls))]

    def __len__(self) -> int:
        return len(self._ones)

    def __call__(self, ctx: Any) -> Coroutine[Any, Any, list[tuple[Registered, Any]]]:
        """Return all directives, in order, when awaited."""
        return _directives(self._each, ctx)

    def ask(self, ctx: Any, at: int) -> Coroutine[Any, Any, list[tuple[Registered, Any]]]:
        """
        Return the directives of implementation number *at*, when awaited.

        Raises:
            PluginFault: It failed, or returned something else.
        """
        return _directives(self._ones[at], ctx)


async def _directives(each: Each, ctx: Any) -> list[tuple[Registered, Any]]:
    calls, late, instances, out = each.calls, each.deadline.late, ctx.instances, []
    if calls is not None:
        calls.add(ctx)
    for index, call, waits, plugin, impl in each.steps:
        try:
            found = call(instances[index], ctx)
            if waits:
                found = await found
                if late:
                    each.deadline.check(ctx)
            if found is not None:
                if not isinstance(found, (list, tuple)):
                    raise TypeError(f"expected a list of directives, found {found!r}")
                for directive in found:
                    out.append((plugin, directive))
        except BaseException as error:
            fault = each.failed(ctx, impl, error)
            raise fault from fault.__cause__
    if calls is not None:
        calls.discard(ctx)
    return out


def _decide(each: Each) -> Any:
    """The first answer counts; where a fault denies, it's an answer."""

    async def plan(ctx: Any) -> tuple[Registered, Any] | None:
        for impl in each.impls:
            value = await _decision(ctx, each, impl)
            if value is not None:
                return impl.plugin, value
        return None

    return plan


def _gate(each: Each) -> Any:
    """All are asked; a weaker answer never undoes a stronger one."""

    async def plan(ctx: Any) -> tuple[Registered, Any] | None:
        strongest = None
        if each.calls is not None:
            each.calls.add(ctx)
        for impl in each.impls:
            value = await _decision(ctx, each, impl)
            if value and (strongest is None or value.strength > strongest[1].strength):
                strongest = (impl.plugin, value)
        if each.calls is not None:
            each.calls.discard(ctx)
        return strongest

    return plan


async def _decision(ctx: Any, each: Each, impl: Impl) -> Any:
    """Return one plugin's answer; where a fault denies, nonsense is a `Deny` too."""
    denies, hook = each.hook.fault == "deny", each.hook.name
    try:
        value = impl.call(ctx.instances[impl.index], ctx)
        if impl.waits:
            value = await value
            each.deadline.check(ctx)
        if value is None or not denies or isinstance(value, (Allow, Ask, Deny, Abort)):
            return value
        raise TypeError(f"expected a decision or None, found {value!r}")
    except BaseException as error:
        if denies and isinstance(error, ToolDenied):
            return Deny(reason=str(error))
        each.isolated(ctx, impl, error)
        return Deny(reason=f"plugin {impl.plugin.name!r} failed in {hook}") if denies else None


def _wrap(each: Each) -> Any:
    """Return what nests the wraps around an inner call, the first outermost."""

    def nest(inner: Next[Any, Any]) -> Next[Any, Any]:
        for impl in reversed(each.impls):
            inner = _ring(each, impl, inner)
        return inner

    return nest


def _ring(each: Each, impl: Impl, inner: Next[Any, Any]) -> Next[Any, Any]:
    """Return *inner* with one wrap around it; only its own faults are its own."""

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
            value = await impl.call(ctx.instances[impl.index], ctx, call_next)
            if value is None:
                raise TypeError("expected what call_next returned, found None")
            return value if each.hook.of is None else each.checked(value)
        except BaseException as error:
            if error is raised:  # pyright: ignore[reportUnnecessaryComparison]
                raise
            fault = each.failed(ctx, impl, error)
            raise fault from fault.__cause__

    return ring


_COLOURS: Final[dict[str, tuple[Callable[..., Any], Callable[..., Any]]]] = {
    "listen": (_collect_sync, _collect_async),
    "collect": (_collect_sync, _collect_async),
    "supply": (_collect_sync, _collect_async),
}
"""Rules in two colours, for speed; what a listener returns is dropped."""

_ASYNC: Final[dict[str, Callable[..., Any]]] = {
    "closed": _closed,
    "directives": DirectivesPlan,
    "transform": _transform,
    "decide": _decide,
    "gate": _gate,
    "wrap": _wrap,
}
