"""The file answers as the memory store does, whatever is asked of both."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lash_sdk.commits import Commit, Component
from lash_sdk.errors import LashError
from lash_sdk.graph import chain
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Blob, assistant, user
from lash_sdk.ports import Claim, InboxItem, JournalRow, Store
from lash_sdk.usage import Usage, UsageRow
from lash_store_sqlite import SqliteStore

IDS = ("a", "b", "c", "d", "e", "f")
KEYS = ("k1", "k2", "k3")
BLOBS = tuple([Blob.of(bytes([number]) * 10, "text/plain") for number in range(4)])
FORKS = ("", "2", "3", "4", "5", "6", "7", "8")

Step = Callable[[Store, dict[str, Claim]], Awaitable[object]]


@dataclass
class Script:
    """Makes steps up, by what the reference has so far."""

    chance: random.Random
    nodes: dict[str, str | None] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    number: int = 0

    async def step(self, store: Store) -> Step:
        """Return something to ask of a store."""
        session = self.chance.choice(IDS)
        match self.chance.choices(
            ("commit", "again", "fork", "delete", "enqueue", "withdraw", "claim", "release",
             "put", "drop", "hide", "vacuum", "gc"),
            (40, 2, 8, 2, 8, 3, 8, 6, 12, 3, 8, 2, 3),
        )[0]:  # fmt: skip
            case "commit":
                return _commit(await self.commit(store, session))
            case "again":
                return _commit(replace(await self.commit(store, session), operation="same"))
            case "fork":
                session = self.chance.choice([row.id for row in await store.sessions()] or IDS)
                at = self.chance.choice((None, None, None, *list(self.nodes)[-4:]))
                other = self.chance.choice(IDS) + self.chance.choice(FORKS)
                return lambda store, _: store.fork(session, other, at=at)
            case "delete":
                session += self.chance.choice(("", "2"))
                return lambda store, _: store.delete(session)
            case "enqueue":
                item = InboxItem(key=self.chance.choice(KEYS), body=self.chance.choice((1, 1, [2])))
                return lambda store, _: store.enqueue(session, item)
            case "withdraw":
                key = self.chance.choice(KEYS)
                return lambda store, _: store.withdraw(session, key)
            case "claim":
                return _claim(session)
            case "release":
                return _release(session)
            case "put":
                return _put(session, [self.row() for _ in range(self.chance.randrange(3))])
            case "drop":
                return _drop(session, self.chance.choice(KEYS))
            case "hide":
                some, session = await self.branch(store)
                return lambda store, _: store.tombstone(session, some)
            case "vacuum":
                return _vacuum
            case _:
                return lambda store, _: store.gc()

    async def branch(self, store: Store) -> tuple[list[str], str]:
        """Return a node with all that stands on it, and the session that wrote it."""
        heads = [await store.head(row.id) for row in await store.sessions()]
        leaves = {head.leaf for head in heads if head}
        found: list[str] = ["none"]
        for root in self.chance.sample(list(self.nodes), len(self.nodes)):
            if await store.node(root) is None:
                continue
            found = [root]
            for id, parent in self.nodes.items():
                if parent in found:
                    found.append(id)
            if self.chance.random() < 0.1 or leaves.isdisjoint(found):
                break
        return found, self.owners.get(found[0], "a")

    def row(self) -> JournalRow:
        """Return a row of a journal."""
        turn, key = self.chance.choice(KEYS), self.chance.choice(KEYS)
        blobs = self.chance.choice(((), (), BLOBS[:1], BLOBS[2:]))
        return JournalRow(turn=turn, key=key, kind="event", body=[self.number], blobs=blobs)

    async def commit(self, store: Store, session: str) -> Commit:
        """Return a commit that mostly fits."""
        chance = self.chance
        self.number += 1
        session += chance.choice(("", "", "", *FORKS))
        operation = f"o{self.number}" if chance.random() < 0.95 else "o1"
        try:
            head = await store.head(session)
        except LashError:
            head = None
        leaf = head.leaf if head else None
        if self.nodes and chance.random() < 0.2:
            mine = [id for id, owner in self.owners.items() if owner == session]
            leaf = chance.choice((None, *mine[-4:], *list(self.nodes)[-3:]))
        turn = operation if chance.random() < 0.9 else f"x{self.number // 2}"
        said = [user("u"), assistant("a"), user("v")][: chance.randrange(4)]
        nodes = chain(turn, leaf, said)
        self.nodes.update([(node.id, node.parent) for node in nodes])
        self.owners.update(dict.fromkeys([node.id for node in nodes], session))
        names = ("policy", "plugin/p")
        component = Component(
            name=chance.choice(names), version=1, value=chance.choice((None, 1, 2, self.number))
        )
        row = UsageRow(
            id=f"r{self.number}",
            turn=turn,
            session="x",
            source="s",
            model="m",
            usage=Usage(input=self.number),
        )
        return Commit(
            session=session,
            expected=head.revision if head and chance.random() < 0.97 else 0,
            operation=operation,
            at=float(self.number),
            turns=self.number,
            nodes=nodes,
            leaf=nodes[-1].id if nodes else leaf,
            components=(component,) if chance.random() < 0.5 else (),
            blobs=(chance.choice(BLOBS),) if chance.random() < 0.3 else (),
            usage=(row,) if chance.random() < 0.3 else (),
            consumed=(chance.choice(KEYS),) if chance.random() < 0.1 else (),
            children=(chance.choice(IDS),) if chance.random() < 0.05 else (),
            restore=chance.choice(list(self.nodes))
            if self.nodes and chance.random() < 0.1
            else None,
            parent=chance.choice(IDS) if chance.random() < 0.1 else None,
            pending=f"o{self.number + 4}" if chance.random() < 0.1 else None,
            turn=chance.choice(KEYS),
        )


def _commit(commit: Commit) -> Step:
    return lambda store, _: store.commit(commit)


async def _vacuum(store: Store, claims: dict[str, Claim]) -> object:
    await store.vacuum()  # a file forgets what is hidden with its session already


def _claim(session: str) -> Step:
    async def step(store: Store, claims: dict[str, Claim]) -> object:
        claims[session] = claim = await store.claim(session)
        return (claim.session, claim.revision, claim.unfinished, claim.waiting)

    return step


def _release(session: str) -> Step:
    async def step(store: Store, claims: dict[str, Claim]) -> object:
        return await store.release(claims[session]) if session in claims else None

    return step


def _put(session: str, rows: list[JournalRow]) -> Step:
    async def step(store: Store, claims: dict[str, Claim]) -> object:
        return await store.journal_put(claims[session], rows) if session in claims else None

    return step


def _drop(session: str, turn: str) -> Step:
    async def step(store: Store, claims: dict[str, Claim]) -> object:
        return await store.journal_drop(claims[session], turn) if session in claims else None

    return step


async def outcome(awaitable: Awaitable[object]) -> object:
    """Return what came of it: a value, or the kind of error."""
    try:
        return await awaitable
    except LashError as error:
        return type(error).__name__


async def pages(store: Store, session: str) -> object:
    """Return all that `load` tells, revision by revision."""
    return [
        (page.revision, page.nodes, page.usage, page.head) async for page in store.load(session)
    ]


async def everything(store: Store, script: Script) -> dict[str, object]:
    """Return all that can be seen of a store."""
    ids = [id + more for id in IDS for more in FORKS]
    seen: dict[str, object] = {
        "sessions": sorted(map(str, await store.sessions())),
        "changes": [(r.session, r.operation, r.revision) async for r in store.changes()],
        "nodes": [id for id in script.nodes if await store.node(id) is not None],
        "garbage": await store.gc(dry_run=True),
    }
    for id in ids:
        seen[id] = (
            await outcome(store.head(id)),
            await outcome(pages(store, id)),
            await outcome(store.pending(id)),
            await outcome(store.journal(id)),
        )
    return seen


@pytest.mark.parametrize("seed", range(8))
async def test_both_answer_alike(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The memory store is the reference: same values, same errors, same order.
    """
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    script = Script(random.Random(seed))
    reference, store = MemoryStore(), SqliteStore(tmp_path / "a.db")
    await store.open()
    held: tuple[dict[str, Claim], dict[str, Claim]] = {}, {}
    for number in range(120):
        step = await script.step(reference)
        expected = await outcome(step(reference, held[0]))
        found = await outcome(step(store, held[1]))
        assert expected == found
        if number % 5 == 4:
            assert await everything(reference, script) == await everything(store, script)
    await store.close()
