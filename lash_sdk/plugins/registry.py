"""
The plugins of one `Lash`: registered with pluggy, compiled into plans.

Sessions share the registry and its plans; each has instances of its own.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

import pluggy

from ..contexts import CliContext, HostContext
from ..errors import PluginConflict, PluginFault
from ..hooks import HOOKS
from ..hooks.kinds import PROJECT, Hook, is_async
from .deadline import PATIENCE, Deadline
from .faults import blame
from .impls import Impl
from .order import ordered
from .plans import compile_plan
from .registered import Registered

Start: TypeAlias = Callable[[], Awaitable[None]]
"""Opens the app, and returns once it's closed."""


BLOCKING: Final = 0.1
"""Seconds after which a sync hook is named in debug mode: nothing else ran meanwhile."""


class Plans:
    """One plan per hook, by the hook's name; None where nobody implements it."""

    def __init__(self, plans: Mapping[str, Any]) -> None:
        vars(self).update(plans)

    def __getattr__(self, name: str) -> Any:
        """Only for the type checker: every hook is there."""
        raise AttributeError(name)


class Registry:
    """
    All plugins of a `Lash`, in their order.

    Attributes:
        plugins: In the order their hooks are called.
        impls: By hook, in the order in which they are called.
        plans: Shared by every session; those of hooks that plugins brought too.
        deadline: Ends the calls that take too long.
        states: Of open sessions, by plugin and ref: a fork shares its origin's.
    """

    def __init__(self, plugins: Sequence[Registered], *, patience: float = PATIENCE) -> None:
        """
        Register *plugins* and compile their hooks; a call may take *patience* seconds.

        Raises:
            PluginConflict: Two have one name, or they wait for each other, or
                one brings a hook that's there already.
            PluginFault: A hook doesn't fit its spec.
        """
        _refuse_twins(plugins)
        self.plugins = [replace(plugin, index=at) for at, plugin in enumerate(ordered(plugins))]
        self.deadline = Deadline(patience)
        self._manager = pluggy.PluginManager(PROJECT)
        self._hooks = dict(HOOKS)
        for plugin in self.plugins:
            for hook in getattr(plugin.thing, "specs", ()):
                if self._hooks.setdefault(hook.name, hook) is not hook:
                    raise PluginConflict(f"hook {hook.name!r} of {_who(plugin)} is there already")
        specs = {name: staticmethod(hook.spec) for name, hook in self._hooks.items()}
        self._manager.add_hookspecs(type("Specs", (), specs))
        self._by_name = {plugin.name: plugin for plugin in self.plugins}
        for plugin in self.plugins:
            self._add(plugin)
        self.impls = {name: self._find(hook) for name, hook in self._hooks.items()}
        self.states: WeakValueDictionary[tuple[str, str], Any] = WeakValueDictionary()
        self.plans = self._compile()
        if _switched_on("LASH_DEBUG"):
            self.observe(_timed)
        self._makers = self._find_makers()
        self.shared: dict[int, Any] = {}

    def observe(self, around: Callable[[Hook[Any], Impl], Callable[..., Any]]) -> None:
        """Compile again, with what *around* makes of each implementation; it returns a `call`."""
        self.impls = {
            name: tuple([replace(impl, call=around(self._hooks[name], impl)) for impl in impls])
            for name, impls in self.impls.items()
        }
        self.plans = self._compile()

    def _compile(self) -> Plans:
        strict = _switched_on("LASH_STRICT_PLUGINS")
        return Plans(
            {
                name: compile_plan(hook, self.impls[name], strict=strict, deadline=self.deadline)
                for name, hook in self._hooks.items()
            }
        )

    def instances(self) -> tuple[object, ...]:
        """Return a session's instances by index, configured; none if no hook needs one."""
        return tuple([None if each is None else self._instance(each) for each in self._makers])

    def _instance(self, plugin: Registered) -> object:
        form: Any = plugin.thing
        try:
            instance = form()
        except Exception as error:
            raise blame(plugin, "__init__", form.__init__, error) from error
        instance.name, instance.version = plugin.name, plugin.version
        instance.config = plugin.config
        instance.shared = self.shared.get(plugin.index)
        return instance

    def supplied(self, hook: Hook[Any], ctx: HostContext) -> dict[str, tuple[Registered, Any]]:
        """
        Return what a host supply hook gives, by name, with its owner.

        Raises:
            PluginConflict: Two plugins own one name.
            PluginFault: An implementation failed.
        """
        found: dict[str, tuple[Registered, Any]] = {}
        for impl, value in self.ask_host(hook, ctx):
            if not isinstance(value, Mapping):
                wrong = f"expected factories by name, found {value!r}"
                raise blame(impl.plugin, hook.name, impl.function, wrong)
            for name, factory in value.items():
                if name in found:
                    raise PluginConflict(
                        f"{hook.name} {name!r} is supplied by {_who(found[name][0])}"
                        f" and by {_who(impl.plugin)}"
                    )
                found[name] = (impl.plugin, factory)
        return found

    def ask_host(self, hook: Hook[Any], ctx: HostContext | CliContext) -> list[tuple[Impl, Any]]:
        """
        Call a sync host hook; return each answer that isn't None, in order.

        Raises:
            PluginFault: An implementation failed.
        """
        answers = []
        for impl in self.impls[hook.name]:
            try:
                value = impl.call(None, ctx)
            except BaseException as error:
                cause = self.deadline.cause(ctx, error)
                raise blame(impl.plugin, hook.name, impl.function, cause) from error
            if value is not None:
                answers.append((impl, value))
        return answers

    def around_app(self, ctx: HostContext, inner: Start) -> Start:
        """Return *inner* with every `around_app` around it, the first outermost."""
        for impl in reversed(self.impls["around_app"]):
            inner = self._app_ring(impl, ctx, inner)
        return inner

    def _app_ring(self, impl: Impl, ctx: HostContext, inner: Start) -> Start:
        async def ring() -> None:
            raised: BaseException | None = None

            async def call_next(made: Any) -> None:
                nonlocal raised
                self.shared[impl.index] = made
                try:
                    await inner()
                except BaseException as error:
                    raised = error
                    raise

            try:
                await impl.call(None, ctx, call_next)
                if impl.index not in self.shared:
                    raise RuntimeError("returned before the app opened: it never called call_next")
            except BaseException as error:
                if error is raised:  # pyright: ignore[reportUnnecessaryComparison]
                    raise
                cause = self.deadline.cause(ctx, error)
                raise blame(impl.plugin, "around_app", impl.function, cause) from error

        return ring

    def _add(self, plugin: Registered) -> None:
        if wrong := _unfit(plugin.thing):
            raise PluginFault(plugin.name, plugin.version, "registration", cause=wrong)
        try:
            self._manager.register(plugin.thing, name=plugin.name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            known = ", ".join(sorted(self._hooks))
            why = f"{' '.join(str(error).split())} (hooks: {known})"
            raise PluginFault(plugin.name, plugin.version, "registration", cause=why) from error

    def _find(self, hook: Hook[Any]) -> tuple[Impl, ...]:
        caller = getattr(self._manager.hook, hook.name)
        found = [self._impl(hook, each) for each in caller.get_hookimpls()]
        for impl in found if hook.deprecated else ():
            text = f"plugin {impl.plugin.name!r} implements {hook.name}: {hook.deprecated}"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        backwards = hook.name == "on_session_closed"
        return tuple(sorted(found, key=lambda impl: impl.index, reverse=backwards))

    def _impl(self, hook: Hook[Any], found: Any) -> Impl:
        plugin, function = self._by_name[found.plugin_name], found.function
        arguments = tuple(inspect.signature(function).parameters) if callable(function) else ()
        if found.wrapper or found.hookwrapper:
            wrong = "expected a plain function, found a pluggy wrapper: take an around_... hook"
        elif (waits := is_async(function)) and not hook.awaits:
            wrong = "expected a sync function, found async"
        elif arguments == hook.arguments:  # no instance: of a class, of a module, or static
            return Impl(plugin, plugin.index, _without_instance(function), waits, function)
        elif arguments[1:] != hook.arguments:
            own = arguments[1:] if arguments[:1] == ("self",) else arguments
            wrong = f"expected parameters {hook.arguments}, found {own}"
        elif hook.life == "host":
            wrong = "expected a class method"
        else:
            return Impl(plugin, plugin.index, function, waits, function)
        raise blame(plugin, hook.name, function, wrong)

    def _find_makers(self) -> list[Registered | None]:
        """Return whom to make instances of, by index; empty if no session hook is there."""
        ours = [self.impls[name] for name, hook in self._hooks.items() if hook.life == "session"]
        needed = {impl.index for impls in ours for impl in impls}
        if not needed:
            return []
        return [
            plugin if plugin.index in needed and isinstance(plugin.thing, type) else None
            for plugin in self.plugins
        ]


def _refuse_twins(plugins: Sequence[Registered]) -> None:
    by_name: dict[str, Registered] = {}
    for plugin in plugins:
        if twin := by_name.get(plugin.name):
            raise PluginConflict(
                f"two plugins are named {plugin.name!r}: {_who(twin)} and"
                f" {_who(plugin)}; disable one, or give it another name"
            )
        by_name[plugin.name] = plugin


def _who(plugin: Registered) -> str:
    thing = plugin.thing
    path = getattr(thing, "__qualname__", thing.__name__)
    return (
        f"{plugin.name!r} {plugin.version} ({path} of"
        f" {getattr(thing, '__module__', thing.__name__)}, from {plugin.source})"
    )


def _unfit(thing: Any) -> str:
    """Return what keeps a class or a module from being a plugin, whatever its hooks are."""
    for name, value in vars(thing).items():
        if hasattr(value, f"{PROJECT}_impl") and not inspect.isroutine(value):
            return f"{name}: expected a function, found {value!r}"
    form: Any = getattr(thing, "State", None)
    if isinstance(form, type) and not getattr(form, "model_config", {}).get("frozen"):
        return f"State: expected a frozen model, found {form.__name__}; give it frozen=True"
    return ""


def _timed(hook: Hook[Any], impl: Impl) -> Callable[..., Any]:
    """Return the call of a sync *impl* that tells of itself if it takes long."""
    if impl.waits:
        return impl.call

    def call(instance: Any, ctx: Any, *rest: Any) -> Any:
        began = perf_counter()
        value = impl.call(instance, ctx, *rest)
        if (seconds := perf_counter() - began) > BLOCKING and hasattr(ctx, "scope"):
            cause = f"blocked the loop for {seconds:.2f} s"
            fault = blame(impl.plugin, hook.name, impl.function, cause, ctx.session_id)
            ctx.scope.faults.pending.append((fault, False))
        return value

    return call


def _switched_on(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def _without_instance(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _instance, *arguments: function(*arguments)
