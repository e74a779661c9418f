"""What a commit is, whole or refused: C15 to C34."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from ..commits import Commit, Component, PluginRow, Receipt
from ..errors import InvalidHistory, InvalidInput, LashError, RevisionConflict
from ..graph import chain
from ..messages import Blob, user
from ..ports import InboxItem
from ..usage import Ledger, Usage
from .store_cases import needs
from .store_crew import DEAD
from .store_turns import loaded, revision, row, seen, turn

if TYPE_CHECKING:
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place


_BLOB: Final = 16 * 1024 * 1024
"""Bytes of a blob that helps to fill a commit."""


class StoreCommits:
    """The part of `StoreContract` on commits."""

    async def test_c15_each_commit_adds_one_revision(self, opened: Store) -> None:
        """
        A gap would read as a lost commit.
        """
        receipts = [await opened.commit(turn("a", at)) for at in range(5)]

        assert [1, 2, 3, 4, 5] == [receipt.revision for receipt in receipts]
        assert 5 == await revision(opened, "a")

    async def test_c16_a_receipt_says_what_it_is_for(self, opened: Store) -> None:
        """
        It's all that a caller has to tell one commit from another.
        """
        await opened.commit(turn("a", 0))
        receipt = await opened.commit(turn("a", 1))

        assert Receipt(session="a", operation="a-1", revision=2, leaf="a-1:1") == receipt
        assert receipt == await opened.receipt("a", "a-1")

    @needs("process")
    async def test_c17_another_handle_reads_a_commit_at_once(
        self, opened: Store, place: Place
    ) -> None:
        """
        Acknowledged is acknowledged to everybody.
        """
        other = place.handle()
        await other.open()
        for at in range(5):
            await (opened, other)[at % 2].commit(turn("a", at))
            assert await seen(opened, "a") == await seen(other, "a")
            assert at + 1 == await revision(other, "a")
        await other.close()

    async def test_c18_an_old_revision_is_refused_and_changes_nothing(
        self, opened: Store, place: Place
    ) -> None:
        """
        Compare-and-swap is what keeps two processes from losing a turn.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))
        before = await seen(opened, "a")
        rows = place.rows() if place.rows else 0

        for expected in (0, 1):
            component = Component(name="policy", version=1, value=expected)
            late = turn("a", 1, operation="late", expected=expected, components=(component,))
            with pytest.raises(RevisionConflict) as refused:
                await opened.commit(late)
            assert (expected, 2) == (refused.value.expected, refused.value.actual)
        assert before == await seen(opened, "a")
        assert await opened.node("late:0") is None
        assert await opened.receipt("a", "late") is None
        assert rows == (place.rows() if place.rows else 0)

    async def test_c19_a_revision_to_come_is_refused(self, opened: Store) -> None:
        """
        Also for a session that isn't there: nothing but 0 makes one.
        """
        await opened.commit(turn("a", 0))

        for session, expected, actual in (("a", 2, 1), ("a", 99, 1), ("b", 1, 0)):
            with pytest.raises(RevisionConflict) as refused:
                await opened.commit(turn(session, 0, operation="early", expected=expected))
            assert (expected, actual) == (refused.value.expected, refused.value.actual)
        assert await opened.head("b") is None

    async def test_c20_a_commit_stays_in_its_session(self, opened: Store) -> None:
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
            ("b-2", chain("b-2", "a-0:1", [user("on another session's node")])),
        ):
            leaf = nodes[-1].id
            with pytest.raises(InvalidHistory):
                await opened.commit(
                    Commit(session="b", expected=0, operation=operation, nodes=nodes, leaf=leaf)
                )
        assert await opened.head("b") is None
        assert stolen[0] == await opened.node("a-0:0")
        assert lent[0] == await opened.node("lent:0")

    async def test_c21_a_fault_in_any_part_undoes_all_the_others(self, opened: Store) -> None:
        """
        Whichever part can't be kept, nothing of its commit is.
        """
        await opened.commit(turn("a", 0))
        before = await seen(opened, "a")
        nan = float("nan")
        good = Component(name="good", version=1, value="of a refused commit")
        whole = turn("a", 1, components=(good,), usage=(row("r", Usage(input=1)),))
        unknown = replace(Blob.of(b"nobody has it", "text/plain"), data=None)

        for broken in (
            replace(whole, components=(good, Component(name="bad", version=1, value=nan))),
            replace(whole, rows=(PluginRow(plugin="p", name="n", body=nan),)),
            replace(whole, blobs=(unknown,)),
            replace(whole, nodes=turn("a", 0).nodes, leaf="a-0:1"),
            replace(whole, nodes=chain("a-1", "nowhere:0", [user("x")]), leaf="a-1:0"),
            replace(whole, leaf="nowhere:0"),
        ):
            with pytest.raises((InvalidInput, InvalidHistory)):
                await opened.commit(broken)
            assert before == await seen(opened, "a")
            assert await opened.node("a-1:0") is None
            assert await opened.receipt("a", "a-1") is None
        assert 2 == (await opened.commit(whole)).revision

    @needs("process")
    async def test_c21_a_process_killed_in_a_commit_leaves_all_of_it_or_nothing(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        Wherever it dies, the next one goes on from a whole revision.
        """
        for passes in (0, 1, 2, 5):
            at = await revision(opened, "a")
            with crew.working(1) as (child,):
                await child.enter(place)
                assert DEAD == await child.ask("die_during", "a", at, passes)
            nodes, _ = await loaded(opened, "a")
            landed = await opened.receipt("a", f"a-{at}")
            assert 2 * (at + (landed is not None)) == len(nodes)
            receipt = await opened.commit(turn("a", at))
            assert at + 1 == receipt.revision
            assert landed in (None, receipt)

    async def test_c22_a_commit_may_hold_nothing_but_a_head(self, opened: Store) -> None:
        """
        A change of settings is one as well: it has its revision and its receipt.
        """
        await opened.commit(turn("a", 0))
        empty = Commit(session="a", expected=1, operation="empty", leaf="a-0:1", turns=1)

        receipt = await opened.commit(empty)

        assert (2, "a-0:1") == (receipt.revision, receipt.leaf)
        assert receipt == await opened.commit(empty)
        assert list(turn("a", 0).nodes) == (await loaded(opened, "a"))[0]

    async def test_c23_a_commit_may_hold_ten_thousand_messages(self, opened: Store) -> None:
        """
        A session that's imported comes in one piece.
        """
        nodes = chain("a-0", None, [user(str(at)) for at in range(10_000)])
        commit = turn("a", 0, nodes=nodes, leaf=nodes[-1].id)

        receipt = await opened.commit(commit)
        found, _ = await loaded(opened, "a")

        assert (1, "a-0:9999") == (receipt.revision, receipt.leaf)
        assert list(nodes) == found

    @needs("limit")
    async def test_c24_a_commit_of_the_very_limit_is_taken(self, opened: Store) -> None:
        """
        A limit that's off by one is found by a customer.
        """
        await opened.commit(commit := _sized(opened, 0))

        assert opened.limit == commit.size()
        assert list(commit.nodes) == (await loaded(opened, "a"))[0]

    @needs("limit")
    async def test_c25_a_commit_past_the_limit_is_refused(self, opened: Store) -> None:
        """
        Said in words that a caller can act on, and without a trace.
        """
        commit = _sized(opened, 1)
        with pytest.raises(InvalidInput):
            await opened.commit(commit)

        assert await opened.head("a") is None
        assert await opened.node("a-0:0") is None

    @needs("inbox", "limit")
    async def test_c25_input_of_a_commit_past_the_limit_still_waits(self, opened: Store) -> None:
        """
        The turn failed; what it was asked didn't go away.
        """
        await opened.enqueue("a", item := InboxItem(key="k", body="hi"))
        commit = replace(_sized(opened, 1), consumed=("k",))
        with pytest.raises(InvalidInput):
            await opened.commit(commit)

        assert [item] == list(await opened.pending("a"))

    async def test_c29_a_ledger_row_counts_once(self, opened: Store) -> None:
        """
        A child's usage is sent again after a crash; nobody pays for it twice.
        """
        rows = (row("r1", Usage(input=3, output=2)), row("r2", Usage(cache_read=7)))
        await opened.commit(turn("a", 0, usage=rows))
        await opened.commit(turn("a", 1, usage=(*rows, row("r3", Usage(output=1)))))
        await opened.commit(turn("b", 0, usage=rows))

        ledger = Ledger((await loaded(opened, "a"))[1])
        assert Usage(input=3, output=3, cache_read=7) == ledger.total
        assert rows == ledger.rows[:2]
        assert rows == tuple((await loaded(opened, "b"))[1])

    async def test_c30_a_ledger_row_holds_any_whole_number(self, opened: Store) -> None:
        """
        A sum that wraps around is worse than one that's refused.
        """
        counts = (2**31, 2**53 + 1, 2**63, 2**64, 10**30)
        rows = tuple([row(f"r{count}", Usage(input=count)) for count in counts])
        await opened.commit(turn("a", 0, usage=rows))

        ledger = Ledger((await loaded(opened, "a"))[1])
        assert sum(counts) == ledger.total.input

    async def test_c32_a_blob_that_is_not_there_is_refused(self, opened: Store) -> None:
        """
        A picture without its bytes would fail in a later turn, at somebody else.
        """
        there = Blob.of(b"there", "text/plain")
        await opened.commit(turn("a", 0, blobs=(there,)))
        unknown = Blob.of(b"not there", "text/plain")
        others = replace(unknown, data=b"other bytes")

        for blob in (replace(unknown, data=None), others):
            with pytest.raises(InvalidInput):
                await opened.commit(turn("a", 1, blobs=(blob,)))
        known = replace(there, data=None)
        assert 2 == (await opened.commit(turn("a", 1, blobs=(known,)))).revision

    async def test_c48_sessions_do_not_conflict(self, opened: Store) -> None:
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

    async def test_c86_a_node_needs_its_parent(self, opened: Store) -> None:
        """
        So there can be no cycle, and no history without a beginning.
        """
        await opened.commit(turn("a", 0))
        one, two = chain("a-1", "a-0:1", [user("one"), user("two")])
        nowhere = chain("a-1", "nowhere:0", [user("x")])

        for nodes in (
            nowhere,
            (two, one),
            (replace(one, parent=two.id), two),
            (replace(one, parent=one.id),),
            (one, replace(two, parent="a-0:1")),
        ):
            with pytest.raises(LashError):
                await opened.commit(turn("a", 1, nodes=nodes, leaf=nodes[-1].id))
        assert 1 == await revision(opened, "a")
        assert await opened.node("a-1:0") is None


def _sized(store: Store, more: int) -> Commit:
    """Return a commit that has the store's limit in bytes, and so many more."""
    assert store.limit is not None
    rest = store.limit + more - turn("a", 0).size()
    count = rest // _BLOB + 1
    sizes = [rest // count + (at < rest % count) for at in range(count)]
    blobs = [Blob.of(b"%02d" % at + b"x" * (size - 2), "x/y") for at, size in enumerate(sizes)]
    return turn("a", 0, blobs=tuple(blobs))
