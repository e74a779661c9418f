"""How a turn ended: finished, handed off or stopped, in exactly one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from ..errors import StoreCorrupt
from ..json import Fields, Json, JsonObject

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
class Finished:
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
class HandedOff:
    """Another session carries on."""

    kind: ClassVar[str] = "handed_off"
    session: str
    tool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
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
_REASONS: Final = frozenset(get_args(StopReason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
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

    def to_json(self) -> JsonObject:
        """Return the issue as it's stored."""
        body: dict[str, Json] = {"kind": self.kind, "code": self.code}
        body["message"] = self.message
        if self.raw:
            body["raw"] = self.raw
        return body

    @classmethod
    def from_json(cls, body: Json) -> Issue:
        """Return the issue that `to_json` wrote."""
        fields = Fields(body, "issue")
        issue = cls(
            kind=fields.text("kind"),
            code=fields.text("code"),
            message=fields.text("message"),
            raw=fields.text("raw", ""),
        )
        fields.done()
        return issue


def turn_outcome_to_json(outcome: TurnOutcome) -> JsonObject:
    """Return *outcome* as it's stored."""
    body: dict[str, Json] = {"kind": outcome.kind}
    for name in outcome.__slots__:
        value: Json = getattr(outcome, name)
        if value is not None and (value != "" or name == "value"):
            body[name] = value
    return body


def turn_outcome_from_json(body: Json) -> TurnOutcome:
    """
    Return the outcome that `turn_outcome_to_json` wrote.

    Raises:
        StoreCorrupt: It isn't one.
    """
    fields = Fields(body, "turn outcome")
    outcome: TurnOutcome
    match fields.text("kind"):
        case "finished":
            outcome = Finished(
                text=fields.text("text", ""),
                value=fields.any("value"),
                tool=fields.maybe_text("tool"),
            )
        case "handed_off":
            outcome = HandedOff(session=fields.text("session"), tool=fields.maybe_text("tool"))
        case "stopped":
            outcome = Stopped(
                reason=fields.one_of("reason", _REASONS),  # type: ignore[arg-type]
                code=fields.text("code", ""),
                message=fields.text("message", ""),
                value=fields.any("value"),
                tool=fields.maybe_text("tool"),
            )
        case other:
            raise StoreCorrupt(f"unknown turn outcome: {other!r}")
    fields.done()
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """
    The last node of a turn: how it ended, and what went wrong on the way.

    The text of an answer isn't in it; that's the last message.
    """

    kind: ClassVar[str] = "turn"
    outcome: TurnOutcome
    issues: tuple[Issue, ...] = ()

    def to_json(self) -> JsonObject:
        """Return the ending as it's stored."""
        outcome = dict(turn_outcome_to_json(self.outcome))
        if isinstance(self.outcome, Finished):
            outcome.pop("text", None)
        body: dict[str, Json] = {"outcome": outcome}
        if self.issues:
            body["issues"] = [issue.to_json() for issue in self.issues]
        return body

    @classmethod
    def from_json(cls, body: Json) -> Ending:
        """Return the ending that `to_json` wrote."""
        fields = Fields(body, "ending")
        ending = cls(
            outcome=turn_outcome_from_json(fields.mapping("outcome")),
            issues=tuple([Issue.from_json(issue) for issue in fields.list("issues")]),
        )
        fields.done()
        return ending
