"""Forks: what they cost, what they see, and what is left when others go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from lash_sdk.commits import Commit, Component
from lash_sdk.errors import InvalidHistory, StoreCorrupt
from lash_sdk.graph import chain
from lash_sdk.messages import Blob, user
from lash_sdk.ports import Page
from lash_sdk.testing.store_turns import loaded, turn
from lash_store_sqlite import SqliteStore


async def opened(path: Path, turns: int = 0) -> SqliteStore:
    """Return an open store, with a session "a" of so many turns."""
    store = SqliteStore(path)
    await store.open()
    for number in range(turns):
        component = Component(name="policy", version=1, value=number)
        await store.commit(replace(turn("a", number), components=(component,)))
    return store


def rows(path: Path) -> dict[str, int]:
    """Return how many rows each table has."""
    db = apsw.Connection(str(path))
    names = [name for (name,) in db.execute("select name from sqlite_schema where type='table'")]
    found: dict[str, int] = {name: db.execute(f"select count(*) from {name}").get for name in names}
    db.close()
    return found


async def told(store: SqliteStore, session: str, since: int = 0) -> list[Page]:
    """Return the pages of a session."""
    return [page async for page in store.load(session, since)]


def reply(session: str, expected: int, parent: str | None) -> Commit:
    """Return a commit of one node on *parent*."""
    operation = f"{session}-{expected}"
    nodes = chain(operation, parent, [user("more")])
    return Commit(
        session=session, expected=expected, operation=operation, nodes=nodes, leaf=nodes[0].id
    )


@pytest.mark.parametrize("turns", [1, 60])
async def test_a_fork_is_two_rows(tmp_path: Path, turns: int) -> None:
    """
    Whatever the origin's length: trying an idea out must cost nothing.
    """
    store = await opened(path := tmp_path / "a.db", turns)
    before = rows(path)

    head = await store.fork("a", "b")

    after = rows(path)
    changed = {name: after[name] - count for name, count in before.items() if after[name] != count}
    assert {"sessions": 1, "commits": 1} == changed
    assert ("b", 1, turns, ("a", turns)) == (
        head.session, head.revision, head.turns, head.forked_from
    )  # fmt: skip
    assert (await loaded(store, "a"))[0] == (await loaded(store, "b"))[0]
    await store.close()


async def test_a_fork_goes_its_own_way_from_a_node_of_its_origin(tmp_path: Path) -> None:
    """
    It has the state that belongs to that node, and sees nothing that came after.
    """
    store = await opened(tmp_path / "a.db", 4)
    fork = await store.fork("a", "b", at="a-1:1")
    with pytest.raises(InvalidHistory):
        await store.commit(reply("b", 1, "a-2:1"))
    with pytest.raises(InvalidHistory):
        await store.fork("a", "c", at="a-1:0")
    await store.commit(reply("b", 1, "a-0:0"))
    await store.fork("b", "c")
    await store.commit(reply("c", 1, "b-1:0"))
    deep = await store.head("c")

    policy = Component(name="policy", version=1, value=1)
    assert {"policy": policy.ref} == fork.manifest
    pages = await told(store, "c")
    assert ["a-0:0", "b-1:0"] == [node.id for node in pages[0].nodes]
    assert ["c-1:0"] == [node.id for node in pages[1].nodes]
    assert deep == pages[1].head
    assert [("b", 2)] * 2 == [page.head.forked_from for page in pages if page.head]
    assert [2] == [page.revision for page in await told(store, "c", 1)]
    await store.close()


async def test_every_revision_has_its_head(tmp_path: Path) -> None:
    """
    The state at a node is that of the commit that wrote it, also in a long one.
    """
    store = await opened(tmp_path / "a.db", 2)
    long = chain("long", "a-1:1", [user(str(number)) for number in range(1200)])
    await store.commit(
        Commit(session="a", expected=2, operation="long", nodes=long, leaf=long[-1].id)
    )
    head = await store.head("a")
    await store.fork("a", "b")

    refs = [Component(name="policy", version=1, value=n).ref for n in (0, 1, 1)]
    pages = await told(store, "a")
    assert [1, 2, 2, 2, 3] == [page.revision for page in pages]
    assert [True, True, False, False, True] == [page.head is not None for page in pages]
    assert refs == [page.head.manifest["policy"] for page in pages if page.head]
    assert head == pages[-1].head
    shared = await told(store, "b")
    assert [0, 0, 1] == [page.revision for page in shared]
    assert [500, 500, 204] == [len(page.nodes) for page in shared]
    await store.close()


async def test_a_fork_survives_its_origin(tmp_path: Path) -> None:
    """
    What it reaches stays, with its blobs; what only the origin had goes.
    """
    store = await opened(path := tmp_path / "a.db", 2)
    blobs = [Blob.of(b"kept", "text/plain"), Blob.of(b"gone", "text/plain")]
    await store.commit(replace(turn("a", 2), blobs=(blobs[0],)))
    await store.commit(reply("a", 3, "a-0:1"))  # a branch
    await store.commit(Commit(session="a", expected=4, operation="back", leaf="a-2:1"))
    await store.fork("a", "b")
    await store.commit(replace(turn("a", 5), nodes=(), leaf="a-2:1", blobs=(blobs[1],)))
    before = (await loaded(store, "b"))[0]
    await store.commit(reply("b", 1, "a-2:1"))

    assert await store.delete("a")
    assert 4 == await store.gc(dry_run=True)
    assert 4 == await store.gc()
    await store.close()
    await store.open()

    assert [*before, *reply("b", 1, "a-2:1").nodes] == (await loaded(store, "b"))[0]
    assert before[0] == await store.node("a-0:0")
    assert await store.node("a-3:0") is None
    assert b"kept" == await store.blob(blobs[0].sha256)
    with pytest.raises(StoreCorrupt):
        await store.blob(blobs[1].sha256)
    head = await store.head("b")
    assert head is not None
    assert ("a", 5) == head.forked_from
    assert [] == [receipt async for receipt in store.changes() if receipt.session == "a"]

    assert await store.delete("b")
    await store.gc()
    left = {name for name, count in rows(path).items() if count}
    assert {"sessions"} == left
    await store.close()


async def test_the_shared_part_of_a_chain_is_checked(tmp_path: Path) -> None:
    """
    A fork stands on commits of another; a change in one is a change in its history.
    """
    store = await opened(path := tmp_path / "a.db", 3)
    await store.commit(reply("a", 3, "a-1:1"))
    await store.fork("a", "b")
    db = apsw.Connection(str(path))
    db.execute("update commits set parts=zeroblob(length(parts)) where operation='a-2'")
    db.close()

    with pytest.raises(StoreCorrupt):
        await loaded(store, "b")
    await store.close()


async def test_children_wait_for_their_turn(tmp_path: Path) -> None:
    """
    The commit shows those it names; the others of its turn go, and theirs.
    """
    store = await opened(tmp_path / "a.db", 1)
    for child in ("kept", "lost"):
        await store.commit(replace(turn(child, 0), parent="a", pending="a-1"))
        grand = replace(turn(f"{child}-grand", 0), parent=child, pending=f"{child}-1")
        await store.commit(grand)
    assert ["a"] == [row.id for row in await store.sessions()]

    await store.commit(replace(turn("a", 1), children=("kept",)))

    assert {"a": None, "kept": "a"} == {row.id: row.parent for row in await store.sessions()}
    assert not await store.delete("lost")
    assert not await store.delete("lost-grand")
    assert await store.delete("kept")
    assert not await store.delete("kept-grand")
    await store.close()
