"""
Plays turns: events are made for the turn they are to be fed to.

A `Step` makes an event from the turn so far, so that a script needs no keys and
no call ids. Events and effects have a JSON form here, for the golden histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypeAlias

from lash_sdk import effects, events
from lash_sdk.effects import Effect
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
from lash_sdk.json import Json
from lash_sdk.messages import Message, Reasoning, Text, ToolCall, ToolResult, ToolStatus, note, user
from lash_sdk.outcomes import (
    Cancelled,
    Control,
    Failure,
    Finished,
    Issue,
    StopReason,
    Success,
    ToolOutcome,
    ToolRecord,
)
from lash_sdk.policy import Limits
from lash_sdk.protocol import STANDARD, Move, TurnProtocol
from lash_sdk.turn import Turn, advance
from lash_sdk.usage import Usage

Step: TypeAlias = Callable[[Turn], Event]

SPENT: Final = Usage(input=10, output=5)
FAULT: Final = Issue(kind="plugin", code="refused", message="not today")

# --- steps -----------------------------------------------------------------------


def accepted(text: str = "hi") -> Step:
    return lambda turn: InputAccepted(messages=(user(text),))


def prepared(*messages: Message, issues: tuple[Issue, ...] = ()) -> Step:
    return lambda turn: TurnPrepared(key=turn.key, messages=messages, issues=issues)


def aborted() -> Step:
    return lambda turn: TurnAborted(
        key=turn.key, plugin="p", code=FAULT.code, message=FAULT.message
    )


def answered(message: Message, usage: Usage = SPENT, **more: Any) -> Step:
    return lambda turn: ModelAnswered(key=turn.key, message=message, model="m", usage=usage, **more)


def said(text: str, usage: Usage = SPENT, **more: Any) -> Step:
    parts = (Text(text=text),) if text else ()
    return answered(Message(role="assistant", parts=parts), usage, **more)


def thought(text: str) -> Step:
    """The model reasons and says nothing."""
    return answered(Message(role="assistant", parts=(Reasoning(text=text),)))


def asked(*names: str, text: str = "", usage: Usage = SPENT) -> Step:
    """The model asks for tools; the provider calls every call "call_1"."""
    parts: list[Any] = [Text(text=text)] if text else []
    parts += [ToolCall(id="call_1", name=name, arguments='{"a": 1}') for name in names]
    return answered(Message(role="assistant", parts=tuple(parts)), usage)


def failed(
    reason: StopReason = "provider_error", code: str = "timeout", usage: Usage = SPENT
) -> Step:
    issue = Issue(kind="model", code=code, message="no answer")
    return lambda turn: ModelFailed(
        key=turn.key, reason=reason, issue=issue, model="m", usage=usage
    )


OK: Final = Success(value=1)
BAD: Final = Failure(reason="execution", code="raised", message="no")
GONE: Final = Cancelled()


def controls(control: Control) -> Success:
    return Success(value=1, control=control)


def ran(*outcomes: ToolOutcome, issues: tuple[Issue, ...] = (), abort: Issue | None = None) -> Step:
    """The tools have run: the last outcome given stands for all that follow."""

    def step(turn: Turn) -> Event:
        calls = turn.messages[-1].calls if turn.messages else ()
        ends = [*outcomes, *[outcomes[-1] if outcomes else OK] * len(calls)]
        pairs = list(zip(calls, ends, strict=False))
        return ToolsFinished(
            key=turn.key,
            results=results(pairs),
            records=tuple([record(call, outcome) for call, outcome in pairs]),
            issues=issues,
            abort=abort,
        )

    return step


def record(call: ToolCall, outcome: ToolOutcome) -> ToolRecord:
    return ToolRecord(call=call.id, name=call.name, arguments={"a": 1}, outcome=outcome)


def results(pairs: Iterable[tuple[ToolCall, ToolOutcome]]) -> Message:
    parts: list[ToolResult] = []
    for call, outcome in pairs:
        status: ToolStatus = "ok" if isinstance(outcome, Success) else "failed"
        status = "cancelled" if isinstance(outcome, Cancelled) else status
        shown = (Text(text=outcome.kind),)
        parts.append(ToolResult(call=call.id, name=call.name, status=status, parts=shown))
    return Message(role="tool", parts=tuple(parts))


def passed(*messages: Message, issues: tuple[Issue, ...] = ()) -> Step:
    return lambda turn: CheckpointPassed(key=turn.key, messages=messages, issues=issues)


def refused(issue: Issue = FAULT) -> Step:
    return lambda turn: CheckpointAborted(key=turn.key, issue=issue)


def committed(*messages: Message, revision: int = 1) -> Step:
    return lambda turn: CommitAccepted(key=turn.key, revision=revision, messages=messages)


def stopped(reason: StopReason = "cancelled", issue: Issue | None = None) -> Step:
    return lambda turn: TurnStopped(reason=reason, issue=issue)


def stale(step: Step, key: str = "t/0") -> Step:
    """The same event, but for a key that the turn doesn't wait for."""

    def late(turn: Turn) -> Event:
        event: Any = step(turn)
        return replace(event, key=key)  # type: ignore[no-any-return]

    return late


NUDGE: Final = user("one more thing")
HINT: Final = note("be brief", origin="p")

# --- protocols -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(TurnProtocol):
    """
    Makes the moves it's given, in turn, and counts them in its state.

    Where a move is None it does as the standard protocol does.
    """

    name: str = "fixed"
    moves: tuple[Move | None, ...] = ()

    def start(self) -> Json:
        return {"moves": 0}

    def on_answer(
        self, state: Json, answer: ModelAnswered, message: Message, *, after_tools: bool
    ) -> tuple[Json, Move]:
        _, move = STANDARD.on_answer(None, answer, message, after_tools=after_tools)
        return self._next(state, move)

    def on_results(self, state: Json, records: tuple[ToolRecord, ...]) -> tuple[Json, Move]:
        return self._next(state, STANDARD.on_results(None, records)[1])

    def _next(self, state: Any, move: Move) -> tuple[Json, Move]:
        made = state["moves"]
        chosen = self.moves[made] if made < len(self.moves) else None
        return {"moves": made + 1}, move if chosen is None else chosen


# --- playing ---------------------------------------------------------------------

Played: TypeAlias = list[tuple[Event, tuple[Effect, ...], Turn]]


def start(limits: Limits | None = None) -> Turn:
    return Turn(id="t", session="s", limits=limits or Limits())


def played(
    steps: Sequence[Step], turn: Turn | None = None, protocol: TurnProtocol = STANDARD
) -> Played:
    """Return each event with the effects and the turn after it."""
    turn = turn or start()
    made: Played = []
    for step in steps:
        event = step(turn)
        turn, wanted = advance(turn, event, protocol)
        made.append((event, wanted, turn))
    return made


def play(*steps: Step, limits: Limits | None = None, protocol: TurnProtocol = STANDARD) -> Turn:
    """Return the turn after *steps*."""
    made = played(steps, start(limits), protocol)
    return made[-1][2] if made else start(limits)


# --- JSON forms ------------------------------------------------------------------


def event_to_json(event: Event) -> Json:
    """Return *event* with what differs from its defaults."""
    body: dict[str, Json] = {"event": type(event).__name__}
    for field in fields(event):
        value = getattr(event, field.name)
        if value != field.default:
            body[field.name] = _plain(value)
    return body


def event_from_json(body: Any) -> Event:
    kind: Any = getattr(events, body["event"])
    values = {name: _read(name, v) for name, v in body.items() if name != "event"}
    return kind(**values)  # type: ignore[no-any-return]


def effect_to_json(effect: Effect) -> Json:
    """Return *effect* for a reader: messages in short."""
    body: dict[str, Json] = {"effect": type(effect).__name__}
    for field in fields(effect):
        value = getattr(effect, field.name)
        body[field.name] = _plain(value)
        if field.name == "messages":
            body["messages"] = [short(message) for message in value]
        if field.name == "calls":
            body["calls"] = [_short_part(call) for call in value]
    assert getattr(effects, str(body["effect"])) is type(effect)
    return body


def short(message: Message) -> str:
    """Return a message as one line."""
    return f"{message.role}: " + " | ".join([_short_part(p) for p in message.parts])


def _short_part(part: Any) -> str:
    if isinstance(part, ToolCall):
        return f"{part.name}({part.arguments}) as {part.id}"
    if isinstance(part, ToolResult):
        return f"{part.call} {part.status}: {part.text}"
    return f"({part.text})" if isinstance(part, Reasoning) else str(part.text)


def _plain(value: Any) -> Json:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    plain: Json = value.to_json() if hasattr(value, "to_json") else value
    return plain


def _read(name: str, value: Any) -> Any:
    if name == "messages":
        return tuple([Message.from_json(item) for item in value])
    if name == "records":
        return tuple([ToolRecord.from_json(item) for item in value])
    if name == "issues":
        return tuple([Issue.from_json(item) for item in value])
    if name in ("issue", "abort"):
        return Issue.from_json(value)
    if name == "usage":
        return Usage.from_json(value)
    if name in ("message", "results") and isinstance(value, dict):
        return Message.from_json(value)
    return value


DONE: Final = Finished(text="done")
