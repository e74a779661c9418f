"""
Plugin state: saved with the turn it belongs to, and never without it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.commits import Commit, Receipt
from lash_sdk.contexts import SessionContext, TurnContext
from lash_sdk.errors import PluginFault, StoreFull
from lash_sdk.hooks import AbortTurn, Directive
from lash_sdk.memory import MemoryStore
from lash_sdk.testing import ScriptedModel

from .hooking import opened, plugin

NAME = "plugin/counter"


class Count(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: int = 0


class Counter(Plugin):
    """Counts turns, unless it's told to leave them alone."""

    State = Count
    seen: ClassVar[list[int]] = []

    @hooks.on_session_opened
    def opened(self, ctx: SessionContext) -> None:
        self.seen.append(self.state.turns)

    @hooks.before_turn
    def count(self, ctx: TurnContext) -> None:
        if ctx.messages[0].text != "leave it":
            self.state = Count(turns=self.state.turns + 1)


class Watched(MemoryStore):
    """A store that keeps what it was given to commit, and may be full."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[Commit] = []
        self.full = False
        self.error: type[Exception] = StoreFull

    async def commit(self, commit: Commit) -> Receipt:
        if self.full:
            raise self.error("no room")
        receipt = await super().commit(commit)
        self.commits.append(commit)
        return receipt

    def saved(self) -> list[list[tuple[str, int, Any]]]:
        """Return the components of each commit."""
        return [
            [(each.name, each.version, each.value) for each in commit.components]
            for commit in self.commits
        ]


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Counter.seen.clear()


def counting(version: int, migrations: dict[int, Any], form: type[BaseModel] = Count) -> Any:
    """Return a newer release of the counter."""
    body = {"name": "counter", "state_version": version, "migrations": migrations, "State": form}
    return type("Counter", (Counter,), body)


async def test_state_is_saved_in_the_commit_of_its_turn_and_only_if_it_was_replaced() -> None:
    """
    A turn that changes nothing writes nothing of it.
    """
    store = Watched()
    async with opened(Counter, store=store, script=["a", "b", "c"]) as session:
        await session.run("count")
        await session.run("leave it")
        await session.run("count")

    assert [[(NAME, 1, {"turns": 1})], [], [(NAME, 1, {"turns": 2})]] == store.saved()


async def test_state_is_there_before_a_plugin_hears_that_its_session_is_open() -> None:
    """
    A fresh session has the defaults, an old one what was saved.
    """
    store = MemoryStore()
    for _ in range(3):
        async with opened(Counter, store=store) as session:
            await session.run("count")

    assert [0, 1, 2] == Counter.seen


async def test_two_sessions_never_share_state() -> None:
    """
    It's the session that remembers, not the plugin.
    """
    async with Lash(model=ScriptedModel(["a"]), plugins=[Counter], autoload=False) as lash:
        one = await lash.session("one")
        await one.run("count")
        await lash.session("two")

    assert [0, 0] == Counter.seen


# --- turns that aren't committed -------------------------------------------------------------


def spoils(how: str) -> type[Plugin]:
    async def before(self: Plugin, ctx: TurnContext) -> list[Directive]:
        if ctx.messages[0].text != "count":
            return []
        if how == "abort":
            return [AbortTurn(code="no", message="not now")]
        raise ValueError("broken")

    return plugin("spoiler", before_turn=before)


@pytest.mark.parametrize("how", ["abort", "fault", "settling"])
async def test_state_is_rolled_back_with_a_turn_that_is_not_committed(how: str) -> None:
    """
    Otherwise the next commit would save what never happened.
    """
    store = Watched()
    plugins: list[object] = [Counter]
    if how in ("abort", "fault"):
        plugins.append(spoils(how))
    if how == "settling":

        def after(self: Plugin, ctx: TurnContext) -> None:
            if ctx.messages[0].text == "count":
                raise ValueError("broken")

        plugins.append(plugin("spoiler", after_turn=after))
    async with opened(*plugins, store=store, script=["a", "b", "c"]) as session:
        if how == "abort":
            turn = await session.run("count")
            assert not turn.committed
        else:
            with pytest.raises(PluginFault):
                await session.run("count")
        await session.run("leave it")

        assert [[]] == store.saved()
        assert 1 == session.revision
    async with opened(Counter, store=store):
        pass
    assert [0, 0] == Counter.seen


@pytest.mark.parametrize("error", [StoreFull, OSError])
async def test_state_waits_with_a_turn_that_could_not_be_committed(error: type[Exception]) -> None:
    """
    It's the committed one until the turn is resumed, and then the turn's.
    """
    store = Watched()
    store.full, store.error = True, error
    async with opened(Counter, store=store, script=["a"]) as session:
        with pytest.raises(error):
            await session.run("count")
        assert session.interrupted
        store.full = False
        turn = await session.resume()

        assert turn is not None and "a" == turn.text
        assert [[(NAME, 1, {"turns": 1})]] == store.saved()
    assert [0] == Counter.seen  # the hook isn't asked again


async def test_state_goes_on_from_what_somebody_else_committed() -> None:
    """
    Two processes on one session: the second counts on from the first.
    """
    store = MemoryStore()
    async with (
        opened(Counter, store=store, script=["a", "b"]) as one,
        opened(Counter, store=store, script=["c", "d"]) as two,
    ):
        await one.run("count")
        await two.run("count")

        assert 2 == two.revision
    async with opened(Counter, store=store):
        pass
    assert [0, 0, 2] == Counter.seen


async def test_a_state_replaced_after_the_commit_is_saved_with_the_next_one() -> None:
    """
    `on_turn_committed` is too late for this commit, but nothing is lost.
    """

    class Late(Plugin):
        State = Count

        @hooks.on_turn_committed
        def note(self, ctx: TurnContext) -> None:
            self.state = Count(turns=ctx.index)

    store = Watched()
    async with opened(Late, store=store, script=["a", "b"]) as session:
        await session.run("hello")
        await session.run("hello")

    assert [[], [("plugin/late", 1, {"turns": 1})]] == store.saved()


# --- other releases, and none -----------------------------------------------------------------


async def test_an_older_state_is_brought_up_one_version_at_a_time() -> None:
    """
    An author writes each step once; nobody must keep every pair.
    """

    class Three(BaseModel):
        model_config = ConfigDict(frozen=True)

        steps: list[str]
        turns: int

    store = MemoryStore()
    async with opened(Counter, store=store) as session:
        await session.run("count")
    newer = counting(
        3,
        {
            1: lambda old: {**old, "steps": ["1 to 2"]},
            2: lambda old: {**old, "steps": [*old["steps"], "2 to 3"]},
        },
        Three,
    )
    seen: list[Any] = []

    def hear(self: Any, ctx: Any) -> None:
        seen.append(self.state)

    hearing = type("Counter", (newer,), {"opened": hooks.on_session_opened(hear)})
    hear.__qualname__ = "Counter.hear"
    async with opened(hearing, store=store):
        pass

    assert [Three(steps=["1 to 2", "2 to 3"], turns=1)] == seen


@pytest.mark.parametrize(
    ("release", "why"),
    [
        (counting(2, {}), "no migration from state version 1"),
        (counting(3, {2: dict}), "no migration from state version 1"),
        (counting(2, {1: lambda old: old["missing"]}), "KeyError: 'missing'"),
        (counting(2, {1: lambda old: {"turns": "many"}}), "ValidationError"),
    ],
)
async def test_a_state_that_cannot_be_brought_up_keeps_the_session_closed(
    release: Any, why: str
) -> None:
    """
    Starting afresh would lose it; it stays as it is until the plugin can.
    """
    store = MemoryStore()
    async with opened(Counter, store=store) as session:
        await session.run("count")
    with pytest.raises(PluginFault, match=why) as caught:
        async with opened(release, store=store):
            pass

    assert ("counter", "state") == (caught.value.plugin, caught.value.hook)
    async with opened(Counter, store=store):
        pass
    assert [0, 1] == Counter.seen


async def test_a_newer_state_is_refused() -> None:
    """
    An older plugin can't know what it would destroy.
    """
    store = MemoryStore()
    async with opened(counting(2, {}), store=store) as session:
        await session.run("count")
    with pytest.raises(PluginFault, match=r"state version 2 is newer than 1; upgrade the plugin"):
        async with opened(Counter, store=store):
            pass


async def test_the_state_of_a_missing_plugin_waits_for_it() -> None:
    """
    Uninstalled today, installed again tomorrow: nothing was forgotten.
    """
    store = Watched()
    async with opened(Counter, store=store, script=["a", "b"]) as session:
        await session.run("count")
        await session.run("count")
    async with opened(store=store, script=["c", "d"]) as session:
        await session.run("without it")
        await session.hide()
    async with opened(Counter, store=store) as session:
        await session.run("count")

    assert [0, 2] == Counter.seen
    assert [(NAME, 1, {"turns": 3})] == store.saved()[-1]


# --- what isn't a state ------------------------------------------------------------------------


class Thawed(BaseModel):
    turns: int = 0


async def test_a_state_that_could_be_changed_in_place_is_refused() -> None:
    """
    What's changed in place is neither noticed nor saved, and shows in every fork.
    """
    made = type("Thaw", (plugin("thaw", on_usage=lambda self, ctx: None),), {"State": Thawed})
    with pytest.raises(PluginFault, match="State: expected a frozen model, found Thawed"):
        async with opened(made):
            pass


# --- forks -------------------------------------------------------------------------------------


class Pages(BaseModel):
    model_config = ConfigDict(frozen=True)

    turns: int = 0
    seen: list[int] = []


def forking(mode: Any) -> type[Plugin]:
    """Return a plugin that counts turns, and forks its state as *mode* says."""

    def count(self: Plugin, ctx: TurnContext) -> None:
        turns = self.state.turns + 1
        self.state = Pages(turns=turns, seen=[*self.state.seen, turns])

    body = {"State": Pages, "fork": mode}
    return type("Forking", (plugin("forking", before_turn=count),), body)


def halved(state: Pages) -> Pages:
    return Pages(turns=state.turns // 2)


def state_of(session: Any) -> Any:
    return next(each.state for each in session._lane.live.instances if each is not None)


@pytest.mark.parametrize(
    ("mode", "turns"), [("share", 2), ("copy", 2), ("fresh", 0), (staticmethod(halved), 1)]
)
@pytest.mark.parametrize("reopened", [False, True])
async def test_a_fork_begins_as_its_plugin_says_and_goes_its_own_way(
    mode: Any, turns: int, reopened: bool
) -> None:
    """
    A counter of this conversation starts anew, what was learnt in it doesn't.
    """
    store = MemoryStore()
    made = forking(mode)
    async with opened(made, store=store, script=["a", "b", "c"]) as session:
        await session.run("one")
        await session.run("two")
        before = state_of(session)
        other = await session.fork(id="other")
        began = state_of(other).turns
        await other.run("three")

        assert turns == began
        assert before is state_of(session)  # the origin sees nothing of it
    async with Lash(
        model=ScriptedModel(["d"]), plugins=[made], autoload=False, store=store
    ) as lash:
        again = await lash.session("other")

        assert turns + 1 == state_of(again).turns


async def test_a_shared_state_is_one_object_and_a_copy_is_another() -> None:
    """
    Sharing costs a look; a state that holds something mutable is copied to the depth.
    """
    found = {}
    for mode in ("share", "copy"):
        async with opened(forking(mode), script=["a"]) as session:
            await session.run("one")
            first = await session.fork(id="first")
            second = await session.fork(id="second")
            found[mode] = state_of(first).seen is state_of(second).seen

    assert {"share": True, "copy": False} == found


async def test_a_fork_that_its_plugin_cannot_make_is_its_fault() -> None:
    """
    It's named, and the origin goes on.
    """

    def breaks(state: Pages) -> Pages:
        raise ValueError("broken")

    async with opened(forking(staticmethod(breaks)), script=["a", "b"]) as session:
        await session.run("one")
        with pytest.raises(PluginFault, match="broken") as caught:
            await session.fork(id="other")
        turn = await session.run("two")

        assert ("forking", "fork") == (caught.value.plugin, caught.value.hook)
        assert 2 == turn.revision


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["origin", "fork"]), st.booleans()), max_size=6))
async def test_no_write_of_a_fork_shows_in_its_origin(writes: list[tuple[str, bool]]) -> None:
    """
    Whatever the order: each sees what it wrote itself, after what both had.
    """

    def write(self: Plugin, ctx: TurnContext) -> None:
        if ctx.messages[0].text == "write":
            self.state = Pages(turns=self.state.turns + 1, seen=[*self.state.seen, 1])

    made = type("Writes", (plugin("writes", before_turn=write),), {"State": Pages})
    async with opened(made, script=["x"] * 8) as session:
        await session.run("write")
        sessions = {"origin": session, "fork": await session.fork(id="fork")}
        expected = {"origin": 1, "fork": 1}
        for name, changes in writes:
            await sessions[name].run("write" if changes else "leave it")
            expected[name] += changes

        assert expected == {name: state_of(each).turns for name, each in sessions.items()}


class Odd(BaseModel):
    model_config = ConfigDict(frozen=True)

    value: Any = None


@pytest.mark.parametrize(
    ("form", "value"),
    [(Count, {"turns": 1}), (Count, Odd()), (None, {"turns": 1}), (Odd, Odd(value=object()))],
)
async def test_a_state_that_cannot_be_saved_is_its_plugins_fault(form: Any, value: Any) -> None:
    """
    Nothing is committed, and the session goes on as it was.
    """

    def before(self: Plugin, ctx: TurnContext) -> None:
        if ctx.messages[0].text == "spoil":
            self.state = value

    made = type("Odd", (plugin("odd", before_turn=before),), {"State": form})
    async with opened(made, script=["a", "b"]) as session:
        with pytest.raises(PluginFault) as caught:
            await session.run("spoil")
        turn = await session.run("hello")

        assert ("odd", "state") == (caught.value.plugin, caught.value.hook)
        assert (1, "a") == (turn.revision, turn.text)  # no model was asked before


async def test_a_state_without_defaults_is_its_plugins_fault() -> None:
    """
    A new session has nothing to fill it from.
    """

    class Needs(BaseModel):
        model_config = ConfigDict(frozen=True)

        url: str

    made = type("Needs", (plugin("needs", on_usage=lambda self, ctx: None),), {"State": Needs})
    with pytest.raises(PluginFault, match="url") as caught:
        async with opened(made):
            pass

    assert ("needs", "state") == (caught.value.plugin, caught.value.hook)
