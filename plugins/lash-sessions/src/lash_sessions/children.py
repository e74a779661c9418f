"""All session roles at once: what an application has as `session.children`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lash_sdk.ports import Asker

from . import handoffs
from .roles import Background, Direct, Lifecycle, Role, Turns
from .watching import Watching

if TYPE_CHECKING:
    from lash_sdk.graph import Content
    from lash_sdk.json import Json
    from lash_sdk.messages import UserPart
    from lash_sdk.ports.roles import Appended, StaleBranch
    from lash_sdk.session import Snapshot
    from lash_sdk.usage import UsageReport


class Children(Lifecycle, Turns, Background, Watching, Direct):
    """Every session role at once: what an application may do for a session."""

    __slots__ = ()

    async def run_following(self, input: str | Sequence[UserPart]) -> handoffs.FollowedTurn:
        """
        Run a turn of the session, and those of its successors, until none hands off.

        Raises:
            HandoffMissing: A successor is gone, or nothing waits for its first turn.
        """
        return await handoffs.follow(self._tree, self._live, input)

    def usage_report(self) -> UsageReport:
        """Return what the session and all that it made spent, committed and pending."""
        report: UsageReport = self._tree.host.lanes[self._live.id].usage()
        return report

    def snapshot_current(self) -> Snapshot:
        """Return the session as it's committed."""
        snapshot: Snapshot = self._own("snapshot").snapshot_current()
        return snapshot

    async def snapshot_session(self, session: str) -> Snapshot:
        """Return any session as it's committed, without waiting for its turn."""
        snapshot: Snapshot = await self._own("snapshot").snapshot_session(session)
        return snapshot

    def tool_catalog(self, session: str | None = None) -> Mapping[str, Any]:
        """Return every tool by name: definition, source, whether it can be called."""
        catalogue: Mapping[str, Any] = self._own("catalogue").tool_catalog(session)
        return catalogue

    def tool_state(self, session: str | None = None) -> Any:
        """Return what a session hides and shows, at its generation."""
        return self._own("tool_state").tool_state(session)

    async def apply_tool_state(self, state: Any, session: str | None = None) -> int:
        """Put a tool state in place; return its new generation."""
        generation: int = await self._own("tool_state").apply_tool_state(state, session)
        return generation

    async def set_availability(self, words: Mapping[str, Any], session: str | None = None) -> int:
        """Hide and show tools by name; return the new generation."""
        generation: int = await self._own("tool_state").set_availability(words, session)
        return generation

    async def append_session_nodes(
        self,
        values: Sequence[Content],
        *,
        requires_ancestor: str | None = None,
        operation: str | None = None,
        session: str | None = None,
    ) -> Appended | StaleBranch:
        """Add nodes; a running turn commits them with its own."""
        added: Appended | StaleBranch = await self._own("graph").append_session_nodes(
            values, requires_ancestor=requires_ancestor, operation=operation, session=session
        )
        return added

    def emit_trace_event(self, name: str, payload: Json = None) -> None:
        """Write a trace record."""
        self._own("trace").emit_trace_event(name, payload)

    def _own(self, name: str) -> Any:
        return self._live.role(name, self._live.context())


ROLES: Final[Mapping[str, Callable[[Any, Asker], Role]]] = {
    "lifecycle": Lifecycle,
    "turns": Turns,
    "tasks": Background,
    "monitors": Watching,
    "direct": Direct,
    "children": Children,
}
"""What makes each role's object."""
