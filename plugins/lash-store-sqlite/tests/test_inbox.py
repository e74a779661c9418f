"""What waits for a turn, and is used with its commit or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_sdk.errors import InvalidInput, OperationMismatch, SessionDeleted, StoreCorrupt
from lash_sdk.ports import InboxItem
from lash_sdk.testing.store_turns import turn
from lash_store_sqlite import SqliteStore


async def opened(path: Path) -> SqliteStore:
    """Return an open store."""
    store = SqliteStore(path)
    await store.open()
    return store


def item(key: str, body: int = 1) -> InboxItem:
    """Return an item."""
    return InboxItem(key=key, body={"text": body})


async def test_what_was_enqueued_is_used_once(tmp_path: Path) -> None:
    """
    A key is remembered after its use, so that a second delivery does nothing.
    """
    store = await opened(path := tmp_path / "a.db")
    for key in ("1", "2", "3"):
        assert item(key) == await store.enqueue("a", item(key))
    head = await store.head("a")
    assert head is not None
    assert (0, None) == (head.revision, head.leaf)
    await store.close()
    store = await opened(path)

    assert [item("1"), item("2"), item("3")] == list(await store.pending("a"))
    await store.commit(replace(turn("a", 0), consumed=("2",)))
    assert item("2") == await store.enqueue("a", item("2"))
    assert [item("1"), item("3")] == list(await store.pending("a"))
    with pytest.raises(OperationMismatch):
        await store.enqueue("a", item("2", 5))
    with pytest.raises(OperationMismatch):
        await store.enqueue("a", item("1", 5))
    await store.close()


async def test_a_refused_commit_uses_nothing(tmp_path: Path) -> None:
    """
    Input and the turn that answers it are one: both are there, or neither.
    """
    store = await opened(path := tmp_path / "a.db")
    await store.enqueue("a", item("1"))
    first = replace(turn("a", 0), consumed=("1",))

    for consumed in (("1", "2"), ("2",), ("1", "1")):
        with pytest.raises(InvalidInput):
            await store.commit(replace(first, consumed=consumed))
    with pytest.raises(InvalidInput):
        await store.commit(replace(first, children=("nobody",)))
    await store.close()
    store = await opened(path)
    assert [item("1")] == list(await store.pending("a"))
    receipt = await store.commit(first)
    assert receipt == await store.commit(first)
    assert () == await store.pending("a")
    with pytest.raises(InvalidInput):
        await store.commit(replace(turn("a", 1), consumed=("1",)))
    await store.close()


async def test_what_was_withdrawn_never_was(tmp_path: Path) -> None:
    """
    Its key is free again; what a turn used can't be taken back.
    """
    store = await opened(tmp_path / "a.db")
    await store.enqueue("a", item("1"))
    await store.enqueue("a", item("2"))

    assert await store.withdraw("a", "1")
    assert not await store.withdraw("a", "1")
    await store.enqueue("a", item("1", 7))
    assert [item("2"), item("1", 7)] == list(await store.pending("a"))
    await store.commit(replace(turn("a", 0), consumed=("2",)))
    assert not await store.withdraw("a", "2")
    assert await store.delete("a")
    assert () == await store.pending("a")
    assert not await store.withdraw("a", "1")
    with pytest.raises(SessionDeleted):
        await store.enqueue("a", item("1"))
    await store.close()


async def test_one_of_many_deliveries_counts(tmp_path: Path) -> None:
    """
    Two servers that get one webhook twice make one turn of it.
    """
    stores = [await opened(tmp_path / "a.db") for _ in range(2)]

    await asyncio.gather(*[store.enqueue("a", item("1")) for store in stores * 10])

    assert [item("1")] == list(await stores[0].pending("a"))
    for store in stores:
        await store.close()


async def test_a_changed_item_is_found(tmp_path: Path) -> None:
    """
    Nobody is to be answered what they never asked.
    """
    store = await opened(path := tmp_path / "a.db")
    await store.enqueue("a", item("1"))
    db = apsw.Connection(str(path))
    db.execute("update inbox set body=?", (b'{"text":2}',))
    db.close()

    with pytest.raises(StoreCorrupt, match="inbox '1'"):
        await store.pending("a")
    await store.close()


async def test_input_that_was_used_costs_no_later_turn(tmp_path: Path) -> None:
    """
    A session that lives on its inbox has as many used rows as turns.
    """
    store = SqliteStore(tmp_path / "a.db")
    steps: list[int] = []

    def profiled(event: dict[str, Any]) -> None:
        steps.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

    def listen(connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, profiled)

    async def claimed() -> int:
        steps.clear()
        await store.release(await store.claim("a"))
        await store.pending("a")
        return sum(steps)

    apsw.connection_hooks.append(listen)
    try:
        await store.open()
        await store.enqueue("a", item("0"))
        await store.commit(turn("a", 0, consumed=("0",)))
        before = await claimed()
        keys = tuple([str(each) for each in range(1, 200)])
        for key in keys:
            await store.enqueue("a", item(key))
        await store.commit(turn("a", 1, consumed=keys))

        assert 0 < before
        assert before == await claimed()
    finally:
        apsw.connection_hooks.remove(listen)
        await store.close()
