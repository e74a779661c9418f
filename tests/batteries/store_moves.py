"""
Every move of the state machine: what can be asked of a store, and when.

A move returns whom it touched, and None where it did nothing of what it's for.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from hypothesis import note
from hypothesis.stateful import rule

from lash_sdk.commits import Commit
from lash_sdk.json import Json
from lash_sdk.ports import InboxItem, JournalRow

from .stands import Stand
from .store_looks import load, pages
from .store_machine import DICES, SESSIONS, Machine
from .store_model import Refused
from .store_plans import BLOBS, BODIES, KEYS, Dice, like, other, same

Act: TypeAlias = "Callable[[Moves, Dice], Collection[str] | None]"
"""Does something; returns whom it touched, None where it did nothing of what it's for."""


class Move(NamedTuple):
    """
    A move.

    Attributes:
        ready: Says when it can be made.
        often: How often it's chosen, beside the others' four.
    """

    ready: Callable[[Moves], object]
    act: Act
    often: int


MOVES: Final[list[Move]] = []
"""Every move there is."""

RARELY: Final = 2
"""How often those are chosen that everything is looked at after, or a handle is opened for."""

OFTEN: Final = 6
"""How often those are chosen that can seldom be made."""


def move(ready: Callable[[Moves], object], often: int = 4) -> Callable[[Act], Act]:
    """Return a decorator that adds a move, to be made where *ready* says so."""

    def add(act: Act) -> Act:
        MOVES.append(Move(ready, act, often))
        return act

    return add


def always(machine: Moves) -> bool:
    """Return that a move can be made at any time."""
    return True


class Moves(Machine):
    """Every move there is."""

    moves: Sequence[Move] = ()

    @rule(dice=DICES)
    def step(self, dice: Dice) -> None:
        """Make one of the moves that can be made, count it, and look at what it touched."""
        self.shape.steps += 1
        self.now += 1.0
        act = dice.of(self.possible(self.moves) or self.possible(MOVES))
        note(act.__name__)
        touched = self.checked(lambda: act(self, dice))
        if touched is not None:
            self.shape.moves[act.__name__] += 1
            self.checked(lambda: self.check(touched))

    def possible(self, moves: Sequence[Move]) -> list[Act]:
        """Return those of *moves* that can be made now, each as often as it's to be chosen."""
        return [move.act for move in moves if move.ready(self) for _ in range(move.often)]

    def furnish(self, dice: Dice) -> None:
        """
        Choose among the moves, and make three sessions, of which one goes again.

        Fewer kinds of moves go deeper: some are left out now and then.
        """
        self.moves = [each for each in MOVES if not dice.once_in(4)] if dice.once_in(2) else MOVES
        if not dice.number() % 8:
            return
        for _ in range(3):
            self.now += 1.0
            self.commit(self.plans.commit(self.plans.fresh_id(dice), dice))
        one, two, gone = self.made
        for session, key in ((one, "k1"), (two, "k9")):
            self._send(session, InboxItem(key=key, body=dice.of(BODIES)))
        self.ask(lambda: self.model.delete(gone), lambda stand: stand.store.delete(gone))
        self.put(self._holder(one), self._rows(one, dice))

    # --- commits -----------------------------------------------------------------

    @move(lambda self: len(self.model.sessions) < SESSIONS)
    def create(self, dice: Dice) -> Collection[str] | None:
        """A first commit makes a session."""
        session = self.plans.fresh_id(dice)
        return [session] if self.commit(self.plans.commit(session, dice)) else None

    @move(lambda self: self.made)
    def go_on(self, dice: Dice) -> Collection[str] | None:
        """A commit on the head, with all that a commit can have."""
        session = dice.of(self.made[::-1])
        commit = self.plans.commit(session, dice)
        touched = [session, *self.waiting_for(commit.operation)]
        return touched if self.commit(commit) else None

    @move(lambda self: self.committed)
    def go_back(self, dice: Dice) -> Collection[str] | None:
        """The end of an earlier commit becomes the head's, with the state of then."""
        session = dice.of(self.committed)
        end = dice.of([*self.model.ends(session), None])
        commit = self.plans.commit(session, dice)
        back = replace(commit, nodes=(), leaf=end, restore=end, components=())
        touched = [session, *self.waiting_for(commit.operation)]
        return touched if end and self.commit(back) else None

    @move(lambda self: self.made)
    def come_late(self, dice: Dice) -> Collection[str] | None:
        """A commit on another revision than the head's."""
        session = dice.of(self.made)
        commit = self.plans.commit(session, dice)
        others = [at for at in range(commit.expected + 3) if at != commit.expected]
        return None if self.commit(replace(commit, expected=dice.of(others))) else [session]

    @move(lambda self: self.made)
    def break_off(self, dice: Dice) -> Collection[str] | None:
        """A commit with one thing wrong leaves nothing."""
        session = dice.of(self.made)
        commit = self.plans.commit(session, dice)
        children = self.waiting_for(commit.operation)
        broken = dice.of(list(self.plans.broken(commit, dice)))
        return None if self.commit(broken) else [session, *children]

    @move(lambda self: self.committed)
    def repeat(self, dice: Dice) -> Collection[str] | None:
        """The same operation again: the first receipt."""
        past = self.plans.past(dice)
        return [past.session] if past and self.commit(same(past, dice)) else None

    @move(lambda self: self.committed)
    def contradict(self, dice: Dice) -> Collection[str] | None:
        """The same operation with another body."""
        past = self.plans.past(dice)
        return [past.session] if past and not self.commit(other(past, dice)) else None

    @move(lambda self: self.made)
    def lose_the_reply(self, dice: Dice) -> Collection[str] | None:
        """A commit whose caller is cancelled: known at once, and not later."""
        session = dice.of(self.made[::-1])
        commit = self.plans.commit(session, dice)
        turns = dice.number() % 4
        for stand in self.stands:
            self.run(self._cancelled(stand, commit, turns))
        return [session] if self.commit(commit) else None

    async def _cancelled(self, stand: Stand, commit: Commit, turns: int) -> None:
        task = asyncio.ensure_future(stand.store.commit(commit))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
            assert was_done, f"{stand.name}: the cancel was swallowed"
        landed = await stand.store.receipt(commit.session, commit.operation)
        await asyncio.sleep(0.002)
        later = await stand.store.receipt(commit.session, commit.operation)
        assert landed == later, f"{stand.name}: landed after its caller had been told"

    # --- inbox ---------------------------------------------------------------------

    def _send(self, session: str, item: InboxItem) -> bool:
        async def act(stand: Stand) -> object:
            kept = await stand.store.enqueue(session, item)
            return kept.key, kept.body

        def expected() -> object:
            self.model.enqueue(session, item, time.time())
            return item.key, item.body

        return self.ask(expected, act)

    @move(always)
    def send(self, dice: Dice) -> Collection[str] | None:
        """New input, to a session or to one that it makes."""
        few = len(self.model.sessions) < SESSIONS
        sessions = [*self.made, self.plans.fresh_id(dice)] if few else self.made
        session = dice.of(sessions)
        found = self.model.sessions.get(session)
        self.plans.next += 1
        free = [key for key in KEYS if not found or key not in found.keys]
        key = dice.of([*free, f"k{self.plans.next}"])
        return [session] if self._send(session, InboxItem(key=key, body=dice.of(BODIES))) else None

    @move(lambda self: any(f.keys for f in self.model.sessions.values()))
    def send_again(self, dice: Dice) -> Collection[str] | None:
        """The same key and body, whether it waits or was used."""
        session, key, body = self._sent(dice)
        return [session] if self._send(session, InboxItem(key=key, body=body)) else None

    @move(lambda self: any(f.keys for f in self.model.sessions.values()))
    def send_other(self, dice: Dice) -> Collection[str] | None:
        """The same key with another body."""
        session, key, body = self._sent(dice)
        changed = InboxItem(key=key, body=[body] if dice.once_in(2) else like(body))
        return None if self._send(session, changed) else [session]

    def _sent(self, dice: Dice) -> tuple[str, str, Json]:
        with_keys = [id for id, found in self.model.sessions.items() if found.keys]
        session = dice.of(with_keys)
        key = dice.of(list(self.model.sessions[session].keys))
        return session, key, json.loads(self.model.sessions[session].keys[key])

    @move(lambda self: any(f.keys for f in self.model.sessions.values()))
    def withdraw(self, dice: Dice) -> Collection[str] | None:
        """A key that waits, one that was used, or one that nobody sent."""
        session, key, _ = self._sent(dice)
        waiting = list(self.model.sessions[session].waiting)
        key = dice.of([*waiting, key, "never sent"])
        self.ask(
            lambda: self.model.withdraw(session, key),
            lambda stand: stand.store.withdraw(session, key),
        )
        return [session]

    # --- claims and journals ---------------------------------------------------------

    @move(always)
    def claim(self, dice: Dice) -> Collection[str] | None:
        """The right to run a turn, of a session that may have no commit yet."""
        few = len(self.model.sessions) < SESSIONS
        free = [id for id in self.made if id not in self.model.held]
        sessions = [*free, self.plans.fresh_id(dice)] if few or not free else free
        session = dice.of(sessions)
        return [session] if self.hold(session) else None

    @move(lambda self: self.model.held, OFTEN)
    def claim_again(self, dice: Dice) -> Collection[str] | None:
        """A second claim, while the first lives."""
        session = dice.of(list(self.model.held))
        return None if self.hold(session) else [session]

    @move(lambda self: self.model.held, OFTEN)
    def release(self, dice: Dice) -> Collection[str] | None:
        """A claim given back; a stale one changes nothing."""
        claims = [*self.model.held.values(), dice.number() % len(self.model.claims)]
        claim = dice.of(claims)
        self.model.release(claim)
        for stand in self.stands:
            self.run(stand.store.release(stand.claims[claim]))
        return [self.model.claims[claim]]

    @move(lambda self: self.made)
    def write(self, dice: Dice) -> Collection[str] | None:
        """Journal rows by the holder, also of a first turn; those that are there stay."""
        claim = self._holder(session := dice.of([*self.made, *self.model.held]))
        return [session] if self.put(claim, self._rows(session, dice)) else None

    def _holder(self, session: str) -> int:
        """Return the number of the session's claim, taken if nobody has it."""
        if session not in self.model.held:
            self.hold(session)
        return self.model.held[session]

    def _rows(self, session: str, dice: Dice) -> list[JournalRow]:
        turn = dice.of([self.plans.due_of(session), f"{session}'s lost turn"])
        return [
            JournalRow(
                turn=turn,
                key=f"{turn}/{dice.number() % 3}",
                kind=dice.of(("intent", "result")),
                body=dice.of(BODIES),
                blobs=tuple(dice.some(BLOBS)),
            )
            for _ in range(1 + dice.number() % 3)
        ]

    @move(lambda self: self.model.held)
    def drop(self, dice: Dice) -> Collection[str] | None:
        """A turn given up, with the children that wait for it."""
        session = dice.of(list(self.model.held))
        claim, turn = self.model.held[session], self.plans.due_of(session)
        turn = dice.of([f"{session}'s lost turn", turn])
        touched = [session, *self.model.children(session, turn)]
        return touched if self._drop(claim, turn) else None

    def _drop(self, claim: int, turn: str) -> bool:
        return self.ask(
            lambda: self.model.drop(claim, turn),
            lambda stand: stand.store.journal_drop(stand.claims[claim], turn),
        )

    @move(lambda self: len(self.model.claims) > len(self.model.held))
    def write_stale(self, dice: Dice) -> Collection[str] | None:
        """A claim that was given back, or whose holder died, writes and drops nothing."""
        held = set(self.model.held.values())
        stale = [number for number in range(len(self.model.claims)) if number not in held]
        claim = dice.of(stale[::-1])
        session = self.model.claims[claim]
        wrote = self.put(claim, self._rows(session, dice))
        dropped = self._drop(claim, self.plans.due_of(session))
        return None if wrote or dropped else [session]

    @move(lambda self: self.made, RARELY)
    def steal(self, dice: Dice) -> Collection[str] | None:
        """A claim whose holder died is free, and the dead one's journal is refused."""
        dead = self._holder(session := dice.of(self.made))
        self.let_go(lambda stand: stand.crash())
        taken = self.hold(session)
        assert not self.put(dead, self._rows(session, dice))
        wrote = self.put(self.model.held[session], self._rows(session, dice))
        return [session] if taken and wrote else None

    # --- sessions that come from others ----------------------------------------------

    @move(lambda self: self.committed and len(self.model.sessions) < SESSIONS)
    def fork(self, dice: Dice) -> Collection[str] | None:
        """A session on another's nodes, at its head or at the end of a commit."""
        session = dice.of(self.committed)
        at = dice.of([None, *self.model.ends(session)])
        id = self.plans.fresh_id(dice)
        return [session, id] if self._fork(session, id, at) else None

    @move(lambda self: self.made)
    def fork_wrong(self, dice: Dice) -> Collection[str] | None:
        """A fork under an id that's taken, or at what ends no commit."""
        session = dice.of(self.made)
        inside = [id for id in self.model.told(session) if id not in self.model.ends(session)]
        taken = dice.of([*self.made, *sorted(self.model.gone)])
        nowhere = self.plans.fresh_id(dice), dice.of([*inside, "nowhere:0"])
        id, at = (taken, None) if dice.once_in(2) else nowhere
        return None if self._fork(session, id, at) else [session, id]

    def _fork(self, session: str, id: str, at: str | None) -> bool:
        def expected() -> object:
            return self.model.fork(session, id, at, time.time())

        made = self.ask(expected, lambda stand: stand.store.fork(session, id, at=at))
        if made:
            lines = self.plans.lines
            lines[id] = {id, session, *lines.get(session, ())}
        return made

    @move(lambda self: self.made and len(self.model.sessions) < SESSIONS + 2)
    def spawn(self, dice: Dice) -> Collection[str] | None:
        """A child that nobody sees until its parent's turn is committed."""
        parent = dice.of(self.made)
        child = self.plans.fresh_id(dice)
        commit = self.plans.commit(child, dice)
        turn = self.plans.due_of(parent)
        return (
            [parent, child] if self.commit(replace(commit, parent=parent, pending=turn)) else None
        )

    # --- what goes away ----------------------------------------------------------------

    @move(lambda self: len(self.model.sessions) > 1, RARELY)
    def delete(self, dice: Dice) -> Collection[str] | None:
        """A session gone for good, with the children that wait for it."""
        session = dice.of(self.made)
        known = self.ask(
            lambda: self.model.delete(session), lambda stand: stand.store.delete(session)
        )
        return self.everything if known else None

    @move(lambda self: self.model.gone)
    def disturb_the_dead(self, dice: Dice) -> Collection[str] | None:
        """Whatever is asked of a deleted session, it stays deleted."""
        session = dice.of(sorted(self.model.gone))
        commit = self.plans.commit(session, dice)
        item = InboxItem(key="k", body=1)
        taken = (
            self.commit(dice.of([commit, *self._past(session)])),
            self._send(session, item),
            self.hold(session),
            self._fork(session, self.plans.fresh_id(dice), None),
        )
        again = self.ask(lambda: self.model.delete(session), lambda s: s.store.delete(session))
        assert again  # not refused: it answers that there's none
        return None if any(taken) else [session]

    def _past(self, session: str) -> list[Commit]:
        return [c for (owner, _), c in self.plans.landed.items() if owner == session]

    @move(lambda self: self.model.nodes, RARELY)
    def tombstone(self, dice: Dice) -> Collection[str] | None:
        """Nodes hidden, unless somebody stands on them."""
        session = dice.of(self.made)
        told = self.model.told(session)
        if not told:
            return None
        free = [id for id in told if not self.model.stood_on(id)]
        first = dice.number() % len(told)
        ids = dice.of([free[-1:], [*told[-1 - first :], "nowhere:0"], [dice.of(told)]])
        self._hide(session, ids)
        return self.everything

    def _hide(self, session: str, ids: list[str]) -> None:
        self.ask(
            lambda: self.model.tombstone(session, ids),
            lambda stand: stand.store.tombstone(session, ids),
        )

    @move(lambda self: self.committed, RARELY)
    def vacuum(self, dice: Dice) -> Collection[str] | None:
        """What's hidden is forgotten, but not that it was."""
        session = dice.of(self.committed)
        leaf = self.model.sessions[session].head.leaf
        commit = self.plans.commit(session, dice)
        self.commit(commit)
        self._commit_empty(session, leaf)
        self._hide(session, [node.id for node in commit.nodes])
        hidden = any(written.hidden for written in self.model.nodes.values())
        self.ask(self.model.vacuum, lambda stand: stand.store.vacuum())
        return self.everything if hidden else None

    def _commit_empty(self, session: str, leaf: str | None) -> None:
        """Move the head to another node, and nothing else."""
        turn, revision = self.plans.turn(), self.model.sessions[session].head.revision
        self.commit(Commit(session=session, expected=revision, operation=turn, leaf=leaf))

    @move(lambda self: self.model.blobs, RARELY)
    def collect(self, dice: Dice) -> Collection[str] | None:
        """Blobs that nobody reaches go, as many bytes as the dry run said."""
        self.ask(lambda: self.model.gc(dry_run=True), lambda stand: stand.store.gc(dry_run=True))
        self.ask(lambda: self.model.gc(dry_run=False), lambda stand: stand.store.gc())
        return self.everything

    # --- the world ---------------------------------------------------------------------

    @move(lambda self: self.model.feed, RARELY)
    def reopen(self, dice: Dice) -> Collection[str] | None:
        """Closed and opened again, everything is where it was."""
        self.let_go(lambda stand: stand.reopen())
        return self.everything

    @move(lambda self: self.model.feed, RARELY)
    def crash(self, dice: Dice) -> Collection[str] | None:
        """Never closed and opened again: the same."""
        self.let_go(lambda stand: stand.crash())
        return self.everything

    @move(lambda self: self.model.held, OFTEN)
    def jump(self, dice: Dice) -> Collection[str] | None:
        """The clock goes a day or more forth or back: no result depends on it."""
        self.days += dice.of((1, -1, 400, -30))
        return list(self.model.held)

    # --- reading -----------------------------------------------------------------------

    @move(lambda self: self.committed)
    def read(self, dice: Dice) -> Collection[str] | None:
        """A session from any of its revisions on, its nodes and its receipts."""
        session = dice.of(self.committed)
        since = dice.number() % (self.model.sessions[session].head.revision + 1)
        id = dice.of([*self.model.told(session), "nowhere:0"])
        operation = dice.of([*self.model.sessions[session].receipts, "never"])

        async def act(stand: Stand) -> object:
            node = await stand.store.node(id)
            receipt = await stand.store.receipt(session, operation)
            told, _ = await load(stand.store, session, since)
            return told, node and node.data, receipt and (receipt.revision, receipt.leaf)

        found = self.model.sessions[session].receipts.get(operation)
        node = self.model.nodes.get(id)
        want = pages(self.model, session, since), node and node.node.data, found and found[1:]
        return [] if self.ask(lambda: want, act) else None

    @move(lambda self: self.made)
    def look_up(self, dice: Dice) -> Collection[str] | None:
        """A list of sessions: by prefix, before a time, at most so many."""
        prefix = dice.of(("", "a", "a_", "a%", "A", "é", "_"))
        times = [found.head.updated for found in self.model.sessions.values()]
        before, limit = dice.of([None, *times]), dice.of((100, 2, 0))

        async def act(stand: Stand) -> object:
            rows = await stand.store.sessions(before=before, limit=limit, prefix=prefix)
            return [row.id for row in rows]

        heads = [h for h in self.model.listed() if before is None or h.updated < before]
        want = [h.session for h in heads if h.session.startswith(prefix)][:limit]
        return [] if self.ask(lambda: want, act) else None

    @move(lambda self: self.model.feed)
    def follow(self, dice: Dice) -> Collection[str] | None:
        """The feed from any cursor on: nothing is missed, nothing told twice."""
        at = dice.number()

        async def act(stand: Stand) -> object:
            await stand.read_on()
            cursor = stand.feed[at % len(stand.feed)].cursor if at % 3 else 0
            rest = [r for r in stand.feed if r.cursor > cursor]
            kept = [r.operation for r in rest if r.session not in self.model.gone]
            assert kept == [r.operation async for r in stand.store.changes(cursor)], stand.name
            return None

        return [] if self.ask(lambda: None, act) else None

    @move(lambda self: self.model.blobs)
    def fetch(self, dice: Dice) -> Collection[str] | None:
        """Bytes by their hash; one that nobody knows is refused."""
        dead = set(self.model.dead())
        ref = dice.of([*sorted(set(self.model.blobs) - dead), "0" * 64])

        async def act(stand: Stand) -> object:
            return hashlib.sha256(await stand.store.blob(ref)).hexdigest()

        def expected() -> object:
            if ref not in self.model.blobs:
                raise Refused("StoreCorrupt")
            return ref

        self.ask(expected, act)
        return []
