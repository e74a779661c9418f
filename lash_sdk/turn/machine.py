"""
The turn machine: everything that decides what a turn does next.

`advance` takes one event and returns the turn after it and what it wants done.
It's pure: no I/O, no clock, no randomness, the same on every machine. `TABLE`
is the whole law; the diagram in `docs/turn.md` is made from it.

Two rules stand above the table. An event that answers an effect carries the
effect's key; if the turn doesn't wait for that key any more, the event is stale
and changes nothing. And once the commit was asked for, completion wins: a turn
that's settling can't be stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from .. import events
from ..effects import AskModel, CallTools, Effect, PassCheckpoint, Prepare, WriteCommit
from ..errors import InvalidHistory, ProtocolError
from ..json import Json, maker
from ..messages import Message, Text, ToolCall, ToolResult, new_message, note
from ..outcomes import Cancelled, Issue, Stopped, StopReason, ToolRecord
from ..protocol import STANDARD, Again, Call, Complete, Correct, End, Move, TurnProtocol
from .state import Phase, Turn, changed

CORRECTIONS: Final = 2
"""How often a model is told that its answer doesn't fit before the turn stops."""

ANSWER_NOW: Final = (
    "The limit of steps for this turn is reached. Answer now, in words, from what"
    " you know; don't call tools."
)
LIMIT_REACHED: Final = "The turn was stopped: it reached its limit of {} model calls."

_call, _ask, _pass = maker(ToolCall), maker(AskModel), maker(PassCheckpoint)


def advance(
    turn: Turn,
    event: events.Event,
    protocol: TurnProtocol = STANDARD,
    idle: Callable[[Turn], bool] | None = None,
) -> tuple[Turn, tuple[Effect, ...]]:
    """
    Take one event; return the turn after it and what it wants done.

    Where the turn has nobody to ask, by *idle*, it goes through the phase at once, as if
    the answer had been that there's nothing to add.

    Raises:
        ProtocolError: The turn's phase doesn't accept this event, or the
            protocol made no legal move.
        InvalidHistory: Tool results or records don't pair with the calls.
    """
    if isinstance(event, events.Reply) and event.key != turn.key:
        return turn, ()
    row = TABLE[turn.phase].get(type(event))
    if row is None:
        said = f"can't take {type(event).__name__} while {turn.phase.value}"
        raise ProtocolError(f"turn {turn.id!r} {said}")
    take, phases = row
    after = take(turn, event, protocol)
    if after is turn:
        return turn, ()
    if after.phase not in phases:
        said = f"can't lead from {turn.phase.value} to {after.phase.value}"
        raise ProtocolError(f"{type(event).__name__} {said}")
    while idle is not None and after.phase in NOTHING_ADDED and idle(after):
        take, nothing = NOTHING_ADDED[after.phase]
        after = take(after, nothing, protocol)
    return after, waits_for(after)


def waits_for(turn: Turn) -> tuple[Effect, ...]:
    """Return the effect that *turn* waits for: the same again after a restore."""
    want = WANTS.get(turn.phase)
    return () if want is None else (want(turn),)


# --- what each event does ------------------------------------------------------


def _accept(turn: Turn, event: events.InputAccepted, protocol: TurnProtocol) -> Turn:
    state = protocol.start() if turn.state is None else turn.state
    return _next(turn, Phase.PREPARING, added=event.messages, state=state, inbox=event.inbox)


def _prepared(turn: Turn, event: events.TurnPrepared, protocol: TurnProtocol) -> Turn:
    issues = turn.issues + event.issues
    tokens = turn.limits.tokens
    if tokens is not None and turn.usage.total >= tokens:
        turn = changed(turn, {"issues": issues})
        message = f"the turn used {turn.usage.total} of {tokens} tokens"
        return _stop(turn, "max_tokens", message=message, added=event.messages)
    return _next(turn, Phase.ASKING, added=event.messages, issues=issues)


def _aborted(turn: Turn, event: events.TurnAborted, protocol: TurnProtocol) -> Turn:
    if turn.step != 1:
        raise ProtocolError(f"turn {turn.id!r} can't be aborted once it began")
    issue = Issue(kind="plugin", code=event.code, message=event.message)
    outcome = Stopped(reason="plugin_abort", code=event.code, message=event.message)
    return _next(turn, Phase.DONE, issues=(*turn.issues, issue), outcome=outcome)


def _answered(turn: Turn, event: events.ModelAnswered, protocol: TurnProtocol) -> Turn:
    message, calls = own_ids(event.message, turn.key)
    billed = _billed(turn, event)
    if wrong := _unfit(message):
        issue = Issue(kind="model", code="invalid_answer", message=wrong)
        return _stop(billed, "provider_error", issue=issue)
    after_tools = bool(turn.messages) and turn.messages[-1].role == "tool"
    state, move = protocol.on_answer(turn.state, event, message, after_tools=after_tools)
    if (move.calls if isinstance(move, Call) else None) != (calls or None):
        raise ProtocolError(f"the protocol left calls without results: {move!r}")
    kept = (message,) if calls or message.text.strip() else ()
    return _make(billed, move, kept, state)


def _failed(turn: Turn, event: events.ModelFailed, protocol: TurnProtocol) -> Turn:
    outcome = Stopped(reason=event.reason, code=event.issue.code, message=event.issue.message)
    issues = (*turn.issues, event.issue)
    return _next(_billed(turn, event), Phase.SETTLING, issues=issues, outcome=outcome)


def _tooled(turn: Turn, event: events.ToolsFinished, protocol: TurnProtocol) -> Turn:
    asked = [call.id for call in turn.messages[-1].calls]
    for answers in (event.results.results, event.records):
        if (found := [each.call for each in answers]) != asked:
            raise InvalidHistory(
                f"turn {turn.id!r}: expected results for {asked!r}, found {found!r}"
            )
    values, issues = turn.values + event.records, turn.issues + event.issues
    turn = changed(turn, {"values": values, "issues": issues})
    if event.abort is not None:
        return _stop(turn, "plugin_abort", issue=event.abort, added=(event.results,))
    state, move = protocol.on_results(turn.state, event.records)
    return _make(turn, move, (event.results,), state)


def _passed(turn: Turn, event: events.CheckpointPassed, protocol: TurnProtocol) -> Turn:
    issues = turn.issues + event.issues
    if event.inbox:
        turn = changed(turn, {"inbox": turn.inbox + event.inbox})
    if turn.checkpoint == "after_work":
        return _next(turn, Phase.PREPARING, added=event.messages, issues=issues)
    if not event.messages:
        return _next(turn, Phase.SETTLING, issues=issues, outcome=turn.pending)
    added = event.messages
    if not _at_limit(turn):
        return _next(turn, Phase.PREPARING, added=added, issues=issues)
    if turn.grace:
        return _limited(changed(turn, {"issues": issues}), added)
    added = (*added, note(ANSWER_NOW))
    return _next(turn, Phase.PREPARING, added=added, issues=issues, grace=True)


def _refused(turn: Turn, event: events.CheckpointAborted, protocol: TurnProtocol) -> Turn:
    return _stop(turn, "runtime_error", issue=event.issue)


def _committed(turn: Turn, event: events.CommitAccepted, protocol: TurnProtocol) -> Turn:
    return _next(turn, Phase.DONE, added=event.messages, revision=event.revision)


def _stopped(turn: Turn, event: events.TurnStopped, protocol: TurnProtocol) -> Turn:
    if turn.phase is not Phase.CALLING:
        return _stop(turn, event.reason, issue=event.issue)
    calls = turn.messages[-1].calls
    turn = changed(turn, {"values": turn.values + tuple([_lost(call) for call in calls])})
    return _stop(turn, event.reason, issue=event.issue, added=(cancelled(calls),))


def _ignore(turn: Turn, event: events.Event, protocol: TurnProtocol) -> Turn:
    return turn


def cancelled(calls: tuple[ToolCall, ...]) -> Message:
    """Return the tool message that closes *calls* as cancelled."""
    said = (Text(text="[cancelled] the call was given up before it returned"),)
    parts = [ToolResult(call=c.id, name=c.name, status="cancelled", parts=said) for c in calls]
    return Message(role="tool", parts=tuple(parts))


# --- how a turn goes on --------------------------------------------------------


def _make(turn: Turn, move: Move, added: tuple[Message, ...], state: Json) -> Turn:
    """Return the turn after the protocol's *move* to *state*, with *added* in its history."""
    if state is not turn.state:
        turn = changed(turn, {"state": state})
    match move:
        case Call():
            return _next(turn, Phase.CALLING, added=added)
        case Again() if _at_limit(turn):
            return _limited(turn, (*added, note(LIMIT_REACHED.format(turn.limits.iterations))))
        case Again():
            return _next(turn, Phase.CHECKING, added=added, checkpoint="after_work")
        case Complete(outcome=end):
            at = "before_completion"
            return _next(turn, Phase.CHECKING, added=added, checkpoint=at, pending=end)
        case Correct():
            return _correct(turn, move.note, added)
        case End():
            issues = turn.issues if move.issue is None else (*turn.issues, move.issue)
            return _next(turn, Phase.SETTLING, added=added, issues=issues, outcome=move.outcome)
        case _:  # pyright: ignore[reportUnnecessaryComparison] - a plugin's protocol
            raise ProtocolError(f"the protocol made no legal move: {move!r}")


def _correct(turn: Turn, why: str, added: tuple[Message, ...]) -> Turn:
    if turn.corrections >= CORRECTIONS or _at_limit(turn):
        return _stop(turn, "submitted_error", message=why, added=added)
    added = (*added, note(f"The answer doesn't fit what was asked for: {why}"))
    return _next(turn, Phase.PREPARING, added=added, corrections=turn.corrections + 1)


def _at_limit(turn: Turn) -> bool:
    limit = turn.limits.iterations
    return limit is not None and turn.iteration >= limit


def _limited(turn: Turn, added: tuple[Message, ...]) -> Turn:
    message = f"limit {turn.limits.iterations}"
    return _stop(turn, "max_turns", message=message, added=added)


def _stop(
    turn: Turn,
    reason: StopReason,
    *,
    message: str = "",
    issue: Issue | None = None,
    added: tuple[Message, ...] = (),
) -> Turn:
    code = issue.code if issue else reason
    outcome = Stopped(reason=reason, code=code, message=issue.message if issue else message)
    issues = turn.issues if issue is None else (*turn.issues, issue)
    return _next(turn, Phase.SETTLING, added=added, issues=issues, outcome=outcome)


def _next(turn: Turn, phase: Phase, *, added: tuple[Message, ...] = (), **changes: Any) -> Turn:
    """Return the turn one step on, in *phase*, with *added* in its history."""
    if added:
        changes["values"] = turn.values + added
        changes["messages"] = turn.messages + added
    step = turn.step + 1
    return changed(turn, {"phase": phase, "step": step, "key": f"{turn.id}/{step}", **changes})


def _billed(turn: Turn, event: events.ModelAnswered | events.ModelFailed) -> Turn:
    """Return the turn with the call's cost in the books, whatever came of it."""
    iteration = turn.iteration + 1
    if not event.usage:
        return changed(turn, {"iteration": iteration})
    rows = (*turn.rows, events.usage_row(event, turn.id, turn.session))
    usage = turn.usage + event.usage
    return changed(turn, {"iteration": iteration, "usage": usage, "rows": rows})


def own_ids(message: Message, key: str) -> tuple[Message, tuple[ToolCall, ...]]:
    """
    Return an answer with our call ids in place of the provider's, and its calls.

    *key* is that of the effect it answers; doing it twice changes nothing.
    """
    if not (asked := message.calls):
        return message, ()
    base = key.replace("/", "_")
    ids = [f"{base}_{at}" for at in range(len(asked))]
    if ids == [call.id for call in asked]:
        return message, asked
    calls = tuple(
        [
            _call(id=id, name=call.name, arguments=call.arguments)
            for id, call in zip(ids, asked, strict=True)
        ]
    )
    own = iter(calls)
    parts = tuple([next(own) if type(part) is ToolCall else part for part in message.parts])
    return new_message(role=message.role, parts=parts, origin=message.origin), calls


def _unfit(message: Message) -> str:
    """Return why no history could hold *message* as an answer; empty if one could."""
    try:
        role = message.check().role
    except InvalidHistory as error:
        return str(error)
    return "" if role == "assistant" else f"expected an assistant message, found {role!r}"


def _lost(call: ToolCall) -> ToolRecord:
    return ToolRecord(call=call.id, name=call.name, arguments=call.arguments, outcome=Cancelled())


# --- the law -------------------------------------------------------------------

Take: TypeAlias = Callable[[Turn, Any, "TurnProtocol"], Turn]

TABLE: Final[Mapping[Phase, Mapping[type[events.Event], tuple[Take, tuple[Phase, ...]]]]] = {
    Phase.READY: {events.InputAccepted: (_accept, (Phase.PREPARING,))},
    Phase.PREPARING: {
        events.TurnPrepared: (_prepared, (Phase.ASKING, Phase.SETTLING)),
        events.TurnAborted: (_aborted, (Phase.DONE,)),
        events.TurnStopped: (_stopped, (Phase.SETTLING,)),
    },
    Phase.ASKING: {
        events.ModelAnswered: (
            _answered,
            (Phase.CALLING, Phase.CHECKING, Phase.PREPARING, Phase.SETTLING),
        ),
        events.ModelFailed: (_failed, (Phase.SETTLING,)),
        events.TurnStopped: (_stopped, (Phase.SETTLING,)),
    },
    Phase.CALLING: {
        events.ToolsFinished: (_tooled, (Phase.CHECKING, Phase.PREPARING, Phase.SETTLING)),
        events.TurnStopped: (_stopped, (Phase.SETTLING,)),
    },
    Phase.CHECKING: {
        events.CheckpointPassed: (_passed, (Phase.PREPARING, Phase.SETTLING)),
        events.CheckpointAborted: (_refused, (Phase.SETTLING,)),
        events.TurnStopped: (_stopped, (Phase.SETTLING,)),
    },
    Phase.SETTLING: {
        events.CommitAccepted: (_committed, (Phase.DONE,)),
        events.TurnStopped: (_ignore, (Phase.SETTLING,)),
    },
    Phase.DONE: {events.TurnStopped: (_ignore, (Phase.DONE,))},
}

NOTHING_ADDED: Final[Mapping[Phase, tuple[Take, events.Event]]] = {
    Phase.PREPARING: (_prepared, events.TurnPrepared(key="")),
    Phase.CHECKING: (_passed, events.CheckpointPassed(key="")),
}
"""What leads on from a phase in which nobody takes part."""

WANTS: Final[Mapping[Phase, Callable[[Turn], Effect]]] = {
    Phase.PREPARING: lambda turn: Prepare(key=turn.key, first=turn.step == 1),
    Phase.ASKING: lambda turn: _ask(key=turn.key, messages=turn.messages, iteration=turn.iteration),
    Phase.CALLING: lambda turn: CallTools(key=turn.key, calls=turn.messages[-1].calls),
    Phase.CHECKING: lambda turn: _pass(key=turn.key, checkpoint=turn.checkpoint or "after_work"),
    Phase.SETTLING: lambda turn: WriteCommit(key=turn.key),
}
"""What a turn wants in each phase; in the others it waits for nothing."""
