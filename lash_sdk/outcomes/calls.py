"""What became of one tool call, as it really went."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias, get_args

from ..json import Json, Value, read

# --- what a tool may ask of its turn, with a success ---------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff(Value, title="control", tagged=True):
    """End the turn; the session named here carries on."""

    kind: ClassVar[str] = "handoff"
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish(Value, title="control", tagged=True):
    """End the turn well, with this value."""

    kind: ClassVar[str] = "finish"
    value: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(Value, title="control", tagged=True):
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
class Success(Value, title="outcome", tagged=True):
    """
    The tool returned.

    Attributes:
        value: What it returned, as JSON.
        control: What it asks of the turn.
    """

    kind: ClassVar[str] = "success"
    value: Json
    control: Control | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Value, title="outcome", tagged=True):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Value, title="outcome", tagged=True):
    """The call was given up before it returned; it may have had effects."""

    kind: ClassVar[str] = "cancelled"
    message: str = "cancelled"
    source: Source = "cancellation"


ToolOutcome: TypeAlias = Success | Failure | Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecord(Value, title="tool record", tagged=True):
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


def outcome_from_json(body: Json) -> ToolOutcome:
    """
    Return the outcome that its `to_json` wrote.

    Raises:
        StoreCorrupt: It isn't one.
    """
    return read(get_args(ToolOutcome), body, "outcome")  # type: ignore[no-any-return]
