"""What a journal's rows say: how a turn began, what it heard, what its calls came to."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Final, TypeAlias

from .. import events
from ..commits import Component
from ..json import Json, Value, frozen
from ..messages import Blob, Message, ToolResult
from ..outcomes import Issue, ToolRecord
from ..policy import Limits
from ..ports import JournalRow
from ..usage import UsageRow


@frozen
class Began(Value, title="input row"):
    """
    How a turn began, and what it's run with.

    Attributes:
        revision: The head's that it builds on.
        leaf: The leaf that it goes on from.
        model: The spec of a model for this turn alone; an object isn't kept.
        instructions: Said in this turn alone.
        schema: The JSON schema that its answer must fit.
    """

    event: events.InputAccepted
    revision: int
    leaf: str | None = None
    limits: Limits = field(default_factory=Limits)
    model: str | None = None
    instructions: str | None = None
    schema: Json = None


@frozen
class Heard(Value, title="event row"):
    """
    What answered an effect.

    Attributes:
        states: Plugin states that changed since the row before.
    """

    event: (
        events.TurnPrepared
        | events.TurnAborted
        | events.ModelAnswered
        | events.ModelFailed
        | events.CheckpointPassed
        | events.CheckpointAborted
        | events.TurnStopped
    )
    states: tuple[Component, ...] = ()


@frozen
class Intent(Value, title="intent row"):
    """
    A tool call that's about to be made.

    Attributes:
        arguments: Those it's made with, after hooks.
        decided: The plugin that allowed it, if one did.
    """

    tool: str
    arguments: Json
    idempotency_key: str
    decided: str | None = None
    states: tuple[Component, ...] = ()


@frozen
class CallResult(Value, title="result row"):
    """
    All that came of one tool call.

    Attributes:
        record: The call as it went, raw.
        result: What the model is shown of it.
        queued: Messages for the next checkpoint.
        abort: Set if a gate ended the turn.
        issues: What went wrong in plugins around it.
        blobs: Bytes that the outcome refers to, where they're at hand.
    """

    record: ToolRecord
    result: ToolResult
    queued: tuple[Message, ...] = ()
    abort: Issue | None = None
    issues: tuple[Issue, ...] = ()
    states: tuple[Component, ...] = ()
    blobs: tuple[Blob, ...] = field(default=(), compare=False)


@frozen
class Deed(Value, title="deed row"):
    """
    What a turn did beside its effects.

    Attributes:
        child: A session that it made, or in which it began a turn.
        turn: The turn that it began there.
        operation: Names the nodes that it adds to its own session.
        values: Those nodes' values, as they're stored: kind and body.
        tools: What its session hides and shows from then on.
        usage: What others spent for it.
    """

    child: str | None = None
    turn: str | None = None
    operation: str = ""
    values: tuple[Json, ...] = ()
    tools: Json = None
    usage: tuple[UsageRow, ...] = ()


Row: TypeAlias = Began | Heard | Intent | CallResult | Deed

INPUT: Final = "input"
EVENT: Final = "event"
INTENT: Final = "intent"
RESULT: Final = "result"
DEED: Final = "deed"
FORMS: Final[dict[str, type[Row]]] = {
    INPUT: Began,
    EVENT: Heard,
    INTENT: Intent,
    RESULT: CallResult,
    DEED: Deed,
}


def read_row(row: JournalRow) -> Row:
    """
    Return what *row* says.

    Raises:
        StoreCorrupt: It isn't a row of ours.
    """
    form = FORMS.get(row.kind, Began)
    return row.body if isinstance(row.body, form) else form.from_json(row.body)  # type: ignore[arg-type]


def rebased(row: JournalRow, revision: int) -> JournalRow:
    """Return *row* for a session in which its turn builds on *revision*."""
    if row.kind != INPUT:
        return row
    began = read_row(row)
    assert isinstance(began, Began)  # noqa: S101 - by its kind
    return replace(row, body=replace(began, revision=revision))
