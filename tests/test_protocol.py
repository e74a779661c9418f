"""
The standard protocol: what an answer means, and what a batch of calls leads to.
"""

from __future__ import annotations

import pytest

from lash_sdk.events import ModelAnswered
from lash_sdk.messages import Message, Reasoning, Text, ToolCall, assistant
from lash_sdk.outcomes import (
    Cancelled,
    Control,
    Fail,
    Failure,
    Finish,
    Finished,
    HandedOff,
    Handoff,
    Stopped,
    Success,
    ToolOutcome,
    ToolRecord,
)
from lash_sdk.protocol import STANDARD, Again, Call, Complete, Correct, End, Move
from lash_sdk.tools import ToolDefinition

FAILED = Failure(reason="execution", code="raised", message="no")


def answer(message: Message, *, misfit: str | None = None) -> ModelAnswered:
    return ModelAnswered(key="t/2", message=message, model="m", misfit=misfit)


def on_answer(message: Message, *, after_tools: bool = False) -> Move:
    state, move = STANDARD.on_answer(None, answer(message), message, after_tools=after_tools)
    assert None is state
    return move


def record(outcome: ToolOutcome, name: str = "add") -> ToolRecord:
    return ToolRecord(call=name, name=name, arguments={}, outcome=outcome)


def asks(*, control: Control, name: str = "add") -> ToolRecord:
    return record(Success(value=1, control=control), name)


def on_results(*records: ToolRecord) -> Move:
    return STANDARD.on_results(None, records)[1]


def test_it_keeps_no_state_and_adds_no_words() -> None:
    """
    Models know how to call tools.
    """
    tools = (ToolDefinition(name="add"),)

    assert ("standard", 1, None, "") == (
        STANDARD.name,
        STANDARD.version,
        STANDARD.start(),
        STANDARD.preamble(None),
    )
    assert tools is STANDARD.tools(None, tools)


def test_calls_are_made_whatever_else_was_said() -> None:
    """
    Models talk while they work.
    """
    one, two = ToolCall(id="1", name="a"), ToolCall(id="2", name="b")
    message = Message(role="assistant", parts=(Text(text="wait"), one, two))

    assert Call(calls=(one, two)) == on_answer(message)


def test_words_complete_the_turn() -> None:
    """
    What was said is the answer, joined as it is shown.
    """
    message = Message(role="assistant", parts=(Text(text="a"), Text(text="b")))

    assert Complete(outcome=Finished(text="a\n\nb")) == on_answer(message)


@pytest.mark.parametrize(
    "message",
    [
        Message(role="assistant", parts=()),
        assistant(" \n"),
        Message(role="assistant", parts=(Reasoning(text="hm"),)),
    ],
)
def test_an_empty_answer_counts_only_after_tools(message: Message) -> None:
    """
    Plugins invariant 78: a model that says nothing at first has failed; after its
    tools have run, their work may be the answer.
    """
    first = on_answer(message)
    later = on_answer(message, after_tools=True)

    assert isinstance(first, End) and isinstance(first.outcome, Stopped)
    assert ("provider_error", "empty_response") == (first.outcome.reason, first.outcome.code)
    assert first.issue is not None and "empty_response" == first.issue.code
    assert Complete(outcome=Finished(text=message.text)) == later


def test_an_answer_that_does_not_fit_is_corrected() -> None:
    """
    Who asked for a structure wants no prose.
    """
    message = assistant("prose")
    _, move = STANDARD.on_answer(
        None, answer(message, misfit="not JSON"), message, after_tools=False
    )

    assert Correct(note="not JSON") == move


def test_a_structured_answer_comes_with_its_value() -> None:
    """
    Text for people, value for programs.
    """
    event = ModelAnswered(key="t/2", message=assistant("{}"), model="m", value={"a": 1})
    _, move = STANDARD.on_answer(None, event, event.message, after_tools=False)

    assert Complete(outcome=Finished(text="{}", value={"a": 1})) == move


def test_results_go_back_to_the_model() -> None:
    """
    Good or bad: it decides what to make of them.
    """
    assert Again() == on_results(record(Success(value=1)), record(FAILED))
    assert Again() == on_results(record(Cancelled()))
    assert Again() == on_results()


@pytest.mark.parametrize(
    ("control", "outcome"),
    [
        (Finish(value=[1]), Finished(value=[1], tool="add")),
        (Fail(value="no"), Stopped(reason="tool_error", value="no", tool="add")),
        (Handoff(session="s2"), HandedOff(session="s2", tool="add")),
    ],
)
def test_a_tool_can_end_the_turn(control: Control, outcome: object) -> None:
    """
    Sessions invariant 56: a tool that fails the turn leaves its error, no answer.
    """
    move = on_results(record(Success(value=1)), asks(control=control))

    assert End(outcome=outcome) == move  # type: ignore[arg-type]


def test_the_first_control_by_call_order_wins() -> None:
    """
    Sessions invariant 55: whichever tool was done first.
    """
    move = on_results(
        record(FAILED, "a"),
        asks(control=Finish(value="b"), name="b"),
        asks(control=Fail(value="c"), name="c"),
    )

    assert End(outcome=Finished(value="b", tool="b")) == move


def test_a_call_that_failed_controls_nothing() -> None:
    """
    Plugins invariant 79: only a success has a control at all, by its type.
    """
    assert not hasattr(FAILED, "control")
    assert not hasattr(Cancelled(), "control")
    assert Again() == on_results(record(FAILED), record(Cancelled()))
