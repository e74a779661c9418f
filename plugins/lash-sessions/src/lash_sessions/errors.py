"""What can go wrong between sessions."""

from __future__ import annotations

from lash_sdk.errors import LashError


class UnknownSession(LashError):
    """Raised when a session is named that isn't there, or that nobody here made."""

    def __init__(self, session: str) -> None:
        super().__init__(f"no session {session!r} was made here")
        self.session = session


class UnknownTurn(LashError):
    """Raised when a turn is named that nobody started here, or whose result was taken."""

    def __init__(self, turn: str) -> None:
        super().__init__(f"no turn {turn!r} waits here: never started, or its result was taken")
        self.turn = turn


class UnknownTask(LashError):
    """Raised when a background task is named that its session hasn't got."""

    def __init__(self, task: str) -> None:
        super().__init__(f"no background task {task!r}")
        self.task = task


class TaskExists(LashError):
    """Raised when a task's id is that of one which is still alive."""

    def __init__(self, task: str) -> None:
        super().__init__(f"background task {task!r} is still alive")
        self.task = task


class UnknownMonitor(LashError):
    """Raised when a monitor is named that its session hasn't got."""

    def __init__(self, monitor: str) -> None:
        super().__init__(f"no monitor {monitor!r}")
        self.monitor = monitor


class StillNeeded(LashError):
    """
    Raised when a session can't be closed or given away.

    It's the one that asks, or a turn of its was started whose result nobody took.
    """

    def __init__(self, session: str, why: str) -> None:
        super().__init__(f"session {session!r} can't be let go: {why}")
        self.session = session


class HandoffMissing(LashError):
    """
    Raised when a session was handed off and there's no way to go on.

    Attributes:
        code: "handoff_successor_missing", or "handoff_missing_first_turn".
    """

    def __init__(self, session: str, code: str) -> None:
        what = "is gone" if code == "handoff_successor_missing" else "has nothing to begin with"
        super().__init__(f"{code}: session {session!r}, which was handed to, {what}")
        self.session = session
        self.code = code
