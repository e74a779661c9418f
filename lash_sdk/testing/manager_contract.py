"""
What every host of several sessions must keep, as a pytest class.

    class TestMine(SessionManagerContract):
        @pytest.fixture
        def session_manager(self) -> type[Plugin]:
            return MyPlugin

The fixture returns the plugin, a class whose hook `session_manager` supplies one under
the name "default". What's handed out for a session has its `id`, and for a turn its `turn_id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..app import Lash
from ..contexts import ToolContext, TurnContext
from ..errors import LashError, SessionBusy
from ..hooks import Plugin
from ..hooks.specs import after_turn
from ..memory import MemoryStore
from ..outcomes import Stopped
from ..ports import ModelAnswer, ModelRequest
from ..tools import Tool, tool
from .scripted import USAGE, call, reply

if TYPE_CHECKING:
    from ..session import Session

PATIENCE: Final = 5.0
"""Seconds after which something is said never to end."""


class Echo:
    """
    A model for any number of sessions: it repeats the last message.

    Asked to "do", it calls the tool; asked to "wait", it does until `go` is set.

    Attributes:
        stopped: Set once a wait was cancelled.
        wrong: What the tool raised.
    """

    name = "echo"
    window = None

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()
        self.stopped = asyncio.Event()
        self.wrong: list[Exception] = []

    async def answer(self, request: ModelRequest, emit: Any) -> ModelAnswer:
        """Return the answer."""
        said = request.history[-1].text
        if said == "wait":
            self.waiting.set()
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.stopped.set()
                raise
        made = reply(calls=[call("do")]) if said == "do" else reply(f"re: {said}")
        return made.answer

    async def close(self) -> None:
        """Do nothing."""


class Refusing(Plugin):
    """Loses each turn before its commit."""

    name = "refusing"

    @after_turn
    async def no(self, ctx: TurnContext) -> list[Any]:
        """Fail, if it's the maker's turn."""
        if ctx.session_id == "maker":
            raise ValueError("lost")
        return []


@pytest.mark.asyncio
class SessionManagerContract:
    """
    Subclass it with a fixture `session_manager`.

    Everything is asked for by what `lash_sdk.ports.roles` says of the five roles.
    """

    @pytest.fixture
    def session_manager(self) -> type[Plugin]:
        """Return the plugin under test, as a class."""
        raise NotImplementedError("the subclass has a fixture `session_manager`")

    async def test_every_role_is_supplied(self, session_manager: type[Plugin]) -> None:
        """A hook that may have a role gets it, and an application has all of them."""
        seen: dict[str, Any] = {}

        async def act(ctx: ToolContext) -> None:
            for name in ("lifecycle", "turns", "tasks", "monitors", "direct"):
                seen[name] = ctx.role(name)

        async with opened(session_manager, act) as (_lash, maker, _model):
            await maker.run("do")

            assert [] == [name for name, role in seen.items() if role is None]
            assert hasattr(maker.children, "create")

    async def test_a_child_is_its_makers_and_has_a_history_of_its_own(
        self, session_manager: type[Plugin]
    ) -> None:
        """It's in the store, under its maker's name."""
        async with opened(session_manager) as (lash, maker, _model):
            child = await maker.children.create(None)
            await take(maker, child.id, "hello")
            rows = {each.id: each for each in await lash.sessions(children=True)}
            shown = [each.id for each in await lash.sessions()]

            assert "maker" == rows[child.id].parent
            assert child.id not in shown
            assert () == tuple(maker.messages)

    async def test_a_child_is_seen_once_the_turn_that_made_it_is_committed(
        self, session_manager: type[Plugin]
    ) -> None:
        """A turn is kept whole or not at all, its children with it."""
        during: list[list[str]] = []

        async def act(ctx: ToolContext) -> str:
            made = await ctx.role("lifecycle").create(None)
            during.append([each.id for each in await lash.sessions(children=True)])
            return str(made.id)

        async with opened(session_manager, act) as (lash, maker, _model):
            turn = await maker.run("do")
            child = turn.tool_calls[0].outcome.value  # type: ignore[union-attr]

            assert child not in during[0]
            assert child in [each.id for each in await lash.sessions(children=True)]

    async def test_a_turn_that_is_lost_takes_its_children_along(
        self, session_manager: type[Plugin]
    ) -> None:
        """Nobody knows of them: they'd be left for good."""
        made: list[str] = []

        async def act(ctx: ToolContext) -> None:
            child = await ctx.role("lifecycle").create(None)
            made.append(child.id)
            turn = await ctx.role("turns").start_turn_stream(child.id, "hello")
            await ctx.role("turns").await_turn(turn.turn_id)

        async with opened(session_manager, act, Refusing) as (lash, maker, _model):
            with pytest.raises(LashError):
                await maker.run("do")
            if maker.interrupted:
                await maker.discard()

            assert not {*made} & {each.id for each in await lash.sessions(children=True)}

    async def test_a_turns_record_is_taken_once(self, session_manager: type[Plugin]) -> None:
        """Until it's taken it waits; afterwards it's an error to ask."""
        async with opened(session_manager) as (_lash, maker, _model):
            child = await maker.children.create(None)
            turn = await maker.children.start_turn_stream(child.id, "hello")
            record = await within(maker.children.await_turn(turn.turn_id))

            assert "re: hello" == record.text
            with pytest.raises(LashError):
                await within(maker.children.await_turn(turn.turn_id))

    async def test_a_session_runs_one_turn_at_a_time(self, session_manager: type[Plugin]) -> None:
        """A second start is refused; it isn't queued, and harms nothing."""
        async with opened(session_manager) as (_lash, maker, model):
            child = await maker.children.create(None)
            turn = await maker.children.start_turn_stream(child.id, "wait")
            await within(model.waiting.wait())
            with pytest.raises(SessionBusy):
                await maker.children.start_turn_stream(child.id, "hello")
            model.go.set()

            assert "re: wait" == (await within(maker.children.await_turn(turn.turn_id))).text

    async def test_a_cancelled_turn_is_committed_as_such(
        self, session_manager: type[Plugin]
    ) -> None:
        """Telling returns at once, and once more is fine; the session can go on."""
        async with opened(session_manager) as (_lash, maker, model):
            child = await maker.children.create(None)
            turn = await maker.children.start_turn_stream(child.id, "wait")
            await within(model.waiting.wait())
            for _ in range(2):
                await within(maker.children.cancel_turn(turn.turn_id))
            record = await within(maker.children.await_turn(turn.turn_id))

            assert isinstance(record.outcome, Stopped)
            assert "re: on" == (await take(maker, child.id, "on")).text

    async def test_cancelling_goes_down(self, session_manager: type[Plugin]) -> None:
        """A cancelled turn stops what it began in its children."""

        async def act(ctx: ToolContext) -> None:
            child = await ctx.role("lifecycle").create(None)
            turn = await ctx.role("turns").start_turn_stream(child.id, "wait")
            await ctx.role("turns").await_turn(turn.turn_id)

        async with opened(session_manager, act) as (_lash, maker, model):
            task = asyncio.ensure_future(maker.run("do"))
            await within(model.waiting.wait())
            await within(maker.cancel())
            with suppress(asyncio.CancelledError):
                await within(task)

            await within(model.stopped.wait())

    async def test_every_token_is_counted_once(self, session_manager: type[Plugin]) -> None:
        """Live and final are the same rows, by their ids; a child's are its maker's too."""

        async def act(ctx: ToolContext) -> None:
            child = await ctx.role("lifecycle").create(None)
            turn = await ctx.role("turns").start_turn_stream(child.id, "hello")
            await ctx.role("turns").await_turn(turn.turn_id)

        async with opened(session_manager, act) as (_lash, maker, _model):
            turn = await maker.run("do")
            each = USAGE.total
            rows = [row.id for row in maker.usage().rows]

            assert (2 * each, each) == (turn.usage.total, turn.children_usage.total)
            assert 3 * each == maker.usage().total
            assert len(set(rows)) == len(rows) == 3

    async def test_input_reaches_a_sessions_next_turn(self, session_manager: type[Plugin]) -> None:
        """It's durable once it's handed over, and becomes history."""
        async with opened(session_manager) as (lash, maker, _model):
            child = await maker.children.create(None)
            await maker.children.inject_turn_input(child.id, "by the way")
            await take(maker, child.id, "hello")
            texts = [m.text for m in (await lash.session(child.id)).messages]

            assert 1 == texts.count("by the way")

    async def test_a_direct_completion_is_paid_for_and_not_remembered(
        self, session_manager: type[Plugin]
    ) -> None:
        """Its usage is in the session's books, and nothing is in its history."""
        async with opened(session_manager) as (_lash, maker, _model):
            answer = await within(maker.children.direct_completion("hello", "aside"))

            assert "re: hello" == answer.text
            assert ["aside"] == [row.source for row in maker.usage().rows]
            assert () == tuple(maker.messages)

    async def test_what_is_not_there_is_an_error_of_ours(
        self, session_manager: type[Plugin]
    ) -> None:
        """Who can't be found is named; closing one that isn't there is done already."""
        async with opened(session_manager) as (_lash, maker, _model):
            roles = maker.children
            asked: tuple[Callable[[], Awaitable[Any]], ...] = (
                lambda: roles.start_turn_stream("nobody", "hello"),
                lambda: roles.await_turn("nothing"),
                lambda: roles.cancel_turn("nothing"),
                lambda: roles.cancel_background_task("nothing"),
                lambda: roles.stop_monitor("nothing"),
                lambda: roles.inject_turn_input("nobody", "hello"),
            )
            for ask in asked:
                with pytest.raises(LashError):
                    await within(ask())
            await roles.close_session("nobody")

            assert [] == list(await roles.list_background_tasks())
            assert await roles.monitor_status() is not None

    async def test_nothing_is_left_running_when_the_app_closes(
        self, session_manager: type[Plugin]
    ) -> None:
        """A turn that still runs is stopped, and waited for."""
        before = asyncio.all_tasks()
        async with opened(session_manager) as (_lash, maker, model):
            child = await maker.children.create(None)
            await maker.children.start_turn_stream(child.id, "wait")
            await within(model.waiting.wait())
        await asyncio.sleep(0)

        assert set() == asyncio.all_tasks() - before


@asynccontextmanager
async def opened(
    manager: type[Plugin],
    act: Callable[[ToolContext], Awaitable[Any]] | None = None,
    *plugins: type[Plugin],
) -> AsyncGenerator[tuple[Lash, Session, Echo], None]:
    """Yield an app with *manager*, its session "maker", and its model; the tool does *act*."""
    model = Echo()
    tools = [] if act is None else [_doing(act, model.wrong)]
    async with Lash(
        model=model, store=MemoryStore(), tools=tools, plugins=[manager, *plugins], autoload=False
    ) as lash:
        yield lash, await lash.session("maker"), model
    assert [] == model.wrong


def _doing(act: Callable[[ToolContext], Awaitable[Any]], wrong: list[Exception]) -> Tool:
    @tool(name="do", on_recovery="resume")
    async def do(ctx: ToolContext) -> Any:
        """Do it."""
        try:
            return await act(ctx)
        except Exception as error:
            wrong.append(error)
            raise

    return do


async def take(maker: Session, child: str, input: str) -> Any:
    """Return the record of a turn of *child*."""
    turn = await maker.children.start_turn_stream(child, input)
    return await within(maker.children.await_turn(turn.turn_id))


async def within(awaited: Awaitable[Any]) -> Any:
    """
    Return what's awaited.

    Raises:
        TimeoutError: It takes too long.
    """
    return await asyncio.wait_for(awaited, PATIENCE)
