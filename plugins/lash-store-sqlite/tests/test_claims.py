"""Claims and journals across processes: who lives holds, who died doesn't."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from lash_sdk.errors import SessionBusy, SessionDeleted, StoreError, Unavailable
from lash_sdk.ports import JournalRow
from lash_sdk.testing.store_turns import turn
from lash_store_sqlite import SqliteStore, claims

HOLDER = """
import asyncio, sys
from lash_sdk.ports import JournalRow
from lash_store_sqlite import SqliteStore

async def main(path, session, rows):
    store = SqliteStore(path)
    await store.open()
    claim = await store.claim(session)
    for number in range(int(rows)):
        await store.journal_put(claim, [JournalRow(turn="t", key=str(number), kind="k", body=1)])
    print(claim.generation, flush=True)
    sys.stdin.readline()
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""

RACE = """
import asyncio, sys
from dataclasses import replace
from lash_sdk.errors import SessionBusy
from lash_sdk.ports import JournalRow
from lash_sdk.testing.store_turns import turn
from lash_store_sqlite import SqliteStore

async def main(path, me):
    store = SqliteStore(path)
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    won = lost = 0
    while won < 10:
        try:
            claim = await store.claim("a")
        except SessionBusy:
            lost += 1
            await asyncio.sleep(0.001)
            continue
        assert not claim.unfinished
        row = JournalRow(turn="t", key=me, kind="k", body=won)
        await store.journal_put(claim, [row])
        assert [row] == list(await store.journal("a"))
        await store.commit(replace(turn("a", claim.revision), turn="t"))
        await store.release(claim)
        won += 1
        await asyncio.sleep(0)
    await store.close()
    print(won, lost)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def started(script: str, *args: str) -> subprocess.Popen[str]:
    """Return a process of ours that talks through pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def holder(path: Path, session: str, rows: int = 0) -> subprocess.Popen[str]:
    """Return a process that holds a claim, having put some rows."""
    process = started(HOLDER, str(path), session, str(rows))
    assert process.stdout is not None
    assert "1\n" == process.stdout.readline()
    return process


def ended(process: int, how: signal.Signals) -> None:
    """Send a child a signal that ends or stops it; return once it has."""
    os.kill(process, how)
    os.waitpid(process, os.WUNTRACED)


async def opened(path: Path) -> SqliteStore:
    """Return an open store."""
    store = SqliteStore(path)
    await store.open()
    return store


def row(key: str, body: int = 1) -> JournalRow:
    """Return a row of turn "t"."""
    return JournalRow(turn="t", key=key, kind="k", body=body)


@pytest.mark.parametrize("rows", [0, 3])
async def test_a_killed_holder_frees_its_claim_at_once(tmp_path: Path, rows: int) -> None:
    """
    Whoever takes over sees what it left, and is the newer one.
    """
    store = await opened(path := tmp_path / "a.db")
    process = holder(path, "a", rows)
    with pytest.raises(SessionBusy):
        await store.claim("a")

    process.send_signal(signal.SIGKILL)
    process.communicate()

    claim = await store.claim("a")
    assert (rows > 0) == claim.unfinished
    assert rows == len(await store.journal("a"))
    assert (2 if rows else 1) == claim.generation
    await store.close()


async def test_a_stopped_holder_keeps_its_claim(tmp_path: Path) -> None:
    """
    However long it sleeps, it may wake up and go on: only death frees a claim.
    """
    store = await opened(path := tmp_path / "a.db")
    process = holder(path, "a", 1)
    ended(process.pid, signal.SIGSTOP)

    with pytest.raises(SessionBusy):
        await store.claim("a")
    other = await store.claim("b")
    process.send_signal(signal.SIGCONT)
    process.communicate("go\n")
    assert 0 == process.returncode
    assert 2 == (await store.claim("a")).generation
    await store.release(other)
    await store.close()


async def test_processes_that_race_for_a_session_take_turns(tmp_path: Path) -> None:
    """
    No holder sees another's rows, and no commit of one finds the head moved.
    """
    racers = [started(RACE, str(tmp_path / "a.db"), name) for name in "xyz"]
    for racer in racers:
        assert racer.stdout is not None
        assert "ready\n" == racer.stdout.readline()

    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate()[0].split() for racer in racers]

    assert ["10"] * 3 == [won for won, _ in said]
    store = await opened(tmp_path / "a.db")
    claim = await store.claim("a")
    assert (30, False) == (claim.revision, claim.unfinished)
    assert 30 <= claim.generation
    await store.close()


async def test_a_file_has_one_set_of_claims_whatever_it_is_called(tmp_path: Path) -> None:
    """
    A link to the file is the file.
    """
    one = await opened(tmp_path / "a.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    two = await opened(tmp_path / "link.db")
    await one.claim("a")

    with pytest.raises(SessionBusy):
        await two.claim("a")
    await one.close()
    await two.close()
    assert {"a.db", "a.db-claims", "link.db"} == set(os.listdir(tmp_path))


async def test_without_such_locks_there_are_no_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A lock that isn't one would let two processes run one turn; better to say so.
    """
    store = await opened(tmp_path / "a.db")
    monkeypatch.setattr(claims, "LOCKS", False)

    assert "journal" in SqliteStore.capabilities
    with pytest.raises(Unavailable, match="Linux"):
        await store.claim("a")
    assert 1 == (await store.commit(turn("a", 0))).revision
    await store.close()


async def test_a_claim_excludes_everybody_in_this_process_too(tmp_path: Path) -> None:
    """
    Two apps on one file are two stores; each may have a task that wants the session.
    """
    one, two = await opened(tmp_path / "a.db"), await opened(tmp_path / "a.db")

    found = await asyncio.gather(
        *[store.claim("a") for store in (one, two, one, two)], return_exceptions=True
    )

    assert [SessionBusy] * 3 == [type(claim) for claim in found[1:]]
    first = found[0]
    assert not isinstance(first, BaseException)
    await two.release(first)
    with pytest.raises(SessionBusy):
        await two.claim("a")
    await one.release(first)
    await one.release(first)
    second = await two.claim("a")
    await one.release(first)
    with pytest.raises(SessionBusy):
        await one.claim("a")
    with pytest.raises(SessionBusy):
        await one.journal_put(first, [row("1")])
    await two.journal_put(second, [row("1")])
    await one.close()
    await two.close()


async def test_each_claim_of_a_session_is_a_newer_one(tmp_path: Path) -> None:
    """
    What a turn was told by an older one must be told apart.
    """
    store = await opened(tmp_path / "a.db")
    generations = []
    for _ in range(3):
        claim = await store.claim("a")
        generations.append(claim.generation)
        await store.release(claim)

    assert sorted(set(generations)) == generations
    assert await store.head("a") is None
    assert not await store.delete("a")
    assert 0 == store.transactions - 1  # the delete that found nothing
    await store.close()


async def test_a_closed_store_gives_every_claim_back(tmp_path: Path) -> None:
    """
    An app that ends in order must not look as if it still ran.
    """
    one, two = await opened(tmp_path / "a.db"), await opened(tmp_path / "a.db")
    claim = await one.claim("a")
    await one.claim("b")

    await one.close()

    await one.release(claim)
    await two.claim("a")
    await two.claim("b")
    await two.close()


async def test_a_refused_claim_leaves_nothing_held(tmp_path: Path) -> None:
    """
    Neither an error nor a cancelled caller may lock a session for good.
    """
    one, two = await opened(tmp_path / "a.db"), await opened(tmp_path / "a.db")
    await one.commit(turn("gone", 0))
    await one.delete("gone")
    for store in (one, two):
        with pytest.raises(SessionDeleted):
            await store.claim("gone")
    one._glass = None  # as if a lock were in its way, so that the reader's thread is asked
    task = asyncio.ensure_future(one.claim("a"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    await two.claim("a")
    await one.close()
    await two.close()


async def test_a_newer_claim_fences_an_older_one_out(tmp_path: Path) -> None:
    """
    If the locks' file was removed two may hold one session: then the newest
    that wrote is the one, and the other learns it before its effect starts.
    """
    one, two = await opened(tmp_path / "a.db"), await opened(tmp_path / "a.db")
    old = await one.claim("a")
    await one.journal_put(old, [row("1")])
    (tmp_path / "a.db-claims").unlink()
    new = await two.claim("a")
    await one.journal_put(old, [row("2")])
    await two.journal_put(new, [row("3")])

    for key in ("1", "4"):
        with pytest.raises(SessionBusy):
            await one.journal_put(old, [row(key)])
    with pytest.raises(SessionBusy):
        await one.journal_drop(old, "t")
    assert old.generation < new.generation
    assert ["1", "2", "3"] == [found.key for found in await two.journal("a")]
    await one.close()
    await two.close()


async def test_of_two_with_one_generation_the_first_that_writes_has_it(tmp_path: Path) -> None:
    """
    A generation that nobody wrote isn't durable; its holder's name tells them apart.
    """
    one, two = await opened(tmp_path / "a.db"), await opened(tmp_path / "a.db")
    first = await one.claim("a")
    (tmp_path / "a.db-claims").unlink()
    second = await two.claim("a")
    await two.journal_put(second, [row("1")])

    assert first.generation == second.generation
    with pytest.raises(SessionBusy):
        await one.journal_put(first, [row("2")])
    await one.close()
    await two.close()


async def test_a_row_stays_as_it_was_first(tmp_path: Path) -> None:
    """
    An effect that's replayed must find what it found the first time.
    """
    store = await opened(tmp_path / "a.db")
    claim = await store.claim("a")
    await store.journal_put(claim, [row("1"), row("2")])
    await store.journal_put(claim, [row("2", 2), row("3", 3), row("3", 4)])
    await store.release(claim)
    await store.close()
    await store.open()

    assert [row("1"), row("2"), row("3", 3)] == list(await store.journal("a"))
    again = await store.claim("a")
    assert again.unfinished
    await store.journal_drop(again, "t")
    assert () == await store.journal("a")
    await store.close()


async def test_rows_of_many_sessions_share_a_flush(tmp_path: Path) -> None:
    """
    A journal that flushed each row alone would halve what a server can do.
    """
    store = await opened(tmp_path / "a.db")
    held = [await store.claim(f"s{number}") for number in range(64)]

    await asyncio.gather(*[store.journal_put(claim, [row("1")]) for claim in held])

    assert store.transactions <= 16
    await store.close()


async def test_an_ordinary_turn_is_two_transactions(tmp_path: Path) -> None:
    """
    One for what the model said, one for the turn; claiming costs none.
    """
    store = await opened(tmp_path / "a.db")
    for number in range(5):
        claim = await store.claim("a")
        assert number == claim.revision
        await store.journal_put(claim, [row(str(number))])
        await store.commit(replace(turn("a", number), turn="t"))
        await store.release(claim)

    assert 10 == store.transactions
    assert () == await store.journal("a")
    await store.close()


async def test_a_changed_row_is_found(tmp_path: Path) -> None:
    """
    A replay of what nobody said would be worse than a turn that's lost.
    """
    store = await opened(path := tmp_path / "a.db")
    claim = await store.claim("a")
    await store.journal_put(claim, [row("1")])
    db = apsw.Connection(str(path))
    db.execute("update journal set body=?", (b"2",))
    db.close()

    with pytest.raises(StoreError, match="journal '1'"):
        await store.journal("a")
    await store.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_child_owns_nothing(tmp_path: Path) -> None:
    """
    It has no thread that writes, and its death or life must not touch the claim.
    """
    one, two = await opened(tmp_path / "a.db"), await opened(tmp_path / "a.db")
    claim = await one.claim("a")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in the child
        os.write(writing, _child(one, claim.session).encode())
        signal.pause()
    said = os.read(reading, 200).decode()

    assert "StoreError StoreError StoreError closed" == said
    with pytest.raises(SessionBusy):
        await two.claim("a")
    await one.release(claim)
    again = await two.claim("a")
    await two.release(again)
    await one.claim("a")
    await one.close()
    await two.claim("a")
    ended(child, signal.SIGKILL)
    os.close(reading)
    os.close(writing)
    await two.close()


def _child(store: SqliteStore, session: str) -> str:  # pragma: no cover - in the child
    """Return what comes of using the parent's store, without a loop."""
    said = []
    for asked in (store.claim(session), store.head(session), store.commit(turn(session, 0))):
        try:
            asked.send(None)
        except StoreError as error:
            said.append(type(error).__name__)
    try:
        store.close().send(None)
    except StopIteration:
        said.append("closed")
    return " ".join(said)


def test_a_session_has_a_byte_of_its_own() -> None:
    """
    Two sessions on one byte would wait for each other.
    """
    found = {claims.offset(f"session-{number}") for number in range(10_000)}

    assert 10_000 == len(found)
    assert all(0 <= at < 1 << 62 for at in found)
    assert max(found) > 1 << 61
