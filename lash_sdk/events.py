"""
What has happened: facts that a turn takes in, and facts that observers see.

Those in the first part drive the turn machine; each is everything that came
from outside at that point. Those in the second part are a preview for whoever
watches; the committed turn is the truth.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final, Literal, TypeAlias

from .json import Json, JsonObject, Tagged, frozen, maker, plain
from .messages import Message
from .outcomes import Issue, StopReason, ToolRecord, TurnOutcome
from .usage import NOTHING, Usage, UsageRow

# --- facts that a turn takes in ------------------------------------------------


@frozen
class Reply(Tagged):
    """What answers an effect; `key` is the effect's."""

    key: str


@frozen
class InputAccepted(Tagged, title="event", kind="input"):
    """
    A user's input became this turn's; `messages` start it.

    Attributes:
        inbox: Keys of the messages that come from the session's inbox.
    """

    messages: tuple[Message, ...]
    inbox: tuple[str, ...] = ()


@frozen
class TurnPrepared(Reply, title="event", kind="prepared"):
    """
    Prompt and tools are ready for a model call.

    Attributes:
        messages: What `before_turn` added, first time only.
        issues: What went wrong meanwhile without stopping the turn.
    """

    messages: tuple[Message, ...] = ()
    issues: tuple[Issue, ...] = ()


@frozen
class TurnAborted(Reply, title="event", kind="aborted"):
    """A plugin refused the turn before it began; nothing of it is kept."""

    plugin: str
    code: str
    message: str


@frozen
class ModelAnswered(Reply, title="event", kind="answered"):
    """
    A model's answer is complete.

    Attributes:
        message: Whatever its call ids are, the turn replaces them with its own.
        model: The model that answered.
        misfit: Why the text isn't the structured output that was asked for.
        value: The structured output, where it fits.
    """

    message: Message
    model: str
    usage: Usage = NOTHING
    estimated: bool = False
    misfit: str | None = None
    value: Json = None


@frozen
class ModelFailed(Reply, title="event", kind="failed"):
    """
    A model gave no answer that can be kept, after all retries.

    Attributes:
        reason: What the turn stops with.
        usage: What the attempts cost; it's owed all the same.
    """

    reason: StopReason
    issue: Issue
    model: str
    usage: Usage = NOTHING


@frozen
class ToolsFinished(Reply, title="event", kind="tools"):
    """
    Every tool the model asked for has an outcome, good or bad.

    Attributes:
        results: The tool message: one result per call, in the model's order.
        records: The same calls, raw.
        abort: Set if a gate ended the turn.
    """

    results: Message
    records: tuple[ToolRecord, ...]
    issues: tuple[Issue, ...] = ()
    abort: Issue | None = None


@frozen
class CheckpointPassed(Reply, title="event", kind="passed"):
    """
    Hooks and inbox were asked; `messages` are what they added.

    Attributes:
        inbox: Keys of the messages that come from the session's inbox.
    """

    messages: tuple[Message, ...] = ()
    issues: tuple[Issue, ...] = ()
    inbox: tuple[str, ...] = ()


@frozen
class CheckpointAborted(Reply, title="event", kind="refused"):
    """A plugin ended the turn at a checkpoint, or its hook failed there."""

    issue: Issue


@frozen
class CommitAccepted(Reply, title="event", kind="committed"):
    """The turn is durable."""

    revision: int
    messages: tuple[Message, ...] = ()


@frozen
class TurnStopped(Tagged, title="event", kind="stopped"):
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


_usage_row: Final = maker(UsageRow)


def usage_row(event: ModelAnswered | ModelFailed, turn: str, session: str) -> UsageRow:
    """Return the ledger row of the model call that *event* ended."""
    return _usage_row(
        id=event.key,
        turn=turn,
        session=session,
        source="turn",
        model=event.model,
        usage=event.usage,
        estimated=getattr(event, "estimated", False),
    )


# --- facts that observers see --------------------------------------------------


@frozen
class OfTurn:
    """What is seen of one turn; `turn` is its id."""

    turn: str


@frozen
class OfAnswer(OfTurn):
    """What is seen of one answer in the making; `key` is its effect's."""

    key: str


@frozen
class TurnStarted(OfTurn):
    """Input was accepted; the turn has its id."""

    session: str
    index: int


@frozen
class ModelStarted(OfAnswer):
    """A model is being asked; `attempt` counts from 1."""

    model: str
    attempt: int


@frozen
class TextDelta(OfAnswer):
    """A piece of the answer's text; pieces of one `key` belong together."""

    text: str


@frozen
class ReasoningDelta(OfAnswer):
    """A piece of the model's reasoning."""

    text: str


@frozen
class AnswerRetracted(OfAnswer):
    """An attempt failed: forget the deltas of this `key` so far."""


@frozen
class RetryWaiting(OfAnswer):
    """
    A model is asked, or a tool called, again in `seconds`; `attempt` of `attempts` failed.

    Of a tool, `key` is the call's own, as in `ToolContext`.
    """

    seconds: float
    attempt: int
    attempts: int
    reason: str


@frozen
class UsageAdded(OfTurn):
    """A row for the ledger; it's pending until its turn is committed."""

    row: UsageRow


@frozen
class ToolStarted(OfTurn):
    """A call is on its way; its arguments are as the model sent them."""

    call: str
    name: str
    arguments: str


@frozen
class ToolProgressed(OfTurn):
    """A running tool says how far it is."""

    call: str
    name: str
    text: str


@frozen
class ToolEnded(OfTurn):
    """A call has its outcome."""

    record: ToolRecord


@frozen
class MessagesAdded(OfTurn):
    """Messages entered the running turn at a checkpoint."""

    messages: tuple[Message, ...]


@frozen
class PluginEmitted:
    """
    A plugin says something to whoever watches, or writes a trace record.

    Attributes:
        turn: The one that it's about; None outside of one.
        key: The effect key of the model call or tool call that it's about.
        call: The id of that tool call.
        attempt: Which one of that call, from 1.
    """

    turn: str | None
    plugin: str
    name: str
    body: Json
    key: str | None = None
    call: str | None = None
    attempt: int | None = None


@frozen
class PluginFailed:
    """A plugin's hook failed; `off` if its hooks are switched off from now on."""

    plugin: str
    version: str
    hook: str
    where: str
    message: str
    off: bool = False


@frozen
class TurnEnded(OfTurn):
    """The turn is over; `revision` is the session's after it."""

    session: str
    outcome: TurnOutcome
    revision: int
    committed: bool


@frozen
class OfChild:
    """An event of session *child*, which this one, or a child of its, has made."""

    child: str
    of: SessionEvent


@frozen
class Gap:
    """
    Events are missing here; commits never are.

    Attributes:
        dropped: How many, or 0 if nobody counted.
        kind: "buffer": nobody took them in time. "unseen": nobody watched here, or
            they were in another process.
    """

    dropped: int
    kind: Literal["buffer", "unseen"] = "buffer"


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
    | OfChild
    | Gap
)


def event_to_json(event: SessionEvent) -> JsonObject:
    """Return *event* for a machine to read, its type under "event"."""
    if isinstance(event, OfChild):
        return {"event": "OfChild", "child": event.child, "of": event_to_json(event.of)}
    body = {field.name: plain(getattr(event, field.name)) for field in fields(event)}
    return {"event": type(event).__name__, **body}
