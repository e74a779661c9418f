"""How sessions come and go in a store: C1 to C14."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from ..commits import Component
from ..errors import RevisionConflict, SessionDeleted
from ..messages import Blob
from ..usage import Usage
from .store_cases import needs
from .store_crew import Answer
from .store_turns import loaded, manifest, revision, row, seen, turn

if TYPE_CHECKING:
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place

ODD_IDS: Final = (
    "a",
    "A",
    "e\u0301",  # the same letter in two forms: two ids
    "\u00e9",
    "é" * 127,
    "x" * 255,
    "../../etc/passwd",
    "'; drop table sessions; --",
    '"quoted"',
    "100%",
    "1000",
    "under_score",
    "underXscore",
    "a:b:0",
    "🦜🦜",
    " spaces\tand\nlines ",
    "null",
    "0",
)


class StoreSessions:
    """The part of `StoreContract` on sessions: made, named, deleted."""

    async def test_c1_a_first_commit_makes_the_session(self, opened: Store) -> None:
        """
        Nothing else may: opening and looking leave no trace.
        """
        before = await opened.head("a")
        await opened.commit(commit := turn("a", 0, at=7.5))

        head = await opened.head("a")
        assert before is None
        assert head is not None
        assert (1, commit.leaf, 1, 7.5) == (head.revision, head.leaf, head.turns, head.updated)

    async def test_c2_a_session_is_made_once(self, opened: Store) -> None:
        """
        Whoever makes it a second time gets the first receipt, or learns of the other.
        """
        first = await opened.commit(turn("a", 0))

        assert first == await opened.commit(turn("a", 0))
        with pytest.raises(RevisionConflict):
            await opened.commit(turn("a", 0, operation="other"))
        assert 1 == await revision(opened, "a")

    async def test_c3_looking_writes_nothing(self, opened: Store) -> None:
        """
        A session that somebody looked for must not exist because of it.
        """
        assert await opened.head("a") is None
        assert [] == [page async for page in opened.load("a") if page.nodes]
        assert await opened.node("t:0") is None
        assert await opened.receipt("a", "t") is None
        assert not await opened.delete("a")

        assert [] == list(await opened.sessions())
        await opened.commit(turn("a", 0))

    async def test_c4_odd_ids_are_ids_like_any_other(self, opened: Store) -> None:
        """
        Every id of 1 to 255 bytes of UTF-8 is a session of its own.
        """
        for id in ODD_IDS:
            await opened.commit(turn(id, 0, text=id))
            await opened.commit(turn(id, 1, text=id))

        for id in ODD_IDS:
            nodes, _ = await loaded(opened, id)
            assert [*turn(id, 0, text=id).nodes, *turn(id, 1, text=id).nodes] == nodes
            assert nodes[0] == await opened.node(f"{id}-0:0")
            receipt = await opened.receipt(id, f"{id}-1")
            assert receipt is not None
            assert (id, 2) == (receipt.session, receipt.revision)

    async def test_c5_ids_that_differ_in_case_are_two(self, opened: Store) -> None:
        """
        A collation that folds case would hand one user the session of another.
        """
        await opened.commit(turn("chat", 0))
        await opened.delete("chat")

        assert await opened.head("Chat") is None
        assert 1 == (await opened.commit(turn("Chat", 0))).revision
        with pytest.raises(SessionDeleted):
            await opened.head("chat")

    @needs("rows")
    async def test_c6_a_delete_leaves_no_row_but_the_id(self, opened: Store, place: Place) -> None:
        """
        What a user had deleted must not wait in a table for whoever looks.
        """
        assert place.rows is not None
        await opened.commit(turn("b", 0))
        before = place.rows()
        for at in range(3):
            await opened.commit(turn("a", at, usage=(row(f"r{at}", Usage(input=1)),)))
        between = place.rows()
        await opened.delete("a")

        assert between >= before + 9
        assert place.rows() <= before + 1

    async def test_c7_a_second_delete_finds_nothing(self, opened: Store) -> None:
        """
        It may be repeated by whoever lost the answer.
        """
        await opened.commit(turn("a", 0))

        assert await opened.delete("a")
        assert not await opened.delete("a")
        assert not await opened.delete("a")

    async def test_c8_a_deleted_session_is_gone_for_good(self, opened: Store) -> None:
        """
        A handle that was opened before must not bring it back.
        """
        await opened.commit(turn("a", 0, usage=(row("r1", Usage(input=1)),)))

        assert await opened.delete("a")
        for commit in (turn("a", 0), turn("a", 1), turn("a", 0, operation="new")):
            with pytest.raises(SessionDeleted):
                await opened.commit(commit)
        assert await opened.node("a-0:0") is None
        assert await opened.receipt("a", "a-0") is None
        assert [] == list(await opened.sessions())
        assert ([], []) == await loaded(opened, "a")

    async def test_c9_a_commit_that_races_with_a_delete_does_not_survive_it(
        self, opened: Store
    ) -> None:
        """
        Whichever comes first, the session is gone afterwards.
        """
        await opened.commit(turn("a", 0))

        await asyncio.gather(
            *[opened.commit(turn("a", 1, operation=f"o{n}")) for n in range(5)],
            opened.delete("a"),
            *[opened.commit(turn("a", 2, operation=f"p{n}")) for n in range(5)],
            return_exceptions=True,
        )

        with pytest.raises(SessionDeleted):
            await opened.head("a")
        assert [] == list(await opened.sessions())

    @needs("process")
    async def test_c9_a_process_that_writes_learns_of_the_delete(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        Its next commit is refused as one to a deleted session, not as a conflict.
        """
        with crew.working(1) as (child,):
            await child.enter(place)
            assert Answer(True) == await child.ask("hammer", "a", 0)
            assert await opened.delete("a")
            assert "SessionDeleted" == (await child.answer()).error

        assert [] == list(await opened.sessions())
        assert await opened.node("a-0:0") is None

    async def test_c10_the_id_of_a_deleted_session_is_not_used_again(self, opened: Store) -> None:
        """
        Else a late reply would go to a session that has only the name in common.
        """
        await opened.commit(turn("a", 0))
        await opened.delete("a")
        await opened.close()
        await opened.open()

        for number in (0, 1):
            with pytest.raises(SessionDeleted):
                await opened.commit(turn("a", number, operation="new"))
        with pytest.raises(SessionDeleted):
            await opened.head("a")

    async def test_c11_an_id_that_was_never_used_stays_free(self, opened: Store) -> None:
        """
        Deleting what isn't there, to be sure, must not burn the name.
        """
        assert not await opened.delete("a")

        assert await opened.head("a") is None
        assert 1 == (await opened.commit(turn("a", 0))).revision

    async def test_c12_a_delete_leaves_other_sessions_as_they_were(self, opened: Store) -> None:
        """
        Down to the blobs that both of them refer to.
        """
        blob = Blob.of(b"shared", "text/plain")
        component = Component(name="policy", version=1, value={"of": "both"})
        for id in ("a", "ab", "b"):
            await opened.commit(turn(id, 0, blobs=(blob,), components=(component,)))
            await opened.commit(turn(id, 1, usage=(row("r1", Usage(input=1)),)))
        before = [await seen(opened, id) for id in ("ab", "b")]

        await opened.delete("a")

        assert before == [await seen(opened, id) for id in ("ab", "b")]
        assert b"shared" == await opened.blob(blob.sha256)
        assert component.data == await opened.blob(component.ref)

    async def test_c13_a_manifest_carries_over(self, opened: Store) -> None:
        """
        A component stays until it's changed or removed, and equal ones are one.
        """
        policy = Component(name="policy", version=1, value={"model": "m"})
        state = Component(name="plugin/weather", version=3, value=[1, 2])
        gone = Component(name="policy", version=1, value=None)
        await opened.commit(turn("a", 0, components=(policy, state)))
        await opened.commit(turn("a", 1))
        second = await manifest(opened, "a")
        await opened.commit(turn("a", 2, components=(gone,)))
        await opened.commit(turn("b", 0, components=(policy,)))

        assert {"policy": policy.ref, "plugin/weather": state.ref} == second
        assert {"plugin/weather": state.ref} == await manifest(opened, "a")
        assert {"policy": policy.ref} == await manifest(opened, "b")
        assert policy.data == await opened.blob(policy.ref)
        assert state.data == await opened.blob(state.ref)

    @needs("process")
    async def test_c14_eight_processes_open_a_fresh_place_at_once(
        self, store: Store, place: Place, crew: Crew
    ) -> None:
        """
        All of them find it made, by one of them.
        """
        with crew.working(8) as children:
            for child in children:
                child.tell("open", place.factory, place.url)
            assert [Answer(None)] * 8 == [await child.answer() for child in children]
            for number, child in enumerate(children):
                child.tell("commit", f"s{number}", 0)
            assert [Answer(1)] * 8 == [await child.answer() for child in children]

        await store.open()
        assert 8 == len(await store.sessions())
        await store.close()
