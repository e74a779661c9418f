"""
A process that works on a store as one of many, and writes down all that it sees.

An order is one JSON object a line: where the store is, what to do, for how long. Each
line of its log is written in one go, so that one that's killed leaves whole lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from lash_sdk.commits import Commit, Head
from lash_sdk.errors import (
    InvalidHistory,
    InvalidInput,
    LashError,
    RevisionConflict,
    SessionBusy,
    SessionDeleted,
    SessionExists,
    StoreBusy,
)
from lash_sdk.graph import chain
from lash_sdk.json import Json
from lash_sdk.messages import user
from lash_sdk.ports import InboxItem, JournalRow, Store
from lash_sdk.testing.store_place import made

AGAIN: Final = 4
"""How many commits of a dead process its heir repeats."""


class Racer:
    """One process' share of the work."""

    def __init__(self, order: dict[str, Json], store: Store) -> None:
        self.store = store
        self.name = str(order["name"])
        self.sessions = [str(id) for id in _list(order["sessions"])]
        self.hold = _number(order["hold"])
        self.until = time.monotonic() + _number(order["seconds"])
        self.dice = random.Random(f"{order['seed']} {self.name}")
        self.count = 0
        self.log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.effects = os.open(str(order["effects"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def close(self) -> None:
        """Close the files."""
        os.close(self.log)
        os.close(self.effects)

    def say(self, *words: Json) -> None:
        """Write down a line: what happens, and when."""
        line = json.dumps([*words, self.name, time.monotonic_ns()])
        os.write(self.log, line.encode() + b"\n")

    def id(self) -> str:
        """Return an operation id that nobody else has."""
        self.count += 1
        return f"{self.name}-{self.count}"

    async def pause(self) -> None:
        """Hold what was read for a while, or few would ever collide."""
        await asyncio.sleep(self.dice.uniform(0, self.hold))

    async def forever(self, work: Callable[[str], Awaitable[None]]) -> None:
        """Do the work on one session after another until time is up."""
        while time.monotonic() < self.until:
            try:
                await work(self.dice.choice(self.sessions))
            except StoreBusy:
                self.say("locked")

    # --- what a racer can do -----------------------------------------------------------

    async def commits(self, session: str) -> None:
        """Read the head, hold it, and commit on it."""
        head = await self.read(session)
        await self.pause()
        await self.commit(session, head)

    async def read(self, session: str) -> Head | None:
        """Return the head, having noted what it was."""
        id = self.id()
        self.say("call", id, "read", session, 0, [])
        head = await self.store.head(session)
        found = head.operation if head else ""
        self.say("return", id, "ok", head.revision if head else 0, found)
        return head

    async def commit(self, session: str, head: Head | None, **parts: tuple[str, ...]) -> bool:
        """Commit one message on a head; return whether it was taken."""
        id = self.id()
        leaf, turns = (head.leaf, head.turns) if head else (None, 0)
        revision, used = head.revision if head else 0, parts.get("consumed", ())
        self.say("call", id, "commit", session, revision, list(used), leaf, turns)
        return await self.finish(_turn(session, revision, id, used, leaf, turns))

    async def inherit(self, log: str) -> None:
        """Repeat what a dead process did last: what it learnt, and what it never did."""
        for commit, known in list(_commits(log))[-AGAIN:]:
            await self.finish(commit, "again" if known else "return")

    async def finish(self, commit: Commit, word: str = "return") -> bool:
        """Make a commit that was called; return whether it was taken."""
        id = commit.operation
        try:
            receipt = await self.store.commit(commit)
        except RevisionConflict as conflict:
            self.say(word, id, "conflict", conflict.actual, "")
            return False
        except (SessionDeleted, InvalidInput, InvalidHistory) as refusal:
            self.say(word, id, type(refusal).__name__, 0, "")
            return False
        except StoreBusy:
            self.say(word, id, "busy", 0, "")
            return False
        except LashError as error:
            self.say(word, id, "error", 0, repr(error))
            return False
        self.say(word, id, "ok", receipt.revision, "")
        return True

    async def turns(self, session: str) -> None:
        """Run a turn as the kernel does: claim, journal, effect, commit, release."""
        try:
            claim = await self.store.claim(session)
        except SessionBusy:
            self.say("busy", session)
            await self.pause()
            return
        turn = self.id()
        try:
            head = await self.read(session)
            for step in range(2):
                row = JournalRow(turn=turn, key=f"{turn}/{step}", kind="intent", body=step)
                await self.store.journal_put(claim, [row])
                self.effect(session, claim.generation, turn)
                await self.pause()
            await self.commit(session, head)
        except SessionBusy:
            self.say("fenced", session)
        finally:
            await self.store.release(claim)

    def effect(self, session: str, generation: int, turn: str) -> None:
        """Do what can't be undone: tell the world."""
        os.write(self.effects, json.dumps([session, generation, turn]).encode() + b"\n")

    async def queue(self, session: str) -> None:
        """Send input, sometimes twice; use what waits, as does everybody else."""
        head = await self.read(session)
        for _ in range(self.dice.randrange(3)):
            item = InboxItem(key=self.id(), body=self.name)
            for _ in range(self.dice.randrange(1, 3)):
                await self.store.enqueue(session, item)
                self.say("sent", session, item.key)
        waiting = [item.key for item in await self.store.pending(session)]
        await self.pause()
        if waiting:
            some = waiting[: self.dice.randrange(1, len(waiting) + 1)]
            await self.commit(session, head, consumed=tuple(some))

    async def branches(self, session: str) -> None:
        """Commit, fork and delete, whoever else does the same."""
        match self.dice.randrange(6):
            case 0:
                await self.fork(session)
            case 1 if self.dice.randrange(4) == 0:
                await self.delete(session)
            case _:
                await self.commit_if_there(session)

    async def commit_if_there(self, session: str) -> None:
        try:
            head = await self.store.head(session)
        except SessionDeleted:
            self.pass_on(session)
            return
        await self.pause()
        await self.commit(session, head)

    async def fork(self, session: str) -> None:
        other = f"{session}~{self.id()}"
        self.say("forking", session, other)
        try:
            head = await self.store.fork(session, other)
        except (SessionDeleted, InvalidHistory, SessionExists) as refusal:
            self.say("refused", session, type(refusal).__name__)
            return
        origin = head.forked_from or ("", 0)
        self.say("forked", session, other, origin[1])
        self.sessions.append(other)

    async def delete(self, session: str) -> None:
        self.say("deleting", session)
        if await self.store.delete(session):  # else nobody has made it yet, or it's gone
            self.say("deleted", session)
        self.pass_on(session)

    def pass_on(self, session: str) -> None:
        """Go on with another session in place of one that's gone."""
        again = f"{session.split('~')[0]}+"
        self.sessions = [again if id == session else id for id in self.sessions]


def _turn(
    session: str, expected: int, id: str, used: Sequence[str], leaf: str | None, turns: int
) -> Commit:
    nodes = chain(id, leaf, [user(id)])
    return Commit(
        session=session,
        expected=expected,
        operation=id,
        turns=turns + 1,
        nodes=nodes,
        leaf=nodes[-1].id,
        consumed=tuple(used),
        turn=id,
    )


def _commits(log: str) -> Iterator[tuple[Commit, bool]]:
    """Yield the commits of a process that's dead, and whether it learnt what came of them."""
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    ended = {line[1] for line in lines if line[0] == "return" and line[2] != "busy"}
    for line in lines:
        match line:
            case ["call", str(id), "commit", str(session), int(revision), used, leaf, turns, *_]:
                yield _turn(session, revision, id, used, leaf, turns), id in ended
            case _:
                pass


def _number(value: Json) -> float:
    assert isinstance(value, (int, float))
    return value


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


CLOCK: Final = time.time


async def race(order: dict[str, Json]) -> None:
    """Do as ordered, as long as ordered."""
    offset = _number(order["offset"])
    time.time = lambda: CLOCK() + offset
    store = made(str(order["factory"]), str(order["url"]))
    await store.open()
    racer = Racer(order, store)
    racer.say("ready")
    if order["heir"]:
        await racer.inherit(str(order["heir"]))
    work = getattr(racer, str(order["work"]))
    await asyncio.gather(*[racer.forever(work) for _ in range(int(_number(order["tasks"])))])
    await store.close()
    racer.close()


def main() -> None:
    """Do one order after another, and say when each is done."""
    for line in sys.stdin:
        asyncio.run(race(json.loads(line)))
        print("done", flush=True)


if __name__ == "__main__":
    main()
