"""Several processes on one file, and processes that die in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from lash_sdk.testing.store_turns import loaded, turn
from lash_store_sqlite import SqliteStore

RACE = """
import asyncio, random, sys
from lash_sdk.errors import RevisionConflict
from lash_sdk.testing.store_turns import turn
from lash_store_sqlite import SqliteStore

async def main(path, me):
    store = SqliteStore(path)
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    won = lost = 0
    for _ in range(40):
        head = await store.head("a")
        at = head.revision if head else 0
        await asyncio.sleep(random.uniform(0, 0.01))  # hold the read, or few collide
        try:
            await store.commit(turn("a", at, operation=f"{me}-{at}"))
            won += 1
        except RevisionConflict:
            lost += 1
    await store.close()
    print(won, lost)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""

LOOP = """
import asyncio, sys
from lash_sdk.testing.store_turns import turn
from lash_store_sqlite import SqliteStore

async def main(path):
    store = SqliteStore(path)
    await store.open()

    async def work(session):
        head = await store.head(session)
        at = head.revision if head else 0
        while True:
            receipt = await store.commit(turn(session, at, text="x" * 3000))
            at = receipt.revision
            print(session, at, flush=True)

    await asyncio.gather(*[work(f"s{number}") for number in range(5)])

asyncio.run(main(sys.argv[1]))
"""

TURNS = """
import asyncio, sys
from dataclasses import replace
from lash_sdk.ports import InboxItem, JournalRow
from lash_sdk.testing.store_turns import turn
from lash_store_sqlite import SqliteStore

async def main(path):
    store = SqliteStore(path)
    await store.open()
    claim = await store.claim("a")
    at = claim.revision
    while True:
        key = f"i{at}"
        await store.enqueue("a", InboxItem(key=key, body=at))
        for number in range(3):
            row = JournalRow(turn=f"a-{at}", key=str(number), kind="k", body="x" * 3000)
            await store.journal_put(claim, [row])
            print("row", at, number, flush=True)
        commit = replace(turn("a", at), consumed=(key,), turn=f"a-{at}")
        at = (await store.commit(commit)).revision
        print("turn", at, flush=True)

asyncio.run(main(sys.argv[1]))
"""


def started(script: str, *args: str) -> subprocess.Popen[str]:
    """Return a process of ours that talks through pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(process: subprocess.Popen[str], moment: float) -> list[str]:
    """Return what a process said before it was killed, some time after its start."""
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    sleep(moment)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines()  # `communicate` skips what `readline` took ahead
    process.communicate()
    return lines


async def test_two_processes_never_both_win_a_revision(tmp_path: Path) -> None:
    """
    Both make the file at once; then each revision has one winner.
    """
    path = tmp_path / "a.db"
    racers = [started(RACE, str(path), name) for name in "xyz"]
    for racer in racers:
        assert racer.stdout is not None
        assert "ready\n" == racer.stdout.readline()

    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate()[0].split() for racer in racers]

    won = sum(int(wins) for wins, _ in said)
    assert 120 == sum(int(wins) + int(losses) for wins, losses in said)
    assert 30 <= sum(int(losses) for _, losses in said)
    store = SqliteStore(path)
    await store.open()
    head = await store.head("a")
    assert head is not None
    assert won == head.revision
    assert 2 * won == len((await loaded(store, "a"))[0])
    await store.close()


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.11, 0.2])
async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, moment: float) -> None:
    """
    Killed twice in its commits, a process leaves every one it told of, whole.
    """
    path = tmp_path / "a.db"
    told = dict.fromkeys([f"s{number}" for number in range(5)], 0)
    for _ in range(2):
        for line in killed(started(LOOP, str(path)), moment):
            session, _, revision = line.strip().partition(" ")
            if session in told and revision.isdecimal():
                told[session] = max(told[session], int(revision))

    store = SqliteStore(path)
    await store.open()
    for session, revision in told.items():
        head = await store.head(session)
        landed = head.revision if head else 0
        nodes, _ = await loaded(store, session)
        assert revision <= landed <= revision + 2
        assert 2 * landed == len(nodes)
        if landed:
            assert (landed + 1) == (await store.commit(turn(session, landed))).revision
    assert sum(told.values())
    await store.close()


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.13])
async def test_a_killed_turn_is_whole_or_unfinished(tmp_path: Path, moment: float) -> None:
    """
    Its input and its rows wait for it, or its commit is there and they are gone.
    """
    path = tmp_path / "a.db"
    for _ in range(3):
        said = [line.split() for line in killed(started(TURNS, str(path)), moment)]
        turns = [int(words[1]) for words in said if words[:1] == ["turn"] and len(words) == 2]
        put = [(int(w[1]), int(w[2])) for w in said if w[:1] == ["row"] and len(w) == 3]

        store = SqliteStore(path)
        await store.open()
        claim = await store.claim("a")
        rows = await store.journal("a")
        waiting = await store.pending("a")
        assert max(turns, default=0) <= claim.revision <= max(turns, default=put[-1][0]) + 1
        assert {f"a-{claim.revision}"} >= {row.turn for row in rows}
        assert [str(number) for number in range(len(rows))] == [row.key for row in rows]
        assert len(rows) > max([n for at, n in put if at == claim.revision], default=-1)
        assert claim.unfinished == bool(rows)
        assert [f"i{claim.revision}"] == [i.key for i in waiting] or not (waiting or rows)
        assert 2 * claim.revision == len((await loaded(store, "a"))[0])
        await store.close()
