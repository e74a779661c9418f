"""A session as it is, for somebody who only looks: shared, immutable, at once."""

from __future__ import annotations

from ..commits import Component
from ..dispatch.toolbox import ToolState
from ..graph import Graph, History
from ..json import frozen
from ..messages import Message
from ..policy import Policy
from ..usage import UsageReport
from .lane import Lane


@frozen
class Snapshot:
    """
    The last committed state of a session.

    Attributes:
        turns: Committed turns on the active path.
        history: The messages on it; nothing is copied.
        usage: Committed and pending.
        running: The id of the turn that runs in this process.
        interrupted: The id of the turn that never finished.
        components: The state of plugins and tools, in a snapshot that was asked for
            by a role outside a turn.
    """

    session: str
    parent: str | None
    revision: int
    turns: int
    graph: Graph
    history: History
    policy: Policy
    tools: ToolState
    usage: UsageReport
    running: str | None
    interrupted: str | None
    components: tuple[Component, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation on the active path, oldest first."""
        return tuple(self.history)


def snapshot(lane: Lane) -> Snapshot:
    """Return what *lane*'s session is now; a running turn shows by its id alone."""
    live = lane.live
    return Snapshot(
        session=live.id,
        parent=live.parent,
        revision=live.revision,
        turns=live.turns,
        graph=live.graph,
        history=live.history,
        policy=live.policy,
        tools=live.toolbox.state,
        usage=lane.usage(),
        running=lane.drive.turn.id if lane.drive else None,
        interrupted=lane.interrupted,
    )
