"""A turn between two events: its phase, what it has added, and its JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from ..errors import StoreCorrupt
from ..json import Fields, Json, JsonObject
from ..messages import Message
from ..outcomes import (
    Finished,
    Issue,
    ToolRecord,
    TurnOutcome,
    turn_outcome_from_json,
    turn_outcome_to_json,
)
from ..policy import Limits
from ..usage import Usage, UsageRow

if TYPE_CHECKING:
    from ..effects import Checkpoint


class Phase(Enum):
    """Where a turn stands: what it waits for."""

    READY = "ready for input"
    PREPARING = "preparing"
    ASKING = "asking the model"
    CALLING = "calling tools"
    CHECKING = "at a checkpoint"
    SETTLING = "settling"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)  # no slots: see `_with`
class Turn:
    """
    One turn, between two events.

    It holds only what the turn adds; the history before it is the session's.

    Attributes:
        id: The operation id of its commit.
        step: Events taken in; the number in the next effect's key.
        values: What becomes nodes: messages and tool records, in order.
        messages: The messages among them.
        iteration: Model calls answered so far.
        rows: What the model calls cost, for the ledger.
        state: The protocol's.
        checkpoint: The one it stands at, while checking.
        pending: What it will have ended with, if nothing comes in between.
        grace: Whether the model was told to answer now.
        outcome: How it ended; set once it's settling.
        revision: The session's after its commit; None without one.
    """

    id: str
    session: str = ""
    limits: Limits = Limits()  # noqa: RUF009 - a frozen value
    phase: Phase = Phase.READY
    step: int = 0
    values: tuple[Message | ToolRecord, ...] = ()
    messages: tuple[Message, ...] = ()
    iteration: int = 0
    usage: Usage = Usage()  # noqa: RUF009 - a frozen value
    rows: tuple[UsageRow, ...] = ()
    issues: tuple[Issue, ...] = ()
    state: Json = None
    checkpoint: Checkpoint | None = None
    pending: Finished | None = None
    grace: bool = False
    corrections: int = 0
    outcome: TurnOutcome | None = None
    revision: int | None = None

    @property
    def key(self) -> str:
        """The key of the effect it waits for."""
        return f"{self.id}/{self.step}"

    @property
    def records(self) -> tuple[ToolRecord, ...]:
        """Its tool calls so far, in order."""
        return tuple([value for value in self.values if isinstance(value, ToolRecord)])


def changed(turn: Turn, **changes: Any) -> Turn:
    """Return *turn* changed: what `replace` does, at a tenth of its cost."""
    after = object.__new__(Turn)
    after.__dict__.update(turn.__dict__, **changes)
    return after


def turn_to_json(turn: Turn) -> JsonObject:
    """Return *turn* as JSON, whatever its phase."""
    values: list[Json] = [
        {"message": value.to_json()} if isinstance(value, Message) else {"tool": value.to_json()}
        for value in turn.values
    ]
    body: dict[str, Json] = {
        "id": turn.id,
        "session": turn.session,
        "limits": turn.limits.to_json(),
        "phase": turn.phase.value,
        "step": turn.step,
        "values": values,
        "iteration": turn.iteration,
        "rows": [row.to_json() for row in turn.rows],
        "issues": [issue.to_json() for issue in turn.issues],
        "state": turn.state,
        "grace": turn.grace,
        "corrections": turn.corrections,
    }
    if turn.checkpoint is not None:
        body["checkpoint"] = turn.checkpoint
    if turn.pending is not None:
        body["pending"] = turn_outcome_to_json(turn.pending)
    if turn.outcome is not None:
        body["outcome"] = turn_outcome_to_json(turn.outcome)
    if turn.revision is not None:
        body["revision"] = turn.revision
    return body


def turn_from_json(body: Json) -> Turn:
    """
    Return the turn that `turn_to_json` wrote.

    Raises:
        StoreCorrupt: It isn't one.
    """
    fields = Fields(body, "turn")
    values = tuple([_value(value) for value in fields.list("values")])
    rows = tuple([UsageRow.from_json(row) for row in fields.list("rows")])
    at = fields.any("checkpoint")
    pending = fields.any("pending")
    ended = fields.any("outcome")
    turn = Turn(
        id=fields.text("id"),
        session=fields.text("session"),
        limits=Limits.from_json(fields.mapping("limits")),
        phase=Phase(fields.one_of("phase", frozenset(p.value for p in Phase))),
        step=fields.whole("step"),
        values=values,
        messages=tuple([value for value in values if isinstance(value, Message)]),
        iteration=fields.whole("iteration"),
        usage=sum([row.usage for row in rows], Usage()),
        rows=rows,
        issues=tuple([Issue.from_json(issue) for issue in fields.list("issues")]),
        state=fields.value("state"),
        checkpoint=None if at is None else _checkpoint(fields),
        pending=None if pending is None else _finished(pending),
        grace=fields.flag("grace"),
        corrections=fields.whole("corrections"),
        outcome=None if ended is None else turn_outcome_from_json(ended),
        revision=fields.maybe_whole("revision"),
    )
    fields.done()
    return turn


def _value(body: Json) -> Message | ToolRecord:
    fields = Fields(body, "value")
    message = fields.any("message")
    value: Message | ToolRecord
    if message is not None:
        value = Message.from_json(message)
    else:
        value = ToolRecord.from_json(fields.mapping("tool"))
    fields.done()
    return value


def _checkpoint(fields: Fields) -> Checkpoint:
    name = fields.one_of("checkpoint", _CHECKPOINTS)
    return "after_work" if name == "after_work" else "before_completion"


def _finished(body: Json) -> Finished:
    outcome = turn_outcome_from_json(body)
    if not isinstance(outcome, Finished):
        raise StoreCorrupt(f"turn.pending: expected finished, found {outcome.kind}")
    return outcome


_CHECKPOINTS: Final = frozenset(("after_work", "before_completion"))
