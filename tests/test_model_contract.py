"""The models' contract: it lets good ones pass, and finds each planted fault."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from lash_sdk.messages import Blob, Image, Reasoning, Text, ToolCall
from lash_sdk.ports import Chunk, Emit, Model, ModelAnswer, ModelRequest
from lash_sdk.testing.model_contract import PIXEL, ModelContract
from lash_sdk.usage import Usage

CALL = ToolCall(id="1", name="add", arguments='{"a": 17, "b": 23}')


class Parrot:
    """Repeats the last question word by word, or adds where it's told to."""

    @property
    def name(self) -> str:
        return "parrot:1"

    @property
    def window(self) -> int | None:
        return None

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        question = request.history[-1]
        if request.tools and "Use the tool" in question.text:
            return ModelAnswer(parts=(CALL,), finish="tool_use")
        for part in question.parts:
            if isinstance(part, Image):
                await request.blob(part.blob)
        words = question.text.split(" ")
        for at, word in enumerate(words):
            await asyncio.sleep(0)
            emit(Chunk(text=word if at == 0 else " " + word))
        usage = Usage(input=len(words), output=len(words))
        return ModelAnswer(parts=(Text(text=question.text),), usage=usage)

    async def close(self) -> None:
        return None


class TestParrot(ModelContract):
    @pytest.fixture
    def model(self) -> Model:
        return Parrot()


class TestSilent(ModelContract):
    """A model that can't stream, knows no usage, sees nothing and calls nothing."""

    @pytest.fixture
    def model(self) -> Model:
        class Silent(Parrot):
            async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
                await asyncio.sleep(0)
                return ModelAnswer(parts=(Text(text="Hm."),), model="silent-1")

        return Silent()

    async def test_a_calls_arguments_are_the_text_of_an_object(self, model: Model) -> None:
        """What can't be checked is said to be skipped, not passed."""
        with pytest.raises(pytest.skip.Exception):
            await super().test_a_calls_arguments_are_the_text_of_an_object(model)


class Nameless(Parrot):
    @property
    def name(self) -> str:
        return " "


class Painter(Parrot):
    """Puts a picture into its answer."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        await super().answer(request, emit)
        return ModelAnswer(parts=(Image.of(PIXEL),))


class Mumbler(Parrot):
    """Streams other words than it answers."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        answer = await super().answer(request, emit)
        emit(Chunk(text="!"))
        return answer


class Doubler(Parrot):
    """Counts reasoning beside the output."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        answer = await super().answer(request, emit)
        return replace(answer, usage=Usage(output=1, reasoning=2))


class Decoder(Parrot):
    """Hands over arguments that it has decoded, and encoded in its own manner."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        answer = await super().answer(request, emit)
        if answer.finish != "tool_use":
            return answer
        return replace(answer, parts=(replace(CALL, arguments="{'a': 17}"),))


class Vandal(Parrot):
    """Takes what it needs out of the history."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        for message in request.history:
            for part in message.parts:
                if isinstance(part, Reasoning) and isinstance(part.replay, dict):
                    part.replay.pop("data")
        return await super().answer(request, emit)


class Snoop(Parrot):
    """Reads a blob that it remembers from elsewhere."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        await request.blob(Blob.of(b"elsewhere", "text/plain"))
        return await super().answer(request, emit)


class Mixer(Parrot):
    """Keeps one sink for all answers."""

    emit: Emit

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        self.emit = emit
        return await super().answer(request, lambda chunk: self.emit(chunk))


class Stubborn(Parrot):
    """Goes on in the background after it was cancelled."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        work = asyncio.create_task(super().answer(request, emit))
        return await asyncio.shield(work)


class Deaf(Parrot):
    """Doesn't end when it's cancelled."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        try:
            return await super().answer(request, emit)
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)
            raise


class Excuser(Parrot):
    """Calls being cancelled an error of its own."""

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        try:
            return await super().answer(request, emit)
        except asyncio.CancelledError:
            raise RuntimeError("interrupted") from None


class Broken(Parrot):
    """Answers no more once an answer was cancelled."""

    broken = False

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        if self.broken:
            raise RuntimeError("broken")
        self.broken = True
        answer = await super().answer(request, emit)
        self.broken = False
        return answer


class Once(Parrot):
    """Can be closed once."""

    closed = False

    async def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


FAULTS: list[tuple[type[Parrot], str]] = [
    (Nameless, "test_its_name_and_window_can_be_used"),
    (Painter, "test_an_answer_holds_what_an_assistant_may_say"),
    (Mumbler, "test_the_pieces_are_the_answers_text"),
    (Doubler, "test_usage_adds_up"),
    (Decoder, "test_a_calls_arguments_are_the_text_of_an_object"),
    (Vandal, "test_a_history_of_every_kind_is_taken_and_left_alone"),
    (Snoop, "test_a_history_of_every_kind_is_taken_and_left_alone"),
    (Snoop, "test_only_blobs_of_the_history_are_read"),
    (Mixer, "test_two_answers_at_once_do_not_mix"),
    (Stubborn, "test_a_cancelled_answer_ends_and_falls_silent"),
    (Deaf, "test_a_cancelled_answer_ends_and_falls_silent"),
    (Excuser, "test_a_cancelled_answer_ends_and_falls_silent"),
    (Broken, "test_a_cancelled_answer_ends_and_falls_silent"),
    (Once, "test_closing_twice_is_closing_once"),
]


class Impatient(ModelContract):
    patience = 0.2


Impatient.__test__ = False  # type: ignore[attr-defined]


def clause(name: str) -> Callable[[Model], Awaitable[Any]]:
    """Return a test of the contract, to be called with a model."""
    test: Callable[[Model], Awaitable[Any]] = getattr(Impatient(), name)
    return test


@pytest.mark.parametrize(("fault", "name"), FAULTS)
async def test_a_planted_fault_is_found(fault: type[Parrot], name: str) -> None:
    """A contract that nobody can break promises nothing."""
    with pytest.raises(Exception) as caught:
        await clause(name)(fault())

    assert not isinstance(caught.value, TimeoutError)
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


def test_every_clause_has_a_planted_fault() -> None:
    """A clause that was never seen red may be no clause at all."""
    clauses = {
        name
        for name, _ in inspect.getmembers(ModelContract, inspect.isfunction)
        if name.startswith("test_")
    }

    assert clauses == {name for _, name in FAULTS}
