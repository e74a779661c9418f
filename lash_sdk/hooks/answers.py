"""What hooks answer with: directives, gate decisions, availability."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal, TypeAlias

from ..json import Json, frozen
from ..messages import Message
from ..outcomes import ToolOutcome
from ..ports.roles import Visibility as Visibility

# --- directives ----------------------------------------------------------------


@frozen
class AbortTurn:
    """Stop the turn; around a tool call it fails that call alone."""

    code: str
    message: str


@frozen
class EnqueueMessages:
    """
    Add messages to the conversation, as a user or as a system note.

    After a tool call they wait for the next checkpoint.
    """

    messages: tuple[Message, ...]


@frozen
class ReplaceToolArgs:
    """Call the tool with these arguments; earlier hooks are asked once more."""

    arguments: dict[str, Json]


@frozen
class ShortCircuitTool:
    """Take this as the call's outcome; the tool isn't called."""

    outcome: ToolOutcome


@frozen
class EmitEvents:
    """Show events to whoever watches, as (name, body)."""

    events: tuple[tuple[str, Json], ...]


@frozen
class EmitTrace:
    """Write a trace record, named "plugin.<plugin>.<name>"."""

    name: str
    payload: Json = None


@frozen
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


@frozen
class Allow:
    """Go ahead; the same as no answer, but it's named in the record."""

    strength: ClassVar[int] = 0


@frozen
class Ask:
    """Somebody must approve: `decide_approval` is asked."""

    strength: ClassVar[int] = 1
    question: str = ""


@frozen
class Deny:
    """Don't; the model is told why."""

    strength: ClassVar[int] = 2
    reason: str = "denied"


@frozen
class Abort:
    """Don't, and end the turn."""

    strength: ClassVar[int] = 3
    code: str = "aborted"
    reason: str = "aborted"


Decision: TypeAlias = Allow | Ask | Deny | Abort

# --- the rest ------------------------------------------------------------------


@frozen
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


@frozen
class Money:
    """A price, in units of its currency."""

    amount: float
    currency: str = "USD"
