"""
What processes saw of one session, and whether one order of events explains it.

Revisions are a total order and every commit has a value of its own, so one pass over
the history tells; `explained`, which tries every order, checks that pass on short ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["read", "commit"]
Outcome: TypeAlias = Literal["ok", "conflict", "busy", "unknown"]

NEVER = 1 << 62
"""When an operation returns whose process died in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """
    One operation on a session.

    Attributes:
        id: The operation id of a commit; of a read, what it found.
        expected: The revision that a commit builds on.
        revision: What a read found, a commit made, or a conflict met; None if unknown.
        called: When it was called, in nanoseconds of the machine.
        returned: When it returned.
        process: Who did it.
        error: What was raised in place of an outcome that's allowed.
    """

    kind: Kind
    id: str
    called: int
    returned: int = NEVER
    expected: int = 0
    outcome: Outcome = "unknown"
    revision: int | None = None
    process: str = ""
    error: str = ""


def violations(history: Sequence[Op], log: Sequence[str]) -> Iterator[str]:
    """
    Yield a sentence for each promise that a session's history breaks.

    *log* is what was found at the end: the operation of each revision, from 1 on.
    """
    place = {id: at for at, id in enumerate(log, 1) if id or at > 1}  # a fork's first has none
    if len(place) != len(log) - (log[:1] == [""]):
        yield "an operation landed twice"
    known = {op.id for op in history if op.kind == "commit"}
    for id in place.keys() - known:
        yield f"revision {place[id]} is an operation {id!r} that nobody asked for"
    for op in history:
        yield from _own(op, place, log)
    yield from _order([op for op in history if _where(op, place) is not None], place)


def _own(op: Op, place: dict[str, int], log: Sequence[str]) -> Iterator[str]:
    """Yield what's wrong with an operation by itself."""
    landed = place.get(op.id)
    at = op.revision
    if op.error:
        yield f"{op.kind} {op.id!r} raised {op.error}"
    elif op.outcome == "unknown":
        if op.kind == "commit" and landed not in (None, op.expected + 1):
            yield f"{op.id!r} expected {op.expected} and landed at {landed}"
    elif op.outcome == "busy":
        if landed is not None:
            yield f"{op.id!r} found the store locked and landed at {landed}"
    elif at is None or not 0 <= at <= len(log):
        yield f"{op.kind} {op.id!r} names revision {at}, and there are {len(log)}"
    elif op.kind == "read":
        if at and log[at - 1] != op.id:
            yield f"a read of revision {at} found {op.id!r}, not {log[at - 1]!r}"
    elif op.outcome == "ok":
        if landed != at:
            yield f"{op.id!r} was acknowledged at {at} and is at {landed}"
        if at != op.expected + 1:
            yield f"{op.id!r} expected {op.expected} and made {at}"
    else:
        if landed is not None:
            yield f"{op.id!r} was refused and landed at {landed}"
        if at == op.expected:
            yield f"{op.id!r} expected {op.expected}, found it, and was refused"


def _where(op: Op, place: dict[str, int]) -> int | None:
    """Return the revision that an operation saw or made; None if it did neither."""
    if op.kind == "commit" and op.outcome == "unknown":
        return place.get(op.id)
    return op.revision


def _order(history: Sequence[Op], place: dict[str, int]) -> Iterator[str]:
    """Yield whoever came after something that it didn't see."""
    by_return = sorted(history, key=lambda op: op.returned)
    times = [op.returned for op in by_return]
    highest = list(accumulate([_where(op, place) or 0 for op in by_return], max))
    for op in history:
        before = bisect_left(times, op.called)  # those that had returned when it was called
        seen = highest[before - 1] if before else 0
        makes = op.kind == "commit" and op.outcome != "conflict"
        at = (_where(op, place) or 0) - makes
        if at < seen:
            yield f"{op.kind} {op.id!r} is at {at + makes}, after {seen} had been seen"


# --- the same by brute force -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _State:
    done: frozenset[int]
    log: tuple[str, ...]


@dataclass(slots=True)
class _Search:
    """Wing and Gong's search: operations taken in any order that their times allow."""

    history: Sequence[Op]
    log: tuple[str, ...]
    seen: set[_State] = field(default_factory=set)

    def run(self, state: _State) -> bool:
        left = [at for at in range(len(self.history)) if at not in state.done]
        sure = [at for at in left if self.history[at].outcome != "unknown"]
        if not sure and state.log == self.log:
            return True
        if state in self.seen:
            return False
        self.seen.add(state)
        first = min([self.history[at].returned for at in left], default=NEVER)
        for at in left:
            op = self.history[at]
            if op.called <= first:
                log = _step(op, state.log)
                if log is not None and self.run(_State(state.done | {at}, log)):
                    return True
        return False


def _step(op: Op, log: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the log after an operation, None if it can't have its outcome there."""
    now = len(log)
    if op.kind == "read":
        fits = op.outcome == "unknown" or (op.revision == now and (not now or log[-1] == op.id))
        return log if fits else None
    if op.outcome == "busy":
        return log
    if op.outcome == "conflict":
        return log if op.revision == now != op.expected else None
    if op.expected != now or (op.outcome == "ok" and op.revision != now + 1):
        return None
    return (*log, op.id)


def explained(history: Sequence[Op], log: Sequence[str]) -> bool:
    """Return whether some order of the operations explains a history, tried one by one."""
    if any(op.error for op in history):
        return False
    return _Search(history, tuple(log)).run(_State(frozenset(), ()))
