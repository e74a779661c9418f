"""What hooks answer with: directives, gate decisions, availability."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from ..json import Json
from ..messages import Message
from ..outcomes import ToolOutcome

# --- directives ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortTurn:
    """Stop the turn; around a tool call it fails that call alone."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueMessages:
    """
    Add messages to the conversation, as a user or as a system note.

    After a tool call they wait for the next checkpoint.
    """

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceToolArgs:
    """Call the tool with these arguments; earlier hooks are asked once more."""

    arguments: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortCircuitTool:
    """Take this as the call's outcome; the tool isn't called."""

    outcome: ToolOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitEvents:
    """Show events to whoever watches, as (name, body)."""

    events: tuple[tuple[str, Json], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitTrace:
    """Write a trace record, named "plugin.<plugin>.<name>"."""

    name: str
    payload: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSession:
    """Make a child session; its request is what `lash-sessions` takes."""

    request: Json


Directive: TypeAlias = (
    AbortTurn
    | EnqueueMessages
    | ReplaceToolArgs
    | ShortCircuitTool
    | EmitEvents
    | EmitTrace
    | CreateSession
)

# --- gates: allow < ask < deny < abort -----------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """Go ahead; the same as no answer, but it's named in the record."""

    strength: ClassVar[int] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Somebody must approve: `decide_approval` is asked."""

    strength: ClassVar[int] = 1
    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """Don't; the model is told why."""

    strength: ClassVar[int] = 2
    reason: str = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Don't, and end the turn."""

    strength: ClassVar[int] = 3
    code: str = "aborted"
    reason: str = "aborted"


Decision: TypeAlias = Allow | Ask | Deny | Abort

# --- the rest ------------------------------------------------------------------

Visibility: TypeAlias = Literal["hidden", "shown"]
"""Whether a tool can be seen and called; hidden beats shown within a layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """
    Something that people and programs ask of a plugin, beside the conversation.

    Attributes:
        session: Whether it needs a session, takes one, or refuses one.
        kind: What to expect, for whoever shows it.
        run: Takes the arguments, by name; what it returns is the value.
    """

    name: str
    run: Callable[..., Awaitable[object]]
    description: str = ""
    kind: Literal["query", "command", "task"] = "command"
    session: Literal["required", "optional", "forbidden"] = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """A price, in units of its currency."""

    amount: float
    currency: str = "USD"
