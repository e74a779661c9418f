"""Input that waits for a turn: C26, C27, C58 to C61 and C65 to C69."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ..errors import InvalidInput, OperationMismatch, RevisionConflict, SessionDeleted
from ..ports import InboxItem
from .store_cases import needs
from .store_crew import DEAD, Answer
from .store_turns import revision, seen, turn

if TYPE_CHECKING:
    from ..json import Json
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place


class StoreInbox:
    """The part of `StoreContract` on the inbox."""

    @needs("inbox")
    async def test_c26_a_commit_consumes_what_it_names(self, opened: Store) -> None:
        """
        In the same transaction: what a turn used is gone once the turn is there.
        """
        for key in "xyz":
            await opened.enqueue("a", item(key))
        conflict = turn("a", 0, expected=7, consumed=("x",))
        with pytest.raises(RevisionConflict):
            await opened.commit(conflict)
        assert ["x", "y", "z"] == await keys(opened, "a")

        commit = turn("a", 0, consumed=("x", "z"))
        receipt = await opened.commit(commit)

        assert ["y"] == await keys(opened, "a")
        assert receipt == await opened.commit(commit)
        assert ["y"] == await keys(opened, "a")

    @needs("inbox")
    async def test_c27_a_commit_that_consumes_too_much_is_refused_whole(
        self, opened: Store
    ) -> None:
        """
        One input never makes two turns.
        """
        await opened.enqueue("a", item("x"))
        await opened.enqueue("a", item("y"))
        await opened.enqueue("b", item("z"))
        await opened.commit(turn("a", 0, consumed=("x",)))
        before = await seen(opened, "a")

        for consumed in (("y", "x"), ("y", "unknown"), ("y", "z"), ("y", "y")):
            with pytest.raises(InvalidInput):
                await opened.commit(turn("a", 1, consumed=consumed))
            assert before == await seen(opened, "a")
            assert await opened.receipt("a", "a-1") is None
        assert ["y"] == await keys(opened, "a")
        assert ["z"] == await keys(opened, "b")

    @needs("inbox")
    async def test_c58_an_item_makes_its_session(self, opened: Store) -> None:
        """
        At revision 0: whoever lists sessions sees that somebody wrote to it.
        """
        await opened.enqueue("a", item("x"))

        head = await opened.head("a")
        assert head is not None
        assert (0, None, 0) == (head.revision, head.leaf, head.turns)
        assert ["a"] == [found.id for found in await opened.sessions()]
        assert 1 == (await opened.commit(turn("a", 0, consumed=("x",)))).revision

    @needs("inbox", "process")
    async def test_c58_an_item_is_durable_before_its_sender_is_told(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        The sender may die at once; what it was told stays true.
        """
        with crew.working(1) as (child,):
            await child.enter(place)
            assert Answer("x") == await child.ask("enqueue", "a", "x", "hi")
            child.kill()
            assert DEAD == await child.answer()

        assert [item("x", "hi")] == list(await opened.pending("a"))

    @needs("inbox")
    async def test_c59_the_same_item_twice_waits_once(self, opened: Store) -> None:
        """
        A delivery that's repeated starts one turn, also once that one is over.
        """
        first = await opened.enqueue("a", item("x", {"a": 1, "b": 2}))

        assert first == await opened.enqueue("a", item("x", {"b": 2, "a": 1}))
        assert ["x"] == await keys(opened, "a")
        await opened.commit(turn("a", 0, consumed=("x",)))
        assert first == await opened.enqueue("a", item("x", {"a": 1, "b": 2}))
        assert [] == await keys(opened, "a")

    @needs("inbox")
    async def test_c60_a_key_with_another_body_is_refused(self, opened: Store) -> None:
        """
        The first one stands; the second was sent by mistake.
        """
        await opened.enqueue("a", item("x", 1))
        for body in (2, 1.0, True, "1", None):
            with pytest.raises(OperationMismatch):
                await opened.enqueue("a", item("x", body))

        assert [item("x", 1)] == list(await opened.pending("a"))
        await opened.commit(turn("a", 0, consumed=("x",)))
        with pytest.raises(OperationMismatch):
            await opened.enqueue("a", item("x", 2))

    @needs("inbox")
    async def test_c61_items_keep_their_order_over_a_restart(self, opened: Store) -> None:
        """
        First come, first served: not sorted by key, nor by anybody's clock.
        """
        sent = [f"k{at * 7 % 10}" for at in range(10)]
        for key in sent[:5]:
            await opened.enqueue("a", item(key))
        await opened.close()
        await opened.open()
        for key in sent[5:]:
            await opened.enqueue("a", item(key))
        await opened.enqueue("a", item(sent[3]))

        assert sent == await keys(opened, "a")

    @needs("inbox")
    async def test_c65_an_item_that_waits_can_be_taken_back(self, opened: Store) -> None:
        """
        One that was used can't, and the two answers differ.
        """
        await opened.enqueue("a", item("x"))
        await opened.enqueue("a", item("y", 1))
        await opened.commit(turn("a", 0, consumed=("x",)))

        assert not await opened.withdraw("a", "x")
        assert await opened.withdraw("a", "y")
        assert not await opened.withdraw("a", "y")
        assert not await opened.withdraw("a", "unknown")
        assert not await opened.withdraw("nobody", "x")
        with pytest.raises(InvalidInput):
            await opened.commit(turn("a", 1, consumed=("y",)))
        assert item("y", 2) == await opened.enqueue("a", item("y", 2))

    @needs("inbox")
    async def test_c66_many_items_hide_none(self, opened: Store) -> None:
        """
        A page that's full of used ones must not end the list.
        """
        sent = [f"k{at}" for at in range(140)]
        for key in sent:
            await opened.enqueue("a", item(key))
        assert sent == await keys(opened, "a")

        await opened.commit(turn("a", 0, consumed=tuple(sent[:-1])))

        assert sent[-1:] == await keys(opened, "a")

    @needs("inbox")
    async def test_c67_items_of_one_moment_keep_their_order(self, opened: Store) -> None:
        """
        Nothing tells two of them apart but which came first.
        """
        sent = [f"k{at * 7 % 20}" for at in range(20)]
        await asyncio.gather(*[opened.enqueue("a", item(key)) for key in sent])

        assert sent == await keys(opened, "a")

    @needs("inbox")
    async def test_c69_inboxes_are_apart(self, opened: Store) -> None:
        """
        A key is its session's; a delete takes the one inbox and leaves the other.
        """
        await opened.enqueue("a", item("x", 1))
        await opened.enqueue("b", item("x", 2))
        await opened.enqueue("gone", item("x", 3))
        await opened.delete("gone")

        assert [item("x", 1)] == list(await opened.pending("a"))
        assert [item("x", 2)] == list(await opened.pending("b"))
        assert [] == list(await opened.pending("nobody"))
        assert await opened.head("nobody") is None
        with pytest.raises(SessionDeleted):
            await opened.enqueue("gone", item("y"))
        await opened.commit(turn("a", 0, consumed=("x",)))
        assert (["x"], 0) == (await keys(opened, "b"), await revision(opened, "b"))


def item(key: str, body: Json = "hello") -> InboxItem:
    """Return an item for an inbox."""
    return InboxItem(key=key, body=body)


async def keys(store: Store, session: str) -> list[str]:
    """Return the keys that wait in an inbox."""
    return [found.key for found in await store.pending(session)]
