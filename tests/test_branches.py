"""
Inbox, forks and checkouts: what a session takes in and where it goes on from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.commits import Commit, Head, Receipt
from lash_sdk.contexts import FaultContext, SessionContext, TurnContext
from lash_sdk.errors import (
    InvalidHistory,
    InvalidInput,
    OperationMismatch,
    PluginFault,
    SessionBusy,
    SessionExists,
    StoreCorrupt,
    StoreFull,
)
from lash_sdk.graph import History, Note, chain
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Image, Message, ToolCall, assistant, user
from lash_sdk.ports import ModelRequest, Page
from lash_sdk.session import Session
from lash_sdk.testing import Reply, ScriptedModel, call, reply
from lash_sdk.tools import tool
from lash_sdk.usage import Usage


class Count(BaseModel):
    model_config = ConfigDict(frozen=True)
    n: int = 0


class Counter(Plugin):
    State = Count

    @hooks.before_turn
    def count(self, ctx: TurnContext) -> None:
        self.state = Count(n=self.state.n + 1)


@asynccontextmanager
async def app(
    *script: Any, store: MemoryStore | None = None, **options: Any
) -> AsyncGenerator[Lash]:
    model = ScriptedModel([reply(each) if isinstance(each, str) else each for each in script])
    options.setdefault("autoload", False)
    async with Lash(model=model, store=store or MemoryStore(), **options) as lash:
        yield lash


def texts(session: Session) -> list[str]:
    return [message.text for message in session.messages]


def ends(session: Session) -> Sequence[str]:
    """
    The last node of each turn on the path.
    """
    return [node.id for node in session.graph.path() if node.kind == "turn"]


def state(session: Session) -> int:
    live = session._lane.live  # pyright: ignore[reportPrivateUsage] - what no hook is asked for
    n: int = next(each.state.n for each in live.instances if isinstance(each, Counter))
    return n


# --- inbox ---------------------------------------------------------------------


async def test_what_waits_comes_with_the_next_turn() -> None:
    """
    In its order, before the turn's own input, and once.
    """
    store = MemoryStore()
    async with app("hi", "again", store=store) as lash:
        session = await lash.session("s")
        await session.enqueue("one", key="a")
        await session.enqueue("two", key="b")
        await session.run("go")
        await session.run("more")

        assert ["one", "two", "go", "hi", "more", "again"] == texts(session)
    assert () == tuple(await store.pending("s"))


async def test_what_comes_while_a_turn_runs_joins_it_at_a_checkpoint() -> None:
    """
    Also at the last one: the model is asked once more.
    """
    sessions: list[Session] = []

    async def first(request: ModelRequest) -> Reply:
        await sessions[0].enqueue("wait", key="a")
        return reply("done?")

    async with app(first, "done") as lash:
        sessions.append(await lash.session("s"))
        turn = await sessions[0].run("go")

        assert ["go", "done?", "wait", "done"] == texts(sessions[0])
        assert 1 == turn.index
        assert not await sessions[0].withdraw("a")


async def test_input_is_kept_for_a_session_that_has_no_turn_yet() -> None:
    """
    It outlives the app, and makes the session.
    """
    store = MemoryStore()
    async with app(store=store) as lash:
        session = await lash.session("s")
        await session.enqueue("one", key="a")
        assert ["s"] == [each.id for each in await lash.sessions()]
    async with app("hi", store=store) as lash:
        session = await lash.session("s")
        assert 0 == session.revision
        await session.run("go")
        assert ["one", "go", "hi"] == texts(session)


async def test_a_key_stands_for_one_input() -> None:
    """
    Sending it twice is sending it once, also once it was used.
    """
    async with app("hi", "again") as lash:
        session = await lash.session("s")
        first = await session.enqueue("one", key="a")
        assert first == await session.enqueue("one", key="a")
        with pytest.raises(OperationMismatch):
            await session.enqueue("two", key="a")
        await session.run("go")
        assert first == await session.enqueue("one", key="a")
        await session.run("more")

        assert 1 == texts(session).count("one")


async def test_a_key_is_text() -> None:
    """
    Stores compare keys as text: 5 and "5" would be one in some and two in others.
    """
    async with app() as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput, match="key: expected str, found 5"):
            await session.enqueue("one", key=5)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="key: expected text that isn't empty, found ''"):
            await session.enqueue("one", key="")


async def test_waiting_input_can_be_taken_back_until_a_turn_has_it() -> None:
    """
    What a turn has, the model has seen.
    """
    answers: list[bool] = []
    sessions: list[Session] = []

    async def first(request: ModelRequest) -> Reply:
        answers.append(await sessions[0].withdraw("a"))
        return reply("done")

    async with app(first) as lash:
        session = await lash.session("s")
        sessions.append(session)
        await session.enqueue("gone", key="b")
        assert await session.withdraw("b")
        assert not await session.withdraw("b")
        await session.enqueue("stays", key="a")
        await session.run("go")

    assert [False] == answers
    assert ["stays", "go", "done"] == texts(session)


async def test_input_taken_back_by_another_process_does_not_lose_the_turn() -> None:
    """
    The model has seen it, so it stays in the history; it's just not consumed.
    """
    store = MemoryStore()

    async def first(request: ModelRequest) -> Reply:
        assert await store.withdraw("s", "a")
        return reply("done")

    async with app(first, store=store) as lash:
        session = await lash.session("s")
        await session.enqueue("one", key="a")
        turn = await session.run("go")

        assert ("done", 1) == (turn.text, turn.revision)


@pytest.mark.parametrize(("text", "key"), [("", "k"), ("x", "")])
async def test_input_needs_text_and_a_key(text: str, key: str) -> None:
    """
    Neither can be guessed.
    """
    async with app() as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput):
            await session.enqueue(text, key=key)


# --- checkout ------------------------------------------------------------------


async def test_a_checkout_goes_back_with_everything() -> None:
    """
    History, plugin state and tool state are those of that node; usage isn't.
    """

    @tool
    async def add() -> int:
        """Add."""
        return 1

    store = MemoryStore()
    usage = Usage(input=1)
    script = [reply(text, usage=usage) for text in ("a", "b", "c")]
    async with app(*script, store=store, plugins=[Counter], tools=[add]) as lash:
        session = await lash.session("s")
        await session.run("1")
        first = ends(session)[0]
        await session.hide("add")
        await session.run("2")
        receipt = await session.checkout(first)

        assert (4, first, 4) == (receipt.revision, receipt.leaf, session.revision)
        assert ["1", "a"] == texts(session)
        assert 1 == state(session)
        assert {} == dict(session.tool_state.overrides)
        assert 2 == session.usage().total
        turn = await session.run("3")
        assert (2, 5) == (turn.index, turn.revision)
        assert ["1", "a", "3", "c"] == texts(session)
        assert 3 == sum(node.kind == "turn" for node in session.graph)  # the branch is there
    async with app("d", store=store, plugins=[Counter], tools=[add]) as lash:
        session = await lash.session("s")
        assert ["1", "a", "3", "c"] == texts(session)
        assert 2 == state(session)
        second = next(n.id for n in session.graph if n.kind == "turn" and n.id not in ends(session))
        await session.checkout(second)
        assert (["1", "a", "2", "b"], 2) == (texts(session), state(session))
        assert {"add": "hidden"} == dict(session.tool_state.overrides)


async def test_a_node_inside_a_turn_stands_for_the_turn_before() -> None:
    """
    A history that ends in the middle of a turn is none that a model accepts.
    """
    async with app("a", "b") as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.run("2")
        first, last = ends(session)
        inside = session.graph.path()[-2].id
        assert inside != last
        receipt = await session.checkout(inside)

        assert first == receipt.leaf
        with pytest.raises(InvalidHistory, match="no commit ends"):
            await session.checkout(session.graph.path()[0].id)
        with pytest.raises(InvalidHistory, match="no node"):
            await session.checkout("nowhere:1")


async def test_a_running_turn_refuses_a_checkout() -> None:
    """
    It builds on the leaf.
    """
    refused: list[BaseException] = []
    sessions: list[Session] = []

    async def late(request: ModelRequest) -> Reply:
        try:
            await sessions[0].checkout(ends(sessions[0])[0])
        except SessionBusy as error:
            refused.append(error)
        return reply("b")

    async with app("a", late) as lash:
        sessions.append(await lash.session("s"))
        await sessions[0].run("1")
        await sessions[0].run("2")

    assert 1 == len(refused)


# --- append --------------------------------------------------------------------


async def test_messages_are_added_outside_a_turn() -> None:
    """
    On the leaf, or as a branch: a history rewritten, with the old one beside it.
    """
    store = MemoryStore()
    picture = Image.of(b"pixel", "image/png")
    async with app("a", "b", "c", store=store) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.run("2")
        first = ends(session)[0]
        note = Note(plugin="p", type="summary", body={"of": 2})
        receipt = await session.append([user("in short"), note, user([picture])], after=first)

        assert (3, receipt.leaf) == (session.revision, session.graph.leaf)
        assert ["1", "a", "in short", ""] == texts(session)
        turn = await session.run("3")
        assert 2 == turn.index
        await session.append([assistant("by the way")])
    async with app(store=store) as lash:
        session = await lash.session("s")
        assert ["1", "a", "in short", "", "3", "c", "by the way"] == texts(session)
        assert b"pixel" == await session.blob(picture.blob)


OPEN = Message(role="assistant", parts=(ToolCall(id="c", name="add", arguments="{}"),))


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([], InvalidInput),
        (["text"], InvalidInput),
        ([Note(plugin="p", type="t", body=float("nan"))], InvalidInput),
        ([OPEN], InvalidHistory),
        ([Message(role="tool", parts=())], InvalidHistory),
    ],
    ids=["nothing", "text", "no JSON", "an open call", "no results"],
)
async def test_what_no_model_accepts_is_not_added(values: Any, error: type[Exception]) -> None:
    """
    The session stays as it is.
    """
    async with app("a") as lash:
        session = await lash.session("s")
        await session.run("1")
        with pytest.raises(error):
            await session.append(values)

        assert 1 == session.revision


async def test_a_branch_does_not_begin_between_a_call_and_its_result() -> None:
    """
    The check is of the whole path, not of what's new.
    """

    @tool
    async def add() -> int:
        """Add."""
        return 1

    async with app(reply(calls=[call("add")]), "done", tools=[add]) as lash:
        session = await lash.session("s")
        await session.run("1")
        asked = session.graph.path()[1].id
        with pytest.raises(InvalidHistory):
            await session.append([user("x")], after=asked)


# --- damage --------------------------------------------------------------------

WHOLE = chain("t", None, [user("a"), assistant("b"), user("c")])
DAMAGE = {
    "an id twice": (WHOLE[:1] + WHOLE[:1], "t:0"),
    "no parent": (WHOLE[1:], "t:2"),
    "a cycle": ((replace(WHOLE[0], parent="t:1"), WHOLE[1]), "t:1"),
    "itself": ((replace(WHOLE[0], parent="t:0"),), "t:0"),
    "no leaf": (WHOLE, "t:3"),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_stored_graph_that_does_not_hold_together_is_not_opened(damage: str) -> None:
    """
    It's said, never healed: whatever is guessed would be committed next.
    """
    nodes, leaf = DAMAGE[damage]

    class Damaged(MemoryStore):
        async def head(self, session: str) -> Head | None:
            head = await super().head(session)
            return head and replace(head, leaf=leaf)

        async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
            async for page in super().load(session, since):
                yield replace(page, nodes=nodes)

    store = Damaged()
    plain = Commit(session="s", expected=0, operation="o", nodes=WHOLE, leaf="t:2")
    await store.commit(plain)
    async with app(store=store) as lash:
        with pytest.raises(StoreCorrupt, match=r"session 's': "):
            await lash.session("s")


async def test_a_turn_over_the_stores_limit_is_refused_before_anything_is_written() -> None:
    """
    With an error that says how much; the session goes on without it.
    """

    class Small(MemoryStore):
        limit = 2000

    store = Small()
    async with app("x" * 2000, "short", store=store) as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidInput, match="expected at most 2000 bytes, found"):
            await session.run("go")
        assert (None, ()) == (await store.head("s"), tuple(await store.journal("s")))
        assert not session.interrupted
        assert ("short", 1) == ((turn := await session.run("again")).text, turn.revision)


# --- rewriting -----------------------------------------------------------------


class Shortens(Plugin):
    """
    Replaces all but the last messages by a word, and counts how often.
    """

    class State(BaseModel):
        model_config = ConfigDict(frozen=True)
        times: int = 0

    keep = 2

    @hooks.transform_history
    async def shorten(self, ctx: SessionContext, value: History) -> History | None:
        if len(value) <= self.keep:
            return None
        self.state = self.State(times=self.state.times + 1)
        return History([user("in short"), *value[len(value) - self.keep :]])


async def test_a_history_is_rewritten_as_a_branch() -> None:
    """
    The old one stays beside it; what stands with a message that's kept comes along.
    """

    @tool
    async def add() -> int:
        """Add."""
        return 1

    store = MemoryStore()
    script = ["a", reply(calls=[call("add")]), "b", "c"]
    Shortens.keep = 4
    async with app(*script, store=store, plugins=[Shortens, Counter], tools=[add]) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.run("2")
        before = session.graph
        receipt = await session.rewrite()

        assert receipt is not None
        assert (3, 3, receipt.leaf) == (receipt.revision, session.revision, session.graph.leaf)
        assert ["in short", "2", "", "", "b"] == texts(session)
        assert before.leaf in session.graph
        kinds = [node.kind for node in session.graph.path()]
        assert ["message"] * 3 + ["tool", "message", "message", "turn"] == kinds
        turn = await session.run("3")
        assert (2, 4, 3) == (turn.index, turn.revision, state(session))
    async with app(store=store, plugins=[Shortens, Counter], tools=[add]) as lash:
        session = await lash.session("s")
        assert ["in short", "2", "", "", "b", "3", "c"] == texts(session)
        await session.checkout(before.leaf or "")
        assert ["1", "a", "2", "", "", "b"] == texts(session)


async def test_a_prefix_that_is_kept_is_not_told_again() -> None:
    """
    Its nodes are the same ones; a shorter history is a leaf further up.
    """

    class Cuts(Plugin):
        @hooks.transform_history
        async def cut(self, ctx: SessionContext, value: History) -> History:
            return History(list(value[:2]))

    async with app("a", "b", plugins=[Cuts]) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.append([Note(plugin="cuts", type="mark", body=1)])
        kept = session.graph.path()
        await session.run("2")
        size = len(session.graph)
        await session.rewrite()

        assert ["1", "a"] == texts(session)
        assert [True] * 4 == [a is b for a, b in zip(kept, session.graph.path(), strict=True)]
        assert size == len(session.graph)
        assert await session.rewrite() is None
        assert 4 == session.revision


@pytest.mark.parametrize("wrong", ["raises", "no history", "no pairs"])
async def test_a_rewrite_that_fails_keeps_what_was(wrong: str) -> None:
    """
    Also what the plugin before it made.
    """
    heard: list[PluginFault] = []

    class Breaks(Plugin):
        phase = "late"

        @hooks.transform_history
        async def cut(self, ctx: SessionContext, value: History) -> History:
            match wrong:
                case "raises":
                    raise ValueError("broken")
                case "no history":
                    return list(value)  # type: ignore[return-value]
                case _:
                    return History([OPEN])

        @hooks.on_fault
        async def hear(self, ctx: FaultContext) -> None:
            heard.append(ctx.fault)

    Shortens.keep = 2
    async with app("a", "b", plugins=[Shortens, Breaks]) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.run("2")
        assert await session.rewrite() is not None

        assert ["in short", "2", "b"] == texts(session)
    assert [("breaks", "transform_history")] == [(each.plugin, each.hook) for each in heard]


class Window(ScriptedModel):
    """
    A model with a window of its own.
    """

    def __init__(self, window: int | None, *script: str) -> None:
        super().__init__(script, name=f"window {window}")
        self._window = window

    @property
    def window(self) -> int | None:
        return self._window


@pytest.mark.parametrize(
    ("old", "new", "shrinks"),
    [(10, 5, True), (None, 5, True), (5, 10, False), (5, None, False), (None, None, False)],
)
async def test_a_smaller_window_lets_plugins_shorten_the_history(
    old: int | None, new: int | None, shrinks: bool
) -> None:
    """
    In the same commit as the setting: one never stands without the other.
    """
    Shortens.keep = 1
    async with Lash(model=Window(old, "a"), plugins=[Shortens], autoload=False) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.configure(model=Window(new))

        assert 1 + (old != new) == session.revision
        assert (["in short", "a"] if shrinks else ["1", "a"]) == texts(session)[-2:]
        assert f"window {new}" == session.policy.model


async def test_a_rewrite_that_cannot_be_committed_leaves_plugins_as_they_were() -> None:
    """
    Their state is that of the history that stands.
    """

    class Full(MemoryStore):
        async def commit(self, commit: Commit) -> Receipt:
            if commit.nodes and commit.nodes[0].parent is None and commit.expected:
                raise StoreFull("no room")
            return await super().commit(commit)

    Shortens.keep = 1
    async with app("a", store=Full(), plugins=[Shortens]) as lash:
        session = await lash.session("s")
        await session.run("1")
        with pytest.raises(StoreFull):
            await session.rewrite()

        live = session._lane.live  # pyright: ignore[reportPrivateUsage] - what no hook is asked for
        assert [0] == [each.state.times for each in live.instances if isinstance(each, Shortens)]
        assert ["1", "a"] == texts(session)


async def test_without_plugins_there_is_nothing_to_rewrite() -> None:
    """
    And nothing is committed.
    """
    async with app("a") as lash:
        session = await lash.session("s")
        await session.run("1")

        assert await session.rewrite() is None
        assert 1 == session.revision


# --- forks ---------------------------------------------------------------------


async def test_a_fork_goes_its_own_way() -> None:
    """
    The same nodes up to the fork; then each has its own, usage included.
    """
    store = MemoryStore()
    usage = Usage(input=1)
    script = [reply(text, usage=usage) for text in ("a", "b", "c")]
    async with app(*script, store=store, plugins=[Counter]) as lash:
        session = await lash.session("s")
        await session.run("1")
        other = await session.fork(id="t")
        await session.run("2")
        turn = await other.run("3")

        assert (2, 2, "t") == (turn.index, turn.revision, turn.session)
        assert ["1", "a", "2", "b"] == texts(session)
        assert ["1", "a", "3", "c"] == texts(other)
        assert (2, 2) == (state(session), state(other))
        assert (2, 1) == (session.usage().total, other.usage().total)
        assert not other.interrupted
    async with app(store=store) as lash:
        other = await lash.session("t")
        assert ["1", "a", "3", "c"] == texts(other)
        assert (1, 2) == (other.usage().total, other.usage(inherited=True).total)
        assert (await store.head("t")).forked_from == ("s", 1)  # type: ignore[union-attr]


async def test_a_fork_of_a_fork_inherits_from_both() -> None:
    """
    Each up to where it was left.
    """
    usage = Usage(input=1)
    store = MemoryStore()
    async with app(*[reply("x", usage=usage) for _ in range(5)], store=store) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.run("2")
        middle = await session.fork(id="m", at=ends(session)[0])
        await session.run("3")
        await middle.run("4")
        last = await middle.fork(id="l")

        assert (0, 2) == (last.usage().total, last.usage(inherited=True).total)
        await lash.delete("s")
    async with app(store=store) as lash:
        last = await lash.session("l")
        assert ["1", "x", "4", "x"] == texts(last)
        assert 1 == last.usage(inherited=True).total  # the middle's alone


async def test_a_fork_of_an_open_session_shares_what_that_one_has_read() -> None:
    """
    So it costs the same whatever the length; but branches beside the path aren't its own.
    """
    loads: list[str] = []

    class Counted(MemoryStore):
        async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
            loads.append(session)
            async for page in super().load(session, since):
                yield page

    usage = Usage(input=1)
    script = [reply(text, usage=usage) for text in "abcde"]
    async with app(*script, store=Counted(), plugins=[Counter]) as lash:
        session = await lash.session("s")
        await session.run("1")
        loads.clear()
        first = await session.fork(id="f")
        second = await first.fork(id="g")
        assert [] == loads
        await session.run("2")
        await first.run("3")
        await second.run("4")

        assert ["1", "a", "2", "b"] == texts(session)
        assert ["1", "a", "3", "c"] == texts(first)
        assert ["1", "a", "4", "d"] == texts(second)
        assert (2, 2, 2) == (state(session), state(first), state(second))
        assert (1, 2) == (second.usage().total, second.usage(inherited=True).total)

        await session.checkout(ends(session)[0])
        back = await session.fork(id="b")
        assert ["b"] == [each for each in loads if each == "b"]
        assert (["1", "a"], 3) == (texts(back), len(back.graph))


async def test_a_fork_of_an_earlier_node_has_its_state() -> None:
    """
    A node inside a turn stands for the turn before.
    """
    async with app("a", "b", plugins=[Counter]) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.run("2")
        other = await session.fork(at=session.graph.path()[-2].id)

        assert other.id.startswith("s~")
        assert (["1", "a"], 1, 1) == (texts(other), state(other), other.revision)


async def test_a_fork_lists_the_tools_of_who_opens_it() -> None:
    """
    What was shown or hidden comes along; a tool that nothing can run doesn't.
    """

    @tool
    async def add() -> int:
        """Add."""
        return 1

    @tool
    async def sub() -> int:
        """Subtract."""
        return 1

    store = MemoryStore()
    async with app("a", store=store, tools=[add, sub]) as lash:
        session = await lash.session("s")
        await session.run("1")
        await session.hide("add", "sub")
        await session.fork(id="t")
    async with app("b", store=store, tools=[sub]) as lash:
        other = await lash.session("t")
        listed = {name: shown for name, (_, _, shown) in other.catalogue.items()}
        assert {"sub": False} == listed
        assert "b" == (await other.run("2")).text


async def test_a_fork_needs_a_free_id_and_a_history() -> None:
    """
    Both are told before anything is made.
    """
    async with app("a", "b") as lash:
        session = await lash.session("s")
        with pytest.raises(InvalidHistory):
            await session.fork(id="t")
        await session.run("1")
        with pytest.raises(SessionExists):
            await session.fork(id="s")
        with pytest.raises(InvalidHistory):
            await session.fork(at="nowhere:1")
        for id in ("a\0b", "x" * 256, "\ud800"):
            with pytest.raises(InvalidInput, match="expected 1 to 255 bytes"):
                await session.fork(id=id)
        assert ["s"] == [each.id for each in await lash.sessions()]


# --- waiting -------------------------------------------------------------------


async def test_queued_turns_wait_for_another_app_too() -> None:
    """
    Two apps on one store stand for two processes: one turn after the other.
    """
    running = 0

    async def answer(request: ModelRequest) -> Reply:
        nonlocal running
        running += 1
        assert 1 == running
        await asyncio.sleep(0.01)
        running -= 1
        return reply(f"to {request.history[-1].text}")

    store = MemoryStore()
    script = [answer] * 3
    async with (
        app(*script, store=store, on_busy="queue") as one,
        app(*script, store=store, on_busy="queue") as two,
    ):
        ours, theirs = await one.session("s"), await two.session("s")
        turns = await asyncio.gather(
            *[each.run(str(n)) for n in range(3) for each in (ours, theirs)]
        )
        last = await one.session("s")

    assert [1, 2, 3, 4, 5, 6] == sorted(turn.index for turn in turns)
    head = await store.head("s")
    assert head is not None and 6 == head.revision
    assert last.id == "s"
