"""
How a turn talks with its model: what an answer means, and what comes next.

A protocol is pure. It sees an answer or a batch of tool records and returns a
move; the turn machine makes the move. Its state is JSON: it's saved with the
session and handed back. `STANDARD` is ordinary tool calling.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from .events import ModelAnswered
from .json import Json, frozen
from .messages import Message, ToolCall
from .outcomes import Finish, Finished, HandedOff, Handoff, Issue, Stopped, Success, ToolRecord
from .tools import ToolDefinition


@frozen
class Call:
    """Have these calls made, and show their results to the model."""

    calls: tuple[ToolCall, ...]


@frozen
class Again:
    """Pass a checkpoint, then ask the model again."""


AGAIN: Final = Again()


@frozen
class Correct:
    """Tell the model what's wrong with its answer, and ask it again."""

    note: str


@frozen
class Complete:
    """The turn is done, unless a checkpoint adds something to answer."""

    outcome: Finished


@frozen
class End:
    """The turn is over at once, whatever waits at a checkpoint."""

    outcome: Finished | HandedOff | Stopped
    issue: Issue | None = None


Move: TypeAlias = Call | Again | Correct | Complete | End


@frozen
class TurnProtocol:
    """
    How a turn talks with its model; as it stands, ordinary tool calling.

    That's to call what is asked for, and to finish on an answer in words. Another
    protocol derives from this one and says what it does otherwise.

    Attributes:
        name: Such as "standard"; saved with its state.
        version: Of its state's form; saved with it too.
    """

    name: str = "standard"
    version: int = 1

    def start(self) -> Json:
        """Return the state of a session that has never had a turn; None needs none."""
        return None

    def preamble(self, state: Json) -> str:
        """Return what the prompt begins with; empty means nothing."""
        return ""

    def tools(self, state: Json, tools: tuple[ToolDefinition, ...]) -> tuple[ToolDefinition, ...]:
        """Return the tools that the model is told of: every one."""
        return tools

    def on_answer(
        self, state: Json, answer: ModelAnswered, message: Message, *, after_tools: bool
    ) -> tuple[Json, Move]:
        """
        Return the state and the move after an answer.

        *message* is the answer's with the turn's own call ids; *after_tools*
        says whether it follows tool results: only then may it be empty.
        """
        if calls := message.calls:
            return state, Call(calls=calls)
        if answer.misfit is not None:
            return state, Correct(note=answer.misfit)
        text = message.text
        if not text.strip() and not after_tools:
            why = f"{answer.model} answered without text and without tools"
            issue = Issue(kind="model", code="empty_response", message=why)
            stopped = Stopped(reason="provider_error", code=issue.code, message=why)
            return state, End(outcome=stopped, issue=issue)
        return state, Complete(outcome=Finished(text=text, value=answer.value))

    def on_results(self, state: Json, records: tuple[ToolRecord, ...]) -> tuple[Json, Move]:
        """
        Return the state and the move after a batch of calls, in their order.

        The first successful call that asks something of the turn decides.
        """
        for record in records:
            control = record.outcome.control if isinstance(record.outcome, Success) else None
            if control is None:
                continue
            if isinstance(control, Finish):
                return state, End(outcome=Finished(value=control.value, tool=record.name))
            if isinstance(control, Handoff):
                return state, End(outcome=HandedOff(session=control.session, tool=record.name))
            failed = Stopped(reason="tool_error", value=control.value, tool=record.name)
            return state, End(outcome=failed)
        return state, AGAIN


STANDARD: Final = TurnProtocol()
