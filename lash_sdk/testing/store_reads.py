"""What a store gives back: sessions, pages, components, blobs, odd values."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from ..commits import Commit, Component
from ..errors import StoreCorrupt
from ..graph import Graph, Raw, chain
from ..messages import Blob, Image, Message, user
from ..usage import Usage, UsageRow
from .store_turns import loaded, seen, turn

if TYPE_CHECKING:
    from ..graph import Node
    from ..json import JsonObject
    from ..ports import Store

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
ODD_TEXTS: Final = (
    "nul \0 in the middle",
    "lone \ud800 and \udfff surrogates",
    "two lines\u2028one paragraph\u2029",
    "\u202eright to left\u202c",
    "e\u0301 \u00e9 🦜 \U0010ffff \ufeff \uffff",
    "'; drop table nodes; --",
    '{"lc": 1, "__class__": "os.system"}',
    "\\u0000 \\ud800 as text",
    "x" * 1_000_000,
)
ODD_JSON: Final[JsonObject] = {
    "ints": [0, -1, 2**53, -(2**63), 2**64, 10**400],
    "floats": [-0.0, 1e-320, 1e308, 0.1],
    "__class__": {"$type": "x", "__proto__": None, "lc": True},
    "": ["", None, {}, []],
    "text": list(ODD_TEXTS[:-1]),
}


class StoreReads:
    """The part of `StoreContract` that concerns reading."""

    async def test_load_returns_what_was_committed(self, opened: Store) -> None:
        """
        Nodes come back as they were, each after its parent, ledger included.
        """
        commits = [turn("a", at, usage=_spent("a", at)) for at in range(7)]
        for at, commit in enumerate(commits):
            await opened.commit(commit)
            await opened.commit(turn("b", at))

        nodes, usage = await loaded(opened, "a")

        assert [node for commit in commits for node in commit.nodes] == nodes
        assert [row for commit in commits for row in commit.usage] == usage
        path = Graph().load(nodes, commits[-1].leaf).path()
        assert nodes == list(path)

    async def test_load_goes_on_from_a_revision(self, opened: Store) -> None:
        """
        Who knows a part of a session reads only the rest.
        """
        commits = [turn("a", at, usage=_spent("a", at)) for at in range(6)]
        for commit in commits:
            await opened.commit(commit)

        for since in range(8):
            nodes, usage = await loaded(opened, "a", since)
            rest = commits[since:]
            assert [node for commit in rest for node in commit.nodes] == nodes
            assert [row for commit in rest for row in commit.usage] == usage

    async def test_pages_are_bounded_and_say_how_far_they_got(self, opened: Store) -> None:
        """
        Going on from any page's revision may repeat nodes, but never skips one.
        """
        long = chain("long", None, [user(str(at)) for at in range(1200)])
        first = Commit(session="a", expected=0, operation="long", nodes=long, leaf="long:1199")
        await opened.commit(first)
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

    async def test_a_reader_sees_whole_commits(self, opened: Store) -> None:
        """
        While a turn is being committed, a reader has all of it or nothing.
        """
        commits = [turn("a", at, usage=_spent("a", at)) for at in range(40)]

        async def write() -> None:
            for commit in commits:
                await opened.commit(commit)
                await asyncio.sleep(0)

        writing = asyncio.ensure_future(write())
        told = 0
        while told < len(commits):
            done = writing.done()
            nodes, usage = await loaded(opened, "a")
            told = len(usage)
            assert 2 * told == len(nodes)
            assert told == len(commits) or not done
            await asyncio.sleep(0)
        await writing

    async def test_a_node_is_found_by_its_id(self, opened: Store) -> None:
        """
        It's the same node for everybody, whatever its session and its kind.
        """
        note = Raw(kind="plugin", body={"plugin": "p", "type": "t", "body": 1})
        odd = Raw(kind="hologram", body=[1, {"of": "tomorrow"}])
        nodes = chain("o", None, [user("hi"), note, odd])
        await opened.commit(Commit(session="a", expected=0, operation="o", nodes=nodes, leaf="o:2"))

        found = [await opened.node(f"o:{at}") for at in range(4)]

        assert [user("hi")] == [node.value for node in found[:1] if node]
        assert [(n.id, n.parent, n.kind, n.data) for n in nodes] == [
            (n.id, n.parent, n.kind, n.data) for n in found if n
        ]
        for id in ("o", "o:", "o:-1", "o:00", "O:0", ":0", ""):
            assert await opened.node(id) is None

    async def test_a_manifest_carries_over(self, opened: Store) -> None:
        """
        A component stays until it's changed or removed, and equal ones are one.
        """
        policy = Component(name="policy", version=1, value={"model": "m"})
        state = Component(name="plugin/weather", version=3, value=[1, 2])
        gone = Component(name="policy", version=1, value=None)
        await opened.commit(turn("a", 0, components=(policy, state)))
        await opened.commit(turn("a", 1))
        second = await opened.head("a")
        await opened.commit(turn("a", 2, components=(gone,)))
        third = await opened.head("a")
        await opened.commit(turn("b", 0, components=(policy,)))
        other = await opened.head("b")

        assert second is not None
        assert third is not None
        assert other is not None
        assert {"policy": policy.ref, "plugin/weather": state.ref} == second.manifest
        assert {"plugin/weather": state.ref} == third.manifest
        assert {"policy": policy.ref} == other.manifest
        assert policy.data == await opened.blob(policy.ref)
        assert state.data == await opened.blob(state.ref)

    async def test_blobs_are_kept_by_what_they_are(self, opened: Store) -> None:
        """
        A picture sent twice is stored with its first message and found by its hash.
        """
        blobs = [Blob.of(data, "image/png") for data in (b"\0", bytes(range(256)) * 999)]
        images = tuple([Image(blob=blob) for blob in blobs])
        nodes = chain("a-0", None, [Message(role="user", parts=images)])
        await opened.commit(
            Commit(
                session="a",
                expected=0,
                operation="a-0",
                nodes=nodes,
                leaf="a-0:0",
                blobs=tuple(blobs),
            )
        )
        await opened.commit(turn("b", 0, blobs=(blobs[1],)))

        assert [blob.data for blob in blobs] == [await opened.blob(blob.sha256) for blob in blobs]
        for ref in ("0" * 64, "nonsense", "", blobs[0].sha256[:-2]):
            with pytest.raises(StoreCorrupt):
                await opened.blob(ref)

    async def test_sessions_are_listed_newest_first(self, opened: Store) -> None:
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

    async def test_a_prefix_is_literal(self, opened: Store) -> None:
        """
        An id is data: no letter in it is a wildcard, and none is a command.
        """
        for id in ODD_IDS:
            await opened.commit(turn(id, 0))

        for prefix in ("", "%", "_", "a", "A", "100%", "under_", "'", "🦜", "e", *ODD_IDS):
            expected = [id for id in ODD_IDS if id.startswith(prefix)]
            rows = await opened.sessions(prefix=prefix)
            assert sorted(expected) == sorted([row.id for row in rows])

    async def test_odd_ids_are_ids_like_any_other(self, opened: Store) -> None:
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

    async def test_odd_values_come_back_as_they_were(self, opened: Store) -> None:
        """
        A database's own ideas about text and numbers are nobody's business.
        """
        texts = [user(text) for text in ODD_TEXTS]
        note = Raw(kind="hologram", body=ODD_JSON)
        component = Component(name="plugin/\ud800", version=1, value=ODD_JSON)
        nodes = chain("a-0", None, [*texts, note])
        commit = Commit(
            session="a",
            expected=0,
            operation="a-0",
            nodes=nodes,
            leaf=nodes[-1].id,
            components=(component,),
        )
        await opened.commit(commit)

        found, _ = await loaded(opened, "a")
        head = await opened.head("a")

        assert [node.data for node in nodes] == [node.data for node in found]
        assert texts == [node.value for node in found[:-1]]
        assert head is not None
        assert {component.name: component.ref} == head.manifest
        assert component.data == await opened.blob(component.ref)

    async def test_an_unchanged_leaf_and_an_older_leaf_are_kept(self, opened: Store) -> None:
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
        await opened.commit(
            Commit(session="a", expected=4, operation="z", nodes=branch, leaf="z:0")
        )

        nodes, _ = await loaded(opened, "a")
        path = Graph().load(nodes, "z:0").path()
        assert 5 == len(nodes)
        assert ["a-0:0", "a-0:1", "z:0"] == [node.id for node in path]

    async def test_everything_is_there_after_reopening(self, opened: Store) -> None:
        """
        A store that's closed keeps what it acknowledged.
        """
        component = Component(name="policy", version=1, value={"x": 1})
        receipt = await opened.commit(turn("a", 0, components=(component,)))
        await opened.commit(turn("a", 1, usage=_spent("a", 1)))
        await opened.commit(turn("gone", 0))
        await opened.delete("gone")
        before = await seen(opened, "a")

        await opened.close()
        await opened.open()

        assert before == await seen(opened, "a")
        assert receipt == await opened.commit(turn("a", 0, components=(component,)))
        assert 3 == (await opened.commit(turn("a", 2))).revision
        assert not await opened.delete("gone")


def _spent(session: str, number: int) -> tuple[UsageRow, ...]:
    row = UsageRow(
        id=f"{session}-{number}/1",
        turn=f"{session}-{number}",
        session=session,
        source="turn",
        model="m",
        usage=Usage(input=number + 1, output=2),
        estimated=number % 2 == 1,
    )
    return (row,)
