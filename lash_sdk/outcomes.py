"""What became of a tool call, raw, and how a turn ended: in exactly one way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from .errors import StoreCorrupt
from .json import Fields, Json, JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable

# --- what a tool may ask of its turn, with a success ---------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """End the turn; the session named here carries on."""

    kind: ClassVar[str] = "handoff"
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """End the turn well, with this value."""

    kind: ClassVar[str] = "finish"
    value: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """End the turn as failed, with this value."""

    kind: ClassVar[str] = "fail"
    value: Json


Control: TypeAlias = Handoff | Finish | Fail

# --- what became of one call ---------------------------------------------------

FailureClass: TypeAlias = Literal[
    "invalid_request",
    "unavailable",
    "permission_denied",
    "timeout",
    "execution",
    "external",
    "resource_limit",
    "internal",
]
Source: TypeAlias = Literal["runtime", "tool", "plugin", "policy", "cancellation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """
    The tool returned.

    Attributes:
        value: What it returned, as JSON.
        control: What it asks of the turn.
    """

    kind: ClassVar[str] = "success"
    value: Json
    control: Control | None = None

    def to_json(self) -> JsonObject:
        """Return the outcome as it's stored."""
        body: dict[str, Json] = {"kind": "success", "value": self.value}
        if self.control is not None:
            control: dict[str, Json] = {"kind": self.control.kind}
            if isinstance(self.control, Handoff):
                control["session"] = self.control.session
            else:
                control["value"] = self.control.value
            body["control"] = control
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    The call failed; the model is told and the turn goes on.

    Attributes:
        reason: The class of the failure, for whoever counts them.
        code: A short word for the exact cause.
        message: What the model and the user read.
        retry: Whether trying again is safe, and when (seconds); a policy's
            last failed attempt is marked "exhausted".
        attempts: How often it was tried.
        raw: The tool's own data about it.
    """

    kind: ClassVar[str] = "failure"
    reason: FailureClass
    code: str
    message: str
    source: Source = "tool"
    retry: Literal["never", "safe", "exhausted"] = "never"
    after: float | None = None
    attempts: int = 1
    raw: Json = None

    def exhausted(self, attempts: int) -> Failure:
        """Return the failure as the last one of *attempts*."""
        return replace(self, retry="exhausted", attempts=attempts)

    def to_json(self) -> JsonObject:
        """Return the outcome as it's stored."""
        body: dict[str, Json] = {
            "kind": "failure",
            "reason": self.reason,
            "code": self.code,
            "message": self.message,
            "source": self.source,
            "retry": self.retry,
            "attempts": self.attempts,
        }
        if self.after is not None:
            body["after"] = self.after
        if self.raw is not None:
            body["raw"] = self.raw
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The call was given up before it returned; it may have had effects."""

    kind: ClassVar[str] = "cancelled"
    message: str = "cancelled"
    source: Source = "cancellation"

    def to_json(self) -> JsonObject:
        """Return the outcome as it's stored."""
        return {"kind": "cancelled", "message": self.message, "source": self.source}


ToolOutcome: TypeAlias = Success | Failure | Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecord:
    """
    One call as it really went.

    Attributes:
        call: The call's id.
        arguments: As executed, after hooks; as sent if they didn't parse.
        outcome: Raw, before projection.
        seconds: Wall time in the tool; 0 where it never ran.
        decided: The plugin that allowed, denied or answered the call, if any.
    """

    kind: ClassVar[str] = "tool"
    call: str
    name: str
    arguments: Json
    outcome: ToolOutcome
    seconds: float = 0.0
    decided: str | None = None

    def to_json(self) -> JsonObject:
        """Return the record as it's stored."""
        body: dict[str, Json] = {
            "call": self.call,
            "name": self.name,
            "arguments": self.arguments,
            "outcome": self.outcome.to_json(),
            "seconds": self.seconds,
        }
        if self.decided is not None:
            body["decided"] = self.decided
        return body

    @classmethod
    def from_json(cls, body: Json) -> ToolRecord:
        """Return the record that `to_json` wrote."""
        fields = Fields(body, "tool record")
        record = cls(
            call=fields.text("call"),
            name=fields.text("name"),
            arguments=fields.any("arguments"),
            outcome=outcome_from_json(fields.object("outcome")),
            seconds=fields.number("seconds"),
            decided=fields.maybe_text("decided"),
        )
        fields.done()
        return record


def outcome_from_json(body: Json) -> ToolOutcome:
    """
    Return the outcome that its `to_json` wrote.

    Raises:
        StoreCorrupt: It isn't one.
    """
    fields = Fields(body, "outcome")
    outcome = _OUTCOMES[fields.one_of("kind", frozenset(_OUTCOMES))](fields)
    fields.done()
    return outcome


def _read_success(fields: Fields) -> Success:
    value = fields.any("value")
    if fields.any("control") is None:
        return Success(value=value)
    inner = Fields(fields.any("control"), "control")
    control: Control
    match inner.text("kind"):
        case "handoff":
            control = Handoff(session=inner.text("session"))
        case "finish":
            control = Finish(value=inner.any("value"))
        case "fail":
            control = Fail(value=inner.any("value"))
        case other:
            raise StoreCorrupt(f"unknown control: {other!r}")
    inner.done()
    return Success(value=value, control=control)


def _read_failure(fields: Fields) -> Failure:
    after = fields.any("after")
    return Failure(
        reason=fields.text("reason"),  # type: ignore[arg-type]
        code=fields.text("code"),
        message=fields.text("message"),
        source=fields.text("source"),  # type: ignore[arg-type]
        retry=fields.text("retry"),  # type: ignore[arg-type]
        after=None if after is None else fields.number("after"),
        attempts=fields.whole("attempts"),
        raw=fields.any("raw"),
    )


_OUTCOMES: Final[dict[str, Callable[[Fields], ToolOutcome]]] = {
    "success": _read_success,
    "failure": _read_failure,
    "cancelled": lambda f: Cancelled(
        message=f.text("message"),
        source=f.text("source"),  # type: ignore[arg-type]
    ),
}

# --- how a turn ended ----------------------------------------------------------

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
        if value not in (None, ""):
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
            outcome = HandedOff(
                session=fields.text("session"), tool=fields.maybe_text("tool")
            )
        case "stopped":
            outcome = Stopped(
                reason=fields.text("reason"),  # type: ignore[arg-type]
                code=fields.text("code", ""),
                message=fields.text("message", ""),
                value=fields.any("value"),
                tool=fields.maybe_text("tool"),
            )
        case other:
            raise StoreCorrupt(f"unknown turn outcome: {other!r}")
    fields.done()
    return outcome
