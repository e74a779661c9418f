"""A task in the background: what it's asked for with, what's known of it, what happens to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from lash_sdk.json import Json, Value

TaskKind: TypeAlias = Literal["monitor", "subagent", "observer", "tool", "other"]
TaskState: TypeAlias = Literal[
    "pending", "running", "waiting", "cancel_requested", "completed", "failed", "cancelled"
]
CancelPolicy: TypeAlias = Literal["cooperative", "abort_local", "external"]
ClosePolicy: TypeAlias = Literal["keep", "cancel", "transfer"]
Change: TypeAlias = Literal[
    "registered",
    "state_changed",
    "progress",
    "completed",
    "failed",
    "cancel_requested",
    "cancelled",
    "transferred",
]

TERMINAL: Final = frozenset(("completed", "failed", "cancelled"))
LIVE: Final = frozenset(("pending", "running", "waiting"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Value):
    """Which attempt a task is, of how many, and the key they share."""

    number: int = 1
    most: int = 1
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """
    A task that's to be kept in the books.

    Attributes:
        id: Unique among the live tasks of its session.
        producer: Who makes it: a plugin's name.
        cancel_policy: How it's stopped: told and waited for; cut off; or by a
            callback alone.
        close_policy: What becomes of it when its session is closed here.
    """

    id: str
    kind: TaskKind = "other"
    producer: str = ""
    parent_task: str | None = None
    child_session: str | None = None
    cancel_policy: CancelPolicy = "cooperative"
    close_policy: ClosePolicy = "keep"
    attempt: Attempt = field(default_factory=Attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """
    What's known of a task; times are seconds since 1970, UTC.

    Attributes:
        session: The one whose task it is, its scope.
        summary: What came of it, or why it failed, in a few words.
    """

    spec: TaskSpec
    session: str
    state: TaskState
    summary: str = ""
    created: float
    updated: float
    completed: float | None = None

    @property
    def id(self) -> str:
        """The task's id."""
        return self.spec.id

    @property
    def terminal(self) -> bool:
        """Whether it's over for good."""
        return self.state in TERMINAL

    @property
    def shown(self) -> str:
        """The state in the word that a model is told: who waits is idle."""
        return "idle" if self.state == "waiting" else self.state

    def to_json(self) -> Json:
        """Return the record for a machine to read."""
        return {
            "id": self.id,
            "kind": self.spec.kind,
            "session": self.session,
            "state": self.shown,
            "summary": self.summary,
            "child_session": self.spec.child_session,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskChanged:
    """What happened to a task; `record` is as it was then."""

    change: Change
    record: TaskRecord
    text: str = ""
