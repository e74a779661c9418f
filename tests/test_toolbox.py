"""
The toolbox: which tools there are, whose they are, and which can be called now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lash_sdk import Plugin
from lash_sdk.dispatch.toolbox import Toolbox, ToolState
from lash_sdk.errors import InvalidInput, PluginConflict, PluginFault
from lash_sdk.hooks import Visibility
from lash_sdk.memory import MemoryStore
from lash_sdk.outcomes import Failure
from lash_sdk.plugins.faults import STRIKES
from lash_sdk.testing import call, reply
from lash_sdk.tools import Tool, as_tool

from .hooking import context, opened, plugin, registry


def named(name: str, *, hidden: bool = False, ran: list[str] | None = None) -> Tool:
    async def run() -> str:
        if ran is not None:
            ran.append(name)
        return name

    run.__name__ = name
    made = as_tool(run)
    return replace(made, definition=replace(made.definition, hidden=hidden))


def provides(owner: str, *tools: Tool) -> type[Plugin]:
    return plugin(owner, provide_tools=lambda self, ctx: list(tools))


def says(owner: str, **words: Visibility) -> type[Plugin]:
    return plugin(owner, provide_availability=lambda self, ctx: words)


def breaks(self: Plugin, ctx: Any) -> Any:
    raise ValueError("broken")


def synced(box: Toolbox, *plugins: object) -> Toolbox:
    found = registry(*plugins)
    box.sync(context(found), found.plans)
    return box


# --- sources -----------------------------------------------------------------------------


def test_tools_of_the_app_and_of_plugins_are_called_alike() -> None:
    """
    The catalogue says whose each is.
    """
    box = synced(Toolbox([named("a")]), provides("p", named("b")), provides("q", named("c")))

    assert ["a", "b", "c"] == [definition.name for definition in box.shown]
    assert {"a": "app", "b": "p", "c": "q"} == {
        name: source for name, (_definition, source, _shown) in box.catalogue().items()
    }
    assert box.get("b") is not None
    assert None is box.get("d")


@pytest.mark.parametrize(
    ("host", "plugins", "first", "second"),
    [
        (["x"], [provides("p", named("x"))], "'app'", "'p'"),
        ([], [provides("p", named("x")), provides("q", named("x"))], "'p'", "'q'"),
    ],
)
def test_one_name_from_two_sources_is_an_error_that_names_both(
    host: list[str], plugins: list[object], first: str, second: str
) -> None:
    """
    Which of them the model would call must not depend on order.
    """
    box = Toolbox([named(name) for name in host])
    before = box.names
    with pytest.raises(PluginConflict, match=f"'x' is provided by {first} and by {second}"):
        synced(box, *plugins)

    assert before == box.names


@pytest.mark.parametrize("where", ["app", "plugin"])
def test_one_name_twice_from_one_source_is_an_error(where: str) -> None:
    """
    The second would silently replace the first.
    """
    with pytest.raises(PluginConflict, match="'x' is provided twice by"):
        if where == "app":
            Toolbox([named("x"), named("x")])
        else:
            synced(Toolbox([]), provides("p", named("x"), named("x")))


@pytest.mark.parametrize("wrong", [[lambda: 1], ["text"], 3, named("x")])
def test_what_is_no_tool_is_blamed_on_its_provider(wrong: Any) -> None:
    """
    A plain function is the likely mistake; the message asks for `@tool`.
    """
    box = synced(Toolbox([named("a")]), provides("p", named("b")))
    with pytest.raises(PluginFault, match="expected tools") as caught:
        synced(box, plugin("odd", provide_tools=lambda self, ctx: wrong))

    assert ("odd", "provide_tools") == (caught.value.plugin, caught.value.hook)
    assert {"a", "b"} == box.names


def test_a_provider_that_fails_changes_nothing() -> None:
    """
    A turn with half its tools would be worse than none.
    """
    box = synced(Toolbox([named("a")]), provides("p", named("b")))
    with pytest.raises(PluginFault):
        synced(box, plugin("p", provide_tools=breaks))

    assert {"a", "b"} == box.names
    assert box.get("b") is not None


# --- generations -----------------------------------------------------------------------------


def test_applying_a_state_raises_the_generation() -> None:
    """
    Whoever read the state before has an old one from now on.
    """
    box = Toolbox([named("a"), named("b")])
    first = box.state
    second = box.apply(replace(first, overrides={"a": "hidden"}))

    assert first.generation + 1 == second.generation
    assert second is box.state
    assert {"b"} == box.names


def test_a_state_of_an_old_generation_is_refused_and_changes_nothing() -> None:
    """
    Two editors at once: the second must look again before it writes.
    """
    box = Toolbox([named("a"), named("b")])
    old = box.state
    box.apply(replace(old, overrides={"a": "hidden"}))
    with pytest.raises(InvalidInput, match="expected generation 2, found 1"):
        box.apply(replace(old, overrides={"b": "hidden"}))

    assert {"b"} == box.names
    assert {"a": "hidden"} == box.state.overrides


def test_a_name_that_no_source_has_is_refused() -> None:
    """
    Hiding "delte" would leave "delete" where it is.
    """
    box = Toolbox([named("delete")])
    with pytest.raises(InvalidInput, match="no tool 'delte'"):
        box.apply(replace(box.state, overrides={"delte": "hidden"}))

    assert {"delete"} == box.names


def test_a_source_that_goes_takes_its_tools_along_and_raises_the_generation() -> None:
    """
    A state made for tools that are gone must not be applied unseen.
    """
    box = synced(Toolbox([named("a")]), provides("p", named("b")))
    state = box.state
    synced(box, provides("p", named("b")))
    same = box.state
    synced(box)

    assert state == same  # the same tools again are no change
    assert state.generation + 1 == box.state.generation
    assert {"a"} == box.names
    with pytest.raises(InvalidInput, match="generation"):
        box.apply(replace(state, overrides={"b": "hidden"}))


def test_overrides_stay_when_a_source_is_refreshed() -> None:
    """
    Also over a time in which the tool wasn't there.
    """
    box = synced(Toolbox([named("a")]), provides("p", named("b"), named("c")))
    box.apply(replace(box.state, overrides={"b": "hidden"}))
    names = [synced(box, provides("p", named("b"), named("c"))).names]
    names.append(synced(box).names)
    names.append(synced(box, provides("p", named("b"))).names)

    assert [{"a", "c"}, {"a"}, {"a"}] == names
    assert {"b": "hidden"} == box.state.overrides


def test_an_override_of_an_absent_tool_does_not_stand_in_the_way() -> None:
    """
    A plugin that's gone must not make every other tool unhideable.
    """
    box = synced(Toolbox([named("a")]), provides("p", named("b")))
    box.apply(replace(box.state, overrides={"b": "hidden"}))
    synced(box)
    both: Mapping[str, Visibility] = {**box.state.overrides, "a": "hidden"}
    state = box.apply(replace(box.state, overrides=both))

    assert both == state.overrides
    assert ["a", "b"] == sorted(both)
    assert set() == box.names


@pytest.mark.parametrize("value", [None, {}, {"a": "hidden", "gone": "shown"}])
def test_what_was_saved_is_restored(value: Any) -> None:
    """
    Overrides outlive the process; the generation is each process' own.
    """
    box = Toolbox([named("a")])
    box.restore(value)

    assert (value or {}) == box.state.overrides
    assert 1 == box.state.generation
    assert (value or {}) == (box.state.to_component().value or {})


# --- who may be seen -----------------------------------------------------------------------


LAYERS: list[tuple[bool, Mapping[str, Visibility], Mapping[str, Visibility], bool]] = [
    (False, {}, {}, True),
    (True, {}, {}, False),
    (True, {"x": "shown"}, {}, True),
    (False, {"x": "hidden"}, {}, False),
    (False, {"x": "hidden"}, {"x": "shown"}, True),
    (False, {"x": "shown"}, {"x": "hidden"}, False),
    (True, {}, {"x": "shown"}, True),
]


@pytest.mark.parametrize(("hidden", "plugins", "session", "seen"), LAYERS)
def test_the_strongest_word_on_a_tool_counts(
    hidden: bool, plugins: Mapping[str, Visibility], session: Mapping[str, Visibility], seen: bool
) -> None:
    """
    The tool's own default, then plugins, then the session itself.
    """
    box = synced(Toolbox([named("x", hidden=hidden)]), says("p", **plugins))
    box.apply(replace(box.state, overrides=session))

    assert seen is ("x" in box.names)
    assert seen is (box.get("x") is not None)
    assert seen is box.catalogue()["x"][2]


@pytest.mark.parametrize("order", [("hidden", "shown"), ("shown", "hidden")])
def test_hidden_by_any_plugin_is_hidden(order: tuple[Visibility, Visibility]) -> None:
    """
    One plugin can't show what another one guards.
    """
    box = synced(Toolbox([named("x")]), says("a", x=order[0]), says("b", x=order[1]))

    assert set() == box.names


def test_nothing_shows_what_the_host_itself_hides() -> None:
    """
    The application's authority stands above every layer.
    """
    box = Toolbox([named("x"), named("y")], hidden=frozenset(("x",)))
    synced(box, says("p", x="shown"))
    box.apply(ToolState(generation=box.state.generation, overrides={"x": "shown"}))

    assert {"y"} == box.names
    assert None is box.get("x")


# --- failing closed ----------------------------------------------------------------------------


def test_a_failing_availability_leaves_only_the_hosts_own_tools() -> None:
    """
    What a plugin brought might be what a guard hides.
    """
    box = synced(
        Toolbox([named("a")]),
        provides("p", named("b")),
        plugin("guard", provide_availability=breaks),
    )

    assert {"a"} == box.names
    assert None is box.get("b")


def test_a_failing_availability_never_shows_what_another_plugin_hides() -> None:
    """
    Whichever fails and whichever is asked first: hidden stays hidden.
    """
    for guard, broken in (("a", "b"), ("b", "a")):
        box = synced(
            Toolbox([named("delete"), named("read")]),
            says(guard, delete="hidden"),
            plugin(broken, provide_availability=breaks),
        )

        assert {"read"} == box.names


def test_a_failing_availability_keeps_hidden_what_it_hid_before() -> None:
    """
    Its last good word stands where it was a no.
    """
    box = synced(Toolbox([named("delete"), named("read")]), says("guard", delete="hidden"))
    synced(box, plugin("guard", provide_availability=breaks))

    assert {"read"} == box.names


def test_availability_recovers_once_it_answers_again() -> None:
    """
    Closed isn't for ever, and what isn't hidden any more is shown.
    """
    box = synced(Toolbox([named("a")]), provides("p", named("b")), says("guard", a="hidden"))
    synced(box, provides("p", named("b")), plugin("guard", provide_availability=breaks))
    closed = box.names
    synced(box, provides("p", named("b")), says("guard"))

    assert set() == closed
    assert {"a", "b"} == box.names


def test_a_failing_availability_is_never_switched_off() -> None:
    """
    Not asking any more would be the same as allowing all.
    """
    calls: list[int] = []

    def fails(self: Plugin, ctx: Any) -> Any:
        calls.append(1)
        raise ValueError("broken")

    found = registry(provides("p", named("b")), plugin("guard", provide_availability=fails))
    ctx, box = context(found), Toolbox([named("a")])
    for _ in range(STRIKES + 2):
        box.sync(ctx, found.plans)

        assert {"a"} == box.names
    assert STRIKES + 2 == len(calls) == len(ctx.scope.faults.pending)
    assert {"guard"} == {fault.plugin for fault, _off in ctx.scope.faults.pending}


@pytest.mark.parametrize("wrong", [["delete"], "hidden", 3, {"b": "invisible"}, {"b": [1]}])
def test_nonsense_from_availability_closes_as_well(wrong: Any) -> None:
    """
    A list of names to hide is what some author will return.
    """
    found = registry(
        provides("p", named("b")), plugin("guard", provide_availability=lambda self, ctx: wrong)
    )
    ctx, box = context(found), Toolbox([named("a")])
    box.sync(ctx, found.plans)
    ((fault, off),) = ctx.scope.faults.pending

    assert {"a"} == box.names
    assert ("guard", "provide_availability", False) == (fault.plugin, fault.hook, off)


# --- in a session ------------------------------------------------------------------------------


async def test_a_hidden_tool_cannot_be_called_even_by_name() -> None:
    """
    A model may remember a name; neither tool nor hooks of the call run.
    """
    ran: list[str] = []

    def hear(self: Plugin, ctx: Any) -> None:
        ran.append("hook")

    async with opened(
        says("guard", delete="hidden"),
        plugin("spy", before_tool=hear, after_tool=hear, decide_tool=hear),
        tools=[named("delete", ran=ran)],
        script=[reply(calls=[call("delete")]), "ok"],
    ) as session:
        turn = await session.run("clean up")
    (record,) = turn.tool_calls

    assert isinstance(record.outcome, Failure)
    assert ("unavailable", "tool_unavailable") == (record.outcome.reason, record.outcome.code)
    assert [] == ran


async def test_a_tool_hidden_in_the_middle_of_a_turn_is_gone_for_the_next_call() -> None:
    """
    Availability is asked before each model call, not once a session.
    """
    ran: list[str] = []

    def once(self: Plugin, ctx: Any) -> dict[str, Visibility]:
        return {"delete": "hidden"} if ran else {}

    twice = [reply(calls=[call("delete")]), reply(calls=[call("delete")]), "ok"]
    async with opened(
        plugin("guard", provide_availability=once), tools=[named("delete", ran=ran)], script=twice
    ) as session:
        turn = await session.run("clean up")

    assert ["delete"] == ran
    assert ["success", "failure"] == [record.outcome.kind for record in turn.tool_calls]


async def test_hiding_a_tool_is_durable() -> None:
    """
    What a person took away stays away when the session is opened again.
    """
    store = MemoryStore()
    async with opened(tools=[named("a"), named("b")], store=store) as session:
        await session.hide("a")
        assert 1 == session.revision
    async with opened(tools=[named("a"), named("b")], store=store) as session:
        seen = {name: shown for name, (_tool, _source, shown) in session.catalogue.items()}
        await session.show("a")
        again = {name: shown for name, (_tool, _source, shown) in session.catalogue.items()}

    assert {"a": False, "b": True} == seen
    assert {"a": True, "b": True} == again


async def test_sessions_of_one_app_hide_for_themselves() -> None:
    """
    The app's tools are shared, what a session may see of them isn't.
    """
    store = MemoryStore()
    async with opened(tools=[named("a")], store=store) as session:
        await session.hide("a")

        assert "a" in session.catalogue
        assert not session.catalogue["a"][2]
    async with opened(tools=[named("a")]) as other:
        assert other.catalogue["a"][2]
