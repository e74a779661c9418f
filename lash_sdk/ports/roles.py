"""
The ten session roles: what a hook, a tool or an application may ask a session for.

The first five are the kernel's. The others concern several sessions; the package
that brings them says what it takes and returns. A session is named by its id,
and None is the one that asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from ..graph import Content
from ..json import Json, frozen
from ..tools import ToolDefinition

Visibility: TypeAlias = Literal["hidden", "shown"]
"""Whether a tool can be seen and called; hidden beats shown within a layer."""


@frozen
class Appended:
    """
    Nodes were added.

    Attributes:
        nodes: Their ids; none while they wait for the running turn's commit.
        leaf: The leaf that's committed.
    """

    nodes: tuple[str, ...]
    leaf: str | None


@frozen
class StaleBranch:
    """Nothing was written: *required* isn't on the path to the leaf any more."""

    required: str
    leaf: str | None


class SnapshotRole(Protocol):
    """What sessions hold."""

    def snapshot_current(self) -> Any:
        """Return the session that asks, as it's committed; free of cost."""
        ...

    async def snapshot_session(self, session: str) -> Any:
        """Return any session, without waiting for its turn."""
        ...


class CatalogueRole(Protocol):
    """What tools there are."""

    def tool_catalog(
        self, session: str | None = None
    ) -> Mapping[str, tuple[ToolDefinition, str, bool]]:
        """Return every tool by name: definition, source, whether it can be called."""
        ...


class ToolStateRole(Protocol):
    """What a session hides and shows."""

    def tool_state(self, session: str | None = None) -> Any:
        """Return it, at its generation."""
        ...

    async def apply_tool_state(self, state: Any, session: str | None = None) -> int:
        """Put a state in place that was made from the present one; return its generation."""
        ...

    async def set_availability(
        self, words: Mapping[str, Visibility], session: str | None = None
    ) -> int:
        """Hide and show tools by name; return the new generation."""
        ...


class GraphRole(Protocol):
    """A session's nodes."""

    async def append_session_nodes(
        self,
        values: Sequence[Content],
        *,
        requires_ancestor: str | None = None,
        operation: str | None = None,
        session: str | None = None,
    ) -> Appended | StaleBranch:
        """Add nodes; a running turn commits them with its own."""
        ...


class TraceRole(Protocol):
    """Trace records."""

    def emit_trace_event(self, name: str, payload: Json = None) -> None:
        """Write a record; without anybody who listens it costs nothing."""
        ...


class LifecycleRole(Protocol):
    """Sessions that come and go."""

    async def create(self, request: Any) -> Any:
        """Make a session; return its handle."""
        ...

    async def close_session(self, session: str) -> None:
        """Close a session that was made; an unknown one is closed already."""
        ...

    async def inject_turn_input(self, session: str, input: Any) -> str:
        """Hand a session input for its next checkpoint; return the input's id."""
        ...


class TurnRole(Protocol):
    """Turns of other sessions."""

    async def start_turn_stream(self, session: str, input: Any) -> Any:
        """Start a turn; return its handle with its events."""
        ...

    async def await_turn(self, turn: str) -> Any:
        """Return a turn's record, once."""
        ...

    async def cancel_turn(self, turn: str) -> None:
        """Tell a turn to stop; return at once."""
        ...


class TaskRole(Protocol):
    """Work in the background."""

    async def list_background_tasks(self) -> Sequence[Any]:
        """Return what is known of the session's tasks, oldest first."""
        ...

    async def cancel_background_task(self, task: str) -> Any:
        """Cancel a task; return its record."""
        ...


class MonitorRole(Protocol):
    """Commands that are watched."""

    async def monitor_status(self) -> Any:
        """Return a snapshot of the session's monitors."""
        ...

    async def stop_monitor(self, monitor: str) -> Any:
        """Stop a monitor for good; return its status."""
        ...


class DirectRole(Protocol):
    """Models asked once, outside a conversation."""

    async def direct_completion(self, request: Any, source: str) -> Any:
        """Return the text that a model answers with, and what it cost."""
        ...
