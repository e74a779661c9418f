"""Sessions that come from others: C33, C34, C79, C84, C85 and more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..commits import Commit, Component
from ..errors import InvalidHistory, InvalidInput, RevisionConflict, SessionDeleted, SessionExists
from ..graph import chain
from ..messages import user
from ..ports import InboxItem, JournalRow
from ..usage import Usage
from .store_cases import needs
from .store_turns import loaded, manifest, revision, row, seen, turn

if TYPE_CHECKING:
    from ..commits import Head
    from ..ports import Store


class StoreForks:
    """The part of `StoreContract` on forks, going back, and children."""

    @needs("fork")
    async def test_c33_children_appear_with_the_commit_that_names_them(self, opened: Store) -> None:
        """
        Until then nobody lists them; after a commit that leaves them out they're gone.
        """
        await opened.commit(turn("a", 0))
        for id in ("kid", "other"):
            await opened.commit(turn(id, 0, parent="a", pending="a-1"))
            await opened.commit(turn(id, 1))
        assert ["a"] == [found.id for found in await opened.sessions()]
        with pytest.raises(RevisionConflict):
            await opened.commit(turn("a", 1, expected=9, children=("kid",)))
        assert ["a"] == [found.id for found in await opened.sessions()]

        await opened.commit(turn("a", 1, children=("kid",)))

        listed = {found.id: found.parent for found in await opened.sessions()}
        assert {"a": None, "kid": "a"} == listed
        head = await opened.head("kid")
        assert head is not None
        assert (2, "a", None) == (head.revision, head.parent, head.pending)
        with pytest.raises(SessionDeleted):
            await opened.head("other")

    @needs("fork")
    async def test_c34_a_commit_names_its_own_children_only(self, opened: Store) -> None:
        """
        Refused, it leaves parent and children as they were.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("b", 0))
        await opened.commit(turn("kid", 0, parent="a", pending="a-1"))
        before = [await seen(opened, id) for id in ("a", "b", "kid")]

        for commit in (
            turn("a", 1, children=("kid", "unknown")),
            turn("a", 1, children=("kid", "b")),
            turn("a", 1, operation="another", children=("kid",)),
            Commit(
                session="b", expected=1, operation="a-1", leaf="b-0:1", turns=1, children=("kid",)
            ),
        ):
            with pytest.raises(InvalidInput):
                await opened.commit(commit)
            assert before == [await seen(opened, id) for id in ("a", "b", "kid")]
        await opened.commit(Commit(session="b", expected=1, operation="a-1", leaf="b-0:1", turns=1))
        assert 1 == await revision(opened, "kid")

    @needs("fork")
    async def test_c79_each_revision_can_be_seen_and_gone_on_from(self, opened: Store) -> None:
        """
        A load tells where the session stood after each; a fork starts just there.
        """
        for at in range(4):
            state = Component(name=f"plugin/{at % 2}", version=1, value=at)
            await opened.commit(turn("a", at, components=(state,)))
        nodes, _ = await loaded(opened, "a")

        told: dict[int, Head] = {}
        async for page in opened.load("a"):
            if page.head is not None:
                told[page.revision] = page.head

        assert [1, 2, 3, 4] == list(told)
        assert await opened.head("a") == told[4]
        for at, head in told.items():
            assert (at, f"a-{at - 1}:1", at) == (head.revision, head.leaf, head.turns)
            fork = await opened.fork("a", f"f{at}", at=head.leaf)
            assert (head.leaf, head.turns) == (fork.leaf, fork.turns)
            assert dict(head.manifest) == dict(fork.manifest)
            assert nodes[: 2 * at] == (await loaded(opened, f"f{at}"))[0]

    @needs("fork")
    async def test_c84_a_fork_shares_history_and_goes_its_own_way(self, opened: Store) -> None:
        """
        Its origin doesn't notice.
        """
        for at in range(3):
            state = Component(name="policy", version=1, value=at)
            await opened.commit(turn("a", at, components=(state,)))
        before = await seen(opened, "a")

        fork = await opened.fork("a", "f", at="a-1:1")
        more = chain("f-1", "a-1:1", [user("another way")])
        await opened.commit(turn("f", 1, nodes=more, leaf="f-1:0"))

        assert before == await seen(opened, "a")
        assert ("f", 1, "a-1:1", 2) == (fork.session, fork.revision, fork.leaf, fork.turns)
        assert ("a", 2) == fork.forked_from
        policy = Component(name="policy", version=1, value=1)
        assert {"policy": policy.ref} == await manifest(opened, "f")
        assert [*before[1][:4], *more] == (await loaded(opened, "f"))[0]
        assert list(more) == (await loaded(opened, "f", 1))[0]
        assert await opened.node("f-1:0") == more[0]
        assert {"a", "f"} == {found.id for found in await opened.sessions()}
        with pytest.raises(InvalidHistory):
            late = chain("f-2", "a-2:1", [user("on what it never shared")])
            await opened.commit(turn("f", 2, nodes=late, leaf="f-2:0"))

    @needs("fork")
    async def test_c85_a_fork_outlives_its_origin(self, opened: Store) -> None:
        """
        And so does a fork of a fork; of the origin only what they share is left.
        """
        for at in range(3):
            await opened.commit(turn("a", at))
        await opened.fork("a", "f", at="a-1:1")
        more = chain("f-1", "a-1:1", [user("of the fork")])
        await opened.commit(turn("f", 1, nodes=more, leaf="f-1:0"))
        await opened.fork("f", "g")
        shared = (await loaded(opened, "a"))[0][:4]

        assert await opened.delete("a")
        assert await opened.node("a-2:0") is None
        assert [*shared, *more] == (await loaded(opened, "f"))[0]
        assert await opened.delete("f")
        assert [*shared, *more] == (await loaded(opened, "g"))[0]
        tail = chain("g-1", "f-1:0", [user("of the last")])
        assert 2 == (await opened.commit(turn("g", 1, nodes=tail, leaf="g-1:0"))).revision
        assert await opened.delete("g")
        assert [None, None] == [await opened.node(id) for id in ("a-0:0", "f-1:0")]

    @needs("fork")
    async def test_c115_a_fork_that_cannot_be_is_refused(self, opened: Store) -> None:
        """
        Each refusal has its word, and none makes a session.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("b", 0))
        await opened.commit(turn("gone", 0))
        await opened.delete("gone")

        for id, at in (("f", "a-0:0"), ("f", "b-0:1"), ("f", "nowhere:0")):
            with pytest.raises(InvalidHistory):
                await opened.fork("a", id, at=at)
        with pytest.raises(InvalidHistory):
            await opened.fork("nobody", "f")
        for id in ("a", "b"):
            with pytest.raises(SessionExists):
                await opened.fork("a", id)
        for session, id in (("gone", "f"), ("a", "gone")):
            with pytest.raises(SessionDeleted):
                await opened.fork(session, id)
        assert await opened.head("f") is None
        assert 2 == len(await opened.sessions())

    @needs("fork")
    async def test_c116_a_fork_starts_with_an_empty_ledger(self, opened: Store) -> None:
        """
        What the origin paid is the origin's; its operations are too.
        """
        await opened.commit(turn("a", 0, usage=(row("r", Usage(input=1)),)))
        await opened.fork("a", "f")

        assert [] == (await loaded(opened, "f"))[1]
        assert await opened.receipt("f", "a-0") is None
        again = (row("r", Usage(input=1)),)
        own = chain("f-1", "a-0:1", [user("x")])
        await opened.commit(turn("f", 1, nodes=own, leaf="f-1:0", usage=again))
        assert list(again) == (await loaded(opened, "f"))[1]

    @needs("fork", "inbox", "journal")
    async def test_c116_a_fork_has_no_inbox_and_no_journal(self, opened: Store) -> None:
        """
        A turn that's running in the origin isn't running in the fork.
        """
        await opened.commit(turn("a", 0))
        await opened.enqueue("a", InboxItem(key="k", body=1))
        claim = await opened.claim("a")
        await opened.journal_put(claim, [JournalRow(turn="t", key="1", kind="k", body=1)])
        await opened.fork("a", "f")

        assert [] == list(await opened.pending("f"))
        assert [] == list(await opened.journal("f"))
        other = await opened.claim("f")
        assert not other.unfinished
        await opened.release(other)
        await opened.release(claim)

    @needs("fork")
    async def test_c117_a_fork_does_not_see_other_branches(self, opened: Store) -> None:
        """
        What lies beside the path to where it began is the origin's alone.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))
        branch = chain("z", "a-0:1", [user("another way")])
        await opened.commit(turn("a", 2, operation="z", nodes=branch, leaf="z:0"))
        await opened.fork("a", "f")

        assert ["a-0:0", "a-0:1", "z:0"] == [n.id for n in (await loaded(opened, "f"))[0]]
        assert 5 == len((await loaded(opened, "a"))[0])

    @needs("fork")
    async def test_c118_going_back_brings_the_state_of_then(self, opened: Store) -> None:
        """
        The manifest is that of the commit which ends there; what else changes goes on top.
        """
        first = Component(name="policy", version=1, value="first")
        second = Component(name="policy", version=1, value="second")
        extra = Component(name="extra", version=1, value=1)
        await opened.commit(turn("a", 0, components=(first,)))
        await opened.commit(turn("a", 1, components=(second, extra)))

        for restore in ("a-0:0", "nowhere:0"):
            with pytest.raises(InvalidHistory):
                await opened.commit(turn("a", 2, nodes=(), leaf="a-0:1", restore=restore))
        await opened.commit(turn("a", 2, nodes=(), leaf="a-0:1", restore="a-0:1"))
        assert {"policy": first.ref} == await manifest(opened, "a")
        forth = turn("a", 3, nodes=(), leaf="a-1:1", restore="a-1:1", components=(first,))
        await opened.commit(forth)
        assert {"policy": first.ref, "extra": extra.ref} == await manifest(opened, "a")
        assert second.data == await opened.blob(second.ref)

    @needs("fork", "journal")
    async def test_c119_a_turn_that_is_dropped_takes_its_children_along(
        self, opened: Store
    ) -> None:
        """
        They were made for a commit that won't come; those of other turns stay.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("kid", 0, parent="a", pending="a-1"))
        await opened.commit(turn("grandkid", 0, parent="kid", pending="kid-1"))
        await opened.commit(turn("other", 0, parent="a", pending="a-2"))
        claim = await opened.claim("a")
        await opened.journal_drop(claim, "a-1")
        await opened.release(claim)

        for id in ("kid", "grandkid"):
            with pytest.raises(SessionDeleted):
                await opened.head(id)
        assert 1 == await revision(opened, "other")

    @needs("fork")
    async def test_c120_a_delete_takes_pending_children_along(self, opened: Store) -> None:
        """
        Those that were committed have a life of their own.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("grown", 0, parent="a", pending="a-1"))
        await opened.commit(turn("a", 1, children=("grown",)))
        await opened.commit(turn("kid", 0, parent="a", pending="a-2"))
        await opened.delete("a")

        with pytest.raises(SessionDeleted):
            await opened.head("kid")
        assert ["grown"] == [found.id for found in await opened.sessions()]

    async def test_c125_a_child_of_an_unseen_session_is_seen_with_it(self, opened: Store) -> None:
        """
        Its maker's own commit doesn't show it; the one that shows its maker does.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("kid", 0, parent="a", pending="a-1"))
        await opened.commit(turn("grandkid", 0, parent="kid", pending="kid-1"))
        await opened.commit(turn("kid", 1, children=("grandkid",)))
        assert ["a"] == [found.id for found in await opened.sessions()]
        head = await opened.head("grandkid")
        assert head is not None and "a-1" == head.pending
        await opened.commit(turn("a", 1, children=("kid",)))

        assert {"a", "kid", "grandkid"} == {found.id for found in await opened.sessions()}

    async def test_c126_a_child_of_an_unseen_session_goes_with_it(self, opened: Store) -> None:
        """
        Whatever its maker committed: who made that one doesn't want it.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("kid", 0, parent="a", pending="a-1"))
        await opened.commit(turn("grandkid", 0, parent="kid", pending="kid-1"))
        await opened.commit(turn("kid", 1, children=("grandkid",)))
        await opened.commit(turn("a", 1))

        for id in ("kid", "grandkid"):
            with pytest.raises(SessionDeleted):
                await opened.head(id)
