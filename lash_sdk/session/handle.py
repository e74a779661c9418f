"""The handle that applications hold: one session, one turn at a time."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..commits import Receipt
from ..dispatch.toolbox import ToolState
from ..errors import InvalidInput, SessionBusy, expect
from ..graph import Content
from ..json import Json
from ..messages import UserPart, user
from ..outcomes import ToolOutcome
from ..policy import Limits, Policy
from ..ports import InboxItem, Model, SessionSpec
from .actions import act
from .asks import Ask, asked, mint
from .changes import append, apply_tools, checkout, configure, fork, rewrite, set_tools
from .lane import Lane
from .output import Output
from .record import TurnRecord
from .stream import Stream
from .view import View


class Session(View):
    """
    A session: its conversation, and the way to go on with it.

    All handles of one id in one `Lash` share one live session. What's read here
    is the last committed state; it's immutable and never waits.
    """

    async def run(
        self,
        input: str | Sequence[UserPart],
        *,
        output: Any = None,
        model: str | Model | None = None,
        instructions: str | None = None,
        turn: str | None = None,
    ) -> TurnRecord:
        """
        Return the record of a turn on *input*, once it's durable.

        *output* is a pydantic model that the answer must fit; `record.value`
        then holds an instance. *model* and *instructions* are for this turn, and
        *turn* is its id, for who made it up: no turn of the store may have had it.

        Raises:
            InvalidInput: The input is empty, or the model isn't known.
            OperationMismatch: A turn had that id; nothing was run.
            SessionBusy: A turn is running and `on_busy` is "reject".
            TurnInterrupted: One never finished and `on_interrupted` is "refuse".
            ModelError: The model failed; the turn is committed as stopped, with
                its record at `error.turn`.
            PluginFault: A hook failed where that aborts; nothing was committed.
            RevisionConflict: Another process committed meanwhile; what the turn
                did is on record at `error.journal`.
            StoreError: The store couldn't commit; nothing was written.
        """
        lane, desk = self._open(), self._desk
        ask = asked(desk, input, output=output, model=model, instructions=instructions, turn=turn)
        return await self._run(lane, ask)

    def stream(
        self,
        input: str | Sequence[UserPart],
        *,
        output: Any = None,
        model: str | Model | None = None,
        instructions: str | None = None,
        turn: str | None = None,
    ) -> Stream:
        """
        Return a turn on *input* as a stream of events; it starts when read.

        Raises:
            InvalidInput: As `run` does; other errors come from the stream, after
                the last event.
        """
        _, desk = self._open(), self._desk
        ask = asked(desk, input, output=output, model=model, instructions=instructions, turn=turn)
        return Stream(lambda watch: self._run(self._open(), replace(ask, watch=watch)))

    async def cancel(self) -> None:
        """Stop the running turn and wait until it's committed as cancelled."""
        await self._open().cancel()

    async def configure(
        self,
        *,
        model: str | Model | None = None,
        instructions: str | None = None,
        limits: Limits | None = None,
    ) -> Policy:
        """
        Change what the session's turns go by, durably; return the new policy.

        A model given by name outlives the process, an object doesn't.

        Raises:
            InvalidInput: The model isn't known, or a value is of another type.
            SessionBusy: A turn is running.
        """
        lane = self._open()
        if lane.drive is not None:
            raise SessionBusy(self.id)
        name, own = None, lane.model
        if model is not None:
            found = self._desk.model(model)
            name, own = (model, None) if isinstance(model, str) else (found.name, found)
        new = lane.live.policy.with_overrides(model=name, instructions=instructions, limits=limits)
        return await configure(lane, new, own)

    async def apply_tool_state(self, state: ToolState) -> ToolState:
        """
        Hide and show tools, durably; return the state at its new generation.

        Raises:
            InvalidInput: *state* is of an old generation, or names no tool.
            SessionBusy: A turn is running.
        """
        expect(ToolState, state=state)
        return await apply_tools(self._open(), state)

    async def hide(self, *names: str) -> ToolState:
        """Make tools uncallable in this session; see `apply_tool_state`."""
        return await set_tools(self._open(), names, "hidden")

    async def show(self, *names: str) -> ToolState:
        """Make tools callable in this session; see `apply_tool_state`."""
        return await set_tools(self._open(), names, "shown")

    async def act(self, name: str, **arguments: Json) -> ToolOutcome:
        """
        Ask a plugin's action something; return what came of it.

        Raises:
            InvalidInput: There's no such action, or it takes no session.
        """
        return await act(self._open().live, name, arguments, in_session=True)

    @property
    def children(self) -> Any:
        """
        Other sessions, and work beside this one: every session role in one place.

        Raises:
            Unavailable: The package that brings them isn't installed.
        """
        live = self._open().live
        return live.role("children", live.context())

    async def close(self) -> None:
        """Give the handle back; the last one settles a running turn and releases."""
        if not self._closed:
            self._closed = True
            await self._desk.release(self._lane)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.close()

    async def resume(self, *, output: Any = None) -> TurnRecord | None:
        """
        Finish the interrupted turn; return its record, or None if there's none.

        What it had heard from outside isn't asked for again. A tool that may have
        run is handled as its `on_recovery` says. Without *output*, what a turn
        with structured output answers is plain JSON in `record.value`. Turns of its
        children that earlier turns had left running go on in the background.

        Raises:
            SessionBusy: Somebody is at it, in this process or another.
            ModelError: The model failed; the turn is committed as stopped.
            StoreError: The store couldn't commit; the turn stays interrupted.
        """
        lane = self._open()
        if (roles := lane.live.roles) is not None and roles.manager is not None:
            await roles.manager.recover(lane.live, (), closing=False)
        return await lane.resume(None if output is None else Output(output))

    async def discard(self, turn: str | None = None) -> TurnRecord | None:
        """
        Settle the interrupted turn without running it, as stopped("discarded").

        What it did stays in the history; open calls are closed as cancelled. With
        the id of a *turn* that lost to another commit, forget that turn instead.

        Raises:
            SessionBusy: Somebody is at it, in this process or another.
            InvalidInput: There's no such turn.
        """
        return await self._open().discard(turn)

    async def enqueue(self, text: str, *, key: str) -> InboxItem:
        """
        Keep input until a turn uses it; it's durable on return.

        A running turn takes it at its next checkpoint, else the next turn does.
        The same *key* and *text* return the first item, also once it was used.

        Raises:
            OperationMismatch: The key was used with another text.
            InvalidInput: Text or key is empty.
        """
        expect(str, text=text, key=key)
        if not key:
            raise InvalidInput(f"key: expected text that isn't empty, found {key!r}")
        live = self._open().live
        return await live.store.enqueue(live.id, InboxItem(key=key, body=user(text).to_json()))

    async def withdraw(self, key: str) -> bool:
        """Take waiting input back; return False if a turn has it, or nobody."""
        lane = self._open()
        expect(str, key=key)
        if lane.drive is not None and key in lane.drive.turn.inbox:
            return False
        return await lane.live.store.withdraw(self.id, key)

    async def append(self, values: Sequence[Content], *, after: str | None = None) -> Receipt:
        """
        Add messages or notes outside a turn; return the commit's receipt.

        They become nodes after the leaf, or a branch after node *after*.

        Raises:
            InvalidHistory: The path that they end isn't one a model accepts.
            SessionBusy: A turn is running.
            TurnInterrupted: A turn never finished.
        """
        expect(Iterable, values=values)
        expect(str | None, after=after)
        return await append(self._open(), values, after=after)

    async def checkout(self, node: str) -> Receipt:
        """
        Go back, or over, to *node*, with tools and plugins as they were there.

        Nothing is lost: what isn't on the path any more is a branch. A node inside
        a turn stands for the end of the turn before; `receipt.leaf` says which.

        Raises:
            InvalidHistory: There's no such node, or no turn ends before it.
            SessionBusy: A turn is running.
            TurnInterrupted: A turn never finished.
        """
        expect(str, node=node)
        return await checkout(self._open(), node)

    async def rewrite(self) -> Receipt | None:
        """
        Let plugins shorten the history; return the receipt, None if they leave it.

        What they make of it is a branch, beside what was. `configure` asks them too
        when a model with a smaller window is chosen. A plugin that fails, or wants
        what no model accepts, is left out.

        Raises:
            SessionBusy: A turn is running.
            TurnInterrupted: A turn never finished.
        """
        return await rewrite(self._open())

    async def fork(
        self, *, id: str | None = None, at: str | None = None, journal: str | None = None
    ) -> Session:
        """
        Return a new session on the same history, up to the head or node *at*.

        It has the tools and plugin states of that node, but no usage, inbox or
        children. With *journal*, the id of a turn that lost to another commit, it
        begins where that turn did, and has that turn to `resume`.

        Raises:
            SessionExists: There's a session *id*.
            InvalidHistory: There's no such node, or no turn ends before it.
            InvalidInput: There's no such turn in the journal, or *id* can't be one.
        """
        expect(str | None, at=at, journal=journal)
        spec = SessionSpec(id=id or f"{self.id}~{mint()}")  # refuses what's no id
        await fork(self._open(), spec.id, at=at, journal=journal)
        forked: Session = await self._desk.open(spec.id)
        return forked

    def _run(self, lane: Lane, ask: Ask) -> Coroutine[Any, Any, TurnRecord]:
        """Return the record of a turn, when awaited; elsewhere it runs only if that may be."""
        roles = lane.live.roles
        if lane.rules.on_busy != "fork" and (roles is None or roles.manager is None):
            return lane.run(ask)
        return self._run_anywhere(lane, ask)

    async def _run_anywhere(self, lane: Lane, ask: Ask) -> TurnRecord:
        """Run a turn here; in a fork if this session is busy and that's the policy."""
        if (roles := lane.live.roles) is not None and roles.manager is not None:
            successor: Session | None = await roles.manager.route(lane.live)
            if successor is not None:
                return await successor._lane.run(ask)
        try:
            return await lane.run(ask)
        except SessionBusy:
            if lane.rules.on_busy != "fork":
                raise
        turn = ask.turn or mint()
        id = f"{self.id}~{turn}"
        head = await lane.live.store.head(self.id)
        if head is not None and head.revision:
            await lane.live.store.fork(self.id, id)
        async with await self._desk.open(id) as other:
            record: TurnRecord = await other._lane.run(replace(ask, turn=turn))
            return record
