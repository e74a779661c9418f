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
    return lines + process.communicate()[0].splitlines()


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
