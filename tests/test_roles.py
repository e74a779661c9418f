"""
Roles: a hook can do what its table row says, and nothing besides.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, Final

import pytest

from lash_sdk import Lash, Plugin
from lash_sdk.errors import InvalidInput, PluginConflict, Unavailable
from lash_sdk.hooks import HOOKS, Action, Allow, Ask
from lash_sdk.outcomes import Failure, Success
from lash_sdk.ports import ROLES
from lash_sdk.ports import roles as role_protocols
from lash_sdk.session.roles import Own
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool

from .hooking import mark, opened, plugin

ALL: Final = frozenset(ROLES)
READS: Final = frozenset(("snapshot", "lifecycle", "turns", "tasks", "graph", "direct"))

TABLE: Final[dict[str, frozenset[str]]] = {
    "provide_prompt": frozenset(("snapshot", "catalogue", "tasks", "direct")),
    "before_turn": frozenset(("snapshot", "tool_state", "lifecycle", "trace")),
    "before_tool": ALL,
    "after_tool": ALL,
    "decide_tool": ALL,
    "decide_approval": ALL,
    "around_tool": ALL,
    "at_checkpoint": frozenset(("lifecycle", "trace")),
    "after_turn": frozenset(("lifecycle", "trace")),
    "transform_context": READS,
    "on_turn_committed": READS,
    "on_config_changed": frozenset(("tasks",)),
    "transform_policy": frozenset(("tasks",)),
    "transform_request": frozenset(),
    "transform_response": frozenset(),
    "transform_chunk": frozenset(),
    "around_model": frozenset(),
    "on_session_opened": frozenset(),
    "on_session_closed": frozenset(),
    "on_event": frozenset(),
    "on_usage": frozenset(),
    "provide_tools": frozenset(),
    "provide_availability": frozenset(),
    "provide_commit": frozenset(),
    "around_commit": frozenset(),
    "tool_projector": frozenset(),
}
"""Least privilege: the roles of each hook."""


@tool
async def echo(text: str) -> str:
    """Say it again."""
    return text


def asked(ctx: Any, role: str) -> str:
    """Return why a role isn't there, in one word."""
    try:
        ctx.role(role)
    except Unavailable as error:
        assert role == error.role
        if "not for this hook" in str(error):
            assert "" == error.package
            return "not for this hook"
        assert ROLES[role] == error.package
        return "not installed"
    return "there"


def spy(hook: str, seen: list[dict[str, str]]) -> type[Plugin]:
    """Return a plugin that asks for every role in *hook*."""

    def look(ctx: Any) -> None:
        seen.append({role: asked(ctx, role) for role in ROLES})

    def plain(self: Any, ctx: Any) -> Any:
        look(ctx)
        return Ask() if hook == "decide_tool" else None

    def change(self: Any, ctx: Any, value: Any) -> None:
        look(ctx)

    async def around(self: Any, ctx: Any, call_next: Any) -> Any:
        look(ctx)
        return await call_next(ctx)

    kinds: dict[str, Callable[..., Any]] = {"transform": change, "wrap": around}
    made = {hook: kinds.get(HOOKS[hook].kind, plain)}
    if hook == "decide_approval":
        made["decide_tool"] = lambda self, ctx: Ask()
    return plugin("spy", **made)


@pytest.mark.parametrize("hook", TABLE)
async def test_a_hook_has_its_own_roles_and_no_others(hook: str) -> None:
    """
    What a plugin can't do needn't be reviewed; what's missing is said, not raised.
    """
    seen: list[dict[str, str]] = []
    script = [reply(calls=[call("echo", text="a")]), "done"]
    async with opened(spy(hook, seen), script=script, tools=[echo]) as session:
        await session.run("go")
        await session.configure(instructions="be brief")

    assert seen
    for found in seen:
        refused = {role for role, why in found.items() if why == "not for this hook"}
        assert ALL - TABLE[hook] == refused


@pytest.mark.parametrize("role", [role for role, package in ROLES.items() if package])
async def test_a_role_of_several_sessions_names_the_package_that_brings_it(role: str) -> None:
    """
    `Unavailable` with the way out; never an `AttributeError`.
    """
    said: list[str] = []

    def look(self: Any, ctx: Any) -> None:
        with pytest.raises(Unavailable, match="install lash-sessions") as caught:
            ctx.role(role)
        said.append(caught.value.package)

    script = [reply(calls=[call("echo", text="a")]), "done"]
    async with opened(plugin("p", before_tool=look), script=script, tools=[echo]) as session:
        turn = await session.run("go")

    assert ["lash-sessions"] == said
    assert isinstance(turn.tool_calls[0].outcome, Success)


async def test_a_role_that_does_not_exist_is_unavailable_as_well() -> None:
    """
    A misspelt one says so.
    """
    said: list[str] = []

    def look(self: Any, ctx: Any) -> None:
        with pytest.raises(Unavailable, match="no such role") as caught:
            ctx.role("grpah")
        said.append(caught.value.role)

    async with opened(plugin("p", before_turn=look)) as session:
        await session.run("go")

    assert ["grpah"] == said


async def test_events_of_a_plugin_carry_its_name() -> None:
    """
    `ctx.emit(self, …)` is for any hook; the plugin can't speak for another.
    """
    seen: list[Any] = []

    class Named(Plugin):
        name = "named"

        def say(self, ctx: Any) -> None:
            ctx.emit(self, "said", {"n": 1})

    Named.say = mark("before_turn", Named.say)  # type: ignore[method-assign]
    async with opened(Named) as session:
        session.listen(lambda event: seen.append(event))
        await session.run("go")

    assert [("named", "said", {"n": 1})] == [
        (event.plugin, event.name, event.body) for event in seen if hasattr(event, "body")
    ]


# --- actions -----------------------------------------------------------------------------------


async def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def acts(name: str, *actions: Action) -> type[Plugin]:
    return plugin(name, provide_actions=lambda self, ctx: list(actions))


async def test_an_action_takes_its_arguments_by_name_and_returns_a_value() -> None:
    """
    The same checks as for a tool, for whoever calls from outside the talk.
    """
    async with opened(acts("p", Action(name="sum.add", run=add))) as session:
        assert Success(value=5) == await session.act("sum.add", a=2, b=3)


async def test_two_actions_of_one_name_are_refused_when_the_session_opens() -> None:
    """
    Not weeks later, when somebody first calls one of them.
    """
    action = Action(name="add", run=add)
    with pytest.raises(PluginConflict, match="'add' is provided by 'a' and by 'b'"):
        async with opened(acts("a", action), acts("b", action)):
            pass


async def fails(a: int) -> int:
    raise LookupError("no such number")


async def odd(a: int) -> object:
    return object()


@pytest.mark.parametrize(
    ("action", "arguments", "code", "message"),
    [
        (add, {"a": "many"}, "invalid_action_args", "invalid do args: arguments.a: "),
        (add, {}, "invalid_action_args", "invalid do args: arguments.a: "),
        (add, {"a": 1, "c": 2}, "invalid_action_args", "invalid do args: arguments.c: "),
        (fails, {"a": 1}, "action_failed", "do failed: LookupError: no such number"),
        (odd, {"a": 1}, "invalid_action_output", "invalid do output: "),
    ],
)
async def test_what_can_go_wrong_with_an_action_is_told_apart(
    action: Any, arguments: dict[str, Any], code: str, message: str
) -> None:
    """
    The caller's mistake, the handler's failure and the handler's nonsense.
    """
    async with opened(acts("p", Action(name="do", run=action))) as session:
        outcome = await session.act("do", **arguments)

    assert isinstance(outcome, Failure)
    assert code == outcome.code
    assert outcome.message.startswith(message)


SESSIONS: Final[list[tuple[Any, bool, bool]]] = [
    ("required", True, True),
    ("required", False, False),
    ("optional", True, True),
    ("optional", False, True),
    ("forbidden", True, False),
    ("forbidden", False, True),
]


@pytest.mark.parametrize(("needs", "given", "works"), SESSIONS)
async def test_an_action_needs_takes_or_refuses_a_session(
    needs: Any, given: bool, works: bool
) -> None:
    """
    The whole matrix; the refusals say which way round it is.
    """
    made = acts("p", Action(name="add", run=add, session=needs))
    async with Lash(model=ScriptedModel([]), plugins=[made], autoload=False) as lash:
        asking = lash.act("add", session="s" if given else None, a=1)
        if works:
            assert Success(value=2) == await asking
        else:
            with pytest.raises(InvalidInput, match=r"takes no session|needs a session"):
                await asking


async def test_an_unknown_action_names_those_there_are() -> None:
    """
    A person types them.
    """
    async with opened(acts("p", Action(name="add", run=add))) as session:
        with pytest.raises(InvalidInput, match=r"no action 'ad'; actions: add"):
            await session.act("ad")


def test_an_allow_is_no_role() -> None:
    """
    Decisions are values: what a gate may do is answer.
    """
    assert not hasattr(Allow(), "role")


KERNELS = (
    role_protocols.SnapshotRole,
    role_protocols.CatalogueRole,
    role_protocols.ToolStateRole,
    role_protocols.GraphRole,
    role_protocols.TraceRole,
)


@pytest.mark.parametrize("protocol", KERNELS, ids=lambda each: each.__name__)
def test_the_kernels_roles_take_what_their_protocols_say(protocol: type) -> None:
    """
    Authors write against the protocol and get the kernel's object.
    """
    methods = {name: each for name, each in vars(protocol).items() if not name.startswith("_")}

    assert methods
    for name, method in methods.items():
        assert list(signature(method).parameters) == list(signature(getattr(Own, name)).parameters)
