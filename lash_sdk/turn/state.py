"""A turn between two events: its phase, what it has added, and its JSON form."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from ..effects import Checkpoint
from ..json import Json, Value
from ..messages import Message
from ..outcomes import Finished, Issue, ToolRecord, TurnOutcome
from ..policy import Limits
from ..usage import NOTHING, Usage, UsageRow


class Phase(Enum):
    """Where a turn stands: what it waits for."""

    READY = "ready for input"
    PREPARING = "preparing"
    ASKING = "asking the model"
    CALLING = "calling tools"
    CHECKING = "at a checkpoint"
    SETTLING = "settling"
    DONE = "done"

    __hash__ = object.__hash__  # members are single; an enum's own hash is slow


@dataclass(frozen=True, kw_only=True)  # no slots: see `changed`
class Turn(Value):
    """
    One turn, between two events.

    It holds only what the turn adds; the history before it is the session's.

    Attributes:
        id: The operation id of its commit.
        step: Events taken in; the number in the next effect's key.
        key: Of the effect it waits for; not stored.
        values: What becomes nodes: messages and tool records, in order.
        messages: The messages among them; not stored.
        iteration: Model calls answered so far.
        inbox: Keys of the inbox rows among its messages.
        rows: What the model calls cost, for the ledger.
        usage: Their sum; not stored.
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
    key: str = field(init=False, compare=False)
    values: tuple[Message | ToolRecord, ...] = ()
    messages: tuple[Message, ...] = field(default=(), compare=False)
    inbox: tuple[str, ...] = ()
    iteration: int = 0
    usage: Usage = field(default=NOTHING, compare=False)
    rows: tuple[UsageRow, ...] = ()
    issues: tuple[Issue, ...] = ()
    state: Json = None
    checkpoint: Checkpoint | None = None
    pending: Finished | None = None
    grace: bool = False
    corrections: int = 0
    outcome: TurnOutcome | None = None
    revision: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.id}/{self.step}")

    @property
    def records(self) -> tuple[ToolRecord, ...]:
        """Its tool calls so far, in order."""
        return tuple([value for value in self.values if isinstance(value, ToolRecord)])

    def check(self) -> Turn:
        """Return the turn with what follows from its values and rows."""
        messages = tuple([value for value in self.values if isinstance(value, Message)])
        usage = sum([row.usage for row in self.rows], NOTHING)
        return changed(self, {"messages": messages, "usage": usage})


def begun(id: str, session: str, limits: Limits, state: Json) -> Turn:
    """Return a turn that waits for its input."""
    given = {"id": id, "key": f"{id}/0", "session": session, "limits": limits, "state": state}
    return changed(_BLANK, given)


def changed(turn: Turn, changes: dict[str, Any]) -> Turn:
    """Return *turn* changed: what `replace` does, at a tenth of its cost."""
    after = object.__new__(Turn)
    object.__setattr__(after, "__dict__", turn.__dict__ | changes)
    return after


_BLANK: Final = Turn(id="")
