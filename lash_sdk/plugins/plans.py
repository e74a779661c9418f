"""
Plans: what the kernel calls in pluggy's place, compiled once per hook.

A plan is a closure over the implementations of one hook, in order. It calls
each on the session's own instance, awaits what must be awaited (decided here,
not per call) and treats faults by the hook's rule. A hook that nobody
implements has no plan, and costs the kernel one look.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from ..contexts import SessionContext
from ..errors import PluginFault, ToolDenied
from ..hooks.answers import Abort, Allow, Ask, Decision, Deny
from ..hooks.kinds import Hook
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


def compile_plan(hook: Hook, impls: tuple[Impl, ...], *, strict: bool) -> Any:
    """Return the plan of *hook*, or None if nobody implements it."""
    if not impls:
        return None
    isolate = hook.fault != "abort" and not strict
    if hook.fault == "closed":
        return _closed_sync(hook, impls, isolate)
    make = _SYNC if not hook.awaits else _ASYNC
    return make[hook.kind](hook, impls, isolate)


def _skip(ctx: SessionContext, hook: Hook) -> frozenset[int] | set[int]:
    """Return the indices that are switched off for this hook in this session."""
    off = ctx.scope.faults.off
    return off if off and hook.kind in SWITCHABLE else _NOBODY


def _failed(ctx: SessionContext, hook: Hook, impl: Impl, error: Exception) -> PluginFault:
    """Return the fault of *impl*, once it's noted for `on_fault`."""
    fault = blame(impl.plugin, hook.name, impl.function, error, ctx.session_id)
    ctx.scope.faults.pending.append((fault, False))
    return fault


def _isolated(ctx: SessionContext, hook: Hook, impl: Impl, error: Exception) -> None:
    fault = blame(impl.plugin, hook.name, impl.function, error, ctx.session_id)
    ctx.scope.faults.struck(impl.index, fault)


def _fine(ctx: SessionContext, impl: Impl) -> None:
    """Forget earlier faults of a plugin: they weren't in a row."""
    ctx.scope.faults.strikes.pop(impl.index, None)


_NOBODY: Final[frozenset[int]] = frozenset()


# Each pair below is one rule in two colours. A sync plan can't await, and an
# async one would cost a coroutine where a call will do.


def _collect_sync(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    def plan(ctx: Any) -> list[tuple[Registered, Any]]:
        instances, skip, out = ctx.instances, _skip(ctx, hook), []
        for impl in impls:
            if impl.index in skip:
                continue
            try:
                value = impl.call(instances[impl.index], ctx)
            except Exception as error:
                if not isolate:
                    raise _failed(ctx, hook, impl, error) from error
                _isolated(ctx, hook, impl, error)
                continue
            if ctx.scope.faults.strikes:
                _fine(ctx, impl)
            if value is not None:
                out.append((impl.plugin, value))
        return out

    return plan


def _closed_sync(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    """
    Everyone is asked, whoever fails, and a fault stands in its answer's place.

    What one plugin hides must stay hidden when another one breaks.
    """

    def plan(ctx: Any) -> list[tuple[Registered, Any]]:
        instances, out = ctx.instances, []
        for impl in impls:
            try:
                value = impl.call(instances[impl.index], ctx)
            except Exception as error:
                value = _failed(ctx, hook, impl, error)
                if not isolate:
                    raise value from error
            if value is not None:
                out.append((impl.plugin, value))
        return out

    return plan


def _collect_async(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    async def plan(ctx: Any) -> list[tuple[Registered, Any]]:
        instances, skip, out = ctx.instances, _skip(ctx, hook), []
        for impl in impls:
            if impl.index in skip:
                continue
            try:
                value = impl.call(instances[impl.index], ctx)
                if impl.waits:
                    value = await value
            except Exception as error:
                if not isolate:
                    raise _failed(ctx, hook, impl, error) from error
                _isolated(ctx, hook, impl, error)
                continue
            if ctx.scope.faults.strikes:
                _fine(ctx, impl)
            if value is not None:
                out.append((impl.plugin, value))
        return out

    return plan


def _listen_sync(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    collect = _collect_sync(hook, impls, isolate)

    def plan(ctx: Any) -> None:
        collect(ctx)

    return plan


def _listen_async(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    collect = _collect_async(hook, impls, isolate)

    async def plan(ctx: Any) -> None:
        await collect(ctx)

    return plan


def _transform_sync(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    def plan(ctx: Any, value: Any) -> Any:
        instances, skip, kind = ctx.instances, _skip(ctx, hook), type(value)
        for impl in impls:
            if impl.index in skip:
                continue
            try:
                after = impl.call(instances[impl.index], ctx, value)
                value = value if after is None else _same_kind(after, kind)
            except Exception as error:
                if not isolate:
                    raise _failed(ctx, hook, impl, error) from error
                _isolated(ctx, hook, impl, error)
                continue
            if ctx.scope.faults.strikes:
                _fine(ctx, impl)
        return value

    return plan


def _transform_async(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    async def plan(ctx: Any, value: Any) -> Any:
        instances, skip, kind = ctx.instances, _skip(ctx, hook), type(value)
        for impl in impls:
            if impl.index in skip:
                continue
            try:
                after = impl.call(instances[impl.index], ctx, value)
                if impl.waits:
                    after = await after
                value = value if after is None else _same_kind(after, kind)
            except Exception as error:
                if not isolate:
                    raise _failed(ctx, hook, impl, error) from error
                _isolated(ctx, hook, impl, error)
                continue
            if ctx.scope.faults.strikes:
                _fine(ctx, impl)
        return value

    return plan


def _same_kind(after: object, kind: type) -> object:
    if not isinstance(after, kind):
        raise TypeError(f"expected {kind.__name__} or None, found {after!r}")
    return after


class DirectivesPlan:
    """
    A directives hook: asked as a whole, or one plugin after the other.

    Directives are applied one by one, so each is kept with its plugin.
    """

    __slots__ = ("_hook", "_impls")

    def __init__(self, hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> None:
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


def _decide_sync(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    def plan(ctx: Any) -> tuple[Registered, Any] | None:
        instances = ctx.instances
        for impl in impls:
            try:
                value = impl.call(instances[impl.index], ctx)
            except Exception as error:
                if not isolate:
                    raise _failed(ctx, hook, impl, error) from error
                _isolated(ctx, hook, impl, error)
                continue
            if value is not None:
                return impl.plugin, value
        return None

    return plan


def _decide_async(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    """The first answer counts; where a fault denies, it's an answer."""

    async def plan(ctx: Any) -> tuple[Registered, Any] | None:
        instances = ctx.instances
        for impl in impls:
            value = await _decision(ctx, hook, impl, instances[impl.index], isolate)
            if value is not None:
                return impl.plugin, value
        return None

    return plan


def _gate_async(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    """All are asked; a weaker answer never undoes a stronger one."""

    async def plan(ctx: Any) -> tuple[Registered, Any] | None:
        instances, strongest = ctx.instances, None
        for impl in impls:
            value = await _decision(ctx, hook, impl, instances[impl.index], isolate)
            if value is None:
                continue
            if strongest is None or value.strength > strongest[1].strength:
                strongest = (impl.plugin, value)
        return strongest

    return plan


async def _decision(
    ctx: Any, hook: Hook, impl: Impl, instance: object, isolate: bool
) -> Decision | None:
    """Return one plugin's decision; a fault, or nonsense, is a `Deny`."""
    try:
        value = impl.call(instance, ctx)
        if impl.waits:
            value = await value
        if value is None or isinstance(value, (Allow, Ask, Deny, Abort)):
            return value
        raise TypeError(f"expected a decision or None, found {value!r}")
    except ToolDenied as error:
        return Deny(reason=str(error))
    except Exception as error:
        if not isolate:
            raise _failed(ctx, hook, impl, error) from error
        _isolated(ctx, hook, impl, error)
        return Deny(reason=f"plugin {impl.plugin.name!r} failed in {hook.name}")


def _wrap(hook: Hook, impls: tuple[Impl, ...], isolate: bool) -> Any:
    """Return what nests the wraps around an inner call, the first outermost."""

    def nest(inner: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        for impl in reversed(impls):
            inner = _ring(hook, impl, inner)
        return inner

    return nest


def _ring(
    hook: Hook, impl: Impl, inner: Callable[[Any], Awaitable[Any]]
) -> Callable[[Any], Awaitable[Any]]:
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
        except Exception as error:
            if error is raised:  # pyright: ignore[reportUnnecessaryComparison]
                raise
            raise _failed(ctx, hook, impl, error) from error
        if value is None:
            nothing = TypeError("expected what call_next returned, found None")
            raise _failed(ctx, hook, impl, nothing)
        return value

    return ring


_SYNC: Final[dict[str, Callable[..., Any]]] = {
    "listen": _listen_sync,
    "collect": _collect_sync,
    "transform": _transform_sync,
    "decide": _decide_sync,
    "supply": _collect_sync,
}
_ASYNC: Final[dict[str, Callable[..., Any]]] = {
    "listen": _listen_async,
    "collect": _collect_async,
    "directives": DirectivesPlan,
    "transform": _transform_async,
    "decide": _decide_async,
    "gate": _gate_async,
    "wrap": _wrap,
}
