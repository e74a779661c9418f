"""What is hidden, forgotten and collected, and what stays for the chain's sake."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from lash_sdk.commits import Commit, Component
from lash_sdk.errors import InvalidHistory, InvalidInput, StoreCorrupt
from lash_sdk.graph import chain
from lash_sdk.messages import Blob, user
from lash_sdk.ports import JournalRow
from lash_sdk.testing.store_turns import loaded, turn
from lash_store_sqlite import SqliteStore

SECRET = "s3cret-in-a-message"


async def opened(path: Path, turns: int = 0) -> SqliteStore:
    """Return an open store, with a session "a" of so many turns and a branch beside."""
    store = SqliteStore(path)
    await store.open()
    for number in range(turns):
        await store.commit(turn("a", number))
    return store


async def branched(store: SqliteStore) -> None:
    """Add a branch to session "a" of two turns, and go back."""
    nodes = chain("side", "a-0:1", [user(SECRET), user(SECRET)])
    await store.commit(
        Commit(session="a", expected=2, operation="side", nodes=nodes, leaf="side:1")
    )
    await store.commit(Commit(session="a", expected=3, operation="back", leaf="a-1:1", turns=2))


async def test_a_vacuumed_node_leaves_a_chain_that_holds(tmp_path: Path) -> None:
    """
    Its text is in no table any more; its hash is what the commits are checked by.
    """
    store = await opened(path := tmp_path / "a.db", 2)
    await branched(store)
    with pytest.raises(InvalidHistory):
        await store.tombstone("a", ["side:0"])
    with pytest.raises(InvalidHistory):
        await store.tombstone("a", ["a-1:1"])

    assert 2 == await store.tombstone("a", ["side:0", "side:1", "nobody:0"])
    assert 0 == await store.tombstone("a", ["side:0", "side:1"])
    assert await store.node("side:0") is None
    assert 2 == await store.vacuum()
    assert 0 == await store.vacuum()

    db = apsw.Connection(str(path))
    texts = "select count(*) from (select body from nodes union all select body from hidden)"
    assert 0 == db.execute(f"{texts} where instr(body, ?)", (SECRET.encode(),)).get
    db.close()
    assert 4 == len((await loaded(store, "a"))[0])
    receipt = await store.receipt("a", "side")
    assert receipt is not None
    with pytest.raises(InvalidHistory, match="there already"):
        stolen = chain("side", "a-1:1", [user("again")])
        await store.commit(
            Commit(session="a", expected=4, operation="new", nodes=stolen, leaf="side:0")
        )
    assert 5 == (await store.commit(replace(turn("a", 2), expected=4))).revision
    await store.close()


async def test_a_node_that_is_missing_without_a_tombstone_is_found(tmp_path: Path) -> None:
    """
    Only what we took away ourselves may be absent.
    """
    store = await opened(path := tmp_path / "a.db", 2)
    db = apsw.Connection(str(path))
    db.execute("delete from nodes where key = 1 << 20")
    db.close()

    with pytest.raises(StoreCorrupt, match="revision 0 is the last good one"):
        await loaded(store, "a")
    await store.close()


async def test_garbage_is_what_no_head_and_no_journal_reaches(tmp_path: Path) -> None:
    """
    A dry run tells what a real one would take, and takes nothing.
    """
    store = await opened(tmp_path / "a.db")
    blobs = [Blob.of(bytes([number]) * 100, "text/plain") for number in range(4)]
    old, new = (Component(name="policy", version=1, value="x" * size) for size in (50, 60))
    await store.commit(replace(turn("a", 0), blobs=(blobs[0],), components=(old,)))
    await store.commit(replace(turn("a", 1), components=(new,)))
    await store.commit(replace(turn("b", 0), blobs=(blobs[0], blobs[1])))
    claim = await store.claim("c")
    row = JournalRow(turn="t", key="1", kind="k", body=1, blobs=(blobs[2],))
    await store.journal_put(claim, [row])
    assert 0 == await store.gc(dry_run=True)
    assert (row,) == await store.journal("c")
    assert blobs[2].data == await store.blob(blobs[2].sha256)

    await store.delete("b")
    await store.journal_drop(claim, "t")
    counted = await store.gc(dry_run=True)
    assert blobs[1].data == await store.blob(blobs[1].sha256)
    assert 200 == counted == await store.gc()
    assert 0 == await store.gc()
    assert old.data == await store.blob(old.ref)  # the state at an older node
    for blob in blobs[1:3]:
        with pytest.raises(StoreCorrupt):
            await store.blob(blob.sha256)
    with pytest.raises(InvalidInput):
        lost = replace(blobs[1], data=None)
        await store.commit(replace(turn("a", 2), blobs=(lost,)))
    await store.commit(replace(turn("a", 2), blobs=(replace(blobs[0], data=None), blobs[1])))
    await store.close()


async def test_no_cursor_is_given_twice(tmp_path: Path) -> None:
    """
    Whoever follows the store would miss a commit that got a deleted one's place.
    """
    store = await opened(tmp_path / "a.db", 3)
    last = (await store.commit(turn("b", 0))).cursor
    await store.delete("b")
    fork = await store.fork("a", "c")
    await store.delete("c")

    late = await store.commit(turn("a", 3))

    assert fork.revision == 1
    assert late.cursor > last + 1
    assert [late] == [receipt async for receipt in store.changes(last)]
    assert late == await store.receipt("a", "a-3")
    feed = [receipt async for receipt in store.changes()]
    assert [1, 2, 3, 4] == [receipt.revision for receipt in feed]
    assert sorted({receipt.cursor for receipt in feed}) == [receipt.cursor for receipt in feed]
    assert [] == [receipt async for receipt in store.changes(late.cursor)]
    await store.close()


async def test_the_feed_has_no_end_of_its_own(tmp_path: Path) -> None:
    """
    It's read in pieces, and none is lost between two.
    """
    store = await opened(tmp_path / "a.db")
    commits = [Commit(session=f"s{number}", expected=0, operation="o") for number in range(1100)]
    receipts = await asyncio.gather(*[store.commit(commit) for commit in commits])

    feed = [receipt async for receipt in store.changes()]
    assert sorted(receipts, key=lambda receipt: receipt.cursor) == feed
    await store.close()


async def test_a_commit_over_the_limit_is_refused(tmp_path: Path) -> None:
    """
    One turn must not fill what all sessions share.
    """

    class Small(SqliteStore):
        limit = 1000

    store = Small(tmp_path / "a.db")
    await store.open()
    large = turn("a", 0, text="x" * 1000)
    blob = Blob.of(b"x" * 1000, "text/plain")

    for commit in (large, turn("a", 0, blobs=(blob,))):
        with pytest.raises(InvalidInput, match="expected 1000 bytes"):
            await store.commit(commit)
    assert 0 == store.transactions
    assert 1 == (await store.commit(turn("a", 0))).revision
    await store.close()
