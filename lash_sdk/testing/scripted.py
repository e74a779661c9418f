"""A model that says what it's told to, in order: for tests, demos and bug reports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import ContextOverflow, InvalidInput, LashError, ModelError
from ..json import Json, JsonObject, Value, encode
from ..messages import Reasoning, Text, ToolCall
from ..ports import Chunk, Finish, ModelAnswer, ModelRequest
from ..usage import Usage

if TYPE_CHECKING:
    from ..messages import Part
    from ..ports import Emit

USAGE = Usage(input=10, output=5)
"""What a reply uses unless it says something else."""


def call(name: str, /, **arguments: Json) -> ToolCall:
    """Return a call of tool *name*, for a reply."""
    return ToolCall(id="", name=name, arguments=encode(arguments).decode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    One scripted answer.

    Attributes:
        delay: Seconds before it begins.
        error: Raised in its place, after *partial* was streamed.
        partial: Text that's streamed before the error.
    """

    answer: ModelAnswer
    delay: float = 0.0
    error: Exception | None = None
    partial: str = ""


def reply(
    text: str = "",
    *,
    calls: Sequence[ToolCall] | ToolCall = (),
    reasoning: str = "",
    usage: Usage | None = USAGE,
    finish: Finish | None = None,
    delay: float = 0.0,
) -> Reply:
    """Return an answer: text, calls, or both."""
    asked = (calls,) if isinstance(calls, ToolCall) else tuple(calls)
    parts: list[Part] = []
    if reasoning:
        parts.append(Reasoning(text=reasoning))
    if text:
        parts.append(Text(text=text))
    parts += asked
    answer = ModelAnswer(
        parts=tuple(parts), usage=usage, finish=finish or ("tool_use" if asked else "stop")
    )
    return Reply(answer=answer, delay=delay)


def failure(
    message: str,
    *,
    code: str = "provider_error",
    retryable: bool = False,
    after: float | None = None,
    partial: str = "",
) -> Reply:
    """Return an attempt that fails, after streaming *partial*."""
    error: Exception
    if code == "context_overflow":
        error = ContextOverflow(message)
    else:
        error = ModelError(message, code=code, retryable=retryable, after=after)
    return Reply(answer=ModelAnswer(parts=()), error=error, partial=partial)


Entry: TypeAlias = Reply | str | Callable[[ModelRequest], Any]
"""A reply, its text alone, or what makes one from the request."""


class ScriptedModel:
    """
    A model that gives the n-th answer of its script to the n-th call made to it.

    Attributes:
        requests: Every request so far.
    """

    def __init__(self, script: Sequence[Entry], *, name: str = "scripted") -> None:
        self._script = tuple(script)
        self._name = name
        self.requests: list[ModelRequest] = []

    @property
    def name(self) -> str:
        """What ledger rows call it."""
        return self._name

    @property
    def window(self) -> int | None:
        """Nothing is too long for it."""
        return None

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.requests)

    def say(self, *entries: Entry) -> ScriptedModel:
        """Add to the end of the script, and return the model."""
        self._script += entries
        return self

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """
        Return the next answer of the script.

        Raises:
            LashError: The script is over; the message says at which call.
        """
        at = len(self.requests)
        self.requests.append(request)
        if at >= len(self._script):
            raise LashError(
                f"the script of {self._name!r} has {len(self._script)} entries,"
                f" this is call {at + 1}"
            )
        entry = self._script[at]
        if callable(entry):
            entry = entry(request)
            if asyncio.iscoroutine(entry):
                entry = await entry
        said = reply(entry) if isinstance(entry, str) else entry
        if not isinstance(said, Reply):
            return said  # type: ignore[no-any-return]  # nonsense, on purpose
        if said.delay:
            await asyncio.sleep(said.delay)
        if said.error is not None:
            if said.partial:
                emit(Chunk(text=said.partial))
            raise said.error
        for part in said.answer.parts:
            if isinstance(part, (Text, Reasoning)):
                emit(Chunk(text=part.text, reasoning=isinstance(part, Reasoning)))
        return said.answer

    async def close(self) -> None:
        """Do nothing."""

    def __repr__(self) -> str:
        return f"<ScriptedModel {self._name!r} at {self.calls} of {len(self._script)}>"


def load_script(path: str | Path) -> ScriptedModel:
    """
    Return the model that a JSON Lines file describes, an answer a line.

    A line is text, or an object with "text", "calls" ([{"name", "arguments"}]),
    "usage", "finish", "delay", or "error" ({"message", "code", "retryable"}).

    Raises:
        InvalidInput: The file can't be read, or a line isn't an answer.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"script {str(path)!r}: {error}") from error
    script = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            script.append(_entry(json.loads(line)))
        except (ValueError, LashError) as error:
            raise InvalidInput(f"script {str(path)!r}, line {number}: {error}") from (error)
    return ScriptedModel(script, name=f"scripted:{Path(path).name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call(Value, title="call"):
    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error(Value, title="error"):
    message: str
    code: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line(Value, title="entry"):
    text: str = ""
    reasoning: str = ""
    calls: tuple[_Call, ...] = ()
    usage: Usage | None = None
    finish: Finish | None = None
    delay: float = 0.0
    error: _Error | None = None


def _entry(body: Any) -> Reply:
    if isinstance(body, str):
        return reply(body)
    line = _Line.from_json(body)
    if line.error is not None:
        code = line.error.code or "provider_error"
        retryable = line.error.retryable
        return failure(line.error.message, code=code, retryable=retryable, partial=line.text)
    return reply(
        line.text,
        calls=[call(each.name, **each.arguments) for each in line.calls],
        reasoning=line.reasoning,
        usage=line.usage or USAGE,
        finish=line.finish,
        delay=line.delay,
    )
