"""Races, held against what a store promises to many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import quantiles
from typing import Final

from lash_sdk.errors import SessionDeleted
from lash_sdk.json import Json
from lash_sdk.ports import Store

from .arena import Ran
from .history import NEVER, Kind, Op, Outcome, explained, violations

SHORT: Final = 12
"""Up to how many operations a history is tried by brute force as well."""


BUSY: Final = 0.01
"""What share of commits may find the store locked for longer than its patience."""

RECEIPTS: Final = 40
"""How many commits of each outcome are asked for their receipts, a session."""


@dataclass(slots=True)
class Seen:
    """
    What the lines of a race say.

    Attributes:
        ops: Each session's reads and commits.
        consumed: The inbox keys that a commit was to use.
        sent: Inbox keys that were acknowledged, by session.
        other: All other lines, by their first word.
    """

    ops: dict[str, list[Op]] = field(default_factory=lambda: defaultdict(list))
    consumed: dict[str, list[str]] = field(default_factory=dict)
    sent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    other: dict[str, list[list[Json]]] = field(default_factory=lambda: defaultdict(list))

    def every(self, kind: str, *outcomes: str) -> list[Op]:
        """Return the operations of a kind that had one of these outcomes."""
        every = [op for ops in self.ops.values() for op in ops]
        return [op for op in every if op.kind == kind and op.outcome in outcomes]


def read_lines(lines: Sequence[Sequence[Json]]) -> Seen:
    """Return what lines say: a call and its return are one operation."""
    seen = Seen()
    returned = sorted([line for line in lines if line[0] == "return"], key=_when)
    ended = {str(line[1]): line for line in returned}  # an heir's word after the dead one's
    for line in lines:
        match line:
            case [
                "call",
                str(id),
                str(kind),
                str(session),
                int(expected),
                list(keys),
                *_,
                name,
                at,
            ]:
                op = _op(kind, id, expected, str(name), int(str(at)), ended.get(id))
                seen.ops[session].append(op)
                seen.consumed[id] = [str(key) for key in keys]
            case ["sent", str(session), str(key), *_]:
                seen.sent[session].add(key)
            case [str(word), *_]:
                seen.other[word].append(list(line))
            case _:
                raise AssertionError(line)
    return seen


def _when(line: Sequence[Json]) -> int:
    assert isinstance(line[-1], int)
    return line[-1]


def _op(
    kind: str, id: str, expected: int, process: str, called: int, ended: Sequence[Json] | None
) -> Op:
    what: Kind = "read" if kind == "read" else "commit"
    op = Op(kind=what, id=id, called=called, expected=expected, process=process)
    match ended:
        case None:
            return op
        case [_, _, "ok" | "conflict" as outcome, int(revision), str(found), _, int(returned)]:
            word: Outcome = "ok" if outcome == "ok" else "conflict"
            value = found if kind == "read" else id
            return replace(op, id=value, returned=returned, outcome=word, revision=revision)
        case [_, _, "busy", *_, int(returned)]:
            return replace(op, returned=returned, outcome="busy")
        case [_, _, str(refusal), _, str(error), *_]:
            return replace(op, error=error or refusal)
        case _:
            raise AssertionError(ended)


# --- what is there in the end --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """
    A session as the store has it in the end; no log if it was deleted.

    Attributes:
        log: The operation of each revision, "" for a fork's first.
        nodes: The ids of its nodes, those that a fork shares included.
    """

    log: list[str]
    nodes: list[str]
    deleted: bool = False
    waiting: tuple[str, ...] = ()
    journal: tuple[str, ...] = ()


async def find(store: Store, session: str) -> Found:
    """Return a session as the store has it; reading it checks every hash."""
    log: list[str] = []
    nodes: list[str] = []
    try:
        async for page in store.load(session):
            nodes += [node.id for node in page.nodes]
            if page.head is not None:
                log.append(page.head.operation)
    except SessionDeleted:
        return Found([], [], deleted=True)
    waiting = tuple([item.key for item in await store.pending(session)])
    journal = tuple([row.turn for row in await store.journal(session)])
    return Found(log, nodes, waiting=waiting, journal=journal)


async def judge(ran: Ran, store: Store) -> tuple[Seen, list[str]]:
    """Return what a race saw, and every promise that it found broken."""
    seen = read_lines(ran.lines)
    forks = {str(line[2]) for line in seen.other["forked"]}
    found = {session: await find(store, session) for session in {*seen.ops, *forks}}
    broken = [*_repeated(seen), *_branched(seen, found)]
    for session, every in seen.ops.items():
        if found[session].deleted:
            continue
        ops = [op for op in every if op.error != "SessionDeleted"]
        wrong = list(violations(ops, found[session].log))
        broken += wrong
        short = len(ops) <= SHORT and "" not in found[session].log
        if short and explained(ops, found[session].log) != (not wrong):
            broken.append(f"the two checkers disagree on session {session!r}")
        broken += [
            f"{id!r} has no receipt, or one that nobody earned"
            for id in _doubtful(ops)
            if (await store.receipt(session, id) is not None) != (id in found[session].log)
        ]
    for session, each in found.items():
        broken += _whole(session, each)
    broken += _queue(seen, found)
    broken += _fenced(found, ran.effects)
    return seen, broken


async def astray(ran: Ran, store: Store) -> tuple[int, int]:
    """Return how many commits were acknowledged, and how many are in no conversation."""
    acks = [
        (session, op.id)
        for session, ops in read_lines(ran.lines).ops.items()
        for op in ops
        if op.kind == "commit" and op.outcome == "ok"
    ]
    kept: set[tuple[str, str]] = set()
    for session in {session for session, _ in acks}:
        pages = [page async for page in store.load(session)]
        parents = {node.id: node.parent for page in pages for node in page.nodes}
        head = await store.head(session)
        at = head.leaf if head else None
        while at is not None:
            kept.add((session, at.rpartition(":")[0]))
            at = parents[at]
    return len(acks), len(set(acks) - kept)


def _doubtful(ops: Sequence[Op]) -> list[str]:
    """Return the ids of commits whose receipts are looked up: of each outcome the last."""
    by_outcome: dict[str, list[str]] = defaultdict(list)
    for op in ops:
        if op.kind == "commit":
            by_outcome[op.outcome].append(op.id)
    return [id for ids in by_outcome.values() for id in ids[-RECEIPTS:]]


def _whole(session: str, found: Found) -> Iterator[str]:
    """Yield where a session hasn't one node for each of its commits."""
    own = [f"{operation}:0" for operation in found.log if operation]
    if found.nodes[-len(own) :] != own and own:
        yield f"session {session!r} has other nodes than its commits wrote"


def _queue(seen: Seen, found: dict[str, Found]) -> Iterator[str]:
    """Yield inputs that no committed turn used, though they're gone, or that two did."""
    for session, each in found.items():
        used = [key for id in each.log for key in seen.consumed.get(id, ())]
        twice = {key for key in used if used.count(key) > 1}
        yield from [f"input {key!r} was used twice" for key in twice]
        both = set(used) & set(each.waiting)
        yield from [f"input {key!r} was used and waits" for key in both]
        lost = seen.sent[session] - set(used) - set(each.waiting)
        yield from [f"input {key!r} was accepted and is gone" for key in lost]


def _repeated(seen: Seen) -> Iterator[str]:
    """Yield where an operation that was repeated had another outcome than at first."""
    first = {op.id: (session, op) for session, ops in seen.ops.items() for op in ops}
    gone = {str(line[1]) for line in seen.other["deleting"]}
    for _, id, outcome, revision, *_ in seen.other["again"]:
        owner, op = first[str(id)]
        if outcome == "busy" or (outcome == "SessionDeleted" and owner in gone):
            continue
        if outcome != op.outcome or (outcome == "ok" and revision != op.revision):
            yield f"{id!r} was {op.outcome} at {op.revision}; repeated, {outcome} at {revision}"


def _branched(seen: Seen, found: dict[str, Found]) -> Iterator[str]:
    """Yield what forks and deletes left that nobody asked for, or took that somebody did."""
    deleted = {str(line[1]): int(str(line[-1])) for line in seen.other["deleted"]}
    began = {str(line[1]) for line in seen.other["deleting"]}
    for session, each in found.items():
        if each.deleted != (session in deleted) and session not in began - deleted.keys():
            yield f"session {session!r} is {'gone' if each.deleted else 'there'}, and shouldn't be"
        for op in seen.ops[session]:
            if op.outcome == "ok" and op.called > deleted.get(session, NEVER):
                yield f"{op.id!r} landed after session {session!r} was deleted"
            if op.error and (op.error != "SessionDeleted" or session not in began):
                yield f"{op.id!r} raised {op.error}"
    for _, origin, fork, revision, *_ in seen.other["forked"]:
        yield from _shared(found, str(origin), str(fork), int(str(revision)))


def _shared(found: dict[str, Found], session: str, fork: str, revision: int) -> Iterator[str]:
    """Yield where a fork hasn't what its origin had, as far as both are still there."""
    one, two = found.get(session), found.get(fork)
    if one and two and not one.deleted and not two.deleted:
        inherited = len(one.nodes) - len([id for id in one.log if id])  # of its own origin
        own = len([id for id in one.log[:revision] if id])
        path = one.nodes[: inherited + own]
        if two.nodes[: len(path)] != path:
            yield f"fork {fork!r} of {session!r} at {revision} hasn't the nodes of then"


def _fenced(found: dict[str, Found], effects: Sequence[Sequence[Json]]) -> Iterator[str]:
    """Yield effects of a turn that went on after another had begun, and rows left behind."""
    latest: dict[str, tuple[int, str]] = {}
    for session, generation, turn in effects:
        assert isinstance(generation, int)
        now, (newest, running) = str(turn), latest.get(str(session), (0, ""))
        if generation < newest or (generation == newest and now != running):
            yield f"turn {now!r} had an effect after {running!r} had taken over"
        latest[str(session)] = max((generation, now), (newest, running), key=lambda pair: pair[0])
    for session, each in found.items():
        both = set(each.journal) & set(each.log)
        yield from [
            f"turn {turn!r} of {session!r} is committed and in the journal" for turn in both
        ]


# --- figures ---------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What races came to, added up."""

    rows: int = 0
    acks: int = 0
    conflicts: int = 0
    reads: int = 0
    unknown: int = 0
    busy: int = 0
    kills: int = 0
    stops: int = 0
    seconds: float = 0.0
    times: list[int] = field(default_factory=list)
    contended: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def add(self, ran: Ran, seen: Seen, broken: Sequence[str]) -> None:
        """Take in a race."""
        self.rows += 1
        acks, conflicts = seen.every("commit", "ok"), seen.every("commit", "conflict")
        self.acks += len(acks)
        self.conflicts += len(conflicts)
        self.reads += len(seen.every("read", "ok"))
        self.unknown += len(seen.every("commit", "unknown"))
        self.busy += len(seen.every("commit", "busy"))
        self.kills += ran.kills
        self.stops += ran.stops
        self.seconds += ran.seconds
        self.times += [op.returned - op.called for op in acks]
        if ran.row.sessions == 1 and ran.row.processes > 1 and ran.row.work == "commits":
            self.contended.append(len(conflicts) / max(len(acks) + len(conflicts), 1))
        self.broken += [f"{ran.row.name}: {sentence}" for sentence in broken]
        if self.busy > BUSY * (self.acks + self.conflicts):
            self.broken.append(f"{ran.row.name}: {self.busy} found the store locked")

    def take(self, other: Tally) -> None:
        """Add another's."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def short_of(self, acks: int, kills: int, stops: int) -> bool:
        """Return whether less than this has happened."""
        return self.acks < acks or self.kills < kills or self.stops < stops

    @property
    def figures(self) -> dict[str, float | str]:
        """What else is worth printing."""
        centiles = quantiles(self.times, n=100) if len(self.times) > 1 else [0] * 99
        return {
            "acks": self.acks,
            "conflicts": self.conflicts,
            "least share of conflicts on one session": f"{min(self.contended, default=1):.0%}",
            "reads": self.reads,
            "unknown": self.unknown,
            "found the store locked": self.busy,
            "kills": self.kills,
            "stops": self.stops,
            "commit p50 ms": round(centiles[49] / 1e6, 1),
            "commit p99 ms": round(centiles[98] / 1e6, 1),
            "commits/s": round(self.acks / max(self.seconds, 0.001)),
        }
