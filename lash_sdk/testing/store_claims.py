"""Who may run a turn, and what it has written so far: C28, C62 to C64, C70 to C78 and more."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from ..errors import RevisionConflict, SessionBusy, SessionDeleted
from ..messages import Blob
from ..ports import Claim, InboxItem, JournalRow
from .store_cases import needs
from .store_crew import DEAD
from .store_turns import loaded, revision, turn

if TYPE_CHECKING:
    from ..json import Json
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place


class StoreClaims:
    """The part of `StoreContract` on claims and journals."""

    @needs("journal")
    async def test_c28_a_commit_clears_the_journal_of_its_turn(self, opened: Store) -> None:
        """
        With it or not at all; other turns' rows and the claim stay.
        """
        claim = await opened.claim("a")
        await opened.journal_put(claim, [journal_row("t", "1"), journal_row("u", "1")])
        with pytest.raises(RevisionConflict):
            await opened.commit(turn("a", 0, expected=3, turn="t"))
        assert 2 == len(await opened.journal("a"))

        await opened.commit(turn("a", 0, turn="t"))

        assert ["u"] == [row.turn for row in await opened.journal("a")]
        with pytest.raises(SessionBusy):
            await opened.claim("a")
        await opened.release(claim)

    @needs("journal")
    async def test_c62_a_claim_keeps_others_out(self, opened: Store) -> None:
        """
        Of many who want it one gets it; another session's is another's.
        """
        results = await asyncio.gather(
            *[opened.claim("a") for _ in range(10)], return_exceptions=True
        )
        other = await opened.claim("b")

        won = [result for result in results if isinstance(result, Claim)]
        assert [SessionBusy] * 9 == [type(r) for r in results if not isinstance(r, Claim)]
        assert 1 == len(won)
        await opened.release(won[0])
        await opened.release(other)

    @needs("journal", "process")
    async def test_c62_a_claim_keeps_other_processes_out(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        For as long as it's held, and not a moment longer.
        """
        with crew.working(1) as (child,):
            await child.enter(place)
            claim = await opened.claim("a")
            assert "SessionBusy" == (await child.ask("claim", "a")).error
            await opened.release(claim)
            assert "" == (await child.ask("claim", "a")).error
            with pytest.raises(SessionBusy):
                await opened.claim("a")
            assert "" == (await child.ask("release", "a")).error
            await opened.release(await opened.claim("a"))

    @needs("journal", "process")
    async def test_c63_the_claim_of_a_dead_process_is_free(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        At once, to one of those who want it, with the journal as it was left.
        """
        with crew.working(1) as (child,):
            await child.enter(place)
            generation = (await child.ask("claim", "a")).value
            assert "" == (await child.ask("journal_put", "a", "1")).error
            child.kill()
            assert DEAD == await child.answer()

        results = await asyncio.gather(
            *[opened.claim("a") for _ in range(5)], return_exceptions=True
        )
        won = [result for result in results if isinstance(result, Claim)]
        assert 1 == len(won)
        assert isinstance(generation, int)
        assert generation < won[0].generation
        assert won[0].unfinished
        assert ["1"] == [row.key for row in await opened.journal("a")]
        await opened.release(won[0])

    @needs("journal")
    async def test_c64_a_stale_claim_drops_nothing(self, opened: Store) -> None:
        """
        The turn that it believes to be its own is somebody else's by now.
        """
        stale = await opened.claim("a")
        await opened.journal_put(stale, [journal_row("t", "1")])
        await opened.release(stale)
        fresh = await opened.claim("a")
        await opened.journal_put(fresh, [journal_row("t", "2")])

        with pytest.raises(SessionBusy):
            await opened.journal_drop(stale, "t")
        assert ["1", "2"] == [row.key for row in await opened.journal("a")]
        await opened.journal_drop(fresh, "t")
        assert [] == list(await opened.journal("a"))
        await opened.release(fresh)

    @needs("journal")
    async def test_c70_a_claim_says_where_the_session_stands(self, opened: Store) -> None:
        """
        Taken and given back, it leaves no session behind.
        """
        first = await opened.claim("a")
        await opened.release(first)
        assert await opened.head("a") is None
        await opened.commit(turn("a", 0))
        second = await opened.claim("a")
        await opened.journal_put(second, [journal_row("t", "1")])
        await opened.release(second)
        third = await opened.claim("a")
        await opened.release(third)

        assert ("a", 0, False) == (first.session, first.revision, first.unfinished)
        assert ("a", 1, False) == (second.session, second.revision, second.unfinished)
        assert ("a", 1, True) == (third.session, third.revision, third.unfinished)

    @needs("journal")
    async def test_c71_a_second_holder_is_refused_until_the_release(self, opened: Store) -> None:
        """
        Neither asking often nor committing gets it sooner.
        """
        claim = await opened.claim("a")
        for at in range(3):
            with pytest.raises(SessionBusy):
                await opened.claim("a")
            await opened.commit(turn("a", at))

        await opened.release(claim)
        await opened.release(await opened.claim("a"))

    @needs("journal")
    async def test_c72_each_holder_has_a_higher_generation(self, opened: Store) -> None:
        """
        That's what tells a stale one's writes from a fresh one's, restart or not.
        """
        generations: list[int] = []
        for _ in range(3):
            claim = await opened.claim("a")
            await opened.journal_put(claim, [journal_row("t", str(claim.generation))])
            await opened.release(claim)
            generations.append(claim.generation)
            await opened.close()
            await opened.open()

        assert generations == sorted(set(generations))
        assert 0 < generations[0]

    @needs("journal")
    async def test_c73_a_stale_claim_writes_nothing(self, opened: Store) -> None:
        """
        Not once it was released, and not once another wrote.
        """
        stale = await opened.claim("a")
        await opened.release(stale)
        with pytest.raises(SessionBusy):
            await opened.journal_put(stale, [journal_row("t", "0")])
        fresh = await opened.claim("a")
        await opened.journal_put(fresh, [journal_row("t", "1")])

        with pytest.raises(SessionBusy):
            await opened.journal_put(stale, [journal_row("t", "2"), journal_row("t", "3")])
        assert ["1"] == [row.key for row in await opened.journal("a")]
        await opened.release(fresh)

    @needs("journal")
    async def test_c74_the_revision_alone_decides_a_commit(self, opened: Store) -> None:
        """
        A holder that was overtaken but has the head right is as good as any.
        """
        stale = await opened.claim("a")
        await opened.commit(turn("a", 0))
        await opened.release(stale)
        fresh = await opened.claim("a")

        assert 2 == (await opened.commit(turn("a", 1, turn="t"))).revision
        with pytest.raises(RevisionConflict):
            await opened.commit(turn("a", 1, operation="late"))
        await opened.release(fresh)

    @needs("journal")
    async def test_c75_a_clock_that_jumps_takes_no_claim_away(
        self, opened: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Whoever holds it lives or doesn't; what time it is has nothing to do with it.
        """
        claim = await opened.claim("a")
        now = time.time
        for skew in (86_400, -86_400, 10 * 86_400 * 365):
            monkeypatch.setattr(time, "time", lambda skew=skew: now() + skew)
            with pytest.raises(SessionBusy):
                await opened.claim("a")
            await opened.journal_put(claim, [journal_row("t", str(skew))])

        assert 3 == len(await opened.journal("a"))
        await opened.release(claim)

    async def test_c76_revisions_are_in_order_whatever_the_clock_says(
        self, opened: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        A commit that's dated before its parent still comes after it.
        """
        now = time.time
        for at, skew in enumerate((0, -86_400, 86_400, -5 * 86_400)):
            monkeypatch.setattr(time, "time", lambda skew=skew: now() + skew)
            await opened.commit(turn("a", at, at=0.0 if at % 2 else 1000.0 - at))

        nodes, _ = await loaded(opened, "a")
        assert [f"a-{at}:{n}" for at in range(4) for n in (0, 1)] == [node.id for node in nodes]
        assert 4 == await revision(opened, "a")

    @needs("journal")
    async def test_c78_a_release_may_be_repeated(self, opened: Store) -> None:
        """
        The second one gives nothing of anybody else's away.
        """
        stale = await opened.claim("a")
        await opened.release(stale)
        await opened.release(stale)
        fresh = await opened.claim("a")
        await opened.release(stale)

        with pytest.raises(SessionBusy):
            await opened.claim("a")
        await opened.journal_put(fresh, [journal_row("t", "1")])
        await opened.release(fresh)

    @needs("journal")
    async def test_c109_a_journal_gives_back_what_was_put(self, opened: Store) -> None:
        """
        In its order, with its blobs, also after a restart; a row twice is one row.
        """
        blob = Blob.of(b"of a tool", "text/plain")
        rows = [
            JournalRow(turn="t", key="t/1", kind="asked", body={"b": [1, None], "a": "\ud800\0"}),
            JournalRow(turn="t", key="t/1", kind="answered", body=blob, blobs=(blob,)),
            JournalRow(turn="t", key="t/0", kind="asked", body=2**64),
        ]
        claim = await opened.claim("a")
        await opened.journal_put(claim, rows[:1])
        await opened.journal_put(claim, rows)
        await opened.release(claim)
        await opened.close()
        await opened.open()

        found = await opened.journal("a")
        assert [(row.turn, row.key, row.kind, row.data) for row in rows] == [
            (row.turn, row.key, row.kind, row.data) for row in found
        ]
        assert b"of a tool" == await opened.blob(blob.sha256)
        assert [] == list(await opened.journal("b"))
        assert await opened.head("a") is None

    @needs("journal")
    async def test_c110_a_dropped_turn_leaves_the_others(self, opened: Store) -> None:
        """
        It will never be committed; its neighbours may be.
        """
        claim = await opened.claim("a")
        rows = [journal_row(name, key) for name in "tu" for key in "12"]
        await opened.journal_put(claim, rows)

        await opened.journal_drop(claim, "t")
        await opened.journal_drop(claim, "unknown")

        assert [("u", "1"), ("u", "2")] == [(r.turn, r.key) for r in await opened.journal("a")]
        await opened.release(claim)

    @needs("journal")
    async def test_c111_a_delete_takes_journal_and_claim(self, opened: Store) -> None:
        """
        Nobody may go on with a turn of a session that's gone.
        """
        await opened.commit(turn("a", 0))
        claim = await opened.claim("a")
        await opened.journal_put(claim, [journal_row("t", "1")])
        await opened.delete("a")

        assert [] == list(await opened.journal("a"))
        with pytest.raises(SessionDeleted):
            await opened.claim("a")
        with pytest.raises(SessionDeleted):
            await opened.journal_put(claim, [journal_row("t", "2")])
        await opened.release(claim)
        with pytest.raises(SessionDeleted):
            await opened.claim("a")

    @needs("inbox", "journal")
    async def test_c124_a_claim_says_whether_input_waits(self, opened: Store) -> None:
        """
        Whoever takes one learns of it without another question.
        """
        found: list[bool] = []
        for commit in (None, turn("a", 0), turn("a", 1, consumed=("k",))):
            if commit is not None:
                await opened.enqueue("a", InboxItem(key="k", body=1))
                await opened.commit(commit)
            claim = await opened.claim("a")
            found.append(claim.waiting)
            await opened.release(claim)

        assert [False, True, False] == found

    @needs("journal")
    async def test_c127_a_session_that_only_began_is_listed(self, opened: Store) -> None:
        """
        Else nobody finds the first turn that a kill left, and its id may be a made-up one.
        """
        await opened.commit(turn("b", 0))
        idle = await opened.claim("idle")
        claim = await opened.claim("a")
        await opened.journal_put(claim, [journal_row("t", "1")])

        rows = {row.id: row for row in await opened.sessions()}
        assert {"a": (0, 0, True), "b": (1, 1, False)} == {
            id: (row.revision, row.turns, row.unfinished) for id, row in rows.items()
        }
        assert ["a"] == [row.id for row in await opened.sessions(limit=1)]
        assert ["b"] == [row.id for row in await opened.sessions(before=rows["a"].updated)]
        assert [] == list(await opened.sessions(prefix="aa"))
        assert await opened.head("a") is None
        await opened.journal_drop(claim, "t")
        assert ["b"] == [row.id for row in await opened.sessions()]
        await opened.release(claim)
        await opened.release(idle)

    @needs("journal")
    async def test_c128_a_list_says_which_sessions_have_a_journal(self, opened: Store) -> None:
        """
        A turn runs in them, or was cut short, until a commit clears its rows.
        """
        for id in ("a", "b"):
            await opened.commit(turn(id, 0))
        claim = await opened.claim("a")
        await opened.journal_put(claim, [journal_row("a-1", "1")])
        before = {row.id: row.unfinished for row in await opened.sessions()}
        await opened.commit(turn("a", 1, turn="a-1"))

        assert {"a": True, "b": False} == before
        assert [False, False] == [row.unfinished for row in await opened.sessions()]
        await opened.release(claim)


def journal_row(turn: str, key: str, body: Json = None) -> JournalRow:
    """Return a row of a turn's journal."""
    return JournalRow(turn=turn, key=key, kind="k", body=body)
