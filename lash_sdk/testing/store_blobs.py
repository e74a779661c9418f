"""Bytes by what they are, and how they and nodes are removed: C89 to C93 and more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ..commits import Component
from ..errors import InvalidHistory, InvalidInput, StoreCorrupt
from ..graph import chain
from ..messages import Blob, Image, Message, user
from ..ports import JournalRow
from .store_cases import needs
from .store_turns import loaded, turn

if TYPE_CHECKING:
    from ..ports import Store
    from .store_place import Place


class StoreBlobs:
    """The part of `StoreContract` on blobs, and on what's collected."""

    async def test_c89_blobs_come_back_as_they_were(self, opened: Store) -> None:
        """
        From one byte to sixteen megabytes, those that are no text above all.
        """
        every = (b"\0", bytes(range(256)) * 999, b"\xff\0" * 8 * 1024 * 1024)
        room = 2**30 if opened.limit is None else opened.limit // 2
        for at, data in enumerate([data for data in every if len(data) < room]):
            blob = Blob.of(data, "image/png")
            image = Message(role="user", parts=(Image(blob=blob),))
            nodes = chain(f"a-{at}", f"a-{at - 1}:0" if at else None, [image])
            await opened.commit(turn("a", at, nodes=nodes, leaf=nodes[0].id, blobs=(blob,)))

            assert data == await opened.blob(blob.sha256)

    async def test_c90_equal_blobs_are_one(self, opened: Store, place: Place) -> None:
        """
        Sent twice, by two sessions, it's there once, under its hash.
        """
        blob = Blob.of(b"the same", "image/png")
        await opened.commit(turn("a", 0, blobs=(blob,)))
        first = place.rows() if place.rows else 0
        await opened.commit(turn("a", 1))
        second = place.rows() if place.rows else 0
        await opened.commit(turn("b", 0, blobs=(blob,)))
        third = place.rows() if place.rows else 0

        assert third - second <= second - first + 3  # at most: session, manifest, reference
        assert b"the same" == await opened.blob(blob.sha256)
        await opened.delete("a")
        assert b"the same" == await opened.blob(blob.sha256)

    @needs("vacuum")
    async def test_c91_collecting_takes_what_nothing_reaches(self, opened: Store) -> None:
        """
        And no more: a turn that goes back needs the state of long ago.
        """
        live, dead = Blob.of(b"live", "text/plain"), Blob.of(b"dead!", "text/plain")
        first = Component(name="policy", version=1, value="first")
        second = Component(name="policy", version=1, value="second")
        gone = Component(name="state", version=1, value="of a deleted session")
        await opened.commit(turn("a", 0, blobs=(live,), components=(first,)))
        await opened.commit(turn("a", 1, components=(second,)))
        await opened.commit(turn("b", 0, blobs=(dead, live), components=(gone, second)))
        assert 0 == await opened.gc()
        await opened.delete("b")

        size = await opened.gc(dry_run=True)
        assert b"dead!" == await opened.blob(dead.sha256)
        assert len(b"dead!") + len(gone.data) == size == await opened.gc()
        for ref in (dead.sha256, gone.ref):
            with pytest.raises(StoreCorrupt):
                await opened.blob(ref)
        assert b"live" == await opened.blob(live.sha256)
        assert first.data == await opened.blob(first.ref)
        assert second.data == await opened.blob(second.ref)
        assert 0 == await opened.gc()

    @needs("vacuum", "journal")
    async def test_c91_a_journal_keeps_its_blobs(self, opened: Store) -> None:
        """
        A turn that was interrupted is resumed with what its tools returned.
        """
        blob = Blob.of(b"of a tool", "text/plain")
        claim = await opened.claim("a")
        row = JournalRow(turn="t", key="1", kind="k", body=blob, blobs=(blob,))
        await opened.journal_put(claim, [row])
        await opened.release(claim)
        assert 0 == await opened.gc()
        assert b"of a tool" == await opened.blob(blob.sha256)

        claim = await opened.claim("a")
        await opened.journal_drop(claim, "t")
        await opened.release(claim)
        assert len(b"of a tool") == await opened.gc()
        with pytest.raises(StoreCorrupt):
            await opened.blob(blob.sha256)

    @needs("vacuum", "fork")
    async def test_c91_a_fork_keeps_what_its_origin_brought(self, opened: Store) -> None:
        """
        The origin may be deleted long before.
        """
        blob = Blob.of(b"shared", "text/plain")
        state = Component(name="policy", version=1, value="shared")
        await opened.commit(turn("a", 0, blobs=(blob,), components=(state,)))
        await opened.fork("a", "f")
        await opened.delete("a")

        assert 0 == await opened.gc()
        assert b"shared" == await opened.blob(blob.sha256)
        assert state.data == await opened.blob(state.ref)

    @needs("vacuum")
    async def test_c91_a_commit_that_races_with_collecting_keeps_its_blobs(
        self, opened: Store
    ) -> None:
        """
        What was dead a moment ago may be what it refers to.
        """
        blobs = [Blob.of(b"blob %d" % at, "text/plain") for at in range(20)]
        for at, blob in enumerate(blobs):
            await opened.commit(turn(f"old{at}", 0, blobs=(blob,)))
            await opened.delete(f"old{at}")

        for at, blob in enumerate(blobs):
            await asyncio.gather(
                opened.gc(), opened.commit(turn(f"s{at}", 0, blobs=(blob,))), opened.gc()
            )
            assert blob.data == await opened.blob(blob.sha256)

    async def test_c92_a_ref_that_is_none_is_corrupt(self, opened: Store) -> None:
        """
        No bytes are ever made up, and none given under another's name.
        """
        blob = Blob.of(b"there", "image/png")
        await opened.commit(turn("a", 0, blobs=(blob,)))

        for ref in ("0" * 64, "nonsense", "", blob.sha256[:-2], "%"):
            with pytest.raises(StoreCorrupt):
                await opened.blob(ref)

    @needs("file")
    async def test_c92_bytes_that_were_changed_are_corrupt(
        self, opened: Store, place: Place
    ) -> None:
        """
        A picture of somebody else's is worse than none.
        """
        blob = Blob.of(b"the bytes of a blob", "text/plain")
        await opened.commit(turn("a", 0, blobs=(blob,)))
        await opened.close()
        assert place.file is not None
        data = place.file.read_bytes()
        assert blob.data is not None
        assert blob.data in data
        place.file.write_bytes(data.replace(blob.data, b"The bytes of a blob"))
        await opened.open()

        with pytest.raises(StoreCorrupt):
            await opened.blob(blob.sha256)

    async def test_c93_blobs_of_a_refused_commit_are_not_there(self, opened: Store) -> None:
        """
        Its caller was told that nothing was done.
        """
        good = Blob.of(b"good", "text/plain")
        state = Component(name="good", version=1, value="good")
        bad = replace(Blob.of(b"bad", "text/plain"), data=None)
        nan = Component(name="bad", version=1, value=float("nan"))

        for commit in (
            turn("a", 0, blobs=(good, bad), components=(state,)),
            turn("a", 0, blobs=(good,), components=(state, nan)),
        ):
            with pytest.raises(InvalidInput):
                await opened.commit(commit)
            for ref in (good.sha256, state.ref):
                with pytest.raises(StoreCorrupt):
                    await opened.blob(ref)

    @needs("vacuum")
    async def test_c121_a_hidden_node_is_in_no_read(self, opened: Store) -> None:
        """
        Its id stays taken, before and after it's removed.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))
        branch = chain("z", "a-0:1", [user("another way")])
        await opened.commit(turn("a", 2, operation="z", nodes=branch, leaf="z:0"))

        assert 2 == await opened.tombstone("a", ["a-1:0", "a-1:1"])
        assert 0 == await opened.tombstone("a", ["a-1:0", "unknown:0"])
        for removed in (2, 0):
            assert await opened.node("a-1:0") is None
            assert ["a-0:0", "a-0:1", "z:0"] == [n.id for n in (await loaded(opened, "a"))[0]]
            with pytest.raises(InvalidHistory):
                again = chain("a-1", "z:0", [user("x")])
                await opened.commit(turn("a", 3, operation="y", nodes=again, leaf="a-1:0"))
            assert removed == await opened.vacuum()

    @needs("vacuum")
    async def test_c122_vacuuming_removes_what_is_hidden(self, opened: Store) -> None:
        """
        Once; receipts and the revision stay as they were.
        """
        await opened.commit(turn("a", 0))
        receipt = await opened.commit(turn("a", 1))
        branch = chain("z", "a-0:1", [user("another way")])
        await opened.commit(turn("a", 2, operation="z", nodes=branch, leaf="z:0"))
        assert 0 == await opened.vacuum()
        await opened.tombstone("a", ["a-1:0", "a-1:1"])

        assert 2 == await opened.vacuum()
        await opened.close()
        await opened.open()
        assert 0 == await opened.vacuum()
        assert receipt == await opened.receipt("a", "a-1")
        assert ["a-0:0", "a-0:1", "z:0"] == [n.id for n in (await loaded(opened, "a"))[0]]

    @needs("vacuum", "fork")
    async def test_c122_a_fork_keeps_what_is_left_of_its_path(self, opened: Store) -> None:
        """
        It went back; then the node where it began was removed.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))
        await opened.fork("a", "f")
        for session, revision in (("f", 1), ("a", 2)):
            back = turn(session, revision, operation=f"back-{session}", nodes=(), leaf="a-0:1")
            await opened.commit(back)

        assert 2 == await opened.tombstone("a", ["a-1:0", "a-1:1"])
        for removed in (2, 0):
            assert ["a-0:0", "a-0:1"] == [n.id for n in (await loaded(opened, "f"))[0]]
            assert removed == await opened.vacuum()
        await opened.delete("a")
        assert ["a-0:0", "a-0:1"] == [n.id for n in (await loaded(opened, "f"))[0]]

    @needs("vacuum")
    async def test_c122_a_delete_takes_what_is_hidden_along(self, opened: Store) -> None:
        """
        Of a deleted session only its id is left.
        """
        branch = chain("z", None, [user("another way")])
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1, operation="z", nodes=branch, leaf="z:0"))
        assert 2 == await opened.tombstone("a", ["a-0:0", "a-0:1"])
        await opened.delete("a")

        assert 0 == await opened.vacuum()

    @needs("vacuum")
    async def test_c123_what_a_head_stands_on_cannot_be_hidden(self, opened: Store) -> None:
        """
        Nor what another node stands on that stays.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))

        for nodes in (["a-1:1"], ["a-0:0"], ["a-0:1", "a-0:0"], ["a-1:0", "a-1:1"]):
            with pytest.raises(InvalidHistory):
                await opened.tombstone("a", nodes)
        assert 4 == len((await loaded(opened, "a"))[0])

    @needs("vacuum", "fork")
    async def test_c123_what_a_fork_stands_on_cannot_be_hidden(self, opened: Store) -> None:
        """
        The origin left that branch; the fork lives on it.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))
        await opened.fork("a", "f")
        branch = chain("z", "a-0:1", [user("another way")])
        await opened.commit(turn("a", 2, operation="z", nodes=branch, leaf="z:0"))

        with pytest.raises(InvalidHistory):
            await opened.tombstone("a", ["a-1:0", "a-1:1"])
        assert 4 == len((await loaded(opened, "f"))[0])
