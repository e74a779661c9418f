"""A turn looked at afterwards: what `session.run` returns."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from ..dispatch.live import Live
from ..errors import ContextOverflow, ModelError
from ..json import JsonObject, frozen, maker, plain
from ..messages import Message
from ..outcomes import Finished, Issue, Stopped, ToolRecord, TurnOutcome
from ..turn import Turn
from ..usage import Usage
from .output import Output


@frozen
class TurnRecord:
    """
    One turn, as it went.

    Attributes:
        id: The operation id of its commit.
        session: The session it ran in.
        index: Its number on the session's active path, from 1; the number it
            would have had if it wasn't committed.
        revision: The session's after it.
        committed: False only where a plugin refused it before it began.
        messages: What it added to the history.
        value: The structured answer: an instance of the `output` model, or
            what the tool that finished the turn handed over.
        usage: Its own model calls.
        children_usage: Its child sessions'.
        tool_calls: Every call, raw, in order.
        issues: What went wrong, whether or not it ended the turn.
    """

    id: str
    session: str
    index: int
    revision: int
    committed: bool
    outcome: TurnOutcome
    messages: tuple[Message, ...]
    value: Any
    usage: Usage
    children_usage: Usage
    tool_calls: tuple[ToolRecord, ...]
    issues: tuple[Issue, ...]

    @property
    def text(self) -> str:
        """The answer; empty if there's none."""
        return self.outcome.text if isinstance(self.outcome, Finished) else ""

    def to_json(self) -> JsonObject:
        """Return the record for a machine to read."""
        shown = [field.name for field in fields(self) if field.name not in ("messages", "value")]
        return {**{name: plain(getattr(self, name)) for name in shown}, "text": self.text}


_record: Final = maker(TurnRecord)


def recorded(live: Live, turn: Turn, output: Output | None, children: Usage) -> TurnRecord:
    """Return the record of a turn that's done; *children* is what others spent for it."""
    outcome = turn.outcome
    assert outcome is not None  # noqa: S101 - the turn is done
    committed = turn.revision is not None
    value: Any = outcome.value if isinstance(outcome, (Finished, Stopped)) else None
    if output is not None and isinstance(outcome, Finished) and outcome.tool is None:
        value = output.parse(outcome.text)
    return _record(
        id=turn.id,
        session=live.id,
        index=live.turns if committed else live.turns + 1,
        revision=live.revision,
        committed=committed,
        outcome=outcome,
        messages=turn.messages,
        value=value,
        usage=turn.usage,
        children_usage=children,
        tool_calls=turn.records,
        issues=turn.issues,
    )


def raise_failure(record: TurnRecord) -> None:
    """Raise what a provider's failure is, the committed turn with it."""
    outcome = record.outcome
    if not isinstance(outcome, Stopped) or outcome.reason != "provider_error":
        return
    error = ModelError(outcome.message, code=outcome.code)
    if outcome.code == "context_overflow":
        error = ContextOverflow(outcome.message)
    error.turn = record
    raise error
