"""
What a hook receives: one context, made for one call, shared by all who implement it.

Values are read-only; what a plugin may do, it does through methods. A role that
a hook hasn't got raises `Unavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from .commits import Commit, Receipt
from .errors import PluginFault, Unavailable
from .events import PluginEmitted, SessionEvent
from .json import Json, check, digest
from .messages import Blob, Message, ToolCall
from .outcomes import ToolOutcome, ToolRecord, TurnOutcome
from .policy import Policy
from .ports import ROLES, ModelRequest
from .tools import Arguments, Tool, ToolDefinition
from .turn import Turn
from .usage import Usage, UsageRow

ALL_ROLES: Final = frozenset(ROLES)
NO_ROLES: Final[frozenset[str]] = frozenset()


class FaultBook(Protocol):
    """One session's faults, as `lash_sdk.plugins.faults` keeps them."""

    off: set[int]
    strikes: dict[int, int]
    pending: list[tuple[PluginFault, bool]]

    def struck(self, index: int, fault: PluginFault) -> None:
        """Take in a fault that was isolated."""
        ...


class Scope(Protocol):
    """
    What contexts need of the session they're made for.

    Attributes:
        parent: The id of the session that made this one.
        watch: Shows an event to whoever watches; None while nobody does.
        aside: What its running turn does beside its effects, None outside of one.
    """

    id: str
    parent: str | None
    watch: Callable[[SessionEvent], None] | None
    aside: Any

    @property
    def faults(self) -> FaultBook:
        """The session's faults."""
        ...

    @property
    def instances(self) -> Sequence[object]:
        """The session's plugin instances, in the order that plans index them."""
        ...

    def role(self, name: str, ctx: SessionContext) -> Any:
        """Return the object behind a role, for *ctx*, or raise `Unavailable`."""
        ...

    def listen(self, listener: Callable[[SessionEvent], None]) -> Callable[[], None]:
        """Show every event to *listener* until what's returned is called."""
        ...

    def progress(self, ctx: ToolContext, text: str) -> None:
        """Show how far a call is."""
        ...

    async def read_blob(self, blob: Blob) -> bytes:
        """Return a blob's bytes."""
        ...


@dataclass(slots=True, eq=False)
class HostContext:
    """
    For hooks that are called once per `Lash`.

    Attributes:
        version: The SDK's version.
        config: The whole configuration, by plugin.
    """

    version: str
    config: Mapping[str, Mapping[str, Json]]


@dataclass(slots=True, eq=False)
class SessionContext:
    """
    For hooks that concern one session.

    Attributes:
        scope: The session itself, for plans and roles; not for plugins.
        roles: The roles that this hook has.
    """

    scope: Scope
    roles: frozenset[str] = field(default=NO_ROLES, kw_only=True)

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.scope.id

    @property
    def parent(self) -> str | None:
        """The id of the session that made it; None for a root."""
        return self.scope.parent

    @property
    def instances(self) -> Sequence[object]:
        """The session's plugin instances, in the order that plans index them."""
        return self.scope.instances

    def role(self, name: str) -> Any:
        """
        Return a session role, such as "graph" or "lifecycle".

        Raises:
            Unavailable: This hook hasn't got it, there's no such role, or the
                package that brings it isn't installed.
        """
        if name not in self.roles:
            why = "not for this hook" if name in ROLES else "no such role"
            raise Unavailable(name, why=why)
        return self.scope.role(name, self)

    def emit(self, plugin: object, name: str, body: Json = None) -> None:
        """
        Show an event of *plugin* (pass `self`) to whoever watches the session.

        It says by itself which turn, call and attempt this context is about.

        Raises:
            InvalidInput: The body isn't JSON.
        """
        by, scope, call = getattr(plugin, "name", plugin), self.scope, getattr(self, "call", None)
        check(body, where=f"event {name!r} of plugin {by!r}")
        if scope.watch is not None:
            scope.watch(
                PluginEmitted(
                    turn=getattr(self, "turn_id", scope.aside and scope.aside.turn),
                    plugin=str(by),
                    name=name,
                    body=body,
                    key=getattr(self, "key", None),
                    call=call and call.id,
                    attempt=getattr(self, "attempt", None),
                )
            )

    def listen(self, listener: Callable[[SessionEvent], None]) -> Callable[[], None]:
        """
        Show every event of the session to *listener* until what's returned is called.

        For a plugin that may have no use for them: who implements `on_event` is
        always shown them, and pays for it.
        """
        return self.scope.listen(listener)


@dataclass(slots=True, eq=False)
class PromptContext(SessionContext):
    """For `provide_prompt`; `tools` are those the model may call now."""

    turn_id: str
    tools: tuple[ToolDefinition, ...]


@dataclass(slots=True, eq=False)
class TurnContext(SessionContext):
    """
    For hooks that concern a turn.

    Attributes:
        turn: The turn as far as it is.
        index: The number the turn will have, from 1.
        checkpoint: Which one, in `at_checkpoint`.
        receipt: In `on_turn_committed`.
    """

    turn: Turn
    index: int
    checkpoint: str | None = None
    receipt: Receipt | None = None

    @property
    def turn_id(self) -> str:
        """The turn's id."""
        return self.turn.id

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the turn has added so far."""
        return self.turn.messages

    @property
    def records(self) -> tuple[ToolRecord, ...]:
        """Its tool calls so far."""
        return self.turn.records

    @property
    def usage(self) -> Usage:
        """Its own tokens so far."""
        return self.turn.usage

    @property
    def outcome(self) -> TurnOutcome | None:
        """How it's about to end, in `after_turn`."""
        return self.turn.outcome


@dataclass(slots=True, eq=False)
class ModelContext(SessionContext):
    """
    For hooks that concern one model call.

    Attributes:
        key: The call's effect key; deltas carry it too.
        model: The model's name.
        iteration: Model calls of this turn before this one.
        usage: The turn's own tokens so far.
        children_usage: Its children's.
        attempt: From 1.
        request: What's asked, once it's known; a wrap may replace it.
    """

    turn_id: str
    key: str = field(kw_only=True)
    model: str = field(kw_only=True)
    iteration: int = field(kw_only=True)
    usage: Usage = field(kw_only=True)
    children_usage: Usage = field(kw_only=True)
    attempt: int = field(default=1, kw_only=True)
    request: ModelRequest | None = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class ToolContext(SessionContext):
    """
    For hooks around a tool call, and for the tool itself.

    Attributes:
        call: As the model made it.
        tool: None where the name is unknown.
        key: The call's effect key.
        arguments: What will be, or was, executed; None until they're known.
        attempt: From 1.
        recovered: Whether the call may have been made before, by a process that
            ended meanwhile.
        outcome: In `after_tool`, and for whoever wraps the call.
        cancelled: Set when the call is given up; a sync tool may look.
        attached: Blobs that the tool returned, with their bytes.
    """

    turn_id: str
    call: ToolCall = field(kw_only=True)
    tool: Tool | None = field(kw_only=True)
    key: str = field(kw_only=True)
    arguments: Arguments | None = field(default=None, init=False)
    attempt: int = field(default=1, init=False)
    recovered: bool = field(default=False, init=False)
    outcome: ToolOutcome | None = field(default=None, init=False)
    cancelled: bool = field(default=False, init=False)
    attached: tuple[Blob, ...] = field(default=(), init=False)

    @property
    def idempotency_key(self) -> str:
        """The call's key for a service outside: the same on every attempt and replay."""
        return digest(f"lash-tool:{self.key}:{self.call.name}".encode())

    def progress(self, text: str) -> None:
        """Tell whoever watches how far the call is; safe from any thread."""
        self.scope.progress(self, text)

    async def read_blob(self, blob: Blob) -> bytes:
        """
        Return a blob's bytes, from this turn or from the store.

        Raises:
            StoreCorrupt: Nobody has them.
        """
        return await self.scope.read_blob(blob)


@dataclass(slots=True, eq=False)
class UsageContext(SessionContext):
    """For hooks about one ledger row; `origin` is "own", "child" or "direct"."""

    row: UsageRow
    origin: str = "own"


@dataclass(slots=True, eq=False)
class CommitContext(SessionContext):
    """For hooks around a commit; `commit` is what has been built so far."""

    commit: Commit


@dataclass(slots=True, eq=False)
class ConfigContext(SessionContext):
    """For `on_config_changed`: the policy before and after."""

    before: Policy
    after: Policy


@dataclass(slots=True, eq=False)
class EventContext(SessionContext):
    """For `on_event`: one event of the session."""

    event: SessionEvent


@dataclass(slots=True, eq=False)
class FaultContext(SessionContext):
    """For `on_fault`; `off` if the plugin's hooks are switched off from now on."""

    fault: PluginFault
    off: bool = field(kw_only=True)


@dataclass(slots=True, eq=False)
class CliContext:
    """For `provide_commands`; `app` is the command line's own application object."""

    app: Any
    version: str
