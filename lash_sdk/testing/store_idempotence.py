"""What happens when an operation is sent again: C35 to C43."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ..commits import Commit, Component, PluginRow
from ..errors import OperationMismatch, SessionDeleted
from ..graph import Raw, chain
from ..messages import Blob
from ..usage import Usage
from .store_cases import needs
from .store_crew import DEAD
from .store_turns import loaded, revision, row, seen, spent, turn

if TYPE_CHECKING:
    from ..json import Json
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place


class StoreIdempotence:
    """The part of `StoreContract` on operations that come back."""

    async def test_c35_a_repeated_operation_returns_its_first_receipt(self, opened: Store) -> None:
        """
        Whoever lost the answer asks again, and must not write twice.
        """
        first = await opened.commit(turn("a", 0))
        before = await seen(opened, "a")

        assert first == await opened.commit(turn("a", 0))
        assert first == await opened.commit(turn("a", 0, at=99.0))
        assert first == await opened.commit(turn("a", 0, expected=7))
        assert first == await opened.receipt("a", "a-0")
        assert before == await seen(opened, "a")

    async def test_c36_also_after_a_hundred_others(self, opened: Store) -> None:
        """
        There's no time after which a repetition becomes a second turn.
        """
        receipts = [await opened.commit(turn("a", at)) for at in range(101)]
        before = await seen(opened, "a")

        assert receipts[0] == await opened.commit(turn("a", 0))
        assert receipts[50] == await opened.commit(turn("a", 50))
        assert before == await seen(opened, "a")

    async def test_c37_also_after_reopening(self, opened: Store) -> None:
        """
        A store that's closed keeps what it acknowledged, receipts too.
        """
        component = Component(name="policy", version=1, value={"x": 1})
        receipt = await opened.commit(turn("a", 0, components=(component,)))
        await opened.commit(turn("a", 1, usage=spent("a", 1)))
        await opened.commit(turn("gone", 0))
        await opened.delete("gone")
        before = await seen(opened, "a")

        await opened.close()
        await opened.open()

        assert before == await seen(opened, "a")
        assert receipt == await opened.commit(turn("a", 0, components=(component,)))
        assert 3 == (await opened.commit(turn("a", 2))).revision
        assert not await opened.delete("gone")

    async def test_c38_an_operation_with_another_body_is_refused(self, opened: Store) -> None:
        """
        Any difference counts, whichever part of the commit it's in.
        """
        await opened.commit(turn("a", 0))
        before = await seen(opened, "a")

        component = Component(name="policy", version=1, value=1)
        for other in (
            turn("a", 0, text="something else"),
            turn("a", 0, usage=(row("r", Usage(input=1)),)),
            turn("a", 0, components=(component,)),
            turn("a", 0, blobs=(Blob.of(b"other", "text/plain"),)),
            turn("a", 0, rows=(PluginRow(plugin="p", name="n", body=1),)),
            turn("a", 0, nodes=turn("a", 0).nodes[:1], leaf="a-0:0"),
            turn("a", 0, turns=2),
        ):
            with pytest.raises(OperationMismatch):
                await opened.commit(other)
        assert before == await seen(opened, "a")

    async def test_c38_values_that_python_takes_for_equal_are_two(self, opened: Store) -> None:
        """
        One, one point nought and true are three values, and so stored.
        """
        values: tuple[Json, ...] = (1, 1.0, True, "1", [1])
        for at, value in enumerate(values):
            await opened.commit(turn("a", at, components=(_policy(value),)))

        for at, value in enumerate(values):
            for other in values:
                commit = turn("a", at, components=(_policy(other),))
                if other is value:
                    assert at + 1 == (await opened.commit(commit)).revision
                else:
                    with pytest.raises(OperationMismatch):
                        await opened.commit(commit)

    async def test_c39_a_body_has_no_order_of_keys(self, opened: Store) -> None:
        """
        A dict that was built the other way round is the same body.
        """
        pairs: list[tuple[str, Json]] = [("a", 1), ("b", [{"x": 1, "y": 2}]), ("c", None)]
        bodies = [dict(pairs), dict(pairs[::-1]), {**dict(pairs), "b": ({"y": 2, "x": 1},)}]
        commits: list[Commit] = []
        for body in bodies:
            nodes = chain("a-0", None, [Raw(kind="hologram", body=body)])
            rows = (PluginRow(plugin="p", name="n", body=body),)
            components = (_policy(body),)
            commits.append(
                turn("a", 0, nodes=nodes, leaf="a-0:0", rows=rows, components=components)
            )

        receipts = [await opened.commit(commit) for commit in commits]

        assert 1 == len(set(receipts))

    async def test_c40_operations_belong_to_their_session(self, opened: Store) -> None:
        """
        Two sessions may use one operation id; they don't know of each other.
        """
        await opened.commit(Commit(session="a", expected=0, operation="same"))
        receipt = await opened.commit(Commit(session="b", expected=0, operation="same", turns=1))

        assert "b" == receipt.session
        assert await opened.receipt("c", "same") is None

    async def test_c41_one_operation_sent_many_times_at_once_lands_once(
        self, opened: Store
    ) -> None:
        """
        Each sender gets the one receipt.
        """
        receipts = await asyncio.gather(*[opened.commit(turn("a", 0)) for _ in range(20)])

        assert 1 == len(set(receipts))
        assert 2 == len((await loaded(opened, "a"))[0])

    @needs("process")
    async def test_c41_one_operation_of_two_processes_lands_once(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        Two processes that resume one turn send the same commit.
        """
        with crew.working(2) as children:
            for child in children:
                await child.enter(place)
            for at in range(10):
                for child in children:
                    child.tell("commit", "a", at)
                answers = [await child.answer() for child in children]
                assert [(at + 1, "")] * 2 == answers

        assert 20 == len((await loaded(opened, "a"))[0])

    @needs("process")
    async def test_c42_a_commit_whose_reply_was_lost_is_found(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        Whoever takes over asks for the receipt, and sends the rest if there's none.
        """
        with crew.working(1) as (child,):
            await child.enter(place)
            assert DEAD == await child.ask("die_after", "a", 0)

        receipt = await opened.receipt("a", "a-0")
        assert receipt is not None
        assert receipt == await opened.commit(turn("a", 0))
        assert await opened.receipt("a", "a-1") is None
        assert 2 == (await opened.commit(turn("a", 1))).revision

    async def test_c43_a_repetition_does_not_bring_a_session_back(self, opened: Store) -> None:
        """
        It's told that the session is gone, with whatever body it comes.
        """
        await opened.commit(turn("a", 0))
        await opened.delete("a")

        for commit in (turn("a", 0), replace(turn("a", 0), turns=9)):
            with pytest.raises(SessionDeleted):
                await opened.commit(commit)
        assert await opened.receipt("a", "a-0") is None
        with pytest.raises(SessionDeleted):
            await revision(opened, "a")


def _policy(value: Json) -> Component:
    return Component(name="policy", version=1, value=value)
