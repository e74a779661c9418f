"""The session roles that the kernel has, and the way to those that it hasn't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ..commits import Component
from ..dispatch.live import Live
from ..dispatch.toolbox import ToolState
from ..errors import InvalidInput, OperationMismatch, Unavailable
from ..graph import Content, Node, check_pairs
from ..hooks.answers import Visibility
from ..hooks.plugin import Plugin
from ..journal import Deed
from ..json import Json
from ..plugins.state import forked, save
from ..ports import ROLES, Asker, SessionManager, SessionSpec
from ..ports.roles import Appended, StaleBranch
from ..tools import ToolDefinition
from .changes import append, apply_tools, check_values
from .host import Host
from .snapshot import Snapshot, snapshot

NEVER: Final = object()
"""Equals no plugin's state."""


class Roles:
    """
    Gives out the session roles of one `Lash`.

    Attributes:
        manager: Who brings those that concern several sessions, if anybody.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.manager: SessionManager | None = None

    def role(self, name: str, asker: Asker) -> Any:
        """
        Return the role's object for whoever asks.

        Raises:
            Unavailable: The package that brings it isn't installed.
        """
        if ROLES.get(name) == "":
            return Own(self, asker)
        if self.manager is None:
            raise Unavailable(name, ROLES.get(name) or ROLES["lifecycle"])
        return self.manager.role(name, asker)


class Own:
    """The kernel's five roles, for one who asks."""

    __slots__ = ("_asker", "_live", "_roles")

    def __init__(self, roles: Roles, asker: Asker) -> None:
        self._roles = roles
        self._asker = asker
        self._live: Live = asker.live

    def snapshot_current(self) -> Snapshot:
        """Return the session that asks, as it's committed: what it adds now isn't in it."""
        return self._look(self._live)

    async def snapshot_session(self, session: str) -> Snapshot:
        """
        Return any session, as it's committed, without waiting for its turn.

        Raises:
            InvalidInput: There's no such session.
        """
        found: Live | None = self._roles.host.live(session)
        if found is not None:
            return self._look(found)
        if await self._roles.host.store.head(session) is None:
            raise InvalidInput(f"no session {session!r}")
        async with await self._roles.host.open(SessionSpec(id=session, unseen=True)):
            return self._look(self._find(session))

    def tool_catalog(
        self, session: str | None = None
    ) -> Mapping[str, tuple[ToolDefinition, str, bool]]:
        """Return every tool by name: definition, source, whether it can be called."""
        return self._find(session).toolbox.catalogue()

    def tool_state(self, session: str | None = None) -> ToolState:
        """Return what a session hides and shows, at its generation."""
        return self._find(session).toolbox.state

    async def apply_tool_state(self, state: ToolState, session: str | None = None) -> int:
        """
        Put *state* in place; a running turn commits it with the rest.

        Raises:
            InvalidInput: It's of an old generation, or names a tool that isn't there.
        """
        live = self._find(session)
        if live.aside is None:
            return (await apply_tools(self._roles.host.lane(live.id), state)).generation
        before = live.toolbox.state
        live.toolbox.check(state)
        live.do(Deed(tools=dict(state.overrides)))
        live.toolbox.state = replace(live.toolbox.state, generation=before.generation + 1)
        return live.toolbox.state.generation

    async def set_availability(
        self, words: Mapping[str, Visibility], session: str | None = None
    ) -> int:
        """Hide and show tools by name; return the new generation."""
        state = self._find(session).toolbox.state
        return await self.apply_tool_state(
            replace(state, overrides={**state.overrides, **words}), session
        )

    async def append_session_nodes(
        self,
        values: Sequence[Content],
        *,
        requires_ancestor: str | None = None,
        operation: str | None = None,
        session: str | None = None,
    ) -> Appended | StaleBranch:
        """
        Add nodes after the leaf; a running turn commits them with its own.

        The same *operation* with the same values adds them once.

        Raises:
            OperationMismatch: The operation added others.
            InvalidInput: There are none, or they can't be stored.
        """
        live = self._find(session)
        check_pairs(check_values(values))
        graph = live.graph
        if requires_ancestor is not None and not graph.stands_on(requires_ancestor):
            return StaleBranch(required=requires_ancestor, leaf=graph.leaf)
        nodes = [Node.of("", None, value) for value in values]
        if live.aside is None:
            if operation is not None and (old := await self._again(live, operation, nodes)):
                return old
            receipt = await append(self._roles.host.lane(live.id), values, operation=operation)
            ids = tuple([f"{receipt.operation}:{at}" for at in range(len(values))])
            return Appended(nodes=ids, leaf=receipt.leaf)
        name = operation or f"{self._asker.key or 'app'}/{len(live.aside.values)}"
        known = live.aside.values.get(name)
        if known is not None and _data(known) != [node.data for node in nodes]:
            raise OperationMismatch(live.id, name)
        live.aside.values.setdefault(name, tuple(values))
        body: list[Json] = [[node.kind, node.value.to_json()] for node in nodes]
        live.do(Deed(operation=name, values=tuple(body)))
        return Appended(nodes=(), leaf=graph.leaf)

    async def _again(self, live: Live, operation: str, nodes: Sequence[Node]) -> Appended | None:
        """Return what an operation did before; None if it's new."""
        receipt = await live.store.receipt(live.id, operation)
        if receipt is None:
            return None
        ids = tuple([f"{operation}:{at}" for at in range(len(nodes))])
        found = [live.graph.node(id).data if id in live.graph else b"" for id in ids]
        if found != [node.data for node in nodes]:
            raise OperationMismatch(live.id, operation)
        return Appended(nodes=ids, leaf=receipt.leaf)

    def emit_trace_event(self, name: str, payload: Json = None) -> None:
        """Write a trace record of the session that asks."""
        self._asker.ctx.emit("trace", name, payload)

    def _look(self, live: Live) -> Snapshot:
        """Return a session as it's committed; its state too, unless a turn is running."""
        seen = snapshot(self._roles.host.lane(live.id))
        return seen if live.aside is not None else replace(seen, components=components(live))

    def _find(self, session: str | None) -> Live:
        found: Live | None = self._live if session is None else self._roles.host.live(session)
        if found is None:
            raise InvalidInput(f"no open session {session!r}")
        return found


def _data(values: Sequence[Content]) -> list[bytes]:
    return [Node.of("", None, value).data for value in values]


def components(live: Live) -> tuple[Component, ...]:
    """Return the state of a session's tools and plugins now, as a fork has it."""
    found = [live.toolbox.state.to_component()]
    for instance in live.instances:
        if isinstance(instance, Plugin) and type(instance).State is not None:
            state = instance.state
            try:
                instance.state = forked(instance, state)
                found += save((instance,), (NEVER,))
            finally:
                instance.state = state
    return tuple(found)
