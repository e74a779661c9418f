"""Models with one fault each, which a server that answers badly brings to light."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from lash_model_openai import OpenAIModel
from lash_sdk.errors import ModelError
from lash_sdk.messages import Text, ToolCall
from lash_sdk.ports import Chunk, Emit, ModelAnswer, ModelRequest


class TakesAnyEnd(OpenAIModel):
    """Takes what it has for the answer when the connection ends."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        pieces: list[Chunk] = []

        def keep(chunk: Chunk) -> None:
            pieces.append(chunk)
            emit(chunk)

        try:
            return await super().answer(request, keep)
        except ModelError as error:
            if error.code != "connection" or not pieces:
                raise
            return ModelAnswer(parts=(Text(text="".join([piece.text for piece in pieces])),))


class FillsIn(OpenAIModel):
    """Calls with nothing where it can't read the arguments."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        return _calls(
            await super().answer(request, emit),
            lambda call: replace(call, arguments=_read(call.arguments)),
        )


class GuessesNames(OpenAIModel):
    """Calls the tool whose name is nearest."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        answer = await super().answer(request, emit)
        return _calls(answer, lambda call: replace(call, name=call.name.strip().lower()))


class TriesAgainItself(OpenAIModel):
    """Asks again in the midst of an answer, and says nothing of it."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        try:
            return await super().answer(request, emit)
        except ModelError as error:
            if not error.retryable:
                raise
            return await super().answer(request, emit)


class TriesAnything(OpenAIModel):
    """Says of every failure that it may pass."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        try:
            return await super().answer(request, emit)
        except ModelError as error:
            raise ModelError(str(error), code=error.code, retryable=True) from None


class HasNoTime(OpenAIModel):
    """Doesn't hear when it's to come again."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        try:
            return await super().answer(request, emit)
        except ModelError as error:
            error.after = None
            raise


class TakesCutsForEnds(OpenAIModel):
    """Takes what was cut off for whole."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        return replace(await super().answer(request, emit), finish="stop")


def _calls(answer: ModelAnswer, change: Callable[[ToolCall], ToolCall]) -> ModelAnswer:
    parts = [change(part) if isinstance(part, ToolCall) else part for part in answer.parts]
    return replace(answer, parts=tuple(parts))


def _read(arguments: str) -> str:
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return '{"text": ""}'
    return arguments
