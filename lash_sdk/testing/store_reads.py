"""What a store tells of its sessions: C80 to C83, C87, C88 and more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from ..commits import Commit, PluginRow
from ..errors import Unavailable
from ..graph import Graph, Raw, chain
from ..messages import user
from ..ports import BASE, InboxItem
from .store_cases import CAPABILITIES, needs
from .store_crew import Answer
from .store_sessions import ODD_IDS
from .store_turns import loaded, spent, turn

if TYPE_CHECKING:
    from ..commits import Receipt
    from ..graph import Node
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place

INJECTIONS: Final = (
    "'",
    "''",
    '"',
    "\\",
    "%",
    "_",
    "*",
    "?",
    "[a-z]",
    ";",
    "--",
    "/*",
    "' or '1'='1",
    "' or 1=1 --",
    '" or ""="',
    "') or ('1'='1",
    "a' or id like '%",
    "a%",
    "_%",
    "\\%",
    "'; drop table sessions; --",
    "' union select id from sessions --",
    "$.a",
    "$[*]",
    "a') = 1 or json_extract(body, '$.x",
    "{0}",
    "%s",
    "%(prefix)s",
    ":prefix",
    "$1",
)


class StoreReads:
    """The part of `StoreContract` on reading."""

    async def test_c80_load_returns_what_was_committed(self, opened: Store) -> None:
        """
        Nodes come back as they were, each after its parent, ledger included.
        """
        commits = [turn("a", at, usage=spent("a", at)) for at in range(7)]
        for at, commit in enumerate(commits):
            await opened.commit(commit)
            await opened.commit(turn("b", at))

        nodes, usage = await loaded(opened, "a")

        assert [node for commit in commits for node in commit.nodes] == nodes
        assert [row for commit in commits for row in commit.usage] == usage
        assert nodes == list(Graph().load(nodes, commits[-1].leaf).path())

    async def test_c80_load_goes_on_from_a_revision(self, opened: Store) -> None:
        """
        Who knows a part of a session reads only the rest.
        """
        commits = [turn("a", at, usage=spent("a", at)) for at in range(6)]
        for commit in commits:
            await opened.commit(commit)

        for since in range(8):
            nodes, usage = await loaded(opened, "a", since)
            rest = commits[since:]
            assert [node for commit in rest for node in commit.nodes] == nodes
            assert [row for commit in rest for row in commit.usage] == usage

    async def test_c80_pages_are_bounded_and_say_how_far_they_got(self, opened: Store) -> None:
        """
        Going on from any page's revision may repeat nodes, but never skips one.
        """
        long = chain("long", None, [user(str(at)) for at in range(1200)])
        await opened.commit(turn("a", 0, operation="long", nodes=long, leaf="long:1199"))
        for at in range(1, 4):
            await opened.commit(turn("a", at, operation=f"short-{at}"))
        every, _ = await loaded(opened, "a")

        pages = [page async for page in opened.load("a")]

        assert max(len(page.nodes) for page in pages) <= 1000
        assert 4 == pages[-1].revision
        known: list[Node] = []
        for page in pages:
            known += page.nodes
            rest, _ = await loaded(opened, "a", page.revision)
            assert every == list(dict.fromkeys([*known, *rest]))

    async def test_c81_sessions_are_listed_newest_first(self, opened: Store) -> None:
        """
        A page of the list goes on where the last one ended.
        """
        for at, id in enumerate(["c", "a", "d", "b"]):
            await opened.commit(turn(id, 0, at=float(at + 1)))
        await opened.commit(turn("a", 1, at=9.0))

        rows = await opened.sessions()

        assert ["a", "b", "d", "c"] == [row.id for row in rows]
        assert [(2, 2, 9.0), (1, 1, 4.0)] == [
            (row.revision, row.turns, row.updated) for row in rows[:2]
        ]
        assert ["a", "b"] == [row.id for row in await opened.sessions(limit=2)]
        assert [] == list(await opened.sessions(limit=0))
        older = await opened.sessions(before=4.0, limit=1)
        assert ["d"] == [row.id for row in older]

    async def test_c82_no_text_is_ever_a_command(self, opened: Store) -> None:
        """
        Thirty texts, in each place that takes one, find what bears their name alone.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("ab", 0))
        for text in INJECTIONS:
            assert [] == list(await opened.sessions(prefix=text))
            assert await opened.head(text) is None
            assert await opened.node(text) is None
            assert await opened.receipt("a", text) is None
            assert await opened.receipt(text, "a-0") is None
            assert not await opened.delete(text)

        for text in INJECTIONS:
            row = PluginRow(plugin=text, name=text, body=text)
            await opened.commit(turn(text, 0, operation=text, rows=(row,)))

        for text in INJECTIONS:
            expected = [id for id in INJECTIONS if id.startswith(text)]
            found = await opened.sessions(prefix=text)
            assert sorted(expected) == sorted([row.id for row in found])
            assert [f"{text}:0", f"{text}:1"] == [n.id for n in (await loaded(opened, text))[0]]
        assert 2 == len((await loaded(opened, "a"))[0])

    async def test_c83_a_prefix_is_literal(self, opened: Store) -> None:
        """
        An id is data: no letter in it is a wildcard, and case is kept.
        """
        for id in ODD_IDS:
            await opened.commit(turn(id, 0))

        for prefix in ("", "%", "_", "a", "A", "100%", "under_", "'", "🦜", "e", *ODD_IDS):
            expected = [id for id in ODD_IDS if id.startswith(prefix)]
            rows = await opened.sessions(prefix=prefix)
            assert sorted(expected) == sorted([row.id for row in rows])

    @needs("observe")
    async def test_c87_the_feed_misses_no_commit(self, opened: Store) -> None:
        """
        Eight write while one reads on from wherever it got to.
        """
        writers = [asyncio.ensure_future(_spread(opened, f"w{number}", 10)) for number in range(8)]
        found: list[Receipt] = []
        cursor = 0
        while not all(writer.done() for writer in writers):
            found += (more := await _changes(opened, cursor))
            cursor = more[-1].cursor if more else cursor
            await asyncio.sleep(0)
        await asyncio.gather(*writers)
        found += await _changes(opened, cursor)

        every = [f"w{number}-{at}" for number in range(8) for at in range(10)]
        assert sorted(every) == sorted([receipt.session for receipt in found])
        assert found == await _changes(opened, 0)

    @needs("observe", "process")
    async def test_c87_the_feed_misses_no_commit_of_another_process(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        A cursor that went past what isn't committed yet would skip it for good.
        """
        found: list[Receipt] = []
        cursor = 0
        with crew.working(8) as children:
            for number, child in enumerate(children):
                await child.enter(place)
                child.tell("spread", f"w{number}", 5)
            answers = [asyncio.ensure_future(child.answer()) for child in children]
            while not all(answer.done() for answer in answers):
                found += (more := await _changes(opened, cursor))
                cursor = more[-1].cursor if more else cursor
            assert [Answer(5)] * 8 == await asyncio.gather(*answers)
        found += await _changes(opened, cursor)

        every = [f"w{number}-{at}" for number in range(8) for at in range(5)]
        assert sorted(every) == sorted([receipt.session for receipt in found])

    @needs("observe")
    async def test_c88_the_feed_goes_on_after_a_restart(self, opened: Store) -> None:
        """
        In the order of the commits, each receipt with a higher cursor.
        """
        receipts = [await opened.commit(turn(id, 0)) for id in "abc"]
        receipts.append(await opened.commit(turn("a", 1)))
        await opened.commit(turn("a", 0))
        cursor = (await _changes(opened, 0))[1].cursor
        await opened.close()
        await opened.open()
        receipts.append(await opened.commit(turn("b", 1)))

        found = await _changes(opened, 0)
        assert receipts == found
        assert receipts[2:] == await _changes(opened, cursor)
        assert [] == await _changes(opened, found[-1].cursor)
        assert 5 == len({receipt.cursor for receipt in found})
        assert found == sorted(found, key=lambda receipt: receipt.cursor)

    async def test_c112_a_node_is_found_by_its_id(self, opened: Store) -> None:
        """
        It's the same node for everybody, whatever its session and its kind.
        """
        note = Raw(kind="plugin", body={"plugin": "p", "type": "t", "body": 1})
        odd = Raw(kind="hologram", body=[1, {"of": "tomorrow"}])
        nodes = chain("o", None, [user("hi"), note, odd])
        await opened.commit(turn("a", 0, operation="o", nodes=nodes, leaf="o:2"))

        found = [await opened.node(f"o:{at}") for at in range(4)]

        assert [user("hi")] == [node.value for node in found[:1] if node]
        assert [(n.id, n.parent, n.kind, n.data) for n in nodes] == [
            (n.id, n.parent, n.kind, n.data) for n in found if n
        ]
        for id in ("o", "o:", "o:-1", "o:00", "O:0", ":0", ""):
            assert await opened.node(id) is None

    async def test_c113_an_unchanged_leaf_and_an_older_leaf_are_kept(self, opened: Store) -> None:
        """
        Not every commit appends: one may change state alone, or go back.
        """
        await opened.commit(turn("a", 0))
        await opened.commit(turn("a", 1))
        same = Commit(session="a", expected=2, operation="x", leaf="a-1:1", turns=2, at=1.0)
        back = Commit(session="a", expected=3, operation="y", leaf="a-0:1", turns=1, at=1.0)
        await opened.commit(same)
        await opened.commit(back)
        branch = chain("z", "a-0:1", [user("another way")])
        await opened.commit(turn("a", 4, operation="z", nodes=branch, leaf="z:0"))

        nodes, _ = await loaded(opened, "a")
        path = Graph().load(nodes, "z:0").path()
        assert 5 == len(nodes)
        assert ["a-0:0", "a-0:1", "z:0"] == [node.id for node in path]

    async def test_c114_capabilities_are_declared(self, opened: Store) -> None:
        """
        What a store can't do it says, and never pretends to.
        """
        assert BASE <= opened.capabilities <= set(CAPABILITIES)
        lacks = set(CAPABILITIES) - opened.capabilities
        if "journal" in lacks:
            with pytest.raises(Unavailable):
                await opened.claim("a")
        if "inbox" in lacks:
            with pytest.raises(Unavailable):
                await opened.enqueue("a", InboxItem(key="k", body=1))
        if "fork" in lacks:
            with pytest.raises(Unavailable):
                await opened.fork("a", "b")
        if "observe" in lacks:
            with pytest.raises(Unavailable):
                await _changes(opened, 0)
        if "vacuum" in lacks:
            with pytest.raises(Unavailable):
                await opened.gc(dry_run=True)


async def _spread(store: Store, prefix: str, count: int) -> None:
    for number in range(count):
        await store.commit(turn(f"{prefix}-{number}", 0))
        await asyncio.sleep(0)


async def _changes(store: Store, cursor: int) -> list[Receipt]:
    return [receipt async for receipt in store.changes(cursor)]
