"""
Outcomes of calls and turns: what they are is stored, and read back strictly.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_sdk.errors import StoreCorrupt
from lash_sdk.json import Json, decode, encode, read
from lash_sdk.outcomes import (
    Cancelled,
    Control,
    Fail,
    Failure,
    FailureClass,
    Finish,
    Finished,
    HandedOff,
    Handoff,
    Issue,
    Stopped,
    StopReason,
    Success,
    ToolOutcome,
    ToolRecord,
    TurnOutcome,
)

WORDS = st.text(max_size=6)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
CONTROLS = (
    st.none()
    | st.builds(Handoff, session=WORDS)
    | st.builds(Finish, value=VALUES)
    | st.builds(Fail, value=VALUES)
)
SOURCES = st.sampled_from(["runtime", "tool", "plugin", "policy", "cancellation"])
OUTCOMES = (
    st.builds(Success, value=VALUES, control=CONTROLS)
    | st.builds(
        Failure,
        reason=st.sampled_from(get_args(FailureClass)),
        code=WORDS,
        message=WORDS,
        source=SOURCES,
        retry=st.sampled_from(["never", "safe", "exhausted"]),
        after=st.none() | st.integers(0, 9) | st.floats(0, 9),
        attempts=st.integers(1, 9),
        raw=VALUES,
    )
    | st.builds(Cancelled, message=WORDS, source=SOURCES)
)
RECORDS = st.builds(
    ToolRecord,
    call=WORDS,
    name=WORDS,
    arguments=VALUES,
    outcome=OUTCOMES,
    seconds=st.integers(0, 9) | st.floats(0, 9),
    decided=st.none() | st.text(min_size=1, max_size=6),
)
TURN_OUTCOMES = (
    st.builds(Finished, text=WORDS, value=VALUES, tool=st.none() | st.just("t"))
    | st.builds(HandedOff, session=st.text(min_size=1), tool=st.none() | st.just("t"))
    | st.builds(
        Stopped,
        reason=st.sampled_from(get_args(StopReason)),
        code=WORDS,
        message=WORDS,
        value=VALUES,
        tool=st.none() | st.just("t"),
    )
)
ISSUES = st.builds(Issue, kind=WORDS, code=WORDS, message=WORDS, raw=WORDS)


@given(OUTCOMES)
def test_an_outcome_is_read_back_as_it_was(outcome: ToolOutcome) -> None:
    """
    The tool's own value is kept, whatever the model was shown of it.
    """
    data = encode(outcome.to_json())
    again = outcome_from_json(decode(data))

    assert outcome == again
    assert data == encode(again.to_json())


@given(RECORDS)
def test_a_record_is_read_back_as_it_was(record: ToolRecord) -> None:
    """
    Records are nodes: their bytes are hashed.
    """
    data = encode(record.to_json())
    again = ToolRecord.from_json(decode(data))

    assert record == again
    assert data == encode(again.to_json())


@given(TURN_OUTCOMES)
def test_the_outcome_of_a_turn_is_read_back_as_it_was(outcome: TurnOutcome) -> None:
    """
    A restored turn ends as it would have ended.
    """
    data = encode(outcome.to_json())
    again = turn_outcome_from_json(decode(data))

    assert outcome == again
    assert data == encode(again.to_json())


@given(ISSUES)
def test_an_issue_is_read_back_as_it_was(issue: Issue) -> None:
    """
    Somebody will want to know what went wrong.
    """
    data = encode(issue.to_json())

    assert issue == Issue.from_json(decode(data))
    assert data == encode(Issue.from_json(decode(data)).to_json())


@pytest.mark.parametrize("value", ["", 0, False, [], {}])
def test_a_tool_may_finish_a_turn_with_something_empty(value: Json) -> None:
    """
    An empty text is an answer; it must not come back as no answer.
    """
    finished = Finished(value=value, tool="t")

    assert finished == turn_outcome_from_json(finished.to_json())


def bodies() -> list[tuple[str, dict[str, Json]]]:
    """Return one full body of each kind, under the name of its reader."""
    failure = Failure(reason="internal", code="c", message="m", after=1.0, raw=1)
    record = ToolRecord(call="c", name="n", arguments={}, outcome=failure, decided="p")
    stopped = Stopped(reason="cancelled", code="c", message="m", value=1, tool="t")
    called: list[ToolOutcome] = [failure, Cancelled()]
    called += [Success(value=1, control=control) for control in CONTROL_SAMPLES]
    ended: list[TurnOutcome] = [stopped, Finished(text="a", value=1, tool="t")]
    ended += [HandedOff(session="s", tool="t")]
    return [
        *[("outcome", dict(outcome.to_json())) for outcome in called],
        *[("turn outcome", dict(outcome.to_json())) for outcome in ended],
        ("tool record", dict(record.to_json())),
        ("issue", dict(Issue(kind="k", code="c", message="m", raw="r").to_json())),
    ]


CONTROL_SAMPLES: tuple[Control, ...] = (Handoff(session="s"), Finish(value=None), Fail(value=None))
OPTIONAL = {
    "outcome": {"control", "after", "raw"},
    "turn outcome": {"text", "value", "tool", "code", "message"},
    "tool record": {"decided"},
    "issue": {"raw"},
}


def outcome_from_json(body: Json) -> ToolOutcome:
    return read(get_args(ToolOutcome), body, "outcome")  # type: ignore[no-any-return]


def turn_outcome_from_json(body: Json) -> TurnOutcome:
    return read(get_args(TurnOutcome), body, "turn outcome")  # type: ignore[no-any-return]


def reread(kind: str, body: Json) -> object:
    readers: dict[str, Any] = {
        "outcome": outcome_from_json,
        "turn outcome": turn_outcome_from_json,
        "tool record": ToolRecord.from_json,
        "issue": Issue.from_json,
    }
    return readers[kind](body)


@pytest.mark.parametrize(("kind", "body"), bodies())
def test_a_missing_field_is_damage(kind: str, body: dict[str, Json]) -> None:
    """
    A record without its outcome must not read as one that went well.
    """
    for name in body.keys() - OPTIONAL[kind]:
        rest = {key: value for key, value in body.items() if key != name}
        with pytest.raises(
            StoreCorrupt, match=rf"{kind}\.{name}: (missing|expected .* found None)"
        ):
            reread(kind, rest)


@pytest.mark.parametrize(("kind", "body"), bodies())
def test_an_unknown_field_is_damage(kind: str, body: dict[str, Json]) -> None:
    """
    It may be what a later version could not do without.
    """
    with pytest.raises(StoreCorrupt, match=rf"{kind}: unknown fields \['later'\]"):
        reread(kind, {**body, "later": 1})


@pytest.mark.parametrize(("kind", "body"), bodies())
@pytest.mark.parametrize("wrong", [True, [1], {"a": 1}, "no such word"])
def test_a_field_of_another_type_is_damage(kind: str, body: dict[str, Json], wrong: Json) -> None:
    """
    Each field but the tool's own values says one type, or one of a few words.
    """
    words = {"kind", "reason", "source", "retry"} if kind != "issue" else set()
    for name in body.keys() - {"value", "raw", "arguments"}:
        if isinstance(wrong, str) and isinstance(body[name], str) and name not in words:
            continue
        with pytest.raises(StoreCorrupt, match=rf"{name}|unknown"):
            reread(kind, {**body, name: wrong})


@pytest.mark.parametrize("control", CONTROL_SAMPLES)
def test_a_control_is_read_strictly_too(control: Control) -> None:
    """
    What ends a turn is not guessed.
    """
    body = dict(Success(value=1, control=control).to_json())
    inner: Any = body["control"]

    for wrong in ({}, {"kind": "stop"}, {"kind": control.kind}, {**inner, "later": 1}):
        with pytest.raises(StoreCorrupt, match="control"):
            outcome_from_json({**body, "control": wrong})


def test_the_last_failure_says_how_often_it_was_tried() -> None:
    """
    The model, and whoever counts, can tell a first failure from a last.
    """
    failure = Failure(reason="timeout", code="t", message="m", retry="safe")

    assert ("exhausted", 3) == (failure.exhausted(3).retry, failure.exhausted(3).attempts)
    assert ("safe", 1) == (failure.retry, failure.attempts)


def test_outcomes_cannot_be_changed() -> None:
    """
    They are shared by record, history and observers.
    """
    values: list[Any] = [
        *CONTROL_SAMPLES,
        Success(value=1),
        Failure(reason="internal", code="c", message="m"),
        Cancelled(),
        Finished(),
        HandedOff(session="s"),
        Stopped(reason="cancelled"),
        Issue(kind="k", code="c", message="m"),
        ToolRecord(call="c", name="n", arguments={}, outcome=Cancelled()),
    ]

    for value in values:
        for field in fields(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, None)
