"""What became of one tool call, as it really went."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias, get_args

from ..errors import StoreCorrupt
from ..json import Fields, Json, JsonObject

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
            body["after"] = float(self.after)
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
            "seconds": float(self.seconds),
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
            arguments=fields.value("arguments"),
            outcome=outcome_from_json(fields.mapping("outcome")),
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
    value = fields.value("value")
    if fields.any("control") is None:
        return Success(value=value)
    inner = Fields(fields.any("control"), "control")
    control: Control
    match inner.text("kind"):
        case "handoff":
            control = Handoff(session=inner.text("session"))
        case "finish":
            control = Finish(value=inner.value("value"))
        case "fail":
            control = Fail(value=inner.value("value"))
        case other:
            raise StoreCorrupt(f"unknown control: {other!r}")
    inner.done()
    return Success(value=value, control=control)


def _read_failure(fields: Fields) -> Failure:
    return Failure(
        reason=fields.one_of("reason", _CLASSES),  # type: ignore[arg-type]
        code=fields.text("code"),
        message=fields.text("message"),
        source=fields.one_of("source", _SOURCES),  # type: ignore[arg-type]
        retry=fields.one_of("retry", _RETRIES),  # type: ignore[arg-type]
        after=fields.maybe_number("after"),
        attempts=fields.whole("attempts"),
        raw=fields.any("raw"),
    )


_CLASSES: Final = frozenset(get_args(FailureClass))
_SOURCES: Final = frozenset(get_args(Source))
_RETRIES: Final = frozenset(("never", "safe", "exhausted"))
_OUTCOMES: Final[dict[str, Callable[[Fields], ToolOutcome]]] = {
    "success": _read_success,
    "failure": _read_failure,
    "cancelled": lambda f: Cancelled(
        message=f.text("message"),
        source=f.one_of("source", _SOURCES),  # type: ignore[arg-type]
    ),
}
