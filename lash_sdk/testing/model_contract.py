"""
What every model must keep, as a pytest class: a new model's whole test file.

    class TestMyModel(ModelContract):
        @pytest.fixture
        def model(self) -> MyModel:
            return MyModel("small")

It's about plumbing, never about what a model says. The model may be a real one or
a scripted one; it's asked up to three times in a test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, get_args

import pytest

from ..errors import ModelError
from ..graph import History
from ..json import encode
from ..messages import (
    Blob,
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    note,
    user,
)
from ..ports import Chunk, Finish, Model, ModelAnswer, ModelRequest
from ..tools import ToolDefinition
from ..usage import Usage

ADD: Final = ToolDefinition(
    name="add",
    description="Add two integers.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
FINISHES: Final = frozenset(get_args(Finish))

# The smallest picture there is: one grey pixel.
PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c636800000082008177cd72b60000000049454e44ae4260"
    "82"
)


@dataclass(slots=True)
class Ear:
    """
    Hears the pieces of one answer, and which blobs were read for it.

    Attributes:
        on_first: Called with the first piece, from within the model's `emit`.
    """

    pieces: list[Chunk] = field(default_factory=list[Chunk])
    read: list[str] = field(default_factory=list[str])
    on_first: Callable[[], object] | None = None

    def hear(self, piece: Chunk) -> None:
        """Take in one piece; it's the `emit` that a model is given."""
        self.pieces.append(piece)
        if self.on_first is not None and len(self.pieces) == 1:
            self.on_first()

    @property
    def text(self) -> str:
        """The pieces of text, joined."""
        return "".join([piece.text for piece in self.pieces if not piece.reasoning])


@pytest.mark.asyncio
class ModelContract:
    """
    Subclass it with a fixture `model`.

    Attributes:
        question: What the model is asked.
        tool_question: What it's asked for a call of `add`.
        patience: Seconds that a cancelled answer may take to end.
    """

    question: ClassVar[str] = "Say hello in one short sentence."
    tool_question: ClassVar[str] = "How much is 17 plus 23? Use the tool."
    patience: ClassVar[float] = 5.0

    @pytest.fixture
    def model(self) -> Model:
        """Return the model under test."""
        raise NotImplementedError("the subclass has a fixture `model`")

    async def test_its_name_and_window_can_be_used(self, model: Model) -> None:
        """Ledger rows carry the name, and the window bounds a history."""
        assert isinstance(model.name, str)
        assert model.name.strip()
        assert model.window is None or model.window > 0

    async def test_an_answer_holds_what_an_assistant_may_say(self, model: Model) -> None:
        """Whatever else came in here would be refused when the turn commits."""
        answer, _ = await self.ask(model, [user(self.question)])

        assert isinstance(answer, ModelAnswer)
        assert answer.finish in FINISHES
        Message(role="assistant", parts=answer.parts).check()
        assert answer.model is None or answer.model.strip()

    async def test_the_pieces_are_the_answers_text(self, model: Model) -> None:
        """Who watched the stream and who reads the history saw the same words."""
        answer, ear = await self.ask(model, [user(self.question)])

        assert not ear.text or text_of(answer) == ear.text

    async def test_usage_adds_up(self, model: Model) -> None:
        """Reasoning is a part of the output; counted beside it, it's paid twice."""
        answer, _ = await self.ask(model, [user(self.question)])

        if answer.usage is None:
            return
        assert isinstance(answer.usage, Usage)
        assert answer.usage.reasoning <= answer.usage.output

    async def test_a_calls_arguments_are_the_text_of_an_object(self, model: Model) -> None:
        """The kernel parses arguments; a model that decoded them would lose bytes."""
        question = [user(self.tool_question)]
        answer, _ = await self.ask(model, question, tools=(ADD,))
        calls = [part for part in answer.parts if isinstance(part, ToolCall)]
        if not calls:
            pytest.skip("the model made no call")

        for call in calls:
            assert ADD.name == call.name
            assert isinstance(call.arguments, str)
            assert isinstance(json.loads(call.arguments), dict)

    async def test_a_history_of_every_kind_is_taken_and_left_alone(self, model: Model) -> None:
        """History is shared by every later turn: a model only reads it."""
        messages = self.history()
        before = [encode(message.to_json()) for message in messages]

        answer, ear = await self.ask(model, messages, tools=(ADD,))

        assert isinstance(answer, ModelAnswer)
        assert before == [encode(message.to_json()) for message in messages]
        assert [] == ear.read

    async def test_only_blobs_of_the_history_are_read(self, model: Model) -> None:
        """Each other blob is a miss in somebody's store."""
        picture = Blob(
            sha256=(known := Blob.of(PIXEL, "image/png")).sha256,
            size=known.size,
            media_type=known.media_type,
        )
        ear = Ear()
        shown = user([Text(text=self.question), Image(blob=picture)])

        try:
            await self.ask(model, [shown], ear=ear)
        except ModelError as error:  # it can't see: it may say so
            assert not error.retryable

        assert {picture.sha256} >= set(ear.read)

    async def test_two_answers_at_once_do_not_mix(self, model: Model) -> None:
        """One model object serves every session of an app."""
        both = await asyncio.gather(
            self.ask(model, [user(self.question)]),
            self.ask(model, [user(self.question + " And once more.")]),
        )

        for answer, ear in both:
            assert not ear.text or text_of(answer) == ear.text

    async def test_a_cancelled_answer_ends_and_falls_silent(self, model: Model) -> None:
        """A turn that was given up must cost no more, and the next one must work."""
        ear = Ear()
        asked = asyncio.ensure_future(self.ask(model, [user(self.question)], ear=ear))
        ear.on_first = asked.cancel
        await asyncio.wait({asked}, timeout=0.2)
        if not ear.pieces:  # it may be silent until it's done
            asked.cancel()

        done, _ = await asyncio.wait({asked}, timeout=self.patience)
        heard = len(ear.pieces)
        await asyncio.sleep(0.05)

        assert {asked} == done
        assert asked.cancelled() or asked.exception() is None
        assert heard == len(ear.pieces)
        answer, _ = await self.ask(model, [user(self.question)])
        assert isinstance(answer, ModelAnswer)

    async def test_closing_twice_is_closing_once(self, model: Model) -> None:
        """An app that fails while it opens may close what it has closed before."""
        await self.ask(model, [user(self.question)])

        await model.close()
        await model.close()

    async def ask(
        self,
        model: Model,
        messages: list[Message],
        *,
        tools: tuple[ToolDefinition, ...] = (),
        ear: Ear | None = None,
    ) -> tuple[ModelAnswer, Ear]:
        """Return the model's answer to *messages*, and what was heard meanwhile."""
        ear = ear or Ear()

        async def blob(wanted: Blob) -> bytes:
            ear.read.append(wanted.sha256)
            return PIXEL

        request = ModelRequest(
            key="contract/1",
            session="contract",
            system="You are terse.",
            history=History(messages),
            tools=tools,
            blob=blob,
        )
        return await model.answer(request, ear.hear), ear

    def history(self) -> list[Message]:
        """Return a history of all but blobs, another model's thoughts among it."""
        call = ToolCall(id="contract/0/0", name="add", arguments='{"a": 17, "b": 23}')
        thought = Reasoning(text="I'll add.", replay={"from": "elsewhere", "data": "x"})
        shown = ToolResult(call=call.id, name="add", parts=(Text(text="40"),))
        return [
            user("How much is 17 plus 23?"),
            Message(role="assistant", parts=(thought, Text(text="Let's see."), call)),
            Message(role="tool", parts=(shown,)),
            note("Only a few words are left.", origin="contract"),
            assistant("40."),
            user(self.question),
        ]


def text_of(answer: ModelAnswer) -> str:
    """Return the text parts of *answer*, joined as they were streamed."""
    return "".join([part.text for part in answer.parts if isinstance(part, Text)])
