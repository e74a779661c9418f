"""
The registry: who takes part, as what, and for how long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.contexts import HostContext, SessionContext, TurnContext
from lash_sdk.errors import InvalidInput, LashError, PluginConflict, PluginFault
from lash_sdk.hooks.kinds import Hook, collect, listen
from lash_sdk.memory import MemoryStore
from lash_sdk.plugins.impls import Impl
from lash_sdk.plugins.registered import register
from lash_sdk.protocol import STANDARD
from lash_sdk.testing import ScriptedModel

from .hooking import Bare, context, opened, plugin, registry

# --- names ---------------------------------------------------------------------------


def test_a_plugin_is_called_what_it_says_else_its_entry_point_else_its_class() -> None:
    """
    Configuration, order and faults all go by this one name.
    """

    class Weather(Plugin): ...

    named = type("Weather", (Plugin,), {"name": "clima", "version": "3"})

    assert ("weather", "0") == (register(Weather).name, register(Weather).version)
    assert "wetter" == register(Weather, name="wetter", version="2").name
    assert "2" == register(Weather, name="wetter", version="2").version
    assert ("clima", "3") == (register(named, name="x").name, register(named, version="2").version)


@pytest.mark.parametrize("thing", [3, "weather", int, Plugin(), object()])
def test_what_is_no_plugin_is_refused(thing: object) -> None:
    """
    An instance is the likely mistake, and the message says so.
    """
    with pytest.raises(InvalidInput, match="expected a Plugin class or a module") as caught:
        register(thing)

    assert ("pass the class" in str(caught.value)) is isinstance(thing, Plugin)


def test_two_plugins_of_one_name_are_refused_with_both_named() -> None:
    """
    Their state and configuration would be one another's.
    """
    first, second = plugin("same", "1"), plugin("same", "2")
    with pytest.raises(PluginConflict, match="two plugins are named 'same'") as caught:
        registry(first, second)

    assert "'same' 1" in str(caught.value)
    assert "'same' 2" in str(caught.value)


# --- instances -----------------------------------------------------------------------


def test_each_session_has_an_instance_of_its_own() -> None:
    """
    What a plugin keeps on itself belongs to one session.
    """

    class Counts(Plugin):
        count = 0

        @hooks.on_usage
        def usage(self, ctx: Any) -> None:
            self.count += 1

    found = registry(Counts)
    one, two = context(found), context(found)
    found.plans.on_usage(one)
    found.plans.on_usage(one)
    found.plans.on_usage(two)

    assert [2, 1] == [ctx.instances[0].count for ctx in (one, two)]  # type: ignore[attr-defined]
    assert 0 == Counts.count


def test_a_plugin_without_session_hooks_has_no_instance() -> None:
    """
    A store's plugin costs a session nothing.
    """
    found = registry(plugin("store", store=lambda cls, ctx: {}), plugin("b"))

    assert () == found.instances()
    assert (None, None) == registry(plugin("b"), _speaking_module()).instances()


def test_a_constructor_that_fails_is_the_plugins_fault() -> None:
    """
    The session isn't opened half-built; the message says whose fault it is.
    """

    class Broken(Plugin):
        def __init__(self) -> None:
            raise KeyError("no such thing")

        @hooks.on_usage
        def usage(self, ctx: Any) -> None: ...

    with pytest.raises(PluginFault) as caught:
        registry(Broken).instances()

    assert ("broken", "__init__") == (caught.value.plugin, caught.value.hook)
    assert __file__ in caught.value.where


def _speaking_module() -> ModuleType:
    module = ModuleType("speaks")

    @hooks.hookimpl
    def on_usage(ctx: Any) -> None: ...

    module.on_usage = on_usage  # type: ignore[attr-defined]
    return module


# --- hooks of a plugin's own ------------------------------------------------------------


def watch_disk(ctx: SessionContext) -> list[str]:
    """Return folders to watch."""
    return []


def test_a_plugin_may_bring_hooks_for_others_to_implement() -> None:
    """
    `provide_monitors` comes this way: the kernel has never heard of it.
    """
    spec = collect()(watch_disk)
    host = type("Host", (Plugin,), {"name": "host", "specs": (spec,)})

    class Guest(Plugin):
        @spec
        def folders(self, ctx: SessionContext) -> list[str]:
            return ["/tmp"]

    found = registry(host, Guest)

    assert [["/tmp"]] == [value for _plugin, value in found.plans.watch_disk(context(found))]
    assert not hasattr(registry(plugin("other")).plans, "watch_disk")
    with pytest.raises(PluginFault, match="watch_disk"):
        registry(Guest)  # whose hook's owner isn't there


def test_a_hook_that_exists_cannot_be_brought_again() -> None:
    """
    It would stand in the kernel's place, with another rule for everybody.
    """

    def on_usage(ctx: SessionContext) -> None:
        """Hear of something else."""

    def watch_disk(ctx: SessionContext) -> None:
        """Hear of disks."""

    mine = listen(on_usage)
    first, second = listen(watch_disk), listen(watch_disk)
    thief = type("Thief", (Plugin,), {"name": "thief", "specs": (mine,)})
    one = type("One", (Plugin,), {"name": "one", "specs": (first,)})
    two = type("Two", (Plugin,), {"name": "two", "specs": (second,)})
    shares = type("Shares", (Plugin,), {"name": "shares", "specs": (first,)})

    with pytest.raises(PluginConflict, match=r"'on_usage'.*'thief'"):
        registry(thief)
    with pytest.raises(PluginConflict, match=r"'watch_disk'.*'two'"):
        registry(one, two)
    assert ["one", "shares"] == [found.name for found in registry(one, shares).plugins]


# --- supplies: one owner per name ---------------------------------------------------------


@pytest.mark.parametrize("hook", ["store", "model"])
async def test_two_suppliers_of_a_scheme_are_an_error_that_names_both(hook: str) -> None:
    """
    Whose database an address means must not depend on luck.
    """
    first = plugin("first", **{hook: lambda cls, ctx: {"x": lambda text: MemoryStore()}})
    second = plugin("second", **{hook: lambda cls, ctx: {"x": lambda text: MemoryStore()}})
    with pytest.raises(PluginConflict, match=f"{hook} 'x'") as caught:
        async with Lash(plugins=[first, second], autoload=False):
            pass

    assert "'first'" in str(caught.value)
    assert "'second'" in str(caught.value)


@pytest.mark.parametrize("hook", ["protocol", "tool_projector"])
async def test_two_suppliers_of_a_sessions_one_thing_are_an_error_that_names_both(
    hook: str,
) -> None:
    """
    A session talks one protocol, and shows outcomes in one way.
    """
    with pytest.raises(PluginConflict, match=f"{hook} is supplied by 'a' and 'b'"):
        async with opened(
            plugin("a", **{hook: lambda self, ctx: STANDARD}),
            plugin("b", **{hook: lambda self, ctx: STANDARD}),
        ):
            pass


@pytest.mark.parametrize("value", [MemoryStore, ["x"], 3])
async def test_a_supplier_must_return_names_and_factories(value: object) -> None:
    """
    Returning the factory itself is the likely mistake; it's named as such.
    """
    with pytest.raises(PluginFault, match="expected factories by name") as caught:
        async with Lash(plugins=[plugin("odd", store=lambda cls, ctx: value)], autoload=False):
            pass

    assert ("odd", "store") == (caught.value.plugin, caught.value.hook)


async def test_a_supplier_that_fails_keeps_the_app_from_opening() -> None:
    """
    Better no app than one without the store it's about to be asked for.
    """

    def fails(cls: Any, ctx: HostContext) -> Any:
        raise ValueError("broken")

    with pytest.raises(PluginFault, match="broken") as caught:
        async with Lash(plugins=[plugin("odd", store=fails)], autoload=False):
            pass

    assert ("odd", "store") == (caught.value.plugin, caught.value.hook)


# --- opening and closing ----------------------------------------------------------------


async def test_sessions_are_closed_in_the_reverse_order() -> None:
    """
    Who came first may be needed by all who came after.
    """
    seen: list[str] = []

    def hears(name: str) -> Any:
        async def opened(self: Plugin, ctx: SessionContext) -> None:
            seen.append(f"{name} opened")

        async def closed(self: Plugin, ctx: SessionContext) -> None:
            seen.append(f"{name} closed")

        return plugin(name, on_session_opened=opened, on_session_closed=closed)

    async with opened(hears("a"), hears("b"), hears("c")):
        pass

    assert ["a opened", "b opened", "c opened", "c closed", "b closed", "a closed"] == seen


async def test_closing_goes_on_after_a_fault() -> None:
    """
    One plugin's broken farewell must not leave another's files open.
    """
    seen: list[str] = []

    def closes(name: str) -> Any:
        async def closed(self: Plugin, ctx: SessionContext) -> None:
            seen.append(name)
            if name == "b":
                raise ValueError("broken")

        return plugin(name, on_session_closed=closed)

    async def hear(self: Plugin, ctx: Any) -> None:
        seen.append(f"fault of {ctx.fault.plugin}")

    async with opened(closes("a"), closes("b"), closes("c"), plugin("d", on_fault=hear)):
        pass

    assert ["c", "b", "a", "fault of b"] == seen


# --- around the app -----------------------------------------------------------------------


def holds(name: str, seen: list[str], *, fail: str = "") -> type[Plugin]:
    async def app(cls: Any, ctx: HostContext, call_next: Callable[[Any], Awaitable[None]]) -> None:
        seen.append(f"{name} in")
        if fail == "in":
            raise OSError("no pool")
        if fail == "skip":
            return
        try:
            await call_next(f"{name}'s pool")
        finally:
            seen.append(f"{name} out")
        if fail == "out":
            raise OSError("no way out")

    def shared(self: Plugin, ctx: TurnContext) -> None:
        seen.append(f"{name} has {self.shared}")

    return plugin(name, around_app=app, before_turn=shared)


async def test_what_around_app_hands_over_is_shared_by_every_session_of_that_plugin() -> None:
    """
    A pool is made once, held while the app is open, and released once.
    """
    seen: list[str] = []
    async with Lash(
        model=ScriptedModel(["hi", "hi"]),
        plugins=[holds("b", seen), holds("a", seen)],
        autoload=False,
    ) as lash:
        assert ["a in", "b in"] == seen
        for id in ("one", "two"):
            session = await lash.session(id)
            await session.run("hello")
        assert ["a out" in seen, "b out" in seen] == [False, False]

    had = ["a has a's pool", "b has b's pool"]
    assert ["a in", "b in", *had, *had, "b out", "a out"] == seen


async def test_a_failing_around_app_keeps_the_app_from_opening_and_unwinds_the_rest() -> None:
    """
    The plugin is named; those before it release what they made.
    """
    seen: list[str] = []
    tasks = len(asyncio.all_tasks())
    with pytest.raises(PluginFault, match="no pool") as caught:
        async with Lash(
            plugins=[holds("a", seen), holds("b", seen, fail="in"), holds("c", seen)],
            autoload=False,
        ):
            pass

    assert ("b", "around_app") == (caught.value.plugin, caught.value.hook)
    assert ["a in", "b in", "a out"] == seen
    await asyncio.sleep(0)
    assert tasks == len(asyncio.all_tasks())


async def test_an_around_app_that_fails_on_its_way_out_is_named() -> None:
    """
    Everything else is released all the same.
    """
    seen: list[str] = []
    lash = Lash(plugins=[holds("a", seen), holds("b", seen, fail="out")], autoload=False)
    await lash.__aenter__()
    with pytest.raises(PluginFault, match="no way out") as caught:
        await lash.close()

    assert "b" == caught.value.plugin
    assert ["a in", "b in", "b out", "a out"] == seen


async def test_an_around_app_that_never_goes_inward_is_named() -> None:
    """
    The app would wait for ever, or run without what it was promised.
    """
    seen: list[str] = []
    with pytest.raises(LashError, match="around_app") as caught:
        async with Lash(plugins=[holds("a", seen, fail="skip")], autoload=False):
            pass

    assert "'a'" in str(caught.value)


# --- two apps ------------------------------------------------------------------------------


async def test_two_apps_in_one_process_know_nothing_of_each_other() -> None:
    """
    No registry, plan or shared thing is global: a library may have its own app.
    """
    seen: list[str] = []
    one = Lash(model=ScriptedModel(["one"]), plugins=[holds("a", seen)], autoload=False)
    two = Lash(model=ScriptedModel(["two"]), plugins=[holds("b", seen)], autoload=False)
    async with one, two:
        first, second = await one.session("s"), await two.session("s")
        await first.run("hello")
        await second.run("hello")
        names = [{found.name for found in app.plugins} for app in (one, two)]

    assert [{"a"}, {"b"}] == [found - {"standard", "scripted"} for found in names]
    assert ["a in", "b in", "a has a's pool", "b has b's pool", "b out", "a out"] == seen
    assert 1 == first.revision == second.revision


def test_a_plan_belongs_to_its_registry() -> None:
    """
    The same class in two registries has two places among the instances.
    """
    last = plugin("z", provide_tools=lambda self, ctx: [self.name])
    alone, among = registry(last), registry(plugin("a"), last)

    assert [0, 1] == [found.plugins[-1].index for found in (alone, among)]
    for found in (alone, among):
        assert [["z"]] == [value for _plugin, value in found.plans.provide_tools(context(found))]


def test_a_bare_scope_is_enough_for_a_context() -> None:
    """
    Contexts ask the session for five things and no more.
    """
    scope = Bare(registry(plugin("a")))
    ctx = SessionContext(scope)
    ctx.emit(plugin("a")(), "shown", {"n": 1})

    assert [("a", "shown", {"n": 1})] == scope.emitted


async def test_who_observes_a_registry_stands_around_each_implementation() -> None:
    """
    Traces and recorders cost nobody anything until they're asked for.
    """
    seen: list[str] = []

    def around(hook: Hook[Any], impl: Impl) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            seen.append(f"{hook.name} of {impl.plugin.name}")
            return impl.call(*arguments)

        return call

    found = registry(plugin("one", provide_tools=lambda self, ctx: ["part"]))
    before = found.plans.provide_tools
    found.observe(around)
    ctx = context(found)

    assert before(ctx) == found.plans.provide_tools(ctx)
    assert ["provide_tools of one"] == seen
