"""The handle that applications hold: one session, one turn at a time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from ..dispatch.toolbox import ToolState
from ..errors import InvalidInput, SessionBusy, SessionClosed, Unavailable
from ..events import SessionEvent
from ..graph import Graph, Node
from ..json import Json
from ..messages import Blob, Message, UserPart, user
from ..outcomes import ToolOutcome
from ..policy import Limits, Policy
from ..ports import InboxItem, Model
from ..tools import ToolDefinition
from ..usage import UsageReport
from .actions import act
from .lane import Ask, Lane
from .output import Output
from .record import TurnRecord
from .stream import Stream

T = TypeVar("T")

NEXT = "it comes with the effect journal"

log = logging.getLogger("lash.session")


class Session:
    """
    A session: its conversation, and the way to go on with it.

    All handles of one id in one `Lash` share one live session. What's read here
    is the last committed state; it's immutable and never waits.
    """

    __slots__ = ("_closed", "_lane", "_release", "_resolve")

    def __init__(
        self, lane: Lane, resolve: Callable[[str | Model], Model], release: Callable[[Lane], Any]
    ) -> None:
        self._lane = lane
        self._resolve = resolve
        self._release = release
        self._closed = False

    @property
    def id(self) -> str:
        """The session's id."""
        return self._lane.live.id

    @property
    def revision(self) -> int:
        """How often its head has moved; 0 before the first commit."""
        return self._lane.live.revision

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation on the active path, oldest first."""
        return tuple(self._lane.live.history)

    @property
    def graph(self) -> Graph:
        """Every node, and the leaf that the active path leads to."""
        return self._lane.live.graph

    @property
    def policy(self) -> Policy:
        """What its turns go by: model, instructions, limits."""
        return self._lane.live.policy

    @property
    def interrupted(self) -> bool:
        """Whether a turn never finished; without a journal there is none."""
        return False

    @property
    def running(self) -> bool:
        """Whether a turn runs in this process."""
        return self._lane.drive is not None

    async def run(
        self,
        input: str | Sequence[UserPart],
        *,
        output: Any = None,
        model: str | Model | None = None,
        instructions: str | None = None,
    ) -> TurnRecord:
        """
        Return the record of a turn on *input*, once it's durable.

        *output* is a pydantic model that the answer must fit; `record.value`
        then holds an instance. *model* and *instructions* are for this turn.

        Raises:
            InvalidInput: The input is empty, or the model isn't known.
            SessionBusy: A turn is running and `on_busy` is "reject".
            ModelError: The model failed; the turn is committed as stopped, with
                its record at `error.turn`.
            PluginFault: A hook failed where that aborts; nothing was committed.
            RevisionConflict: Another process committed; nothing was written.
            StoreError: The store couldn't commit; nothing was written.
        """
        ask = self._ask(input, output=output, model=model, instructions=instructions)
        return await self._lane.run(ask)

    def stream(
        self,
        input: str | Sequence[UserPart],
        *,
        output: Any = None,
        model: str | Model | None = None,
        instructions: str | None = None,
    ) -> Stream:
        """
        Return a turn on *input* as a stream of events; it starts when read.

        Raises:
            InvalidInput: As `run` does; other errors come from the stream, after
                the last event.
        """
        ask = self._ask(input, output=output, model=model, instructions=instructions)
        return Stream(lambda watch: self._lane.run(replace(ask, watch=watch)))

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
            InvalidInput: The model isn't known.
            SessionBusy: A turn is running.
        """
        lane = self._open()
        if lane.drive is not None:
            raise SessionBusy(self.id)
        name, own = None, lane.model
        if model is not None:
            found = self._resolve(model)
            name = model if isinstance(model, str) else found.name
            own = None if isinstance(model, str) else found
        policy = lane.live.policy.with_overrides(
            model=name, instructions=instructions, limits=limits
        )
        return await lane.configure(policy, own)

    def usage(self, *, inherited: bool = False) -> UsageReport:
        """
        Return the session's tokens, committed and pending, its own alone.

        Raises:
            Unavailable: *inherited* was asked for; there are no forks yet.
        """
        if inherited:
            raise Unavailable("usage of an origin", why=NEXT)
        return self._lane.usage()

    @property
    def catalogue(self) -> Mapping[str, tuple[ToolDefinition, str, bool]]:
        """Every tool by name: definition, source, and whether it can be called."""
        return self._lane.live.toolbox.catalogue()

    @property
    def tool_state(self) -> ToolState:
        """What the session hides and shows, at its generation."""
        return self._lane.live.toolbox.state

    async def apply_tool_state(self, state: ToolState) -> ToolState:
        """
        Hide and show tools, durably; return the state at its new generation.

        Raises:
            InvalidInput: *state* is of an old generation, or names no tool.
            SessionBusy: A turn is running.
        """
        return await self._open().apply_tools(state)

    async def hide(self, *names: str) -> ToolState:
        """Make tools uncallable in this session; see `apply_tool_state`."""
        return await self._open().set_tools(names, "hidden")

    async def show(self, *names: str) -> ToolState:
        """Make tools callable in this session; see `apply_tool_state`."""
        return await self._open().set_tools(names, "shown")

    async def act(self, name: str, **arguments: Json) -> ToolOutcome:
        """
        Ask a plugin's action something; return what came of it.

        Raises:
            InvalidInput: There's no such action, or it takes no session.
        """
        return await act(self._open().live, name, arguments, in_session=True)

    async def blob(self, blob: Blob) -> bytes:
        """Return the bytes of a blob that stands in the history."""
        return await self._lane.live.read_blob(blob)

    def listen(self, listener: Callable[[SessionEvent], None]) -> Callable[[], None]:
        """
        Show every event to *listener*, until what's returned is called.

        It's called on the loop and is to return at once; what it raises is logged.
        """

        def listen(event: SessionEvent) -> None:
            try:
                listener(event)
            except Exception:
                log.exception("a listener of session %r failed", self.id)

        return self._open().live.listen(listen)

    async def close(self) -> None:
        """Give the handle back; the last one settles a running turn and releases."""
        if not self._closed:
            self._closed = True
            await self._release(self._lane)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Session {self.id!r} at revision {self.revision}>"

    # What needs the effect journal is here by name already.

    async def resume(self) -> TurnRecord | None:
        """Finish an interrupted turn; return None if there is none."""
        raise Unavailable("resume", why=NEXT)

    async def discard(self) -> TurnRecord | None:
        """Settle an interrupted turn without running it."""
        raise Unavailable("discard", why=NEXT)

    async def enqueue(self, text: str, *, key: str) -> InboxItem:
        """Keep input until a turn uses it."""
        raise Unavailable("inbox", why=NEXT)

    async def withdraw(self, key: str) -> bool:
        """Take waiting input back."""
        raise Unavailable("inbox", why=NEXT)

    async def append(self, nodes: Sequence[Node], *, after: str | None = None) -> None:
        """Add nodes outside a turn."""
        raise Unavailable("append", why=NEXT)

    async def fork(self, *, id: str | None = None, at: str | None = None) -> Session:
        """Make another session on the same history."""
        raise Unavailable("fork", why=NEXT)

    async def checkout(self, node: str) -> None:
        """Move the leaf to another node."""
        raise Unavailable("checkout", why=NEXT)

    def observe(self, cursor: str | None = None) -> AsyncIterator[SessionEvent]:
        """Watch the session across turns."""
        raise Unavailable("observe", why=NEXT)

    def _open(self) -> Lane:
        if self._closed:
            raise SessionClosed(self.id)
        return self._lane

    def _ask(
        self,
        input: str | Sequence[UserPart],
        *,
        output: Any,
        model: str | Model | None,
        instructions: str | None,
    ) -> Ask:
        self._open()
        if not isinstance(input, (str, list, tuple)):
            raise InvalidInput(f"input: expected text or parts, found {input!r}")
        return Ask(
            message=user(input),
            model=None if model is None else self._resolve(model),
            instructions=instructions,
            output=None if output is None else Output(output),
        )
