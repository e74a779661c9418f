"""How a turn ended: finished, handed off or stopped, in exactly one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from ..json import Json, JsonObject, Value, read

StopReason: TypeAlias = Literal[
    "cancelled",
    "incomplete",
    "max_turns",
    "max_seconds",
    "max_tokens",
    "budget",
    "provider_error",
    "plugin_abort",
    "runtime_error",
    "submitted_error",
    "tool_error",
    "discarded",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Value, title="turn outcome", tagged=True):
    """
    The model answered, or a tool finished the turn.

    Attributes:
        text: The answer; empty where a tool ended the turn.
        value: The structured answer, or the tool's value, as JSON.
        tool: The tool that ended the turn, if one did.
    """

    kind: ClassVar[str] = "finished"
    text: str = ""
    value: Json = None
    tool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOff(Value, title="turn outcome", tagged=True):
    """Another session carries on."""

    kind: ClassVar[str] = "handed_off"
    session: str
    tool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Value, title="turn outcome", tagged=True):
    """
    The turn ended without an answer.

    Attributes:
        code: The exact cause, such as "empty_response" or a plugin's own word.
        value: What the tool that failed the turn said.
        tool: That tool.
    """

    kind: ClassVar[str] = "stopped"
    reason: StopReason
    code: str = ""
    message: str = ""
    value: Json = None
    tool: str | None = None


TurnOutcome: TypeAlias = Finished | HandedOff | Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue(Value):
    """
    Something that went wrong in a turn, whether or not it ended the turn.

    Attributes:
        kind: Where: "model", "plugin", "tool", "runtime".
        raw: The source's own words, cut to about 4,000 characters.
    """

    kind: str
    code: str
    message: str
    raw: str = ""


def turn_outcome_to_json(outcome: TurnOutcome) -> JsonObject:
    """Return *outcome* as it's stored."""
    return outcome.to_json()


def turn_outcome_from_json(body: Json) -> TurnOutcome:
    """
    Return the outcome that its `to_json` wrote.

    Raises:
        StoreCorrupt: It isn't one.
    """
    return read(get_args(TurnOutcome), body, "turn outcome")  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending(Value):
    """
    The last node of a turn: how it ended, and what went wrong on the way.

    The text of an answer isn't in it; that's the last message.
    """

    kind: ClassVar[str] = "turn"
    outcome: TurnOutcome
    issues: tuple[Issue, ...] = ()

    @classmethod
    def of(cls, outcome: TurnOutcome, issues: tuple[Issue, ...]) -> Ending:
        """Return the ending of a turn, without its text."""
        if isinstance(outcome, Finished):
            outcome = Finished(value=outcome.value, tool=outcome.tool)
        return cls(outcome=outcome, issues=issues)
