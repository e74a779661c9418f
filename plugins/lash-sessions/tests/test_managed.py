"""Sessions are made, seen, closed, handed off to and given away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import ToolContext, TurnContext
from lash_sdk.errors import InvalidInput, SessionDeleted, SessionExists
from lash_sdk.graph import Note
from lash_sdk.hooks import CreateSession
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import user
from lash_sdk.outcomes import Handoff as HandoffControl
from lash_sdk.outcomes import Success
from lash_sdk.policy import Limits, Policy
from lash_sdk.ports import Access
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool
from lash_sessions import (
    Authority,
    Current,
    Existing,
    FromSnapshot,
    Handoff,
    HandoffMissing,
    Root,
    SessionRequest,
    StillNeeded,
    UnknownSession,
    child,
    handoff,
)

from .making import acting, app, children


@tool
async def look() -> str:
    """Look."""
    return "seen"


@tool
async def touch() -> str:
    """Touch."""
    return "felt"


def texts(session: Any) -> list[str]:
    return [message.text for message in session.messages]


# --- start points --------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("empty", []),
        ("current", ["hi", "re: hi"]),
        ("existing", ["there", "re: there"]),
        ("snapshot", ["hi", "re: hi"]),
    ],
)
async def test_a_session_starts_where_it_is_told_to(start: str, expected: list[str]) -> None:
    """
    With nothing, with its maker's history, with somebody else's, or from a snapshot.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await parent.run("hi")
        await (await lash.session("other")).run("there")
        snapshot = children(parent).snapshot_current()
        starts: dict[str, Any] = {
            "current": Current(),
            "existing": Existing(session="other"),
            "snapshot": FromSnapshot(snapshot=snapshot),
        }
        request = SessionRequest(id="kid", **({"start": starts[start]} if start in starts else {}))
        handle = await children(parent).create(request)
        kid = await lash.session("kid")

        assert ("kid", "parent") == (handle.id, handle.parent)
        assert expected == texts(kid)
        await kid.run("more")
        assert 1 + len(expected) // 2 == kid._lane.live.turns
        assert ["hi", "re: hi"] == texts(parent)


async def test_a_session_can_start_where_a_closed_one_is() -> None:
    """
    It needn't be open; one that isn't there is told by its name.
    """
    async with app() as lash:
        async with lash.session("other") as other:
            await other.run("there")
        parent = await lash.session("parent")
        await children(parent).create(SessionRequest(id="kid", start=Existing(session="other")))
        assert ["there", "re: there"] == texts(await lash.session("kid"))

        with pytest.raises(UnknownSession, match="nobody"):
            await children(parent).create(SessionRequest(start=Existing(session="nobody")))


async def test_initial_nodes_come_after_what_it_starts_with() -> None:
    """
    A plugin seeds a session with what it knows.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await parent.run("hi")
        note = Note(plugin="p", type="t", body={})
        request = SessionRequest(id="kid", start=Current(), nodes=(user("and"), note))
        await children(parent).create(request)
        kid = await lash.session("kid")

        assert ["hi", "re: hi", "and"] == texts(kid)
        assert note == kid.graph.path()[-1].value


# --- policy, tools, authority ----------------------------------------------------


async def test_an_explicit_policy_beats_the_snapshots_which_beats_the_makers() -> None:
    """
    And single settings beat all of them.
    """
    async with app() as lash:
        parent = await lash.session("parent", instructions="mine")
        other = await lash.session("other", instructions="theirs")
        await other.run("x")
        make = children(parent).create
        current = await make(SessionRequest())
        existing = await make(SessionRequest(start=Existing(session="other")))
        explicit = await make(SessionRequest(policy=Policy(instructions="own")))
        single = await make(SessionRequest(limits=Limits(iterations=3)))

        found = [each.policy.instructions for each in (current, existing, explicit, single)]
        assert ["mine", "theirs", "own", "mine"] == found
        assert 3 == single.policy.limits.iterations


async def test_a_child_talks_with_its_makers_model_or_its_own() -> None:
    """
    A model object is nobody's by name, and yet it's inherited.
    """
    own = ScriptedModel(["mine"], name="own")
    theirs = ScriptedModel(["theirs"], name="theirs")
    async with app() as lash:
        parent = await lash.session("parent", model=theirs)
        await children(parent).create(SessionRequest(id="a"))
        await children(parent).create(SessionRequest(id="b", model_object=own))

        assert "theirs" == (await children(parent).start_turn("a", "x")).text
        assert "mine" == (await children(parent).start_turn("b", "x")).text


async def test_a_child_sees_the_tools_it_may_and_no_others() -> None:
    """
    An allow-list stands in place of what there is, and nothing shows what is hidden.
    """
    async with app(tools=[look, touch]) as lash:
        parent = await lash.session("parent")
        make = children(parent).create
        await make(SessionRequest(id="only", access=Access(only=("look",))))
        await make(SessionRequest(id="less", access=Access(hidden=("look",))))
        for id, expected in (("only", {"look"}), ("less", {"touch"})):
            session = await lash.session(id)
            await session.show("look", "touch")
            shown = {name for name, row in session.catalogue.items() if row[2]}
            assert expected == shown
        grandchild = children(await lash.session("only"))
        await grandchild.create(SessionRequest(id="deep", access=Access(only=("look", "touch"))))
        deep = await lash.session("deep")
        assert ["look"] == [name for name, row in deep.catalogue.items() if row[2]]


@pytest.mark.parametrize(("plugins", "hidden"), [("inherit", True), ("fresh", False)])
async def test_what_the_maker_hid_is_inherited_or_not(plugins: Any, hidden: bool) -> None:
    """
    A tool that was removed stays removed in who inherits, and is there in who is fresh.
    """
    async with app(tools=[look]) as lash:
        parent = await lash.session("parent")
        await parent.hide("look")
        await children(parent).create(SessionRequest(id="kid", plugins=plugins))
        kid = await lash.session("kid")

        assert hidden is not kid.catalogue["look"][2]


async def test_a_context_of_its_own_shows_its_tools_alone() -> None:
    """
    Base tools can be left out; what's added is there.
    """
    async with app(tools=[look]) as lash:
        parent = await lash.session("parent")
        request = SessionRequest(id="kid", tools=(touch,), base_tools="left out")
        await children(parent).create(request)
        kid = await lash.session("kid")

        assert ["touch"] == list(kid.catalogue)


async def test_authority_is_kept_with_the_session() -> None:
    """
    Whoever limits depth reads it there, after a restart too.
    """
    store = MemoryStore()
    authority = Authority(agent="scout", capability="explore", depth=2)
    async with app(store=store) as lash:
        parent = await lash.session("parent")
        await children(parent).create(SessionRequest(id="kid", authority=authority))
        assert authority == children(parent).authority("kid")
    async with app(store=store) as lash:
        assert authority == children(await lash.session("kid")).authority()
        assert None is children(await lash.session("parent")).authority()


# --- ids -------------------------------------------------------------------------


async def test_an_id_that_is_taken_is_refused_and_what_is_there_stays() -> None:
    """
    Its own id, an open one, one with history: none is made again.
    """
    store = MemoryStore()
    async with app(store=store) as lash:
        await (await lash.session("old")).run("keep me")
    async with app(store=store) as lash:
        parent = await lash.session("parent")
        await lash.session("open")
        for id in ("parent", "open", "old"):
            with pytest.raises(SessionExists):
                await children(parent).create(SessionRequest(id=id))
        assert ["keep me", "re: keep me"] == texts(await lash.session("old"))
        assert 0 == parent.revision


async def test_of_two_that_make_one_id_at_once_one_does() -> None:
    """
    The id is taken before anything is awaited.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        asked = [children(parent).create(SessionRequest(id="kid")) for _ in range(5)]
        found = await asyncio.gather(*asked, return_exceptions=True)

        errors = [each for each in found if isinstance(each, SessionExists)]
        assert 4 == len(errors)
        assert 1 == (await lash.session("kid")).revision


async def test_nothing_stays_of_a_session_that_could_not_be_made() -> None:
    """
    No registration, no seed, no mapping, no session in the store.
    """

    class Broken(Plugin):
        name = "broken"

        @hooks.provide_tools
        def tools(self, ctx: Any) -> Any:
            if ctx.session_id == "kid":
                raise ValueError("no tools for you")
            return []

    store = MemoryStore()
    async with app(Broken, store=store) as lash:
        parent = await lash.session("parent")
        request = handoff(id="kid", first_turn="go")
        with pytest.raises(Exception, match="no tools for you"):
            await children(parent).create(request)

        assert [] == list(children(parent).sessions_made())
        assert None is children(parent).take_first_turn_input("kid")
        assert "parent" == (await parent.run("hi")).session
        assert [] == [each for each in await lash.sessions(children=True) if each.parent]


@pytest.mark.parametrize(
    "given", [{"odd": 1}, {"relation": {"kind": "odd"}}, {"plugins": "odd"}, 7]
)
async def test_a_request_that_cannot_be_read_is_refused(given: Any) -> None:
    """
    A directive carries it as JSON.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        with pytest.raises(InvalidInput, match="session request"):
            await children(parent).create(given)


async def test_usage_that_nobody_could_name_is_refused() -> None:
    """
    A ledger's row has its source; an empty one is nobody's.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        with pytest.raises(InvalidInput, match="source: expected a word, found ''"):
            await children(parent).create(SessionRequest(source=""))


@pytest.mark.parametrize("id", ["a\0b", "x" * 256, "\ud800"])
async def test_an_id_that_no_session_may_have_is_refused(id: str) -> None:
    """
    The application couldn't open such a one, nor could every store keep it.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        with pytest.raises(InvalidInput, match="session id"):
            await children(parent).create(SessionRequest(id=id))
        assert [] == await lash.sessions(children=True)


# --- pending children ------------------------------------------------------------


async def test_a_hook_makes_a_session_by_a_directive() -> None:
    """
    Its request is JSON; the session is there once the turn is.
    """

    class Making(Plugin):
        name = "making"

        @hooks.before_turn
        async def make(self, ctx: TurnContext) -> list[Any]:
            return [CreateSession(request={"id": "kid", "first_turn": "go", "source": "scout"})]

    async with app(Making) as lash:
        parent = await lash.session("parent")
        await parent.run("hi")

        seed = children(parent).take_first_turn_input("kid")
        assert seed is not None and "go" == seed.text
        assert None is children(parent).take_first_turn_input("kid")
        assert "parent" == (await lash.sessions(prefix="kid", children=True))[0].parent


async def test_a_lost_turn_takes_its_children_and_theirs_along() -> None:
    """
    No orphan, whatever depth.
    """

    class Refusing(Plugin):
        name = "refusing"

        @hooks.after_turn
        async def refuse(self, ctx: TurnContext) -> list[Any]:
            if ctx.session_id == "parent":
                raise ValueError("not this one")
            return []

    async def act(ctx: ToolContext) -> str:
        if ctx.session_id == "parent":
            await ctx.role("lifecycle").create(SessionRequest(id="kid"))
            await ctx.role("turns").start_turn("kid", "do")
        elif ctx.session_id == "kid":
            await ctx.role("lifecycle").create(SessionRequest(id="grandkid"))
        return "ok"

    def answer(request: Any) -> Any:
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    store = MemoryStore()
    async with app(Refusing, answer=answer, tools=[acting(act)], store=store) as lash:
        parent = await lash.session("parent")
        with pytest.raises(Exception, match="not this one"):
            await parent.run("go")

        for id in ("kid", "grandkid"):
            with pytest.raises(SessionDeleted):
                await store.head(id)
        assert 60 == parent.usage().total


async def test_a_grandchild_is_seen_when_all_above_it_are() -> None:
    """
    Its maker's commit alone doesn't show it while that one isn't seen itself.
    """
    seen: list[list[str]] = []

    async def act(ctx: ToolContext) -> str:
        if ctx.session_id == "parent":
            await ctx.role("lifecycle").create(SessionRequest(id="kid"))
            await ctx.role("turns").start_turn("kid", "do")
            seen.append(sorted(each.id for each in await lash.sessions(children=True)))
        elif ctx.session_id == "kid":
            await ctx.role("lifecycle").create(SessionRequest(id="grandkid"))
        return "ok"

    def answer(request: Any) -> Any:
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    async with app(answer=answer, tools=[acting(act)]) as lash:
        parent = await lash.session("parent")
        await parent.run("go")
        seen.append(sorted(each.id for each in await lash.sessions(children=True)))

    assert [["parent"], ["grandkid", "kid", "parent"]] == seen


async def test_outside_a_turn_a_child_is_one_commit_of_its_maker() -> None:
    """
    A root isn't: it stands for itself.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await children(parent).create(SessionRequest(id="kid"))
        assert 1 == parent.revision
        await children(parent).create(SessionRequest(id="root", relation=Root()))
        assert 1 == parent.revision

        found = {each.id: each.parent for each in await lash.sessions(children=True)}
        assert {"parent": None, "kid": "parent", "root": None} == found


async def test_a_root_outlives_the_turn_that_made_it() -> None:
    """
    It's nobody's child.
    """

    class Refusing(Plugin):
        name = "refusing"

        @hooks.before_turn
        async def make(self, ctx: TurnContext) -> list[Any]:
            await ctx.role("lifecycle").create(SessionRequest(id="root", relation=Root()))
            raise ValueError("not this one")

    async with app(Refusing) as lash:
        parent = await lash.session("parent")
        with pytest.raises(Exception, match="not this one"):
            await parent.run("go")

        assert ["root"] == [each.id for each in await lash.sessions()]


# --- close, inject, activate -----------------------------------------------------


async def test_what_is_needed_is_not_closed() -> None:
    """
    Not the one that asks, not one whose turn runs, not one whose result nobody took.
    """
    gate = asyncio.Event()

    async def answer(request: Any) -> str:
        await gate.wait()
        return "done"

    async with app(answer=answer) as lash:
        parent = await lash.session("parent")
        role = children(parent)
        await role.create(SessionRequest(id="kid"))
        turn = await role.start_turn_stream("kid", "x")
        with pytest.raises(StillNeeded, match="the one that asks"):
            await role.close_session("parent")
        with pytest.raises(StillNeeded, match=turn.turn_id):
            await role.close_session("kid")
        gate.set()
        await turn.events.result()
        with pytest.raises(StillNeeded, match=turn.turn_id):
            await role.close_session("kid")
        await role.await_turn(turn.turn_id)
        await role.close_session("kid")
        await role.close_session("kid")

        with pytest.raises(UnknownSession):
            await role.start_turn_stream("kid", "x")
        assert 2 == len((await lash.session("kid")).messages)


async def test_input_reaches_a_running_turn_without_waiting_for_it() -> None:
    """
    It's what the child hears at its next checkpoint.
    """
    gate = asyncio.Event()

    async def answer(request: Any) -> str:
        if len(request.history) == 1:
            await gate.wait()
            return "first"
        return f"heard {request.history[-1].text}"

    async with app(answer=answer) as lash:
        parent = await lash.session("parent")
        role = children(parent)
        await role.create(SessionRequest(id="kid"))
        turn = await role.start_turn_stream("kid", "x")
        await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            key = await role.inject_turn_input("kid", "psst", key="k")
            assert key == await role.inject_turn_input("kid", "psst", key="k")
        gate.set()
        record = await role.await_turn(turn.turn_id)

        assert "heard psst" == record.text
        with pytest.raises(UnknownSession):
            await role.inject_turn_input("nobody", "x")


async def test_an_activated_session_is_the_callers_own() -> None:
    """
    Its maker starts no turn on it any more, and its seed is still to be had.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        role = children(parent)
        await role.create(SessionRequest(id="kid", first_turn="go"))
        session = role.activate_managed_session("kid")

        with pytest.raises(UnknownSession):
            await role.start_turn_stream("kid", "x")
        with pytest.raises(UnknownSession):
            role.activate_managed_session("kid")
        seed = role.take_first_turn_input("kid")
        assert seed is not None and "go" == seed.text
        assert "re: go" == (await session.run(seed.text)).text


# --- handoffs --------------------------------------------------------------------


async def test_later_turns_run_in_the_successor_and_the_count_goes_on() -> None:
    """
    The predecessor's id and history stay; a closed successor gives it back.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        for _ in range(3):
            await parent.run("hi")
        await children(parent).create(handoff(id="next"))
        turn = await parent.run("there")

        assert ("next", 4) == (turn.session, turn.index)
        assert "parent" == parent.id
        assert 6 == len(parent.messages)
        await children(parent).close_session("next")
        assert ("parent", 4) == ((t := await parent.run("back")).session, t.index)


async def test_a_handoff_outlives_the_process() -> None:
    """
    Who opens the predecessor again talks with the successor.
    """
    store = MemoryStore()
    async with app(store=store) as lash:
        parent = await lash.session("parent")
        await children(parent).create(handoff(id="next", reason="full"))
    async with app(store=store) as lash:
        turn = await (await lash.session("parent")).run("hi")
        assert "next" == turn.session


async def test_a_child_never_changes_where_its_makers_turns_run() -> None:
    """
    Only a handoff does.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await children(parent).create(child(id="kid"))
        assert "parent" == (await parent.run("hi")).session


async def test_handoffs_that_go_round_lead_nowhere() -> None:
    """
    A turn runs all the same.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await children(parent).create(handoff(id="next"))
        follower = await lash.session("next")
        from lash_sessions.state import remember

        remember(follower._lane.live, successor="parent")
        async with asyncio.timeout(20):
            assert "parent" == (await parent.run("hi")).session


async def test_a_missing_successor_is_told() -> None:
    """
    Rather than a turn that runs where nobody expects it.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await children(parent).create(handoff(id="next"))
        await children(parent)._tree.forget("next")
        await lash.delete("next")
        with pytest.raises(HandoffMissing) as caught:
            await parent.run("hi")
        assert "handoff_successor_missing" == caught.value.code


async def handing(ctx: ToolContext) -> Success:
    made = await ctx.role("lifecycle").create(handoff(first_turn=f"{ctx.session_id}+"))
    return Success(value=None, control=HandoffControl(session=made.id))


async def test_a_conversation_is_followed_across_handoffs() -> None:
    """
    Each successor begins with what waits for it.
    """

    def answer(request: Any) -> Any:
        hands_off = len(request.history[-1].text) < 20
        return reply(calls=[call("do")]) if hands_off else "enough"

    async with app(answer=answer, tools=[acting(handing)]) as lash:
        parent = await lash.session("parent")
        followed = await children(parent).run_following("hi")

        assert "enough" == followed.final.text
        assert 2 <= len(followed.turns) == followed.handoffs + 1
        assert [1, 2] == [turn.index for turn in followed.turns][:2]


async def test_a_successor_without_a_beginning_is_told() -> None:
    """
    Its maker forgot to say what to begin with.
    """

    async def act(ctx: ToolContext) -> Success:
        made = await ctx.role("lifecycle").create(SessionRequest(relation=Handoff()))
        return Success(value=None, control=HandoffControl(session=made.id))

    async with app(answer=lambda request: reply(calls=[call("do")]), tools=[acting(act)]) as lash:
        with pytest.raises(HandoffMissing) as caught:
            await children(await lash.session("parent")).run_following("hi")
        assert "handoff_missing_first_turn" == caught.value.code


async def test_closing_the_maker_closes_what_it_made() -> None:
    """
    Nothing of a closed session runs on.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        role = children(parent)
        await role.create(SessionRequest(id="kid"))
        await parent.close()

        assert {} == role._tree.made


async def test_plugin_state_is_inherited_as_a_fork_has_it() -> None:
    """
    A plugin says what of it another session may begin with; a fork has no successor.
    """

    class Remembering(BaseModel):
        model_config = ConfigDict(frozen=True)
        n: int = 0

    def remembers(name: str, fork: Any) -> type[Plugin]:
        async def count(self: Any, ctx: TurnContext) -> None:
            self.state = Remembering(n=self.state.n + 1)

        count.__qualname__ = f"Made.{name}"
        body = {"name": name, "State": Remembering, "fork": fork, "c": hooks.before_turn(count)}
        return type(name, (Plugin,), body)

    async with app(remembers("shares", "share"), remembers("begins", "fresh")) as lash:
        parent = await lash.session("parent")
        await parent.run("hi")
        await children(parent).create(SessionRequest(id="kid"))
        kid: Any = (await lash.session("kid"))._lane.live
        found = {
            each.name: each.state.n
            for each in kid.instances
            if isinstance(getattr(each, "state", None), Remembering)
        }
        assert {"shares": 1, "begins": 0} == found

        await children(parent).create(handoff(id="next"))
        async with await parent.fork(id="fork") as fork:
            assert "fork" == (await fork.run("hi")).session
