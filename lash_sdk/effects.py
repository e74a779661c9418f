"""
What a turn wants done. Each effect says which events may answer it.

An effect's key is "<turn id>/<step>", the same on every replay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .messages import Message, ToolCall

Checkpoint: TypeAlias = Literal["after_work", "before_completion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """
    Answer with `TurnPrepared`, or with `TurnAborted` if *first*.

    Prompt and tools are made ready for the next model call.

    Attributes:
        first: Whether `before_turn` is to be asked as well.
    """

    key: str
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTools:
    """Answer with `ToolsFinished`: one record and one result per call, in order."""

    key: str
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCheckpoint:
    """Answer with `CheckpointPassed`, or `CheckpointAborted`."""

    key: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCommit:
    """Answer with `CommitAccepted`, once the turn is durable."""

    key: str


Effect: TypeAlias = Prepare | AskModel | CallTools | PassCheckpoint | WriteCommit
