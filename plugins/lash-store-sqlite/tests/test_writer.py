"""The one thread that writes: many commits a flush, and faults that stay alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import apsw
import pytest

from lash_sdk.commits import Receipt
from lash_sdk.errors import InvalidInput, StoreBusy, StoreError
from lash_sdk.messages import Blob
from lash_sdk.testing.store_turns import loaded, turn
from lash_store_sqlite import SqliteStore
from lash_store_sqlite.writer import Writer


def writer_of(store: SqliteStore) -> Writer:
    """Return the writer of an open store."""
    writer = store._writer  # pyright: ignore[reportPrivateUsage]
    assert writer is not None
    return writer


async def test_commits_that_wait_share_a_transaction(tmp_path: Path) -> None:
    """
    A flush costs the same for one commit and for sixty-four.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    commits = [turn(f"s{number}", 0) for number in range(64)]

    receipts = await asyncio.gather(*[store.commit(commit) for commit in commits])

    assert 64 == len({receipt.session for receipt in receipts})
    assert 1 <= store.transactions <= 16
    await store.close()


async def test_the_guilty_commit_fails_alone(tmp_path: Path) -> None:
    """
    A value that SQLite can't bind breaks the transaction it's in, once.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    good = [turn(f"s{number}", 0) for number in range(31)]
    guilty = turn("bad", 0, operation="lone \ud800")

    results = await asyncio.gather(
        *[store.commit(commit) for commit in (*good[:15], guilty, *good[15:])],
        return_exceptions=True,
    )

    assert isinstance(results.pop(15), InvalidInput)
    assert [Receipt] * 31 == [type(result) for result in results]
    for commit in good:
        assert list(commit.nodes) == (await loaded(store, commit.session))[0]
    assert await store.head("bad") is None
    await store.close()


async def test_a_refusal_in_a_group_leaves_nothing_behind(tmp_path: Path) -> None:
    """
    It was found out halfway: the half that was written goes, the others stay.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    await store.open()
    other = apsw.Connection(str(path))
    other.execute("begin immediate")  # so that all of them wait
    wrong = Blob(sha256="0" * 64, size=1, media_type="image/png", data=b"x")
    commits = [turn(f"s{number}", 0) for number in range(20)]
    commits[10] = turn("bad", 0, blobs=(wrong,))
    tasks = [asyncio.ensure_future(store.commit(commit)) for commit in commits]
    await asyncio.sleep(0.05)
    other.execute("rollback")

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(results.pop(10), InvalidInput)
    assert [Receipt] * 19 == [type(result) for result in results]
    assert 2 >= store.transactions
    assert await store.head("bad") is None
    assert 38 == other.execute("select count(*) from nodes").get
    other.close()
    await store.close()


async def test_one_loop_is_woken_once_a_batch(tmp_path: Path) -> None:
    """
    Sixty-four wake-ups a transaction would cost more than the flush.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    loop = asyncio.get_running_loop()
    wakes = 0
    wake = loop.call_soon_threadsafe

    def count(*args: object, **named: object) -> object:
        nonlocal wakes
        wakes += 1
        return wake(*args, **named)  # type: ignore[arg-type]

    loop.call_soon_threadsafe = count  # type: ignore[method-assign, assignment]
    await asyncio.gather(*[store.commit(turn(f"s{n}", 0)) for n in range(64)])
    loop.call_soon_threadsafe = wake  # type: ignore[method-assign]

    assert wakes == store.transactions
    await store.close()


async def test_a_lock_that_stays_is_busy_and_one_that_goes_is_not(tmp_path: Path) -> None:
    """
    Another process may hold the lock for a while; a hang helps nobody.
    """
    store = SqliteStore(path := tmp_path / "a.db", patience=0.2)
    await store.open()
    other = apsw.Connection(str(path))
    other.execute("begin immediate")
    started = monotonic()

    with pytest.raises(StoreBusy, match="try again"):
        await store.commit(turn("a", 0))
    crowd = [store.commit(turn(f"s{number}", 0)) for number in range(20)]
    busy = await asyncio.gather(*crowd, return_exceptions=True)
    assert {StoreBusy} == {type(error) for error in busy}
    assert 4 > monotonic() - started
    waiting = asyncio.ensure_future(store.commit(turn("a", 0)))
    await asyncio.sleep(0.05)
    other.execute("rollback")
    assert 1 == (await waiting).revision
    other.close()
    await store.close()


async def test_a_cancelled_caller_waits_for_the_outcome(tmp_path: Path) -> None:
    """
    Told too early, it would find the commit there a moment later.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    await store.open()
    other = apsw.Connection(str(path))
    other.execute("begin immediate")
    task = asyncio.ensure_future(store.commit(turn("a", 0)))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.sleep(0.02)

    assert not task.done()
    other.execute("rollback")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.receipt("a", "a-0")
    other.close()
    await store.close()


async def test_closing_finishes_what_was_accepted(tmp_path: Path) -> None:
    """
    Whoever handed a commit over before the close gets its receipt.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    tasks = [asyncio.ensure_future(store.commit(turn(f"s{n}", 0))) for n in range(99)]
    await asyncio.sleep(0)

    await store.close()

    assert [1] * 99 == [receipt.revision for receipt in await asyncio.gather(*tasks)]


async def test_a_broken_connection_is_replaced(tmp_path: Path) -> None:
    """
    After an I/O error nothing may be asked of the same connection again.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await store.commit(turn("a", 0))
    writer = writer_of(store)
    first = await writer.submit(lambda db: db, seek=lambda db: None)

    def fail(db: apsw.Connection) -> int:
        raise apsw.IOError("disk I/O error")

    with pytest.raises(StoreError, match="disk I/O error"):
        await writer.submit(fail, seek=lambda db: None)
    assert 7 == await writer.submit(fail, seek=lambda db: 7)
    assert 2 == (await store.commit(turn("a", 1))).revision
    assert first is not await writer.submit(lambda db: db, seek=lambda db: None)
    await store.close()


async def test_a_fault_of_our_own_reaches_its_caller(tmp_path: Path) -> None:
    """
    The thread goes on, and nobody waits for ever.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    writer = writer_of(store)

    def fail(db: apsw.Connection) -> int:
        raise SystemExit(3)

    with pytest.raises(StoreError, match="SystemExit"):
        await writer.submit(fail, seek=lambda db: None)
    assert 1 == (await store.commit(turn("a", 0))).revision
    await store.close()
