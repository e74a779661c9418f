"""
A session as runner and tools see it: its plugins, tools, history, and what's pending.

It changes only between effects, on the event loop; what others are shown of it
is immutable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from .. import contexts
from ..effects import AskModel, CallTools, Effect, PassCheckpoint, Prepare, WriteCommit
from ..errors import Unavailable
from ..events import PluginFailed, SessionEvent, ToolProgressed, UsageAdded
from ..graph import Graph, History, read_value
from ..hooks.plugin import Plugin
from ..hooks.specs import Projector
from ..journal import Deed, Seam
from ..json import Json, maker
from ..messages import Blob, Message
from ..plugins.faults import Faults
from ..plugins.registry import Plans, Registry
from ..plugins.state import states
from ..policy import Policy
from ..ports import ROLES, Asker, Model, SessionManager, Store
from ..prompt import PromptCache, PromptPart
from ..protocol import STANDARD, TurnProtocol
from ..turn import Turn
from ..usage import Ledger, UsageRow
from .aside import Aside
from .projection import project
from .toolbox import Toolbox

OPEN: Final = Seam()
"""Where a turn stands without a journal."""

MODEL_HOOKS: Final = (
    "around_model",
    "decide_spend",
    "transform_chunk",
    "transform_request",
    "transform_response",
)
"""Hooks that need a context for each model call."""

TOOL_HOOKS: Final = ("provide_availability", "provide_tools")
"""Hooks that are called when a model call is prepared; before the first one `before_turn`, too."""

_turn_context: Final = maker(contexts.TurnContext)

OUTSIDE: Final[dict[type[Effect], tuple[str, ...]]] = {
    AskModel: (),
    Prepare: ("before_turn", *TOOL_HOOKS),
    PassCheckpoint: ("at_checkpoint",),
    CallTools: ("before_tool", "decide_tool"),
    WriteCommit: ("after_turn", "around_commit", "provide_commit"),
}
"""Effects that reach outside: always, or if one of these hooks is there."""


class RoleGiver(Protocol):
    """What gives out the roles of sessions."""

    def role(self, name: str, asker: Asker) -> Any:
        """Return the role's object for whoever asks."""
        ...

    @property
    def manager(self) -> SessionManager | None:
        """The host of several sessions, if there's one."""
        ...


@dataclass(slots=True, eq=False)
class Live:
    """
    One open session.

    Attributes:
        id: The session's.
        model: Returns the model behind a name of a policy.
        parts: What the application says in the prompt, beside instructions.
        graph: As committed.
        history: The messages on its path.
        revision: The head's; 0 before the first commit.
        turns: Committed turns on the path.
        given: The policy that the application opened it with.
        saved: Plugin states as last committed.
        injections: Messages that wait for the next checkpoint.
        pending: Ledger rows that aren't committed yet.
        hooks_models: Whether any plugin takes part in model calls.
        prepares: Whether any takes part in preparing each of them.
        outside: The effects that reach plugins, a model or a tool.
        inherited: Ledgers of the sessions this one was forked from.
        blobs: What the running turn's tools returned, by hash.
        watch: Shows an event to whoever watches; None while nobody does.
        aside: What the running turn does beside its effects; None outside a turn.
        roles: Gives out the roles of sessions; see `lash_sdk.session.roles`.
        attempt: Calls a tool once, with all that's around it; None before the first call.
    """

    id: str
    registry: Registry
    store: Store
    model: Callable[[str], Model]
    policy: Policy
    toolbox: Toolbox
    parent: str | None = None
    parts: tuple[PromptPart, ...] = ()
    instances: Sequence[object] = ()
    faults: Faults = field(default_factory=Faults)
    graph: Graph = field(default_factory=Graph)
    history: History = field(default_factory=History)
    ledger: Ledger = field(default_factory=Ledger)
    revision: int = 0
    turns: int = 0
    saved: tuple[Any, ...] = ()
    protocol: TurnProtocol = STANDARD
    protocol_state: Json = None
    projector: Projector = project
    prompt: PromptCache = field(default_factory=PromptCache)
    seam: Seam = OPEN
    injections: list[Message] = field(default_factory=list)
    pending: list[UsageRow] = field(default_factory=list)
    watch: Callable[[SessionEvent], None] | None = None
    given: Policy = field(init=False)
    plans: Plans = field(init=False)
    hooks_models: bool = field(init=False)
    prepares: bool = field(init=False)
    outside: frozenset[type[Effect]] = field(init=False)
    inherited: Ledger = field(default_factory=Ledger)
    listeners: list[Callable[[SessionEvent], None]] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    blobs: dict[str, Blob] = field(default_factory=dict)
    aside: Aside | None = None
    roles: RoleGiver | None = None
    attempt: Callable[[contexts.ToolContext], Awaitable[Any]] | None = None

    def __post_init__(self) -> None:
        self.given = self.policy
        self.plans = self.registry.plans
        self.instances = self.registry.instances()
        self.saved = states(self.instances)
        self.hooks_models = self._hooked(MODEL_HOOKS)
        self.prepares = self._hooked(TOOL_HOOKS)
        self.outside = frozenset(
            [effect for effect, hooks in OUTSIDE.items() if not hooks or self._hooked(hooks)]
        )
        self.rewatch()

    def _hooked(self, hooks: tuple[str, ...]) -> bool:
        """Return whether any plugin takes part in one of *hooks*."""
        return any(getattr(self.plans, name) is not None for name in hooks)

    def context(self, roles: frozenset[str] = frozenset()) -> contexts.SessionContext:
        """Return a context for hooks that concern the session alone."""
        return contexts.SessionContext(self, roles=roles)

    def turn_context(self, turn: Turn, roles: frozenset[str] = frozenset()) -> contexts.TurnContext:
        """Return a context for hooks that concern a turn on its way."""
        return _turn_context(self, turn, self.turns + 1, roles=roles)

    def role(self, name: str, ctx: contexts.SessionContext) -> Any:
        """
        Return the object behind a role, for a hook with this context.

        Raises:
            Unavailable: The package that brings it isn't installed.
        """
        if self.roles is None:
            raise Unavailable(name, ROLES.get(name) or ROLES["lifecycle"])
        turn: Turn | None = getattr(ctx, "turn", None)
        key = getattr(ctx, "idempotency_key", None if turn is None else turn.key)
        asker = Asker(live=self, key=key, attempt=getattr(ctx, "attempt", 1), ctx=ctx)
        return self.roles.role(name, asker)

    def do(self, deed: Deed) -> None:
        """Take in what the running turn did beside its effects, and put it on record."""
        self.take(deed)
        self.seam.did(deed)

    def take(self, deed: Deed) -> None:
        """Take in what a turn did beside its effects; the same again is once."""
        aside = self.aside
        assert aside is not None  # noqa: S101 - a turn runs
        if deed.child is not None:
            aside.away = True
            if deed.turn is None:
                aside.children[deed.child] = None
        if deed.values and deed.operation not in aside.values:
            pairs: Any = deed.values
            values = [read_value("", kind, body) for kind, body in pairs]
            aside.values[deed.operation] = tuple(values)
        if deed.tools is not None:
            if aside.before is None:
                aside.before = self.toolbox.state.overrides
            self.toolbox.restore(deed.tools)
        for row in deed.usage:
            self.owe(row)

    def owe(self, row: UsageRow, origin: str = "child") -> bool:
        """Take in a row of what others spent; return False if it's there already."""
        aside = self.aside
        known = row.id in self.ledger or any(row.id == each.id for each in self.pending)
        if known or not row.usage or (aside is not None and row.id in aside.rows):
            return False
        if aside is None:
            self.pending.append(row)
        else:
            aside.rows[row.id] = row
            aside.usage += row.usage
        if self.watch is not None:
            self.watch(UsageAdded(turn=row.turn if aside is None else aside.turn, row=row))
        if self.plans.on_usage is not None:
            self.plans.on_usage(contexts.UsageContext(self, row, origin))
        return True

    def owed(self) -> tuple[UsageRow, ...]:
        """Return what's pending and not committed, by whomever."""
        return tuple([row for row in self.pending if row.id not in self.ledger])

    def paid(self, rows: Sequence[UsageRow]) -> None:
        """Take in that *rows* are committed."""
        self.ledger.add(rows)
        if self.pending:
            self.pending = list(self.owed())

    def roll_back(self) -> None:
        """Give tools and plugins back the state that's committed: the turn wasn't."""
        if self.aside is not None and self.aside.before is not None:
            self.toolbox.restore(dict(self.aside.before))
        self.injections.clear()
        self.blobs.clear()
        for instance, state in zip(self.instances, self.saved, strict=True):
            if isinstance(instance, Plugin):
                instance.state = state

    def progress(self, ctx: contexts.ToolContext, text: str) -> None:
        """Show how far a call is, unless it's over; safe from any thread."""
        if self.watch is None:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # a tool's thread; a loop that's closed hears nothing
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._progressed, ctx, text)
            return
        self._progressed(ctx, text)

    def _progressed(self, ctx: contexts.ToolContext, text: str) -> None:
        over = ctx.cancelled or ctx.outcome is not None
        if self.watch is not None and not over:
            call = ctx.call
            self.watch(ToolProgressed(turn=ctx.turn_id, call=call.id, name=call.name, text=text))

    async def read_blob(self, blob: Blob) -> bytes:
        """
        Return a blob's bytes, from this turn or from the store.

        Raises:
            StoreCorrupt: Nobody has them.
        """
        kept = blob.data or self.blobs.get(blob.sha256, blob).data
        return await self.store.blob(blob.sha256) if kept is None else kept

    def listen(self, listener: Callable[[SessionEvent], None]) -> Callable[[], None]:
        """Show every event to *listener* until what's returned is called."""
        self.listeners.append(listener)
        self.rewatch()

        def stop() -> None:
            if listener in self.listeners:
                self.listeners.remove(listener)
                self.rewatch()

        return stop

    def rewatch(self) -> None:
        """Set `watch` by who listens now: nobody, one, or several."""
        listeners = tuple(self.listeners)
        if self.plans.on_event is not None:
            listeners = (*listeners, self._tell_plugins)
        if not listeners:
            self.watch = None
        elif len(listeners) == 1:
            self.watch = listeners[0]
        else:

            def watch(event: SessionEvent) -> None:
                for listener in listeners:
                    listener(event)

            self.watch = watch

    async def tell_faults(self) -> None:
        """Tell `on_fault` and whoever watches of the faults since the last time."""
        while self.faults.pending:
            fault, off = self.faults.pending.pop(0)
            if self.watch is not None:
                self.watch(
                    PluginFailed(
                        plugin=fault.plugin,
                        version=fault.version,
                        hook=fault.hook,
                        where=fault.where,
                        message=str(fault),
                        off=off,
                    )
                )
            if self.plans.on_fault is not None and fault.hook != "on_fault":
                await self.plans.on_fault(contexts.FaultContext(self, fault, off=off))

    def _tell_plugins(self, event: SessionEvent) -> None:
        if not isinstance(event, PluginFailed):
            self.plans.on_event(contexts.EventContext(self, event))
