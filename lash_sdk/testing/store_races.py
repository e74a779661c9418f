"""What happens when many write, read, wait and cancel at once: C44 to C57."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import pytest

from ..commits import Receipt
from ..errors import LashError, RevisionConflict, StoreBusy
from ..graph import chain
from ..messages import user
from .store_cases import needs
from .store_turns import loaded, revision, spent, turn

if TYPE_CHECKING:
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place

PATIENCE = 60.0
"""Seconds after which a store hangs."""


class StoreRaces:
    """The part of `StoreContract` on who wins and who waits."""

    CANCELS: ClassVar[int] = 50
    """How many cancelled commits are tried, each a little later than the last."""

    READS: ClassVar[int] = 1000
    """How many times a session is read while it's being written."""

    async def test_c44_of_two_tasks_one_wins(self, opened: Store) -> None:
        """
        The other learns that it lost, and why.
        """
        for at in range(10):
            results = await asyncio.gather(
                *[opened.commit(turn("a", at, operation=f"{who}-{at}")) for who in "xy"],
                return_exceptions=True,
            )
            assert {Receipt, RevisionConflict} == {type(result) for result in results}
        assert 10 == await revision(opened, "a")

    @needs("process")
    async def test_c45_of_two_threads_one_wins(self, opened: Store, place: Place) -> None:
        """
        Each has its own loop and its own handle.
        """
        barrier = threading.Barrier(2)

        async def race(who: str) -> list[bool]:
            store = place.handle()
            await store.open()
            won: list[bool] = []
            for at in range(10):
                barrier.wait(PATIENCE)
                try:
                    await store.commit(turn("a", at, operation=f"{who}-{at}"))
                except RevisionConflict:
                    won.append(False)
                else:
                    won.append(True)
            await store.close()
            return won

        first, second = await asyncio.gather(
            *[asyncio.to_thread(asyncio.run, race(who)) for who in "xy"]
        )

        assert [True] * 10 == [one != other for one, other in zip(first, second, strict=True)]
        assert 20 == len((await loaded(opened, "a"))[0])

    @needs("process")
    async def test_c46_of_two_processes_one_wins(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        A lock inside of a process keeps nobody else out.
        """
        with crew.working(2) as children:
            for child in children:
                await child.enter(place)
            for at in range(15):
                for who, child in enumerate(children):
                    child.tell("commit", "a", at, f"{who}-{at}")
                errors = sorted([(await child.answer()).error for child in children])
                assert ["", "RevisionConflict"] == errors

        assert 15 == await revision(opened, "a")
        assert 30 == len((await loaded(opened, "a"))[0])

    async def test_c47_of_many_who_race_exactly_one_wins(self, opened: Store) -> None:
        """
        None of the others gets any other error.
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

    async def test_c49_a_reader_sees_whole_commits(self, opened: Store) -> None:
        """
        While a turn is being committed, a reader has all of it or nothing.
        """
        stop = asyncio.Event()
        written = 0

        async def write() -> None:
            nonlocal written
            while not stop.is_set():
                await opened.commit(turn("a", written, usage=spent("a", written)))
                written += 1
                for _ in range(10):
                    await asyncio.sleep(0)

        writing = asyncio.ensure_future(write())
        told = reads = 0
        while reads < self.READS or written < 20:
            reads += 1
            since, least = max(0, told - 3), written
            nodes, usage = await loaded(opened, "a", since)
            told = since + len(usage)
            assert [f"a-{at}:{n}" for at in range(since, told) for n in (0, 1)] == [
                node.id for node in nodes
            ]
            assert least <= told <= written + 1
            await asyncio.sleep(0)
        stop.set()
        await writing

    async def test_c50_a_slow_reader_keeps_no_writer_waiting(self, opened: Store) -> None:
        """
        Somebody's export must not stop everybody's turns.
        """
        nodes = chain("a-0", None, [user(str(at)) for at in range(1500)])
        await opened.commit(turn("a", 0, nodes=nodes, leaf=nodes[-1].id))
        pages = opened.load("a")
        first = await anext(pages)

        for at in range(3):
            await asyncio.wait_for(opened.commit(turn("b", at)), PATIENCE)
        more = chain("a-1", nodes[-1].id, [user("more")])
        await asyncio.wait_for(opened.commit(turn("a", 1, nodes=more, leaf="a-1:0")), PATIENCE)

        rest = [node async for page in pages for node in page.nodes]
        assert [*first.nodes, *rest] in (list(nodes), [*nodes, *more])

    @needs("lock")
    async def test_c51_a_store_that_stays_locked_says_so(self, opened: Store, place: Place) -> None:
        """
        After its deadline: it neither hangs nor pretends.
        """
        assert place.lock is not None
        await opened.commit(turn("a", 0))

        with place.lock():
            with pytest.raises(StoreBusy):
                await asyncio.wait_for(opened.commit(turn("a", 1)), PATIENCE)
            assert 1 == await revision(opened, "a")

        assert await opened.receipt("a", "a-1") is None
        assert 2 == (await opened.commit(turn("a", 1))).revision

    @needs("lock")
    async def test_c52_a_lock_that_is_given_back_is_waited_for(
        self, opened: Store, place: Place
    ) -> None:
        """
        A short wait is no error.
        """
        assert place.lock is not None
        await opened.commit(turn("a", 0))

        with place.lock():
            task = asyncio.ensure_future(opened.commit(turn("a", 1)))
            for _ in range(5):
                await revision(opened, "a")
            assert not task.done()

        assert 2 == (await asyncio.wait_for(task, PATIENCE)).revision

    @needs("lock")
    async def test_c53_a_cancel_while_waiting_for_the_lock_is_told_the_truth(
        self, opened: Store, place: Place
    ) -> None:
        """
        It landed or it never will, and the next commit finds the store as good as new.
        """
        assert place.lock is not None

        with place.lock():
            task = asyncio.ensure_future(opened.commit(turn("a", 0)))
            for _ in range(5):
                await opened.head("a")
            task.cancel()
            await opened.head("a")
        await asyncio.wait([task], timeout=PATIENCE)

        told = await opened.receipt("a", "a-0")
        await opened.commit(turn("b", 0))
        assert told == await opened.receipt("a", "a-0")
        assert task.cancelled()
        assert 1 == (await opened.commit(turn("a", 0))).revision

    async def test_c54_a_cancelled_commit_has_a_known_outcome(self, opened: Store) -> None:
        """
        Once the caller is told it was cancelled, nothing may land any more; and
        a caller that was cancelled is told so.
        """
        landed = 0
        for number in range(self.CANCELS):
            commit = turn("a", landed, operation=f"try-{number}")
            task = asyncio.ensure_future(opened.commit(commit))
            for _ in range(number % 10):
                await asyncio.sleep(0)
            await asyncio.sleep(number / 10_000 if number >= 10 else 0)
            accepted = task.cancel()
            await asyncio.wait([task])
            told = await opened.receipt("a", commit.operation)
            assert accepted == task.cancelled()
            if not accepted:
                assert task.result() == told
            await asyncio.sleep(0.002)

            assert told == await opened.receipt("a", commit.operation)
            landed += told is not None
        assert 2 * landed == len((await loaded(opened, "a"))[0])
        assert landed == await revision(opened, "a")

    async def test_c55_a_second_cancel_changes_nothing(self, opened: Store) -> None:
        """
        A caller in a hurry must not learn less than a patient one.
        """
        landed = 0
        for number in range(10):
            commit = turn("a", landed, operation=f"try-{number}")
            task = asyncio.ensure_future(opened.commit(commit))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
            told = await opened.receipt("a", commit.operation)
            await asyncio.sleep(0.002)

            assert told == await opened.receipt("a", commit.operation)
            landed += told is not None
        assert landed == await revision(opened, "a")

    async def test_c56_hundreds_of_callers_are_all_answered(self, opened: Store) -> None:
        """
        Whatever a store has only so many of, callers wait for and get.
        """
        await opened.commit(turn("a", 0))

        reads = [opened.head("a") for _ in range(300)]
        writes = [opened.commit(turn(f"s{number}", 0)) for number in range(50)]
        heads, receipts = await asyncio.wait_for(
            asyncio.gather(asyncio.gather(*reads), asyncio.gather(*writes)), PATIENCE
        )

        assert {1} == {head.revision for head in heads if head}
        assert [1] * 50 == [receipt.revision for receipt in receipts]

    async def test_c57_another_loop_is_served_or_refused(self, opened: Store) -> None:
        """
        What may not happen is that it waits for ever.
        """
        await opened.commit(turn("a", 0))

        async def elsewhere() -> int:
            async with asyncio.timeout(PATIENCE):
                await opened.commit(turn("a", 1))
                return await revision(opened, "a")

        with suppress(LashError):
            assert 2 == await asyncio.to_thread(asyncio.run, elsewhere())
        here = await revision(opened, "a")
        assert here + 1 == (await opened.commit(turn("a", here))).revision
