"""
A4: what a power cut may leave, put together from what was written and flushed.

A flush makes what was written to its file before it safe, and orders nothing else. At
each point of the record every file has what was safe, and of the rest any part: none,
all, some of it by chance, or the last write torn at a sector.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lash_sdk.commits import Component
from lash_sdk.errors import LashError
from lash_sdk.messages import user
from lash_sdk.ports import InboxItem, JournalRow, Store
from lash_sdk.testing.store_turns import turn
from lash_store_sqlite import SqliteStore

from .places import SqlitePlace
from .plants import FAULTS
from .room import ROOM
from .vfs import SECTOR, mounted

SESSION: Final = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One thing on the record.

    Attributes:
        what: "write", "sync", "truncate", "delete", or "ack".
        name: The file's; of an "ack" what was acknowledged.
        at: Offset of a write, length of what's left by a truncate.
    """

    what: str
    name: str
    at: int = 0
    data: bytes = b""


class Recorder:
    """A disk that remembers everything in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def write(self, name: str, offset: int, data: bytes, size: int) -> None:
        """Remember a write."""
        self.entries.append(Entry(what="write", name=name, at=offset, data=bytes(data)))

    def sync(self, name: str) -> None:
        """Remember a flush."""
        self.entries.append(Entry(what="sync", name=name))

    def truncate(self, name: str, size: int) -> None:
        """Remember that a file was cut."""
        self.entries.append(Entry(what="truncate", name=name, at=size))

    def delete(self, name: str) -> None:
        """Remember that a file was removed."""
        self.entries.append(Entry(what="delete", name=name))

    def ack(self, name: str) -> None:
        """Remember that something was acknowledged."""
        self.entries.append(Entry(what="ack", name=name))


class LyingDisk(Recorder):
    """Takes a flush of the log, and does nothing."""

    def sync(self, name: str) -> None:
        """Forget flushes of the log."""
        if not name.endswith("-wal"):
            super().sync(name)


async def record(disk: Recorder, planted: Sequence[str] = (), *, commits: int = 12) -> None:
    """Make a store on *disk*, commit to it, close it, and open it for some more."""
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder, ExitStack() as on:
        on.enter_context(mounted(disk))
        for name in planted:
            on.enter_context(FAULTS[name]())
        for first in (0, commits // 2):
            store = SqliteStore(Path(folder) / "a.db")
            await store.open()
            await _fold(store)
            for number in range(first, first + commits // 2):
                await _write(store, disk, number)
            await store.close()


async def _fold(store: SqliteStore) -> None:
    """Let the log be folded into the database every few commits."""
    writer = store._writer  # pyright: ignore[reportPrivateUsage]
    assert writer is not None
    await writer.submit(lambda db: int(db.pragma("wal_autocheckpoint", 24)), seek=lambda db: None)


async def _write(store: SqliteStore, disk: Recorder, number: int) -> None:
    """Make one commit, one inbox item and one journal row durable; note each."""
    state = Component(name="policy", version=1, value={"number": number})
    commit = turn(SESSION, number, text="x" * 700, components=(state,))
    await store.commit(commit)
    disk.ack(f"commit {commit.operation}")
    await store.enqueue(SESSION, InboxItem(key=f"k{number}", body=user("also").to_json()))
    disk.ack(f"input k{number}")
    claim = await store.claim(SESSION)
    await store.journal_put(
        claim, [JournalRow(turn="t", key=f"t/{number}", kind="event", body={"n": number})]
    )
    await store.release(claim)
    disk.ack(f"row t/{number}")


@dataclass(slots=True)
class _File:
    """
    A file between two flushes.

    Attributes:
        safe: What a power cut leaves for certain; None if the file isn't there.
        loose: What came after, in order.
    """

    safe: bytes | None = None
    loose: list[Entry] = field(default_factory=list)

    @property
    def new(self) -> bool:
        """Whether the file was made since its last flush."""
        return self.safe is None or any(entry.what == "delete" for entry in self.loose)


@dataclass(frozen=True, slots=True)
class State:
    """
    What a power cut left.

    Attributes:
        at: How much of the record had happened.
        kind: Which part of what wasn't flushed is there.
        acks: What had been acknowledged.
    """

    at: int
    kind: str
    files: dict[str, bytes]
    acks: list[str]

    def __str__(self) -> str:
        return f"power cut after {self.at} calls, {self.kind}"


def states(entries: Sequence[Entry], *, seed: int, chances: int = 1) -> Iterator[State]:
    """Yield the states that a power cut may leave, after each entry of the record."""
    files: dict[str, _File] = {}
    acks: list[str] = []
    chance = random.Random(seed)
    yield State(0, "nothing", {}, [])
    for at, entry in enumerate(entries, 1):
        if entry.what == "ack":
            acks.append(entry.name)
            continue
        file = files.setdefault(entry.name, _File())
        if entry.what == "sync":
            if file.new and not entry.name.endswith(".db"):
                _settle_folder(files)
            file.safe, file.loose = _apply(file.safe, file.loose), []
        else:
            file.loose.append(entry)
        for kind, left in _lefts(files, chance, chances):
            found = {name: data for name, data in left.items() if data is not None}
            yield State(at, kind, found, list(acks))


def _settle_folder(files: dict[str, _File]) -> None:
    """Make removals safe: with a new log's first flush SQLite flushes its folder."""
    for file in files.values():
        removals = [at for at, entry in enumerate(file.loose) if entry.what == "delete"]
        if removals:
            file.safe, file.loose = None, file.loose[removals[-1] + 1 :]


def _lefts(
    files: dict[str, _File], chance: random.Random, chances: int
) -> Iterator[tuple[str, dict[str, bytes | None]]]:
    """Yield what may be left of *files*, and what to call it."""
    yield "all kept", {name: _apply(each.safe, each.loose) for name, each in files.items()}
    if not any(each.loose for each in files.values()):
        return
    yield "all dropped", {name: each.safe for name, each in files.items()}
    yield (
        "last torn",
        {name: _apply(each.safe, _torn(each.loose)) for name, each in files.items()},
    )
    for number in range(chances):
        some = {name: _apply(each.safe, _some(each.loose, chance)) for name, each in files.items()}
        yield f"some kept, {number}", some


def _apply(safe: bytes | None, entries: Sequence[Entry]) -> bytes | None:
    """Return what a file is after *entries*."""
    data = None if safe is None else bytearray(safe)
    for entry in entries:
        if entry.what == "delete":
            data = None
            continue
        if data is None:
            data = bytearray()
        if entry.what == "truncate":
            del data[entry.at :]
            data.extend(bytes(entry.at - len(data)))
        else:
            data.extend(bytes(max(0, entry.at - len(data))))
            data[entry.at : entry.at + len(entry.data)] = entry.data
    return None if data is None else bytes(data)


def _some(entries: Sequence[Entry], chance: random.Random) -> list[Entry]:
    """Return some of *entries*; a file that's still there has nothing of the next one."""
    kept: list[Entry] = []
    for entry in entries:
        if chance.random() < 0.5:
            kept.append(entry)
        elif entry.what == "delete":
            break
    return kept


def _torn(entries: Sequence[Entry]) -> list[Entry]:
    """Return *entries* with the last write cut at a sector's end, halfway."""
    last = entries[-1] if entries else None
    if last is None or last.what != "write":
        return list(entries)
    sectors = -(-len(last.data) // SECTOR)
    cut = max(0, (last.at // SECTOR + (sectors + 1) // 2) * SECTOR - last.at)
    if cut >= len(last.data):
        return list(entries[:-1])
    kept = Entry(what="write", name=last.name, at=last.at, data=last.data[:cut])
    return [*entries[:-1], kept]


@dataclass(slots=True)
class Verdict:
    """
    What opening a state showed.

    Attributes:
        lost: What had been acknowledged and isn't there.
        broken: Why it can't be read, or what in it isn't whole.
    """

    lost: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


async def judge(state: State) -> Verdict:
    """Return what a store finds in *state*: it opens, is whole, and has every ack."""
    verdict = Verdict()
    with tempfile.TemporaryDirectory(prefix="lash-crash-", dir=ROOM) as folder:
        place = SqlitePlace(Path(folder))
        for name, data in state.files.items():
            (Path(folder) / name).write_bytes(data)
        store = place.store()
        try:
            await store.open()
            await _look(store, state.acks, verdict)
        except LashError as error:
            verdict.broken.append(f"{type(error).__name__}: {error}")
        finally:
            await store.close()
        verdict.broken += place.look()
    return verdict


async def _look(store: Store, acks: Sequence[str], verdict: Verdict) -> None:
    """Ask *store* for everything that was acknowledged, and for nothing else."""
    pending = {item.key for item in await store.pending(SESSION)}
    rows = {row.key for row in await store.journal(SESSION)}
    for ack in acks:
        kind, _, name = ack.partition(" ")
        there = {"input": name in pending, "row": name in rows}.get(kind)
        if there is None:
            there = await store.receipt(SESSION, name) is not None
        if not there:
            verdict.lost.append(ack)
    pages = [page async for page in store.load(SESSION)]
    nodes = [node for page in pages for node in page.nodes]
    head = await store.head(SESSION)
    revision = head.revision if head else 0
    if len(nodes) != 2 * revision:
        verdict.broken.append(f"revision {revision} has {len(nodes)} nodes")
    if head is not None and revision:
        await store.blob(head.manifest["policy"])
