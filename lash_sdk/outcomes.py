"""
What became of a tool call, and of a turn.

A call's outcome goes to its record raw; what the model sees of it is a
projection. A turn ends in exactly one of `Finished`, `HandedOff`, `Stopped`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final, Literal, TypeAlias

from .json import Json, Tagged, Value, frozen

# --- what a tool may ask of its turn, with a success ---------------------------


@frozen
class Handoff(Tagged, title="control", kind="handoff"):
    """End the turn; the session named here carries on."""

    session: str


@frozen
class Finish(Tagged, title="control", kind="finish"):
    """End the turn well, with this value."""

    value: Json


@frozen
class Fail(Tagged, title="control", kind="fail"):
    """End the turn as failed, with this value."""

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


@frozen
class Success(Tagged, title="outcome", kind="success"):
    """
    The tool returned.

    Attributes:
        value: What it returned, as JSON.
        control: What it asks of the turn.
    """

    value: Json
    control: Control | None = None


@frozen
class Failure(Tagged, title="outcome", kind="failure"):
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


@frozen
class Cancelled(Tagged, title="outcome", kind="cancelled"):
    """The call was given up before it returned; it may have had effects."""

    message: str = "cancelled"
    source: Source = "cancellation"


ToolOutcome: TypeAlias = Success | Failure | Cancelled


@frozen
class ToolRecord(Tagged, title="tool record", kind="tool"):
    """
    One call as it really went.

    Attributes:
        call: The call's id.
        arguments: As executed, after hooks; as sent if they didn't parse.
        outcome: Raw, before projection.
        seconds: Wall time in the tool; 0 where it never ran.
        decided: The plugin that allowed, denied or answered the call, if any.
    """

    call: str
    name: str
    arguments: Json
    outcome: ToolOutcome
    seconds: float = 0.0
    decided: str | None = None


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


@frozen
class Finished(Tagged, title="turn outcome", kind="finished"):
    """
    The model answered, or a tool finished the turn.

    Attributes:
        text: The answer; empty where a tool ended the turn.
        value: The structured answer, or the tool's value, as JSON.
        tool: The tool that ended the turn, if one did.
    """

    text: str = ""
    value: Json = None
    tool: str | None = None


@frozen
class HandedOff(Tagged, title="turn outcome", kind="handed_off"):
    """Another session carries on."""

    session: str
    tool: str | None = None


@frozen
class Stopped(Tagged, title="turn outcome", kind="stopped"):
    """
    The turn ended without an answer.

    Attributes:
        code: The exact cause, such as "empty_response" or a plugin's own word.
        value: What the tool that failed the turn said.
        tool: That tool.
    """

    reason: StopReason
    code: str = ""
    message: str = ""
    value: Json = None
    tool: str | None = None


TurnOutcome: TypeAlias = Finished | HandedOff | Stopped


@frozen
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


@frozen
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
            if not issues and outcome.value is None and outcome.tool is None:
                return ANSWERED
            outcome = Finished(value=outcome.value, tool=outcome.tool)
        return cls(outcome=outcome, issues=issues)


ANSWERED: Final = Ending(outcome=Finished())
"""How nearly every turn ends."""
