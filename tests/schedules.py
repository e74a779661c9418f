"""
Random turns, and what must hold in every one of them, whatever comes in.

`watch` plays one schedule on a machine, real or planted with a fault, and raises
`AssertionError` where a law is broken. The laws are written here a second time,
from the reader's side, without the machine's own checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from types import ModuleType
from typing import Any, Final

from lash_sdk.effects import AskModel, CallTools, Effect, PassCheckpoint, Prepare, WriteCommit
from lash_sdk.errors import InvalidHistory, ProtocolError
from lash_sdk.events import (
    CheckpointAborted,
    CheckpointPassed,
    CommitAccepted,
    Event,
    InputAccepted,
    ModelAnswered,
    ModelFailed,
    ToolsFinished,
    TurnAborted,
    TurnPrepared,
    TurnStopped,
)
from lash_sdk.json import Json, decode, encode
from lash_sdk.messages import Message
from lash_sdk.outcomes import Fail, Finish, Finished, HandedOff, Handoff, Issue, Stopped, Success
from lash_sdk.policy import Limits
from lash_sdk.protocol import STANDARD, Again, Call, Complete, Correct, End, Move, TurnProtocol
from lash_sdk.turn import Phase, Turn
from lash_sdk.usage import Usage

from .playing import (
    BAD,
    DONE,
    FAULT,
    GONE,
    HINT,
    NUDGE,
    OK,
    Fixed,
    Step,
    aborted,
    accepted,
    asked,
    committed,
    controls,
    failed,
    passed,
    prepared,
    ran,
    refused,
    said,
    stale,
    stopped,
    thought,
)

OUTCOMES: Final = (
    *(OK, OK, OK, BAD, GONE),
    *(controls(Finish(value="")), controls(Fail(value=1)), controls(Handoff(session="x"))),
)
LAWFUL: Final[dict[Phase, tuple[type[Event], ...]]] = {
    Phase.READY: (InputAccepted,),
    Phase.PREPARING: (TurnPrepared, TurnAborted, TurnStopped),
    Phase.ASKING: (ModelAnswered, ModelFailed, TurnStopped),
    Phase.CALLING: (ToolsFinished, TurnStopped),
    Phase.CHECKING: (CheckpointPassed, CheckpointAborted, TurnStopped),
    Phase.SETTLING: (CommitAccepted, TurnStopped),
    Phase.DONE: (TurnStopped,),
}
"""What each phase takes, said again: the machine's own table may be the fault."""

# --- what comes in ---------------------------------------------------------------


def spend(random: Random) -> Usage:
    return Usage(
        input=random.randrange(9), output=random.randrange(9), cache_read=random.randrange(3)
    )


def answer(random: Random) -> Step:
    """Return a model's answer of any sort."""
    chance = random.random()
    if chance < 0.5:
        names = [random.choice("abc") for _ in range(random.randint(1, 3))]
        return asked(*names, text=random.choice(["", "so"]), usage=spend(random))
    if chance < 0.8:
        return said(f"word {random.randrange(9)}", spend(random))
    if chance < 0.9:
        return said("no", spend(random), misfit="doesn't fit")
    if chance < 0.95:
        return said("", spend(random))
    return thought("hm")


def some(random: Random) -> list[Message]:
    return random.sample([NUDGE, HINT], random.choice([0, 0, 0, 1, 2]))


def trouble(random: Random) -> tuple[Issue, ...]:
    if random.random() < 0.8:
        return ()
    return (replace(FAULT, code=f"trouble {random.randrange(10**6)}"),)


def batch(random: Random) -> Step:
    """Return the outcomes of a batch, rarely one that a gate ended."""
    outcomes = random.choices(OUTCOMES, k=3)
    abort = FAULT if random.random() < 0.05 else None
    return ran(*outcomes, issues=trouble(random), abort=abort)


def reply(random: Random, phase: Phase) -> Step:
    """Return an answer to the effect that a turn in *phase* waits for."""
    match phase:
        case Phase.READY:
            return accepted()
        case Phase.PREPARING:
            if random.random() < 0.03:
                return aborted()
            return prepared(*some(random), issues=trouble(random))
        case Phase.ASKING:
            return answer(random) if random.random() < 0.9 else failed(usage=spend(random))
        case Phase.CALLING:
            return batch(random)
        case Phase.CHECKING:
            if random.random() < 0.05:
                return refused()
            return passed(*some(random), issues=trouble(random))
        case Phase.SETTLING:
            return committed(*some(random), revision=random.randrange(9))
        case _:
            return stopped()


def mangled(random: Random) -> Step:
    """Return results that don't answer the calls."""
    step = batch(random)
    cut = random.choice(["results", "records", "order"])

    def wrong(turn: Turn) -> Event:
        event: Any = step(turn)
        parts = event.results.parts
        if cut == "records":
            return replace(event, records=event.records[1:])  # type: ignore[no-any-return]
        parts = parts[1:] if cut == "results" or len(parts) < 2 else parts[::-1]
        return replace(event, results=Message(role="tool", parts=parts))  # type: ignore[no-any-return]

    return wrong


ANY: Final[tuple[Callable[[Random], Step], ...]] = (
    lambda random: accepted("again"),
    lambda random: prepared(*some(random)),
    lambda random: aborted(),
    answer,
    lambda random: failed(),
    batch,
    lambda random: passed(*some(random)),
    lambda random: refused(),
    lambda random: committed(),
    lambda random: stopped(random.choice(["cancelled", "max_seconds"])),
)


def event_for(random: Random, turn: Turn, past: Sequence[Event]) -> Event:
    """Return what comes in next: mostly an answer, at times anything at all."""
    chance = random.random()
    if chance < 0.75:
        return reply(random, turn.phase)(turn)
    if chance < 0.79:
        return stopped(random.choice(["cancelled", "max_seconds", "budget"]))(turn)
    if chance < 0.85 and past:
        return random.choice(past)
    if chance < 0.88 and turn.phase is Phase.CALLING:
        return mangled(random)(turn)
    step = random.choice(ANY)(random)
    keys = ["t/0", "t/999", f"t/{turn.step + 1}", f"t/{turn.step - 1}", "u/1"]
    event = step(turn)
    if random.random() < 0.5 and hasattr(event, "key"):
        event = stale(step, random.choice(keys))(turn)
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd(Fixed):
    """Makes its moves where no call is open, and calls what is asked for."""

    def on_answer(
        self, state: Json, answer: ModelAnswered, message: Message, *, after_tools: bool
    ) -> tuple[Json, Move]:
        if message.calls:
            return state, Call(calls=message.calls)
        return Fixed.on_answer(self, state, answer, message, after_tools=after_tools)


PROTOCOLS: Final[tuple[TurnProtocol, ...]] = (
    *[STANDARD] * 6,
    Odd(),
    Odd(moves=(None, Complete(outcome=DONE), Again(), Again(), Again())),
    Odd(moves=(None, Correct(note="again"), None, Correct(note="again"))),
    Odd(moves=(Again(), None, End(outcome=DONE, issue=FAULT))),
)


def limits(random: Random) -> Limits:
    return Limits(
        iterations=random.choice([None, None, 1, 2, 3]),
        tokens=random.choice([None, None, None, 5, 20, 60]),
    )


# --- what must hold --------------------------------------------------------------


@dataclass
class Watch:
    """What was seen of one turn so far."""

    turn: Turn
    wanted: list[Effect] = field(default_factory=list)
    spent: Usage = Usage()  # noqa: RUF009 - a frozen value
    billed: int = 0
    troubles: list[Issue] = field(default_factory=list)
    reason: str | None = None
    said: str | None = None


def watch(
    machine: ModuleType, seed: int, *, steps: int = 40
) -> list[tuple[Event, tuple[Effect, ...], Phase]]:
    """
    Play the schedule of *seed*; return every event with its effects, and the phase after.

    Raises:
        AssertionError: A law is broken.
    """
    random = Random(seed)
    protocol = random.choice(PROTOCOLS)
    seen = Watch(Turn(id="t", session="s", limits=limits(random)))
    past: list[Event] = []
    log: list[tuple[Event, tuple[Effect, ...], Phase]] = []
    for _ in range(steps):
        event = event_for(random, seen.turn, past)
        effects = feed(machine, seen, event, protocol)
        past.append(event)
        log.append((event, effects, seen.turn.phase))
        if random.random() < 0.1:
            again = Turn.from_json(decode(encode(seen.turn.to_json())))
            assert seen.turn == again, "a restored turn is the same turn"
            assert derived(seen.turn) == derived(again), "and so is what follows from it"
            assert machine.waits_for(again) == machine.waits_for(seen.turn)
            seen.turn = again
        if seen.turn.phase is Phase.DONE and random.random() < 0.3:
            break
    return log


def derived(turn: Turn) -> tuple[Any, ...]:
    """Return what isn't stored of a turn."""
    return (turn.key, turn.messages, turn.usage, turn.records)


def feed(
    machine: ModuleType, seen: Watch, event: Event, protocol: TurnProtocol
) -> tuple[Effect, ...]:
    """Feed *event* and check every law of one step."""
    before = seen.turn
    key = getattr(event, "key", None)
    is_stale = key is not None and key != before.key
    effects: tuple[Effect, ...]
    try:
        after, effects = machine.advance(before, event, protocol)
    except (ProtocolError, InvalidHistory) as error:
        assert not is_stale, f"a stale event is ignored, not refused: {error}"
        assert not lawful(before, event), f"a lawful event is taken: {error}"
        return ()
    if is_stale:
        assert after is before and effects == (), "a stale event changes nothing"
        return ()
    assert lawful(before, event), "an unlawful event is refused"
    if before.phase in (Phase.SETTLING, Phase.DONE) and isinstance(event, TurnStopped):
        assert after is before and effects == (), "completion wins"
        return ()
    seen.turn = after
    taken(seen, event, before)
    check_effects(machine, seen, effects, before)
    check_history(seen, before)
    for message in getattr(event, "messages", ()):
        assert message in seen.turn.messages[len(before.messages) :], "input is kept"
    check_books(seen)
    check_outcome(seen, before, standard=protocol is STANDARD)
    return effects


def lawful(turn: Turn, event: Event) -> bool:
    """Return whether *turn* may take *event*, which isn't stale."""
    if type(event) not in LAWFUL[turn.phase]:
        return False
    if isinstance(event, TurnAborted):
        return turn.step == 1
    if isinstance(event, ToolsFinished):
        ids = [call.id for call in turn.messages[-1].calls]
        answered = [result.call for result in event.results.results]
        return ids == answered == [record.call for record in event.records]
    return True


def taken(seen: Watch, event: Event, before: Turn) -> None:
    """Note what *event* brought, and what it must lead to."""
    seen.troubles += getattr(event, "issues", ())
    if isinstance(event, ModelAnswered | ModelFailed):
        seen.spent += event.usage
        seen.billed += bool(event.usage)
    match event:
        case ModelFailed() | TurnStopped():
            seen.reason = event.reason
        case TurnAborted():
            seen.reason = "plugin_abort"
        case CheckpointAborted():
            seen.reason = "runtime_error"
        case ToolsFinished() if event.abort is not None:
            seen.reason = "plugin_abort"
        case ModelAnswered():
            seen.said = event.message.text
        case _:
            pass


def check_effects(
    machine: ModuleType, seen: Watch, effects: tuple[Effect, ...], before: Turn
) -> None:
    """Keys rise, effects come one by one and in a sensible order."""
    turn = seen.turn
    assert turn.step == before.step + 1, "each event taken is a step"
    assert effects == machine.waits_for(turn), "it waits for what it asked for"
    ended = turn.phase is Phase.DONE
    assert len(effects) == (0 if ended else 1), "one effect at a time, none at the end"
    last = seen.wanted[-1] if seen.wanted else None
    for effect in effects:
        assert not isinstance(last, WriteCommit), "the commit is the last effect"
        assert effect.key == f"t/{turn.step}", "the key is the turn's"
        assert last is None or int(last.key[2:]) < int(effect.key[2:]), "keys rise"
        follows(effect, last, turn)
    seen.wanted += effects


def follows(effect: Effect, last: Effect | None, turn: Turn) -> None:
    """Check that *effect* may come right after *last*."""
    match effect:
        case Prepare():
            assert effect.first == (last is None), "before_turn is asked once"
        case AskModel():
            assert isinstance(last, Prepare), "each model call is prepared"
            assert effect.messages == turn.messages, "the model sees all that was added"
            assert effect.iteration == turn.iteration
            spent = turn.usage.total
            assert turn.limits.tokens is None or spent < turn.limits.tokens, "tokens hold"
            if turn.limits.iterations is not None:
                assert turn.iteration <= turn.limits.iterations, "n calls and one of grace"
                allowed = turn.iteration < turn.limits.iterations
                assert allowed or turn.grace, "only grace goes beyond the limit"
        case CallTools():
            assert isinstance(last, AskModel), "calls are the model's"
            assert effect.calls and effect.calls == turn.messages[-1].calls
        case PassCheckpoint():
            assert isinstance(last, AskModel | CallTools), "checkpoints follow work"
        case WriteCommit():
            assert turn.outcome is not None, "what is committed has an outcome"


def check_history(seen: Watch, before: Turn) -> None:
    """Messages only grow, and calls and results pair."""
    turn = seen.turn
    count = len(before.values)
    assert turn.values[:count] == before.values, "what was said stays said"
    messages = [value for value in turn.values if isinstance(value, Message)]
    assert list(turn.messages) == messages
    assert not messages or messages[0].role == "user", "the user's message is kept"
    open_calls = paired(messages)
    assert bool(open_calls) == (turn.phase is Phase.CALLING), "calls are open only meanwhile"
    done = [call.id for message in messages for call in message.calls]
    done = done[: len(done) - len(open_calls)]
    assert [record.call for record in turn.records] == done, "one record per call, in order"
    told = [message for message in messages if "Answer now" in message.text]
    assert len(told) <= 1, "grace at most once"
    assert bool(told) == turn.grace >= before.grace, "grace is told, and never taken back"
    wrong = [message for message in messages if "doesn't fit what" in message.text]
    assert len(wrong) == turn.corrections <= 2, "two corrections at most"


def paired(messages: Sequence[Message]) -> list[str]:
    """Return the calls that are still open; all others have their results."""
    taken_ids: set[str] = set()
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            found = [result.call for result in message.results]
            assert waiting and found == waiting, "results answer the calls before them"
            waiting = []
            continue
        assert not waiting, "nothing stands between calls and results"
        waiting = [call.id for call in message.calls]
        assert len(waiting) == len(set(waiting)) and not taken_ids & set(waiting), "ids are unique"
        taken_ids.update(waiting)
    return waiting


def check_books(seen: Watch) -> None:
    """Every call's cost is in the books once, whatever came of it."""
    turn = seen.turn
    assert turn.usage == seen.spent, "usage is the sum over calls"
    assert seen.spent == sum([row.usage for row in turn.rows], Usage()), "rows say the same"
    assert seen.billed == len({row.id for row in turn.rows}), "one row per call that cost"
    for issue in seen.troubles:
        assert issue in turn.issues, "no issue is lost"


def check_outcome(seen: Watch, before: Turn, *, standard: bool) -> None:
    """There is one outcome, it comes with settling, and it is the right one."""
    turn = seen.turn
    over = turn.phase in (Phase.SETTLING, Phase.DONE)
    assert over == (turn.outcome is not None), "an outcome comes with settling"
    if before.outcome is not None:
        assert turn.outcome == before.outcome, "there is one outcome"
        return
    if turn.outcome is None:
        return
    if seen.reason is not None:
        assert isinstance(turn.outcome, Stopped), "what stopped it is its outcome"
        assert turn.outcome.reason == seen.reason
        return
    worked = standard and before.phase is Phase.CALLING
    control = decisive(turn) if worked else None
    match control:
        case Finish():
            assert isinstance(turn.outcome, Finished) and turn.outcome.value == control.value
        case Fail():
            assert isinstance(turn.outcome, Stopped) and turn.outcome.reason == "tool_error"
        case Handoff():
            assert isinstance(turn.outcome, HandedOff), "the first control wins"
        case _:
            completed(seen, before)


def completed(seen: Watch, before: Turn) -> None:
    """A turn that ended by its model's words has them in its outcome and history, once."""
    outcome = seen.turn.outcome
    if before.phase is Phase.CHECKING and isinstance(outcome, Finished):
        assert outcome == before.pending, "a completed turn ends as it said"
        if seen.said and outcome.text == seen.said:
            spoken = [m for m in seen.turn.messages if m.role == "assistant"]
            assert spoken and spoken[-1].text == seen.said, "the answer is in history"


def decisive(turn: Turn) -> Any:
    """Return the first control of the last batch, by call order."""
    batch_ids = [call.id for m in turn.messages if m.calls for call in m.calls]
    last = [m for m in turn.messages if m.calls][-1]
    records = [r for r in turn.records if r.call in {call.id for call in last.calls}]
    assert batch_ids
    for record in records:
        if isinstance(record.outcome, Success) and record.outcome.control is not None:
            return record.outcome.control
    return None
