"""
What a hook receives: one context, made for one call, shared by all who implement it.

Values are read-only; what a plugin may do, it does through methods. A role that
a hook hasn't got raises `Unavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from .commits import Commit, Receipt
from .errors import PluginFault, Unavailable
from .events import SessionEvent
from .json import Json
from .messages import Blob, Message, ToolCall
from .outcomes import ToolOutcome, ToolRecord, TurnOutcome
from .policy import Policy
from .ports import ROLES, ModelRequest
from .tools import Arguments, Tool, ToolDefinition
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
    """What contexts need of the session they're made for."""

    @property
    def faults(self) -> FaultBook:
        """The session's faults."""
        ...

    @property
    def id(self) -> str:
        """The session's id."""
        ...

    @property
    def parent(self) -> str | None:
        """The id of the session that made this one."""
        ...

    @property
    def instances(self) -> Sequence[object]:
        """The session's plugin instances, in the order that plans index them."""
        ...

    def role(self, name: str) -> Any:
        """Return the object behind a role of the session, or raise `Unavailable`."""
        ...

    def emit(self, plugin: str, name: str, body: Json) -> None:
        """Show an event of a plugin to whoever watches the session."""
        ...


class HostContext:
    """
    For hooks that are called once per `Lash`.

    Attributes:
        version: The SDK's version.
        config: The whole configuration, by plugin.
    """

    __slots__ = ("config", "version")

    def __init__(self, version: str, config: Mapping[str, Mapping[str, Json]]) -> None:
        self.version = version
        self.config = config


class SessionContext:
    """
    For hooks that concern one session.

    Attributes:
        session_id: The session's id.
        parent: The id of the session that made it; None for a root.
        roles: The roles that this hook has.
        instances: The session's plugin instances; plans look theirs up here.
        scope: The session itself, for plans and roles; not for plugins.
    """

    __slots__ = ("instances", "parent", "roles", "scope", "session_id")

    def __init__(self, scope: Scope, roles: frozenset[str] = NO_ROLES) -> None:
        self.scope = scope
        self.session_id = scope.id
        self.parent = scope.parent
        self.instances = scope.instances
        self.roles = roles

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
        return self.scope.role(name)

    def emit(self, plugin: object, name: str, body: Json = None) -> None:
        """Show an event of *plugin* (pass `self`) to whoever watches the session."""
        self.scope.emit(getattr(plugin, "name", str(plugin)), name, body)


class PromptContext(SessionContext):
    """For `provide_prompt`; `tools` are those the model may call now."""

    __slots__ = ("tools", "turn_id")

    def __init__(
        self,
        scope: Scope,
        turn_id: str,
        tools: tuple[ToolDefinition, ...],
        roles: frozenset[str] = NO_ROLES,
    ) -> None:
        super().__init__(scope, roles)
        self.turn_id = turn_id
        self.tools = tools


class TurnContext(SessionContext):
    """
    For hooks that concern a turn.

    Attributes:
        index: The number the turn will have, from 1.
        messages: What the turn has added so far.
        checkpoint: Which one, in `at_checkpoint`.
        outcome: How the turn is about to end, in `after_turn`.
        records: Its tool calls so far.
        usage: Its own tokens so far.
        receipt: In `on_turn_committed`.
    """

    __slots__ = (
        "checkpoint",
        "index",
        "messages",
        "outcome",
        "receipt",
        "records",
        "turn_id",
        "usage",
    )

    def __init__(
        self,
        scope: Scope,
        turn_id: str,
        *,
        index: int,
        messages: tuple[Message, ...],
        usage: Usage,
        records: tuple[ToolRecord, ...] = (),
        checkpoint: str | None = None,
        outcome: TurnOutcome | None = None,
        receipt: Receipt | None = None,
        roles: frozenset[str] = NO_ROLES,
    ) -> None:
        super().__init__(scope, roles)
        self.turn_id = turn_id
        self.index = index
        self.messages = messages
        self.usage = usage
        self.records = records
        self.checkpoint = checkpoint
        self.outcome = outcome
        self.receipt = receipt


class ModelContext(SessionContext):
    """
    For hooks that concern one model call.

    Attributes:
        key: The call's effect key; deltas carry it too.
        model: The model's name.
        iteration: Model calls of this turn before this one.
        attempt: From 1.
        usage: The turn's own tokens so far.
        children_usage: Its children's.
        request: What's asked, once it's known; a wrap may replace it.
    """

    __slots__ = (
        "attempt",
        "children_usage",
        "iteration",
        "key",
        "model",
        "request",
        "turn_id",
        "usage",
    )

    def __init__(
        self,
        scope: Scope,
        turn_id: str,
        *,
        key: str,
        model: str,
        iteration: int,
        usage: Usage,
        children_usage: Usage,
        attempt: int = 1,
    ) -> None:
        super().__init__(scope)
        self.turn_id = turn_id
        self.key = key
        self.model = model
        self.iteration = iteration
        self.usage = usage
        self.children_usage = children_usage
        self.attempt = attempt
        self.request: ModelRequest | None = None


class ToolContext(SessionContext):
    """
    For hooks around a tool call, and for the tool itself.

    Attributes:
        call: As the model made it.
        tool: None where the name is unknown.
        arguments: What will be, or was, executed; None until they're known.
        idempotency_key: The same on every attempt and every replay.
        attempt: From 1.
        outcome: In `after_tool`, and for whoever wraps the call.
        cancelled: Set when the call is given up; a sync tool may look.
        attached: Blobs that the tool returned, with their bytes.
    """

    __slots__ = (
        "_progress",
        "arguments",
        "attached",
        "attempt",
        "call",
        "cancelled",
        "idempotency_key",
        "outcome",
        "read_blob",
        "tool",
        "turn_id",
    )

    def __init__(
        self,
        scope: Scope,
        turn_id: str,
        *,
        call: ToolCall,
        tool: Tool | None,
        idempotency_key: str,
        progress: Callable[[ToolContext, str], None] | None,
        read_blob: Callable[[Blob], Any],
    ) -> None:
        super().__init__(scope, ALL_ROLES)
        self.turn_id = turn_id
        self.call = call
        self.tool = tool
        self.arguments: Arguments | None = None
        self.idempotency_key = idempotency_key
        self.attempt = 1
        self.outcome: ToolOutcome | None = None
        self.cancelled = False
        self.attached: list[Blob] = []
        self.read_blob = read_blob
        self._progress = progress

    def progress(self, text: str) -> None:
        """Tell whoever watches how far the call is; safe from any thread."""
        if self._progress is not None:
            self._progress(self, text)


class UsageContext(SessionContext):
    """For hooks about one ledger row; `origin` is "own", "child" or "direct"."""

    __slots__ = ("origin", "row")

    def __init__(self, scope: Scope, row: UsageRow, origin: str = "own") -> None:
        super().__init__(scope)
        self.row = row
        self.origin = origin


class CommitContext(SessionContext):
    """For hooks around a commit; `commit` is what has been built so far."""

    __slots__ = ("commit",)

    def __init__(self, scope: Scope, commit: Commit) -> None:
        super().__init__(scope)
        self.commit = commit


class ConfigContext(SessionContext):
    """For `on_config_changed`: the policy before and after."""

    __slots__ = ("after", "before")

    def __init__(self, scope: Scope, before: Policy, after: Policy) -> None:
        super().__init__(scope, frozenset(("tasks",)))
        self.before = before
        self.after = after


class EventContext(SessionContext):
    """For `on_event`: one event of the session."""

    __slots__ = ("event",)

    def __init__(self, scope: Scope, event: SessionEvent) -> None:
        super().__init__(scope)
        self.event = event


class FaultContext(SessionContext):
    """For `on_fault`; `off` if the plugin's hooks are switched off from now on."""

    __slots__ = ("fault", "off")

    def __init__(self, scope: Scope, fault: PluginFault, *, off: bool) -> None:
        super().__init__(scope)
        self.fault = fault
        self.off = off


class CliContext:
    """For `provide_commands`; `app` is the command line's own application object."""

    __slots__ = ("app", "version")

    def __init__(self, app: Any, version: str) -> None:
        self.app = app
        self.version = version
