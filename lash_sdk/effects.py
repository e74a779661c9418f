"""
What a turn wants done. Each effect says which events may answer it.

An effect's key is "<turn id>/<step>", the same on every replay.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from .json import frozen
from .messages import Message, ToolCall

Checkpoint: TypeAlias = Literal["after_work", "before_completion"]


@frozen
class Prepare:
    """
    Answer with `TurnPrepared`, or with `TurnAborted` if *first*.

    Prompt and tools are made ready for the next model call.

    Attributes:
        first: Whether `before_turn` is to be asked as well.
    """

    key: str
    first: bool


@frozen
class AskModel:
    """
    Answer with `ModelAnswered` or `ModelFailed`.

    Attributes:
        messages: This turn's; the history before it is the session's.
        iteration: Model calls before this one, in this turn.
    """

    key: str
    messages: tuple[Message, ...]
    iteration: int


@frozen
class CallTools:
    """Answer with `ToolsFinished`: one record and one result per call, in order."""

    key: str
    calls: tuple[ToolCall, ...]


@frozen
class PassCheckpoint:
    """Answer with `CheckpointPassed`, or `CheckpointAborted`."""

    key: str
    checkpoint: Checkpoint


@frozen
class WriteCommit:
    """Answer with `CommitAccepted`, once the turn is durable."""

    key: str


Effect: TypeAlias = Prepare | AskModel | CallTools | PassCheckpoint | WriteCommit
