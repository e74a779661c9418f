"""
What has happened: facts that a turn takes in, and facts that observers see.

Those in the first part drive the turn machine; each is everything that came
from outside at that point. Those in the second part are a preview for whoever
watches; the committed turn is the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeAlias

from .json import Json, JsonObject
from .messages import Message
from .outcomes import Issue, StopReason, ToolRecord, TurnOutcome
from .usage import NOTHING, Usage, UsageRow

# --- facts that a turn takes in ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InputAccepted:
    """A user's input became this turn's; `messages` start it."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPrepared:
    """
    Prompt and tools are ready for a model call.

    Attributes:
        messages: What `before_turn` added, first time only.
        issues: What went wrong meanwhile without stopping the turn.
    """

    key: str
    messages: tuple[Message, ...] = ()
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAborted:
    """A plugin refused the turn before it began; nothing of it is kept."""

    key: str
    plugin: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswered:
    """
    A model's answer is complete.

    Attributes:
        message: With the provider's own call ids; the turn replaces them.
        model: The model that answered.
        misfit: Why the text isn't the structured output that was asked for.
        value: The structured output, where it fits.
    """

    key: str
    message: Message
    model: str
    usage: Usage = NOTHING
    estimated: bool = False
    misfit: str | None = None
    value: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFailed:
    """
    A model gave no answer that can be kept, after all retries.

    Attributes:
        reason: What the turn stops with.
        usage: What the attempts cost; it's owed all the same.
    """

    key: str
    reason: StopReason
    issue: Issue
    model: str
    usage: Usage = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsFinished:
    """
    Every tool the model asked for has an outcome, good or bad.

    Attributes:
        results: The tool message: one result per call, in the model's order.
        records: The same calls, raw.
        abort: Set if a gate ended the turn.
    """

    key: str
    results: Message
    records: tuple[ToolRecord, ...]
    issues: tuple[Issue, ...] = ()
    abort: Issue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPassed:
    """Hooks and inbox were asked; `messages` are what they added."""

    key: str
    messages: tuple[Message, ...] = ()
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAborted:
    """A plugin ended the turn at a checkpoint, or its hook failed there."""

    key: str
    issue: Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitAccepted:
    """The turn is durable."""

    key: str
    revision: int
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStopped:
    """
    The turn was told to stop from outside: cancelled, out of time or budget.

    It answers no effect; open calls are closed as cancelled.
    """

    reason: StopReason
    issue: Issue | None = None


Event: TypeAlias = (
    InputAccepted
    | TurnPrepared
    | TurnAborted
    | ModelAnswered
    | ModelFailed
    | ToolsFinished
    | CheckpointPassed
    | CheckpointAborted
    | CommitAccepted
    | TurnStopped
)

# --- facts that observers see --------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """Input was accepted; the turn has its id."""

    turn: str
    session: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStarted:
    """A model is being asked; `attempt` counts from 1."""

    turn: str
    key: str
    model: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the answer's text; pieces of one `key` belong together."""

    turn: str
    key: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    turn: str
    key: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRetracted:
    """An attempt failed: forget the deltas of this `key` so far."""

    turn: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryWaiting:
    """A model is asked again in `seconds`; `attempt` of `attempts` failed."""

    turn: str
    key: str
    seconds: float
    attempt: int
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageAdded:
    """A row for the ledger; it's pending until its turn is committed."""

    turn: str
    row: UsageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    """A call is on its way; its arguments are as the model sent them."""

    turn: str
    call: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProgressed:
    """A running tool says how far it is."""

    turn: str
    call: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEnded:
    """A call has its outcome."""

    turn: str
    record: ToolRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesAdded:
    """Messages entered the running turn at a checkpoint."""

    turn: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginEmitted:
    """A plugin says something to whoever watches."""

    turn: str | None
    plugin: str
    name: str
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFailed:
    """A plugin's hook failed; `off` if its hooks are switched off from now on."""

    plugin: str
    version: str
    hook: str
    where: str
    message: str
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """The turn is over; `revision` is the session's after it."""

    turn: str
    session: str
    outcome: TurnOutcome
    revision: int
    committed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events were dropped here because nobody took them in time."""

    dropped: int
    kind: Literal["buffer"] = "buffer"


SessionEvent: TypeAlias = (
    TurnStarted
    | ModelStarted
    | TextDelta
    | ReasoningDelta
    | AnswerRetracted
    | RetryWaiting
    | UsageAdded
    | ToolStarted
    | ToolProgressed
    | ToolEnded
    | MessagesAdded
    | PluginEmitted
    | PluginFailed
    | TurnEnded
    | Gap
)


def event_to_json(event: SessionEvent) -> JsonObject:
    """Return *event* for a machine to read, its type under "event"."""
    body: dict[str, Json] = {"event": type(event).__name__}
    for name in (f.name for f in fields(event)):
        body[name] = _plain(getattr(event, name))
    return body


def _plain(value: Any) -> Json:  # any field of any event
    if hasattr(value, "to_json"):
        plain: Json = value.to_json()
        return plain
    if is_dataclass(value):
        parts = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return {"kind": value.kind, **parts} if hasattr(value, "kind") else parts
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value  # type: ignore[no-any-return]
