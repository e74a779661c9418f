"""
What the kernel does for a host of several sessions, and the five roles it has itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lash_sdk import Lash, Plugin, Usage, hooks
from lash_sdk.contexts import HostContext, ToolContext, TurnContext
from lash_sdk.errors import InvalidInput, OperationMismatch, SessionBusy, SessionExists
from lash_sdk.graph import Note
from lash_sdk.hooks import CreateSession
from lash_sdk.journal import Deed
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import user
from lash_sdk.policy import Policy
from lash_sdk.ports import Access, Asker, Birth, SessionHost, SessionSpec
from lash_sdk.ports.roles import Appended, StaleBranch
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool
from lash_sdk.usage import UsageRow

ROW = UsageRow(
    id="x/1", turn="x", session="kid", source="child", model="m", usage=Usage(input=3, output=2)
)
NOTE = Note(plugin="p", type="seen", body={"n": 1})


class Manager:
    """A host of several sessions that makes one child, and notes what it's told."""

    def __init__(self, host: SessionHost) -> None:
        self.host = host
        self.heard: list[Any] = []

    def role(self, name: str, asker: Asker) -> Any:
        self.asker = asker
        return self

    async def create(self, request: Any) -> None:
        live = self.asker.live
        turn = live.aside.turn
        birth = Birth(operation="make-kid", parent=live.id, pending=turn, policy=Policy())
        live.do(Deed(child="kid"))
        session = await self.host.open(SessionSpec(id="kid", birth=birth, unseen=True))
        await session.close()

    async def route(self, live: Any) -> Any:
        return None

    async def recover(self, live: Any, deeds: Any, *, closing: bool) -> None:
        self.heard.append(("recover", [deed.child for deed in deeds if deed.child], closing))

    async def settle(self, live: Any, *, cancelled: bool) -> None:
        self.heard.append(("settle", cancelled))

    async def lose(self, live: Any, children: Any) -> None:
        self.heard.append(("lose", tuple(children)))

    async def close(self) -> None:
        self.heard.append("close")


MADE: list[Manager] = []


class Hosting(Plugin):
    name = "hosting"

    @hooks.session_manager
    def manager(cls, ctx: HostContext) -> Mapping[str, Any]:
        def make(host: SessionHost) -> Manager:
            MADE.append(Manager(host))
            return MADE[-1]

        return {"default": make}


class Making(Plugin):
    name = "making"

    @hooks.before_turn
    async def make(self, ctx: TurnContext) -> list[Any]:
        return [CreateSession(request={})]


class Refusing(Plugin):
    name = "refusing"

    @hooks.after_turn
    async def refuse(self, ctx: TurnContext) -> list[Any]:
        raise ValueError("not this one")


def app(*plugins: Any, script: Any = ("hi",), **settings: Any) -> Lash:
    return Lash(model=ScriptedModel(list(script)), plugins=plugins, autoload=False, **settings)


async def test_a_child_is_seen_once_its_parents_turn_is_committed() -> None:
    """
    Before that nobody may find a session that may yet be taken back.
    """
    seen: list[Any] = []

    @tool
    async def look(ctx: ToolContext) -> str:
        """Look for the child."""
        seen.append([each.id for each in await lash.sessions(children=True)])
        with pytest.raises(SessionBusy):
            await lash.session("kid")
        return "ok"

    script = [reply(calls=[call("look")]), "done"]
    async with app(Hosting, Making, script=script, tools=[look]) as lash:
        session = await lash.session("s")
        await session.run("go")
        child = await lash.session("kid")

        assert [["s"]] == seen
        assert ["kid"] == [each.id for each in await lash.sessions(prefix="kid", children=True)]
        assert [] == [each for each in await lash.sessions() if each.id == "kid"]
        assert 1 == child.revision
        assert ("settle", False) in MADE[-1].heard
    assert "close" == MADE[-1].heard[-1]


async def test_a_child_goes_with_the_turn_that_made_it() -> None:
    """
    No orphan is left of a turn that never was.
    """
    store = MemoryStore()
    async with app(Hosting, Making, Refusing, store=store) as lash:
        session = await lash.session("s")
        with pytest.raises(Exception, match="not this one"):
            await session.run("go")

        assert ("lose", ("kid",)) in MADE[-1].heard
        with pytest.raises(Exception, match="was deleted"):
            await store.head("kid")


async def test_an_id_with_history_is_not_made_again() -> None:
    """
    A second birth would bury what's there.
    """
    async with app(Hosting) as lash:
        await (await lash.session("kid")).run("go")
        host = MADE[-1].host
        await (await lash.session("kid")).close()
        birth = Birth(operation="other")
        async with app(Hosting, store=lash.store):
            with pytest.raises(SessionExists):
                await MADE[-1].host.open(SessionSpec(id="kid", birth=birth))
        assert host is not MADE[-1].host


async def test_access_outlives_the_process() -> None:
    """
    What a child may never see, it may not see when it's opened by hand either.
    """

    @tool
    async def a() -> str:
        """Do a."""
        return "a"

    @tool
    async def b() -> str:
        """Do b."""
        return "b"

    store = MemoryStore()
    birth = Birth(operation="o", access=Access(only=("a",), hidden=()))
    async with app(Hosting, store=store, tools=[a, b]):
        await MADE[-1].host.open(SessionSpec(id="kid", birth=birth))
    async with app(store=store, tools=[a, b]) as lash:
        session = await lash.session("kid")
        await session.show("b")

        assert ["a"] == [name for name, row in session.catalogue.items() if row[2]]


# --- the kernel's own roles ----------------------------------------------------


def acting(act: Any) -> Any:
    @tool
    async def do(ctx: ToolContext) -> str:
        """Do it."""
        await act(ctx)
        return "ok"

    return do


async def acted(act: Any, **settings: Any) -> Any:
    """Return an app's session after a turn in which *act* was called with a tool's context."""
    script = [reply(calls=[call("do")]), "done", "more"]
    lash = app(script=script, tools=[acting(act)], **settings)
    await lash.__aenter__()
    session = await lash.session("s")
    await session.run("go")
    return session


async def test_nodes_that_are_added_in_a_turn_are_committed_with_it() -> None:
    """
    They never make its commit conflict, and its end stays its last node.
    """

    async def act(ctx: ToolContext) -> None:
        graph = ctx.role("graph")
        assert Appended(nodes=(), leaf=None) == await graph.append_session_nodes([NOTE])
        again = [await graph.append_session_nodes([user("psst")], operation="o") for _ in "ab"]
        assert again[0] == again[1]
        with pytest.raises(OperationMismatch):
            await graph.append_session_nodes([user("else")], operation="o")
        stale = await graph.append_session_nodes([NOTE], requires_ancestor="gone")
        assert StaleBranch(required="gone", leaf=None) == stale

    session = await acted(act)

    kinds = [node.kind for node in session.graph.path()]
    assert 1 == session.revision
    assert ["plugin", "message", "turn"] == kinds[-3:]
    assert "psst" == session.messages[-1].text


async def test_nodes_are_added_outside_a_turn_once_for_an_operation() -> None:
    """
    A lost reply is asked for again.
    """
    async with app(Hosting) as lash:
        session = await lash.session("s")
        live = MADE[-1].host.live("s")
        graph = live.roles.role("graph", Asker(live=live))
        first = await graph.append_session_nodes([user("a")], operation="o")

        assert Appended(nodes=("o:0",), leaf="o:0") == first
        assert first == await graph.append_session_nodes([user("a")], operation="o")
        with pytest.raises(OperationMismatch):
            await graph.append_session_nodes([user("b")], operation="o")
        assert 1 == session.revision


async def test_a_snapshot_within_a_turn_is_what_was_committed_before() -> None:
    """
    With its plugins' nodes, and never waiting.
    """
    seen: list[Any] = []

    async def act(ctx: ToolContext) -> None:
        seen.append(ctx.role("snapshot").snapshot_current())
        seen.append(await ctx.role("snapshot").snapshot_session("s"))
        with pytest.raises(InvalidInput, match="no session 'nobody'"):
            await ctx.role("snapshot").snapshot_session("nobody")

    store = MemoryStore()
    async with app(store=store) as lash:
        first = await lash.session("s")
        await first.append([user("before"), NOTE])
    await acted(act, store=store)

    assert [1, 1] == [each.revision for each in seen]
    assert [NOTE] == [n.value for n in seen[0].graph.path() if n.kind == "plugin"]
    assert ["before"] == [message.text for message in seen[0].history]


async def test_tools_that_a_turn_hides_are_hidden_from_its_next_call_on() -> None:
    """
    The state goes with the turn's commit, and an old generation is refused.
    """

    async def act(ctx: ToolContext) -> None:
        role = ctx.role("tool_state")
        old = role.tool_state()
        generation = await role.set_availability({"do": "hidden"})
        assert role.tool_state().generation == generation > old.generation
        with pytest.raises(InvalidInput, match="generation"):
            await role.apply_tool_state(old)
        assert not ctx.role("catalogue").tool_catalog()["do"][2]

    store = MemoryStore()
    await acted(act, store=store)
    async with app(store=store, tools=[acting(act)]) as lash:
        assert {"do": "hidden"} == (await lash.session("s")).tool_state.overrides


async def test_tools_that_a_lost_turn_hid_are_back() -> None:
    """
    A turn that never was hides nothing.
    """

    async def act(ctx: ToolContext) -> None:
        await ctx.role("tool_state").set_availability({"do": "hidden"})

    script = [reply(calls=[call("do")]), "done"]
    async with app(Refusing, script=script, tools=[acting(act)]) as lash:
        session = await lash.session("s")
        with pytest.raises(Exception, match="not this one"):
            await session.run("go")

        assert session.catalogue["do"][2]


# --- what others spent ---------------------------------------------------------


async def test_what_is_spent_outside_a_turn_is_durable_and_counted_once() -> None:
    """
    No revision moves, no commit is waited for, and nobody pays twice.
    """
    store = MemoryStore()
    async with app(Hosting, store=store) as lash:
        session = await lash.session("s")
        for _ in range(2):
            await MADE[-1].host.spend("s", [ROW])
        assert (0, 5) == (session.revision, session.usage().total)
    async with app(Hosting, store=store) as lash:
        session = await lash.session("s")
        assert 5 == session.usage().total
        turn = await session.run("go")
        assert (20, 15) == (session.usage().total, turn.usage.total)
        assert () == await store.journal("s")
    async with app(Hosting, store=store) as lash:
        session = await lash.session("s")
        await MADE[-1].host.spend("s", [ROW])
        assert 20 == session.usage().total


async def test_what_one_app_spent_outlives_the_turns_of_another() -> None:
    """
    Whoever has the session open elsewhere doesn't know of it, and it isn't theirs to forget.
    """
    store = MemoryStore()
    async with app(Hosting, store=store) as lash, app(Hosting, store=store) as other:
        session = await lash.session("s")
        await other.session("s")
        await MADE[-1].host.spend("s", [ROW])
        await session.run("go")
    async with app(store=store) as lash:
        session = await lash.session("s")
        assert 20 == session.usage().total
        await session.run("go")
        assert () == await store.journal("s")


async def test_what_is_spent_in_a_turn_is_in_its_record_and_its_commit() -> None:
    """
    The turn's own tokens and its children's are told apart, and both are kept.
    """

    async def act(ctx: ToolContext) -> None:
        await MADE[-1].host.spend("s", [ROW, ROW])

    store = MemoryStore()
    script = [reply(calls=[call("do")]), "done"]
    async with app(Hosting, script=script, store=store, tools=[acting(act)]) as lash:
        turn = await (await lash.session("s")).run("go")
        assert (30, 5) == (turn.usage.total, turn.children_usage.total)
    async with app(store=store) as lash:
        assert {"turn", "child"} == set((await lash.session("s")).usage().by_source)


async def test_what_is_spent_in_a_lost_turn_is_owed_all_the_same() -> None:
    """
    The provider's bill doesn't know of our commits.
    """

    async def act(ctx: ToolContext) -> None:
        await MADE[-1].host.spend("s", [ROW])

    script = [reply(calls=[call("do")]), "done"]
    async with app(Hosting, Refusing, script=script, tools=[acting(act)]) as lash:
        session = await lash.session("s")
        with pytest.raises(Exception, match="not this one"):
            await session.run("go")
        assert 35 == session.usage().total


async def test_what_a_turn_did_elsewhere_is_known_when_it_is_resumed() -> None:
    """
    Its children are finished before it goes on, and its commit still has it all.
    """

    class Falling(MemoryStore):
        """Refuses the first commit of a turn."""

        left = 1

        async def commit(self, commit: Any) -> Any:
            if commit.session == "s" and self.left:
                self.left -= 1
                raise OSError("gone")
            return await super().commit(commit)

    async def act(ctx: ToolContext) -> None:
        await MADE[-1].host.spend("s", [ROW])
        await ctx.role("graph").append_session_nodes([NOTE])

    script = [reply(calls=[call("do")]), "done", "done"]
    plugins = (Hosting, Making)
    async with app(*plugins, script=script, store=Falling(), tools=[acting(act)]) as lash:
        session = await lash.session("s")
        with pytest.raises(OSError, match="gone"):
            await session.run("go")
        assert session.interrupted
        assert 35 == session.usage().total
        turn = await session.resume()

        assert ("recover", ["kid"], False) in MADE[-1].heard
        assert turn is not None
        assert 5 == turn.children_usage.total
        assert NOTE.to_json() in [n.value.to_json() for n in session.graph.path()]
        assert 1 == (await lash.session("kid")).revision


async def test_children_of_a_discarded_turn_go_with_it() -> None:
    """
    It's settled, but what it began isn't kept.
    """

    class Falling(MemoryStore):
        left = 1

        async def commit(self, commit: Any) -> Any:
            if commit.session == "s" and self.left:
                self.left -= 1
                raise OSError("gone")
            return await super().commit(commit)

    store = Falling()
    async with app(Hosting, Making, store=store) as lash:
        session = await lash.session("s")
        with pytest.raises(OSError, match="gone"):
            await session.run("go")
        await session.discard()

        assert ("recover", ["kid"], True) in MADE[-1].heard
        with pytest.raises(Exception, match="was deleted"):
            await store.head("kid")


def test_an_access_says_nothing_it_need_not() -> None:
    """
    `None` is all, an empty list is nothing: the two are told apart in the store.
    """
    for access in (Access(), Access(only=()), replace(Access(), hidden=("a",))):
        assert access == Access.from_json(access.to_json())
