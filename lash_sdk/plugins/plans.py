"""
Plans: what the kernel calls in pluggy's place, compiled once per hook.

A plan is a closure over the implementations of one hook, in order. It calls
each on the session's own instance, awaits what must be awaited (decided here,
not per call) and treats faults by the hook's rule. A hook that nobody
implements has no plan, and costs the kernel one look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ..contexts import SessionContext
from ..errors import PluginFault, ToolDenied
from ..graph import History, check_pairs
from ..hooks.answers import Abort, Allow, Ask, Deny
from ..hooks.kinds import Hook, Next
from .faults import SWITCHABLE, blame
from .registered import Registered


@dataclass(frozen=True, slots=True)
class Impl:
    """
    One implementation of a hook.

    Attributes:
        index: Of the plugin's instance, in a session's `instances`.
        call: Takes the instance, then the hook's own arguments.
        waits: Whether it returns an awaitable.
        function: What the author wrote, for blame.
    """

    plugin: Registered
    index: int
    call: Callable[..., Any]
    waits: bool
    function: Callable[..., Any]


def compile_plan(hook: Hook[Any], impls: tuple[Impl, ...], *, strict: bool) -> Any:
    """Return the plan of *hook*, or None if no session calls it, or nobody implements it."""
    if not impls or hook.life == "host":
        return None
    isolate = hook.fault != "abort" and not strict
    kind = "closed" if hook.fault == "closed" else hook.kind
    if kind in _COLOURS:
        plain, awaiting = _COLOURS[kind]
        return (awaiting if hook.awaits else plain)(hook, impls, isolate)
    plan = _ASYNC[kind](hook, impls, isolate)
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


Step: TypeAlias = tuple[int, Callable[..., Any], bool, Impl]
"""What a loop needs of an implementation: index, call, whether it waits, itself."""


def _steps(impls: tuple[Impl, ...]) -> tuple[Step, ...]:
    return tuple([(impl.index, impl.call, impl.waits, impl) for impl in impls])


def _active(
    ctx: Any, hook: Hook[Any], steps: tuple[Step, ...], isolate: bool
) -> tuple[Step, ...] | list[Step]:
    """Return the steps whose plugins aren't switched off for this hook here."""
    off = ctx.scope.faults.off
    if not off or not isolate or hook.kind not in SWITCHABLE:
        return steps
    return [step for step in steps if step[0] not in off]


def _failed(ctx: SessionContext, hook: Hook[Any], impl: Impl, error: Exception) -> PluginFault:
    """Return the fault of *impl*, once it's noted for `on_fault`."""
    fault = blame(impl.plugin, hook.name, impl.function, error, ctx.session_id)
    ctx.scope.faults.pending.append((fault, False))
    return fault


def _isolated(
    ctx: SessionContext, hook: Hook[Any], impl: Impl, error: Exception, isolate: bool
) -> None:
    """Take in a fault where the hook's rule isolates; else raise it."""
    if not isolate:
        raise _failed(ctx, hook, impl, error) from error
    fault = blame(impl.plugin, hook.name, impl.function, error, ctx.session_id)
    ctx.scope.faults.struck(impl.index, fault)


def _collect_sync(hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> Any:
    """Where a call will do, a coroutine would cost more than the call."""
    steps, keep = _steps(impls), hook.kind != "listen"

    def plan(ctx: Any) -> list[tuple[Registered, Any]] | None:
        instances, strikes, out = ctx.instances, ctx.scope.faults.strikes, []
        for index, call, _waits, impl in _active(ctx, hook, steps, isolate):
            try:
                value = call(instances[index], ctx)
            except Exception as error:
                _isolated(ctx, hook, impl, error, isolate)
                continue
            if strikes:
                strikes.pop(index, None)
            if keep and value is not None:
                out.append((impl.plugin, value))
        return out if keep else None

    return plan


def _collect_async(hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> Any:
    steps, keep = _steps(impls), hook.kind != "listen"

    async def plan(ctx: Any) -> list[tuple[Registered, Any]] | None:
        instances, strikes, out = ctx.instances, ctx.scope.faults.strikes, []
        for index, call, waits, impl in _active(ctx, hook, steps, isolate):
            try:
                value = call(instances[index], ctx)
                if waits:
                    value = await value
            except Exception as error:
                _isolated(ctx, hook, impl, error, isolate)
                continue
            if strikes:
                strikes.pop(index, None)
            if keep and value is not None:
                out.append((impl.plugin, value))
        return out if keep else None

    return plan


def _closed(hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> Any:
    """
    Everyone is asked, whoever fails, and a fault stands in its answer's place.

    What one plugin hides must stay hidden when another one breaks.
    """

    async def plan(ctx: Any) -> list[tuple[Registered, Any]]:
        out = []
        for impl in impls:
            try:
                value = impl.call(ctx.instances[impl.index], ctx)
            except Exception as error:
                value = _failed(ctx, hook, impl, error)
                if not isolate:
                    raise value from error
            if value is not None:
                out.append((impl.plugin, value))
        return out

    return plan


def _transform(hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> Any:
    steps = _steps(impls)
    check = _sound if hook.name == "transform_history" else _same_kind

    async def plan(ctx: Any, value: Any) -> Any:
        instances, strikes, kind = ctx.instances, ctx.scope.faults.strikes, type(value)
        for index, call, waits, impl in _active(ctx, hook, steps, isolate):
            try:
                after = call(instances[index], ctx, value)
                if waits:
                    after = await after
                value = value if after is None else check(after, kind)
            except Exception as error:
                _isolated(ctx, hook, impl, error, isolate)
                continue
            if strikes:
                strikes.pop(index, None)
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

    __slots__ = ("_hook", "_impls")

    def __init__(self, hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> None:
        self._hook = hook
        self._impls = impls

    def __len__(self) -> int:
        return len(self._impls)

    async def __call__(self, ctx: Any) -> list[tuple[Registered, Any]]:
        """Return all directives, in order."""
        out = []
        for at in range(len(self._impls)):
            out += await self.ask(ctx, at)
        return out

    async def ask(self, ctx: Any, at: int) -> list[tuple[Registered, Any]]:
        """
        Return the directives of implementation number *at*.

        Raises:
            PluginFault: It failed, or returned something else.
        """
        impl = self._impls[at]
        try:
            found = impl.call(ctx.instances[impl.index], ctx)
            if impl.waits:
                found = await found
            if found is None:
                return []
            if not isinstance(found, (list, tuple)):
                raise TypeError(f"expected a list of directives, found {found!r}")
        except Exception as error:
            raise _failed(ctx, self._hook, impl, error) from error
        return [(impl.plugin, directive) for directive in found]


def _decide(hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> Any:
    """The first answer counts; where a fault denies, it's an answer."""

    async def plan(ctx: Any) -> tuple[Registered, Any] | None:
        for impl in impls:
            value = await _decision(ctx, hook, impl, isolate)
            if value is not None:
                return impl.plugin, value
        return None

    return plan


def _gate(hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> Any:
    """All are asked; a weaker answer never undoes a stronger one."""

    async def plan(ctx: Any) -> tuple[Registered, Any] | None:
        strongest = None
        for impl in impls:
            value = await _decision(ctx, hook, impl, isolate)
            if value is None:
                continue
            if strongest is None or value.strength > strongest[1].strength:
                strongest = (impl.plugin, value)
        return strongest

    return plan


async def _decision(ctx: Any, hook: Hook[Any], impl: Impl, isolate: bool) -> Any:
    """Return one plugin's answer; where a fault denies, nonsense is a `Deny` too."""
    denies = hook.fault == "deny"
    try:
        value = impl.call(ctx.instances[impl.index], ctx)
        if impl.waits:
            value = await value
        if value is None or not denies or isinstance(value, (Allow, Ask, Deny, Abort)):
            return value
        raise TypeError(f"expected a decision or None, found {value!r}")
    except Exception as error:
        if denies and isinstance(error, ToolDenied):
            return Deny(reason=str(error))
        _isolated(ctx, hook, impl, error, isolate)
        why = f"plugin {impl.plugin.name!r} failed in {hook.name}"
        return Deny(reason=why) if denies else None


def _wrap(hook: Hook[Any], impls: tuple[Impl, ...], isolate: bool) -> Any:
    """Return what nests the wraps around an inner call, the first outermost."""

    def nest(inner: Next[Any, Any]) -> Next[Any, Any]:
        for impl in reversed(impls):
            inner = _ring(hook, impl, inner)
        return inner

    return nest


def _ring(hook: Hook[Any], impl: Impl, inner: Next[Any, Any]) -> Next[Any, Any]:
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
            return value
        except Exception as error:
            if error is raised:  # pyright: ignore[reportUnnecessaryComparison]
                raise
            raise _failed(ctx, hook, impl, error) from error

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
