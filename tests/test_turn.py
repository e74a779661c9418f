"""
The turn machine, event by event: feed events, compare effects.
"""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from lash_sdk.effects import AskModel, CallTools, PassCheckpoint, Prepare, WriteCommit
from lash_sdk.errors import InvalidHistory, ProtocolError, StoreCorrupt
from lash_sdk.events import (
    CheckpointPassed,
    Event,
    InputAccepted,
    ModelAnswered,
    ToolsFinished,
    TurnStopped,
)
from lash_sdk.graph import check_pairs
from lash_sdk.json import Json, decode, encode
from lash_sdk.messages import Image, Message, Text, ToolCall, ToolResult, assistant, note, user
from lash_sdk.outcomes import Finish, Finished, Stopped, StopReason, Success
from lash_sdk.policy import Limits
from lash_sdk.protocol import Again, Call, Complete, End, Move
from lash_sdk.turn import TABLE, Phase, Turn, advance, begun, cancelled, own_ids, waits_for
from lash_sdk.usage import Usage

from .golden.generate import FOLDER, PROTOCOLS, SCRIPTS, ending, written
from .playing import (
    BAD,
    DONE,
    FAULT,
    HINT,
    NUDGE,
    OK,
    SPENT,
    Fixed,
    Step,
    aborted,
    accepted,
    answered,
    asked,
    committed,
    controls,
    effect_to_json,
    event_from_json,
    event_to_json,
    failed,
    passed,
    play,
    played,
    prepared,
    ran,
    refused,
    said,
    stale,
    start,
    stopped,
)

ASK = user("hi")
PIXEL = Image.of(b"pixel")
BEGUN = (accepted(), prepared())

# --- the table -------------------------------------------------------------------

REACHED: dict[Phase, tuple[Step, ...]] = {
    Phase.READY: (),
    Phase.PREPARING: (accepted(),),
    Phase.ASKING: BEGUN,
    Phase.CALLING: (*BEGUN, asked("add", "sub")),
    Phase.CHECKING: (*BEGUN, said("hello")),
    Phase.SETTLING: (*BEGUN, said("hello"), passed()),
    Phase.DONE: (*BEGUN, said("hello"), passed(), committed()),
}
STEPS: dict[str, Step] = {
    "InputAccepted": accepted("again"),
    "TurnPrepared": prepared(),
    "TurnAborted": aborted(),
    "ModelAnswered": said("x"),
    "ModelFailed": failed(),
    "ToolsFinished": ran(OK),
    "CheckpointPassed": passed(),
    "CheckpointAborted": refused(),
    "CommitAccepted": committed(),
    "TurnStopped": stopped(),
}


def test_the_grid_below_is_whole() -> None:
    """
    A phase or an event that is added later must be added here too.
    """
    assert set(Phase) == set(REACHED) == set(TABLE)
    assert {kind.__name__ for kind in get_args(Event)} == set(STEPS)
    for phase, steps in REACHED.items():
        assert phase is play(*steps).phase


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("name", STEPS)
def test_every_phase_takes_its_events_and_no_other(phase: Phase, name: str) -> None:
    """
    The table is the whole law: what it doesn't list is refused, what it lists
    leads where it says.
    """
    turn = play(*REACHED[phase])
    event = STEPS[name](turn)
    row = TABLE[phase].get(type(event))

    if row is None:
        with pytest.raises(ProtocolError, match=rf"can't take {name} while {phase.value}"):
            advance(turn, event)
    else:
        assert advance(turn, event)[0].phase in row[1]


def test_a_turn_begins_as_one_that_is_made() -> None:
    """
    A session begins its turns the quick way; a journal makes them, and they must agree.
    """
    limits = Limits(iterations=3)

    quick = begun("t", "s", limits, {"asked": 1})

    assert Turn(id="t", session="s", limits=limits, state={"asked": 1}) == quick
    assert "t/0" == quick.key


def test_call_ids_that_are_ours_are_left_as_they_are() -> None:
    """
    The runner names calls before the turn does: doing it twice changes nothing.
    """
    turn = play(*BEGUN)
    event = asked("add", "sub")(turn)
    assert isinstance(event, ModelAnswered)

    once = own_ids(event.message, turn.key)

    assert once == own_ids(once[0], turn.key)
    assert once[0] is own_ids(once[0], turn.key)[0]


def test_an_idle_phase_is_gone_through_as_if_nothing_was_added() -> None:
    """
    Whether somebody was asked and said nothing, or nobody was there to ask, the turn
    is the same, and so are the keys of what it wants.
    """
    turn, keys = start(), []
    for step in (accepted(), asked("add"), ran(OK), said("hello"), committed()):
        turn, effects = advance(turn, step(turn), idle=lambda _turn: True)
        keys += [effect.key for effect in effects]

    asked_all = (*BEGUN, asked("add"), ran(OK), passed(), prepared(), said("hello"), passed())
    assert play(*asked_all, committed()) == turn
    assert ["t/2", "t/3", "t/6", "t/8"] == keys


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("key", ["t/99", "t/", "u/1", ""])
def test_what_answers_another_effect_changes_nothing(phase: Phase, name: str, key: str) -> None:
    """
    Plugins invariant 60, sessions invariant 52: stale answers, of any kind and in
    any phase, leave the very same turn and ask for nothing.
    """
    turn = play(*REACHED[phase])
    if name in ("InputAccepted", "TurnStopped"):
        return  # they answer no effect

    after, effects = advance(turn, stale(STEPS[name], key)(turn))

    assert turn is after
    assert () == effects


def moves() -> set[tuple[Phase, type[Event], Phase]]:
    """Return each (phase, event, next phase) that a golden history goes through."""
    seen = set()
    for script in SCRIPTS.values():
        before = start(script.limits)
        protocol = PROTOCOLS[script.protocol]
        for event, _, turn in played(script.steps, before, protocol):
            key = getattr(event, "key", before.key)
            if key == before.key:
                seen.add((before.phase, type(event), turn.phase))
            before = turn
    return seen


def test_every_entry_of_the_table_is_lived() -> None:
    """
    No row promises what can't happen; no history goes where no row leads.
    """
    promised = {
        (phase, event, after)
        for phase, rows in TABLE.items()
        for event, (_, phases) in rows.items()
        for after in phases
    }

    assert promised == moves()


def test_a_handler_cannot_lead_where_the_table_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The diagram in the docs is made from the table: it has to be true.
    """
    take, _ = TABLE[Phase.READY][InputAccepted]
    monkeypatch.setitem(TABLE[Phase.READY], InputAccepted, (take, (Phase.DONE,)))

    with pytest.raises(ProtocolError, match="can't lead from ready for input to prep"):
        advance(start(), accepted()(start()))


# --- what a turn asks for --------------------------------------------------------


def test_input_starts_a_turn() -> None:
    """
    Prompt and tools first, and `before_turn` with them, once.
    """
    turn, effects = advance(start(), InputAccepted(messages=(ASK,)))

    assert (Prepare(key="t/1", first=True),) == effects
    assert (ASK,) == turn.messages == turn.values


def test_a_prepared_turn_asks_the_model() -> None:
    """
    With what the turn has added; the history before it is the session's.
    """
    _, effects = advance(play(accepted()), prepared(HINT)(play(accepted())))

    assert (AskModel(key="t/2", messages=(ASK, HINT), iteration=0),) == effects


def test_every_model_call_is_prepared_once() -> None:
    """
    Plugins invariant 64: tools and prompt may have changed in between.
    """
    steps = (*BEGUN, asked("add"), ran(OK), passed(), prepared(), said("2"), passed())
    wanted = [effect for _, effects, _ in played(steps) for effect in effects]

    assert [
        Prepare,
        AskModel,
        CallTools,
        PassCheckpoint,
        Prepare,
        AskModel,
        PassCheckpoint,
        WriteCommit,
    ] == [type(effect) for effect in wanted]
    assert [True, False] == [e.first for e in wanted if isinstance(e, Prepare)]
    assert [0, 1] == [e.iteration for e in wanted if isinstance(e, AskModel)]


def test_calls_get_ids_of_ours() -> None:
    """
    Providers repeat ids, and a resumed turn may be answered by another provider.
    """
    turn, effects = advance(play(*BEGUN), asked("add", "sub")(play(*BEGUN)))

    calls = (
        ToolCall(id="t_2_0", name="add", arguments='{"a": 1}'),
        ToolCall(id="t_2_1", name="sub", arguments='{"a": 1}'),
    )
    assert (CallTools(key="t/3", calls=calls),) == effects
    assert calls == turn.messages[-1].calls


def test_an_answer_without_calls_is_kept_as_it_came() -> None:
    """
    Nothing is copied that needn't be.
    """
    message = assistant("hello")
    event: Any = said("hello")(play(*BEGUN))

    turn, _ = advance(play(*BEGUN), replace(event, message=message))

    assert message is turn.messages[-1]


def test_tool_results_go_back_to_the_model() -> None:
    """
    After a checkpoint, with records before results, in call order.
    """
    turn = play(*BEGUN, asked("add", "sub"), ran(OK, BAD), passed())

    _, effects = advance(turn, prepared()(turn))

    (ask,) = effects
    assert isinstance(ask, AskModel)
    assert ["user", "assistant", "tool"] == [m.role for m in ask.messages]
    assert ["user", "assistant", "t_2_0", "t_2_1", "tool"] == [
        value.role if isinstance(value, Message) else value.call for value in turn.values
    ]
    assert [OK, BAD] == [record.outcome for record in turn.records]


def test_records_keep_what_the_model_is_not_shown() -> None:
    """
    Sessions invariant 65: stored tool output is raw, the model sees a projection.
    """
    turn = play(*BEGUN, asked("add"), ran(Success(value={"big": [1, 2, 3]})))

    assert {"big": [1, 2, 3]} == turn.records[0].to_json()["outcome"]["value"]  # type: ignore[call-overload, index]
    assert "success" == turn.messages[-1].results[0].text


def test_the_last_word_is_the_commit() -> None:
    """
    Plugins invariant 70: done is announced once, after what it announces is durable.
    """
    steps = (*BEGUN, said("hello"), passed(), committed(HINT, revision=7))
    made = played(steps)

    assert [(WriteCommit(key="t/4"),), ()] == [effects for _, effects, _ in made[-2:]]
    assert (7, Phase.DONE) == (made[-1][2].revision, made[-1][2].phase)
    assert (ASK, assistant("hello"), HINT) == made[-1][2].messages


def test_the_answer_stands_in_history_once() -> None:
    """
    Plugins invariant 81: also where a checkpoint went on after it.
    """
    turn = play(*BEGUN, said("one"), passed(NUDGE), prepared(), said("two"), passed(), committed())

    assert ["hi", "one", NUDGE.text, "two"] == [m.text for m in turn.messages]
    assert Finished(text="two") == turn.outcome


# --- how a turn ends -------------------------------------------------------------


@pytest.mark.parametrize("phase", [p for p in REACHED if p not in (Phase.READY,)])
def test_a_cancelled_turn_is_committed_in_pairs(phase: Phase) -> None:
    """
    Sessions invariants 43 and 44, plugins 76: the user's message is kept, every
    call has a result, and what was done before stays.
    """
    before = play(*REACHED[phase])

    after, effects = advance(before, TurnStopped(reason="cancelled"))

    check_pairs(after.messages)
    assert before.messages == after.messages[: len(before.messages)]
    assert ASK == after.messages[0]
    if phase in (Phase.SETTLING, Phase.DONE):
        assert (before, ()) == (after, effects)
    else:
        assert (WriteCommit(key=after.key),) == effects
        assert Stopped(reason="cancelled", code="cancelled") == after.outcome


def test_calls_that_were_open_are_recorded_as_cancelled() -> None:
    """
    Plugins invariant 45: each with its own id, and a word that it may have run.
    """
    calls = (ToolCall(id="1", name="a"), ToolCall(id="2", name="b"))
    turn = play(*REACHED[Phase.CALLING], stopped())

    assert ["cancelled"] * 2 == [record.outcome.kind for record in turn.records]
    assert ["t_2_0", "t_2_1"] == [record.call for record in turn.records]
    assert ["1", "2"] == [result.call for result in cancelled(calls).results]
    assert {"cancelled"} == {result.status for result in cancelled(calls).results}


def test_no_half_answer_is_kept() -> None:
    """
    Sessions invariants 40 and 41: a cancelled, failed or cut answer leaves no
    message; a half sentence would be taken for the model's word.
    """
    for ends in (stopped(), failed(), failed("incomplete", "output_limit")):
        assert (ASK,) == play(*BEGUN, ends).messages


FAILURES: dict[StopReason, str] = {
    "incomplete": "output_limit",
    "provider_error": "content_filter",
    "cancelled": "cancelled",
    "budget": "denied",
    "runtime_error": "hook",
}


@pytest.mark.parametrize("reason", FAILURES)
def test_a_model_that_fails_ends_the_turn_with_its_reason(reason: StopReason) -> None:
    """
    Plugins invariant 66: the table of terminal reasons; no assistant message.
    """
    turn = play(*BEGUN, failed(reason, FAILURES[reason]))

    assert Stopped(reason=reason, code=FAILURES[reason], message="no answer") == (turn.outcome)
    assert (FAILURES[reason],) == tuple(issue.code for issue in turn.issues)
    assert (ASK,) == turn.messages


UNFIT = [
    (user("I am the user"), "expected an assistant message, found 'user'"),
    (Message(role="assistant", parts=(ToolCall(id="c", name=""),)), "without id or name"),
    (Message(role="assistant", parts=(PIXEL,)), "assistant message can't hold image"),
]


@pytest.mark.parametrize(("message", "why"), UNFIT)
def test_an_answer_that_no_history_could_hold_is_no_answer(message: Message, why: str) -> None:
    """
    A model plugin's slip ends the turn, and is paid; it doesn't break the session.
    """
    turn = play(*BEGUN, answered(message))

    assert isinstance(turn.outcome, Stopped)
    assert ("provider_error", "invalid_answer") == (turn.outcome.reason, turn.outcome.code)
    assert why in turn.outcome.message
    assert ((ASK,), SPENT) == (turn.messages, turn.usage)


def test_failed_calls_cost_too() -> None:
    """
    Plugins invariant 65: cumulative usage is the sum over calls, failed ones too.
    """
    turn = play(
        *BEGUN,
        asked("add", usage=Usage(input=1)),
        ran(OK),
        passed(),
        prepared(),
        failed(usage=Usage(input=20, cache_read=300)),
    )

    assert Usage(input=21, cache_read=300) == turn.usage
    assert ["t/2", "t/6"] == [row.id for row in turn.rows]
    assert {("t", "s", "turn", "m")} == {
        (row.turn, row.session, row.source, row.model) for row in turn.rows
    }


def test_a_call_that_cost_nothing_adds_no_row() -> None:
    """
    The ledger holds what was spent.
    """
    turn = play(*BEGUN, said("x", Usage()))

    assert () == turn.rows
    assert 1 == turn.iteration


def test_estimated_figures_are_marked() -> None:
    """
    A bill says what it was guessed from.
    """
    turn = play(*BEGUN, said("x", estimated=True))

    assert [True] == [row.estimated for row in turn.rows]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_limit_of_model_calls_holds(limit: int) -> None:
    """
    Sessions invariant 61: n calls, however often the model wants tools.
    """
    more: tuple[Step, ...] = (asked("add"), ran(OK), passed(), prepared())
    steps = (*BEGUN, *more * limit)[: 2 + 4 * limit - 2]
    turn = play(*steps, limits=Limits(iterations=limit))

    assert Phase.SETTLING is turn.phase
    assert limit == turn.iteration
    assert "max_turns" == turn.outcome.reason  # type: ignore[union-attr]
    assert f"limit of {limit} model calls" in turn.messages[-1].text


def test_input_at_the_limit_earns_one_more_call() -> None:
    """
    Plugins invariants 68 and 69: input before completion may cost one call more;
    the model is told to answer now, and there is no second grace.
    """
    limits = Limits(iterations=1)
    once = play(*BEGUN, said("a"), passed(NUDGE), limits=limits)
    twice = play(
        *BEGUN, said("a"), passed(NUDGE), prepared(), said("b"), passed(NUDGE), limits=limits
    )

    assert once.grace and Phase.PREPARING is once.phase
    assert "Answer now" in once.messages[-1].text
    assert Stopped(reason="max_turns", code="max_turns", message="limit 1") == (twice.outcome)
    assert 1 == sum("Answer now" in message.text for message in twice.messages)


def test_input_after_tools_costs_no_call() -> None:
    """
    Plugins invariant 68: it rides along with the results.
    """
    turn = play(
        *BEGUN,
        asked("add"),
        ran(OK),
        passed(NUDGE),
        prepared(),
        said("a"),
        limits=Limits(iterations=2),
    )

    assert (2, False) == (turn.iteration, turn.grace)
    assert NUDGE == turn.messages[3]


def test_no_limit_means_none() -> None:
    """
    Long work is allowed.
    """
    more: tuple[Step, ...] = (asked("add"), ran(OK), passed(), prepared())

    assert 50 == play(*BEGUN, *more * 50).iteration


def test_tokens_are_checked_before_each_call() -> None:
    """
    A turn that has spent its tokens asks no more; what came in meanwhile is kept.
    """
    steps = (*BEGUN, asked("add"), ran(OK), passed(), prepared(HINT, issues=(FAULT,)))

    over = play(*steps, limits=Limits(tokens=15))
    under = play(*steps, limits=Limits(tokens=16))

    assert ("max_tokens", "the turn used 15 of 15 tokens") == (
        over.outcome.reason,  # type: ignore[union-attr]
        over.outcome.message,  # type: ignore[union-attr]
    )
    assert (HINT, (FAULT,)) == (over.messages[-1], over.issues)
    assert Phase.ASKING is under.phase


def test_the_first_turn_may_be_refused_and_only_then() -> None:
    """
    Plugins invariant 20: a refused turn is not committed; one that has worked is.
    """
    refused_turn, effects = advance(play(accepted()), aborted()(play(accepted())))
    later = play(*BEGUN, asked("add"), ran(OK), passed())

    assert () == effects
    assert (Phase.DONE, None) == (refused_turn.phase, refused_turn.revision)
    assert "plugin_abort" == refused_turn.outcome.reason  # type: ignore[union-attr]
    with pytest.raises(ProtocolError, match="can't be aborted once it began"):
        advance(later, aborted()(later))


def test_a_checkpoint_ends_the_turn_with_the_plugins_code() -> None:
    """
    Plugins invariant 21: whoever counts refusals needs the word.
    """
    turn = play(*BEGUN, said("a"), refused())

    assert Stopped(reason="runtime_error", code="refused", message="not today") == (turn.outcome)
    assert (FAULT,) == turn.issues


def test_a_batch_is_recorded_whole_before_it_ends_the_turn() -> None:
    """
    Sessions invariant 55: the calls beside the one that decided were made too.
    """
    turn = play(*BEGUN, asked("a", "b", "c"), ran(OK, controls(Finish(value=1)), BAD))

    assert ["success", "success", "failure"] == [r.outcome.kind for r in turn.records]
    assert 3 == len(turn.messages[-1].results)
    assert Finished(value=1, tool="b") == turn.outcome


def test_issues_are_all_kept_in_order() -> None:
    """
    What went wrong without ending the turn is told at its end.
    """
    issues = [replace(FAULT, code=str(number)) for number in range(4)]
    turn = play(
        accepted(),
        prepared(issues=(issues[0],)),
        asked("a"),
        ran(OK, issues=(issues[1],)),
        passed(issues=(issues[2],)),
        prepared(issues=(issues[3],)),
        failed(),
    )

    assert ["0", "1", "2", "3", "timeout"] == [issue.code for issue in turn.issues]


# --- drivers and protocols that are wrong -----------------------------------------


def wrong_results() -> list[tuple[Message, int]]:
    """Return results that don't answer the calls t_2_0 and t_2_1; and how many records."""
    one, two = (ToolResult(call=f"t_2_{at}", name="n") for at in (0, 1))
    other = replace(two, call="t_9_9")
    said_tool = [(), (one,), (two, one), (one, one), (one, other), (one, two, other)]
    made = [(Message(role="tool", parts=parts), 2) for parts in said_tool]
    return [
        *made,
        (Message(role="user", parts=(Text(text="done"),)), 2),
        (Message(role="tool", parts=(one, two)), 0),
        (Message(role="tool", parts=(one, two)), 1),
    ]


@pytest.mark.parametrize(("message", "records"), wrong_results())
def test_results_that_do_not_pair_are_refused(message: Message, records: int) -> None:
    """
    One record and one result per call, in order: or the turn stays where it is.
    """
    turn = play(*REACHED[Phase.CALLING])
    good: Any = ran(OK)(turn)
    event: ToolsFinished = replace(good, results=message, records=good.records[:records])

    with pytest.raises(InvalidHistory):
        advance(turn, event)
    assert Phase.CHECKING is advance(turn, good)[0].phase


BAD_MOVES: list[tuple[Step, Move | None]] = [
    (said("a"), Call(calls=())),
    (said("a"), Call(calls=(ToolCall(id="x", name="n"),))),
    (asked("add"), Call(calls=())),
    (asked("add"), Again()),
    (asked("add"), Complete(outcome=DONE)),
    (asked("add"), End(outcome=DONE)),
]


@pytest.mark.parametrize(("step", "move"), BAD_MOVES)
def test_a_protocol_cannot_leave_calls_without_results(step: Step, move: Move) -> None:
    """
    Plugins invariant 76: whatever a plugin's protocol does, history stays whole.
    """
    protocol = Fixed(moves=(move,))
    turn = play(*BEGUN, protocol=protocol)

    with pytest.raises(ProtocolError):
        advance(turn, step(turn), protocol)


@pytest.mark.parametrize("move", [object(), "call", 0])
def test_a_protocol_that_makes_no_move_is_an_error(move: Any) -> None:
    """
    Plugins invariant 72: a machine with nothing to do would hang for ever.
    """
    protocol = Fixed(moves=(move,))
    turn = play(*BEGUN, protocol=protocol)

    with pytest.raises(ProtocolError, match="the protocol made no legal move"):
        advance(turn, said("a")(turn), protocol)


def test_results_cannot_lead_to_more_calls() -> None:
    """
    Calls are the model's to ask for; a protocol that makes its own is refused.
    """
    protocol = Fixed(moves=(None, Call(calls=())))
    turn = play(*BEGUN, asked("add"), protocol=protocol)

    with pytest.raises(ProtocolError, match="can't lead from calling tools"):
        advance(turn, ran(OK)(turn), protocol)


def test_a_protocols_state_goes_with_the_turn() -> None:
    """
    It is saved with the session and handed back.
    """
    protocol = Fixed()
    turn = play(*BEGUN, asked("add"), ran(OK), protocol=protocol)
    again = replace(start(), state={"moves": 5})

    assert {"moves": 2} == turn.state
    assert {"moves": 5} == advance(again, accepted()(again), protocol)[0].state


def test_a_turn_without_input_is_played_too() -> None:
    """
    A session that is resumed at a user's message needs no other.
    """
    start = (lambda turn: InputAccepted(messages=()), prepared())

    assert Phase.CHECKING is play(*start, said("hello")).phase
    assert "empty_response" == play(*start, said("")).outcome.code  # type: ignore[union-attr]


def test_a_turn_cannot_be_changed() -> None:
    """
    Whoever holds one holds that one.
    """
    turn = play(*BEGUN)

    for field in fields(turn):
        with pytest.raises(FrozenInstanceError):
            setattr(turn, field.name, None)


def test_a_step_shares_what_came_before() -> None:
    """
    No step touches what the turn has said already: same objects, not equal ones.
    """
    turn = play(*BEGUN, asked("add"), ran(OK), passed(NUDGE))
    after = advance(turn, prepared(HINT)(turn))[0]

    assert all(one is two for one, two in zip(turn.values, after.values, strict=False))


# --- golden histories ------------------------------------------------------------

GOLDEN = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def read(name: str) -> list[Any]:
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def plain(value: Json) -> Any:
    return json.loads(json.dumps(value))


def test_there_are_enough_golden_histories() -> None:
    """
    Each is one script, and the other way round.
    """
    assert len(GOLDEN) >= 30
    assert set(SCRIPTS) == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_history_is_played_as_written(name: str) -> None:
    """
    The files are the contract: events in, effects out, read and agreed on once.
    """
    first, *lines, last = read(name)
    protocol = PROTOCOLS[first["protocol"]]
    turn = start(Limits.from_json(first["limits"]))

    for line in lines:
        then, phase = line.pop("then"), line.pop("phase")
        event = event_from_json(line)
        turn, effects = advance(turn, event, protocol)

        assert then == plain([effect_to_json(effect) for effect in effects])
        assert phase == turn.phase.value
        assert line == plain(event_to_json(event))
    assert last == plain(ending(turn))


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_history_is_what_its_script_makes(name: str) -> None:
    """
    The files can be made again: `python -m tests.golden.generate`.
    """
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")

    assert written(SCRIPTS[name]) == text


def derived(turn: Turn) -> tuple[Any, ...]:
    """Return what isn't stored of a turn."""
    return (turn.key, turn.messages, turn.usage, turn.records)


def restored(turn: Turn) -> Turn:
    """Return *turn* after it went through bytes."""
    return Turn.from_json(decode(encode(turn.to_json())))


@pytest.mark.parametrize("name", GOLDEN)
def test_every_prefix_restores_to_the_same_continuation(name: str) -> None:
    """
    Plugins invariants 59, 61 to 63, sessions 53 and 54: wherever a process died,
    the turn waits for the same effect with the same key and payload, asks for
    nothing that is done, and goes on as it would have.
    """
    script = SCRIPTS[name]
    protocol = PROTOCOLS[script.protocol]
    whole = played(script.steps, start(script.limits), protocol)
    turns = [start(script.limits), *[turn for _, _, turn in whole]]

    for cut, turn in enumerate(turns):
        again = restored(turn)
        assert turn == again
        assert derived(turn) == derived(again)
        assert encode(turn.to_json()) == encode(again.to_json())
        assert waits_for(turn) == waits_for(again)
        rest = played(script.steps[cut:], again, protocol)
        assert [(e, wanted) for e, wanted, _ in whole[cut:]] == [
            (e, wanted) for e, wanted, _ in rest
        ]
        last = rest[-1][2] if rest else again
        assert (turns[-1], derived(turns[-1])) == (last, derived(last))


@pytest.mark.parametrize("name", GOLDEN)
def test_what_a_turn_waits_for_is_what_it_asked_for(name: str) -> None:
    """
    Plugins invariant 61: the outstanding effect, exactly one, once more.
    """
    script = SCRIPTS[name]
    for _, effects, turn in played(script.steps, start(script.limits), PROTOCOLS[script.protocol]):
        waiting = waits_for(turn)

        assert effects in (waiting, ())
        assert (0 if turn.phase in (Phase.READY, Phase.DONE) else 1) == len(waiting)


def test_playing_twice_gives_the_same() -> None:
    """
    Plugins invariant 58: same inputs, same effects.
    """
    for script in SCRIPTS.values():
        protocol = PROTOCOLS[script.protocol]

        assert played(script.steps, start(script.limits), protocol) == played(
            script.steps, start(script.limits), protocol
        )


# --- the turn's JSON form --------------------------------------------------------


def full() -> dict[str, Any]:
    """Return a stored turn with every field."""
    turn = replace(
        play(*BEGUN, asked("add"), ran(OK), passed(), prepared(), said("a")),
        revision=3,
        outcome=Finished(text="a"),
        issues=(FAULT,),
    )
    return dict(turn.to_json())


def test_a_turn_has_its_key_from_the_start() -> None:
    """
    An answer with an empty key is late, not wrong, also before the input is in.
    """
    assert ["t/0", "t/1"] == [start().key, play(accepted()).key]
    assert "t/7" == replace(start(), step=7).key


def test_a_full_turn_is_read_back() -> None:
    """
    The sample for the tests below is sound.
    """
    assert full() == Turn.from_json(full()).to_json()


@pytest.mark.parametrize("name", sorted(full().keys() - {"state"}))
@pytest.mark.parametrize("value", [3.5, [1], {"a": 1}, True, None])
def test_a_field_of_another_type_is_damage(name: str, value: Json) -> None:
    """
    A turn that is restored wrongly would do its work twice.
    """
    if not (name == "grace" and value is True):
        with pytest.raises(StoreCorrupt):
            Turn.from_json({**full(), name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"later": 1}, r"turn: unknown fields \['later'\]"),
        ({"phase": "sleeping"}, r"turn\.phase: expected one of"),
        ({"checkpoint": "lunch"}, r"turn\.checkpoint: expected one of"),
        ({"pending": {"kind": "handed_off", "session": "s"}}, "expected 'finished', found"),
        ({"outcome": {"kind": "lost"}}, "expected one of finished, handed_off"),
        ({"values": [{}]}, r"\.role: missing"),
        ({"values": [{"role": "user", "parts": [], "x": 1}]}, r"unknown fields \['x'\]"),
        ({"step": 0}, r"turn\.step: expected nothing, found 0"),
        ({"id": None}, r"turn\.id: expected str, found None"),
    ],
)
def test_a_turn_that_never_was_is_damage(change: Any, message: str) -> None:
    """
    Unknown words are reported, not guessed.
    """
    with pytest.raises(StoreCorrupt, match=message):
        Turn.from_json({**full(), **change})


def test_notes_of_the_machine_are_system_messages() -> None:
    """
    They come from nobody's mouth, and from no plugin.
    """
    turn = play(*BEGUN, asked("add"), ran(OK), limits=Limits(iterations=1))

    assert ("system", None) == (turn.messages[-1].role, turn.messages[-1].origin)
    assert note(turn.messages[-1].text) == turn.messages[-1]


def test_the_golden_folder_holds_nothing_else() -> None:
    """
    A file that no test reads says nothing.
    """
    assert {f"{name}.jsonl" for name in GOLDEN} == {path.name for path in Path(FOLDER).iterdir()}


# --- the inbox -------------------------------------------------------------------


def test_a_turn_knows_what_it_took_from_the_inbox() -> None:
    """
    At its start and at each checkpoint; its commit consumes just that.
    """
    started, _ = advance(Turn(id="t"), InputAccepted(messages=(ASK,), inbox=("a",)))
    turn = play(*BEGUN, said("hello"))
    turn = advance(
        turn, CheckpointPassed(key=turn.key, messages=(user("more"),), inbox=("b", "c"))
    )[0]

    assert ("a",) == started.inbox
    assert ("b", "c") == turn.inbox
    assert turn == Turn.from_json(turn.to_json())
