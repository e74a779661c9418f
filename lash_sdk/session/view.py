"""What can be read of a session: its last committed state, and events as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping

from ..dispatch.toolbox import ToolState
from ..errors import SessionClosed
from ..events import SessionEvent
from ..graph import Graph
from ..messages import Blob, Message
from ..policy import Policy
from ..ports import JournalRow
from ..tools import ToolDefinition
from ..usage import UsageReport
from .asks import Desk
from .lane import Lane
from .observe import Observer, Seen
from .recovery import rows_of
from .stream import guarded


class View:
    """
    A session as it can be read; `Session` is one that can be changed as well.

    What's read here is immutable and never waits for a turn.
    """

    def __init__(self, lane: Lane, desk: Desk) -> None:
        self._lane = lane
        self._desk = desk
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
        """Whether a turn never finished: `resume` or `discard` it."""
        return self._lane.interrupted is not None

    @property
    def running(self) -> bool:
        """Whether a turn runs in this process."""
        return self._lane.drive is not None

    def usage(self, *, inherited: bool = False) -> UsageReport:
        """
        Return the session's tokens, committed and pending.

        Its own alone; *inherited* adds those of the sessions it was forked from,
        up to where that was.
        """
        return self._lane.usage(inherited=inherited)

    @property
    def catalogue(self) -> Mapping[str, tuple[ToolDefinition, str, bool]]:
        """Every tool by name: definition, source, and whether it can be called."""
        return self._lane.live.toolbox.catalogue()

    @property
    def tool_state(self) -> ToolState:
        """What the session hides and shows, at its generation."""
        return self._lane.live.toolbox.state

    async def blob(self, blob: Blob) -> bytes:
        """Return the bytes of a blob that stands in the history."""
        return await self._lane.live.read_blob(blob)

    def listen(self, listener: Callable[[SessionEvent], None]) -> Callable[[], None]:
        """
        Show every event to *listener*, until what's returned is called.

        It's called on the loop and is to return at once; what it raises is logged.
        """
        return self._open().live.listen(guarded(listener, self.id))

    async def journal(self, turn: str) -> tuple[JournalRow, ...]:
        """
        Return the rows of a turn that isn't committed, in their order.

        Raises:
            InvalidInput: There are none.
        """
        live = self._open().live
        return (await rows_of(live.store, live.id, turn)).rows

    def observe(self, cursor: str | None = None) -> AsyncGenerator[Seen, None]:
        """
        Return what's seen of the session from now on, or after *cursor*, to iterate.

        First a snapshot, then live events, and each commit once it's durable, also
        those of other processes. After a cursor come the commits since then, and
        live events as far as this process still has them, else one `Gap`. It ends
        when the session is closed here.

        Raises:
            InvalidInput: *cursor* isn't one of this session.
            StoreError: The store couldn't read it.
        """
        return Observer(self._open()).run(cursor)

    def __repr__(self) -> str:
        return f"<Session {self.id!r} at revision {self.revision}>"

    def _open(self) -> Lane:
        if self._closed:
            raise SessionClosed(self.id)
        return self._lane
