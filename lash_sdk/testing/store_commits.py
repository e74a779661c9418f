"""What a store keeps when it's written to: commits, races, deletes, a ledger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

import pytest

from ..commits import Commit, Component, Receipt
from ..errors import InvalidInput, LashError, OperationMismatch, RevisionConflict, SessionDeleted
from ..graph import chain
from ..messages import Blob, user
from ..ports import BASE, Store
from ..usage import Ledger, Usage, UsageRow
from .store_turns import loaded, seen, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class StoreCommits:
    """The part of `StoreContract` that concerns writing."""

    CANCELS: ClassVar[int] = 50
    """How many cancelled commits are tried, each a little later than the last."""

    @pytest.fixture
    def store(self) -> Store:
        """Return a store that's empty and not open yet: yours to override."""
        raise NotImplementedError

    @pytest.fixture
    async def opened(self, store: Store) -> AsyncIterator[Store]:
        """Yield the store, open."""
        await store.open()
        yield store
        await store.close()

    async def test_a_first_commit_makes_the_session(self, opened: Store) -> None:
        """
        Nothing else may: opening and looking leave no trace.
        """
        before = await opened.head("a")
        await opened.commit(commit := turn("a", 0, at=7.5))

        head = await opened.head("a")
        assert before is None
        assert head is not None
        assert (1, commit.leaf, 1, 7.5) == (head.revision, head.leaf, head.turns, head.updated)

    async def test_looking_writes_nothing(self, opened: Store) -> None:
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

    async def test_each_commit_adds_one_revision(self, opened: Store) -> None:
        """
        A gap would read as a lost commit.
        """
        receipts = [await opened.commit(turn("a", at)) for at in range(5)]

        assert [1, 2, 3, 4, 5] == [receipt.revision for receipt in receipts]
        assert receipts[2] == Receipt(session="a", operation="a-2", revision=3, leaf="a-2:1")

    async def test_another_revision_is_refused_and_changes_nothing(self, opened: Store) -> None:
        """
        Compare-and-swap is what keeps two processes from losing a turn.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))
        before = await seen(opened, "a")

        for expected in (0, 1, 3, 99):
            component = Component(name="policy", version=1, value=expected)
            late = turn("a", 1, operation="late", expected=expected, components=(component,))
            with pytest.raises(RevisionConflict) as refused:
                await opened.commit(late)
            assert (expected, 2) == (refused.value.expected, refused.value.actual)
        assert before == await seen(opened, "a")
        assert await opened.node("late:0") is None
        assert await opened.receipt("a", "late") is None

    async def test_a_commit_that_cannot_be_stored_changes_nothing(self, opened: Store) -> None:
        """
        What can't be said in JSON is refused before any of it is kept.
        """
        component = Component(name="policy", version=1, value=float("nan"))

        with pytest.raises(InvalidInput):
            await opened.commit(turn("a", 0, components=(component,)))
        assert await opened.head("a") is None
        assert await opened.node("a-0:0") is None
        await opened.commit(turn("a", 0))

    async def test_a_repeated_operation_returns_its_first_receipt(self, opened: Store) -> None:
        """
        Whoever lost the answer asks again, and must not write twice.
        """
        first = await opened.commit(turn("a", 0))
        for at in range(1, 10):
            await opened.commit(turn("a", at))
        before = await seen(opened, "a")

        assert first == await opened.commit(turn("a", 0))
        assert first == await opened.commit(turn("a", 0, at=99.0))
        assert first == await opened.receipt("a", "a-0")
        assert before == await seen(opened, "a")

    async def test_an_operation_with_another_body_is_refused(self, opened: Store) -> None:
        """
        Any difference counts, whichever part of the commit it's in.
        """
        await opened.commit(turn("a", 0))
        before = await seen(opened, "a")

        row = _row("r", Usage(input=1))
        component = Component(name="policy", version=1, value=1)
        for other in (
            turn("a", 0, text="something else"),
            turn("a", 0, usage=(row,)),
            turn("a", 0, components=(component,)),
            turn("a", 0, blobs=(Blob.of(b"other", "text/plain"),)),
            turn("a", 0, turns=2),
        ):
            with pytest.raises(OperationMismatch):
                await opened.commit(other)
        assert before == await seen(opened, "a")

    async def test_operations_belong_to_their_session(self, opened: Store) -> None:
        """
        Two sessions may use one operation id; they don't know of each other.
        """
        await opened.commit(Commit(session="a", expected=0, operation="same"))
        receipt = await opened.commit(Commit(session="b", expected=0, operation="same"))

        assert "b" == receipt.session
        assert await opened.receipt("c", "same") is None

    async def test_of_many_who_race_exactly_one_wins(self, opened: Store) -> None:
        """
        Each of the others learns that it lost, and why.
        """
        await opened.commit(turn("a", 0))
        racers = [turn("a", 1, operation=f"racer-{number}") for number in range(50)]

        results = await asyncio.gather(
            *[opened.commit(racer) for racer in racers], return_exceptions=True
        )

        won = [result for result in results if isinstance(result, Receipt)]
        lost = [result for result in results if isinstance(result, RevisionConflict)]
        assert (1, 49) == (len(won), len(lost))
        assert {(1, 2)} == {(error.expected, error.actual) for error in lost}
        assert won[0].operation + ":1" == (await loaded(opened, "a"))[0][-1].id

    async def test_one_operation_sent_many_times_at_once_lands_once(self, opened: Store) -> None:
        """
        Two processes that resume one turn send the same commit.
        """
        receipts = await asyncio.gather(*[opened.commit(turn("a", 0)) for _ in range(20)])

        assert 1 == len(set(receipts))
        assert 2 == len((await loaded(opened, "a"))[0])

    async def test_sessions_do_not_conflict(self, opened: Store) -> None:
        """
        Sessions share a store, not a fate: a refusal stays with its session.
        """
        good = [turn(f"s{number}", 0) for number in range(40)]
        bad = [turn(f"s{number}", 3, operation=f"bad-{number}") for number in range(40)]

        results = await asyncio.gather(
            *[opened.commit(commit) for pair in zip(bad, good, strict=True) for commit in pair],
            return_exceptions=True,
        )

        assert [RevisionConflict] * 40 == [type(result) for result in results[::2]]
        assert [Receipt] * 40 == [type(result) for result in results[1::2]]

    async def test_a_cancelled_commit_has_a_known_outcome(self, opened: Store) -> None:
        """
        Once the caller is told it was cancelled, nothing may land any more; and
        a caller that was cancelled is told so.
        """
        revision = 0
        for number in range(self.CANCELS):
            commit = turn("a", revision, operation=f"try-{number}")
            task = asyncio.ensure_future(opened.commit(commit))
            for _ in range(number % 10):
                await asyncio.sleep(0)
            await asyncio.sleep(number / 10_000 if number >= 10 else 0)
            accepted = task.cancel()
            task.cancel()
            await asyncio.wait([task])
            told = await opened.receipt("a", commit.operation)
            assert accepted == task.cancelled()
            if not accepted:
                assert task.result() == told
            await asyncio.sleep(0.002)

            assert told == await opened.receipt("a", commit.operation)
            revision += told is not None
        assert 2 * revision == len((await loaded(opened, "a"))[0])

    async def test_a_node_id_is_used_once_in_a_store(self, opened: Store) -> None:
        """
        Nodes belong to the store: a second one of an id would hide the first.
        """
        await opened.commit(turn("a", 0))
        stolen = turn("a", 0).nodes
        lent = chain("lent", "a-0:1", [user("an id of another turn")])
        await opened.commit(
            Commit(session="a", expected=1, operation="a-1", nodes=lent, leaf="lent:0")
        )

        for operation, nodes in (
            ("b-0", stolen),
            ("a-0", stolen),
            ("lent", chain("lent", None, [user("x")])),
            ("b-1", chain("lent", None, [user("x")])),
        ):
            with pytest.raises(LashError):
                await opened.commit(
                    Commit(session="b", expected=0, operation=operation, nodes=nodes)
                )
        assert await opened.head("b") is None
        assert stolen[0] == await opened.node("a-0:0")
        assert lent[0] == await opened.node("lent:0")

    async def test_a_ledger_row_counts_once(self, opened: Store) -> None:
        """
        A child's usage is sent again after a crash; nobody pays for it twice.
        """
        rows = (_row("r1", Usage(input=3, output=2)), _row("r2", Usage(cache_read=7)))
        await opened.commit(turn("a", 0, usage=rows))
        await opened.commit(turn("a", 1, usage=(*rows, _row("r3", Usage(output=1)))))
        await opened.commit(turn("b", 0, usage=rows))

        ledger = Ledger((await loaded(opened, "a"))[1])
        assert Usage(input=3, output=3, cache_read=7) == ledger.total
        assert rows == ledger.rows[:2]
        assert rows == tuple((await loaded(opened, "b"))[1])

    async def test_a_deleted_session_is_gone_for_good(self, opened: Store) -> None:
        """
        A handle that was opened before must not bring it back.
        """
        await opened.commit(turn("a", 0, usage=(_row("r1", Usage(input=1)),)))
        await opened.commit(turn("b", 0))
        other = await seen(opened, "b")

        assert await opened.delete("a")
        assert not await opened.delete("a")
        for commit in (turn("a", 0), turn("a", 1), turn("a", 0, operation="new")):
            with pytest.raises(SessionDeleted):
                await opened.commit(commit)
        with pytest.raises(SessionDeleted):
            await opened.head("a")
        assert await opened.node("a-0:0") is None
        assert await opened.receipt("a", "a-0") is None
        assert ["b"] == [summary.id for summary in await opened.sessions()]
        assert other == await seen(opened, "b")

    async def test_a_commit_that_races_with_a_delete_does_not_survive_it(
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

    async def test_capabilities_are_declared(self, opened: Store) -> None:
        """
        What a store can't do it says, and never pretends to.
        """
        assert BASE <= opened.capabilities


def _row(id: str, usage: Usage) -> UsageRow:
    return UsageRow(id=id, turn="t", session="child", source="turn", model="m", usage=usage)
