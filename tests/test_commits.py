"""
Commits: any change changes the hash, and nothing else does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_sdk.commits import Commit, Component, PluginRow, chain_hash, part_hash
from lash_sdk.errors import InvalidHistory
from lash_sdk.graph import Content, Node, Note, chain
from lash_sdk.messages import Blob, Image, Message, ToolCall, ToolResult, assistant, user
from lash_sdk.outcomes import Success, ToolRecord
from lash_sdk.usage import Usage, UsageRow

ROOT = Path(__file__).resolve().parent.parent
PICTURE = Image.of(b"picture")


def full() -> Commit:
    """Return a commit that has two of everything."""
    asks = Message(role="assistant", parts=(ToolCall(id="c", name="add"),))
    results = Message(role="tool", parts=(ToolResult(call="c", name="add"),))
    record = ToolRecord(call="c", name="add", arguments={}, outcome=Success(value=3))
    values: list[Content] = [user([PICTURE]), asks, record, results, assistant("3")]
    rows = [
        UsageRow(
            id=f"t/{at}", turn="t", session="s", source="turn", model="m", usage=Usage(input=at)
        )
        for at in (2, 4)
    ]
    return Commit(
        session="s",
        expected=1,
        operation="t",
        at=1.0,
        turns=2,
        nodes=chain("t", "t0:1", values),
        leaf="t:4",
        components=(
            Component(name="policy", version=1, value={"model": "m"}),
            Component(name="plugin/plan", version=2, value=[1]),
        ),
        blobs=(PICTURE.blob, Blob.of(b"other", "text/plain")),
        usage=tuple(rows),
        consumed=("k1", "k2"),
        children=("child-1", "child-2"),
        rows=(PluginRow(plugin="p", name="a", body=1), PluginRow(plugin="p", name="b", body=1)),
        turn="t",
    )


LISTS = ("nodes", "components", "blobs", "usage", "consumed", "children", "rows")


def changes() -> dict[str, Commit]:
    """Return commits that each differ from `full()` in one thing."""
    commit = full()
    first, second = commit.components
    node, row, mine = commit.nodes[-1], commit.usage[0], commit.rows[0]
    made: dict[str, Commit] = {}
    for name in LISTS:
        values: tuple[Any, ...] = getattr(commit, name)
        made[f"one of {name} left out"] = replace(commit, **{name: values[1:]})  # type: ignore[arg-type]
        made[f"{name} in another order"] = replace(commit, **{name: values[::-1]})  # type: ignore[arg-type]
        made[f"no {name}"] = replace(commit, **{name: ()})  # type: ignore[arg-type]
    made["another operation"] = replace(commit, operation="t2")
    made["another leaf"] = replace(commit, leaf="t:3")
    made["no leaf"] = replace(commit, leaf=None)
    made["another count of turns"] = replace(commit, turns=3)
    for what, changed in {
        "id": replace(node, id="t:9"),
        "parent": replace(node, parent="t:0"),
        "value": Node.of(node.id, node.parent, assistant("4")),
        "kind": Node.of(node.id, node.parent, Note(plugin="p", type="t", body={})),
    }.items():
        made[f"another {what} of a node"] = replace(commit, nodes=(*commit.nodes[:-1], changed))
    for what, other in {
        "name": replace(first, name="tools"),
        "version": replace(first, version=2),
        "value": replace(first, value={"model": "n"}),
    }.items():
        made[f"another {what} of a component"] = replace(commit, components=(other, second))
    for field, value in {
        "id": "t/9",
        "turn": "u",
        "session": "x",
        "source": "child",
        "model": "n",
        "usage": Usage(input=9),
        "estimated": True,
    }.items():
        fresh = replace(row, **{field: value})  # type: ignore[arg-type]
        made[f"another {field} of a usage row"] = replace(commit, usage=(fresh, commit.usage[1]))
    for field, value in {"plugin": "q", "name": "c", "body": 2}.items():
        own = replace(mine, **{field: value})  # type: ignore[arg-type]
        made[f"another {field} of a plugin's row"] = replace(commit, rows=(own, commit.rows[1]))
    made["another blob"] = replace(commit, blobs=(PICTURE.blob, Image.of(b"3").blob))
    made["another inbox key"] = replace(commit, consumed=("k1", "k3"))
    made["another child"] = replace(commit, children=("child-1", "child-3"))
    made["an inbox key that was a child"] = replace(
        commit, consumed=("k1", "k2", "child-1"), children=("child-2",)
    )
    return made


@pytest.mark.parametrize("what", changes())
def test_any_change_changes_the_hash(what: str) -> None:
    """
    Otherwise a store could be altered and still look whole.
    """
    assert full().hash("parent") != changes()[what].hash("parent")


def test_all_changes_are_told_apart() -> None:
    """
    No two different commits look alike either.
    """
    hashes = [commit.hash("parent") for commit in changes().values()]

    assert len(hashes) == len(set(hashes))


def test_another_past_is_another_hash() -> None:
    """
    The hashes form a chain: the last one vouches for all.
    """
    assert full().hash("a") != full().hash("b")


def test_when_and_where_it_is_written_is_no_part_of_it() -> None:
    """
    A commit that is sent again, a minute later, is the same commit.
    """
    again = replace(full(), at=99.0)

    assert full().hash("") == again.hash("")
    assert full() == again


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (
            {"rows": (PluginRow(plugin="a b", name="c", body=1),)},
            {"rows": (PluginRow(plugin="a", name="b c", body=1),)},
        ),
        (
            {"nodes": chain("a b", None, [user("x")])},
            {"nodes": (replace(chain("a", None, [user("x")])[0], id="a", parent="b:0"),)},
        ),
        ({"consumed": ("a\nb",)}, {"consumed": ("a", "b")}),
        ({"consumed": ("a", "")}, {"consumed": ("", "a")}),
    ],
)
def test_names_with_separators_do_not_run_together(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    """
    Plugins and callers choose names; two bodies must never share a hash.
    """
    bare = Commit(session="s", expected=0, operation="t")

    assert replace(bare, **one).hash("") != replace(bare, **two).hash("")


def test_an_operation_cannot_pass_for_a_part() -> None:
    """
    An operation id may be a caller's own text.
    """
    one, two = (part_hash(("inbox", key, b"")) for key in "ab")

    assert chain_hash("", f"t\n{one}", [two]) != chain_hash("", "t", [one, two])


@given(st.lists(st.tuples(st.text(), st.text(), st.binary()), max_size=4, unique=True))
def test_parts_are_hashed_apart_and_in_order(parts: list[tuple[str, str, bytes]]) -> None:
    """
    Whatever a part holds, it can't be taken for another.
    """
    hashes = [part_hash(part) for part in parts]
    chained = {
        chain_hash("", "t", [hashes[at] for at in order])
        for order in permutations(range(len(parts)))
    }

    assert len(hashes) == len(set(hashes))
    assert len(list(permutations(parts))) == len(chained)


def test_parts_have_one_order_and_unique_names() -> None:
    """
    A store keeps them as rows by (kind, key).
    """
    parts = full().parts()
    names = [(kind, key) for kind, key, _ in parts]

    assert len(names) == len(set(names))
    assert [
        *["message", "message", "tool", "message", "message"],
        *["component", "component", "blob", "blob", "usage", "usage"],
        *["inbox", "inbox", "child", "child", "row", "row", "head"],
    ] == [kind for kind, _, _ in parts]


def test_equal_content_has_an_equal_ref() -> None:
    """
    Sessions invariant 21: an unchanged component is recognised by its ref.
    """
    one = Component(name="a", version=1, value={"x": 1, "y": [2]})

    assert one.ref == Component(name="b", version=1, value={"y": (2,), "x": 1}).ref
    assert one.ref != replace(one, version=2).ref
    assert one.ref != replace(one, value={"x": 1.0, "y": [2]}).ref


SCRIPT = """
import tests.test_commits as this
print(this.full().hash(""))
print(*sorted(commit.hash("p") for commit in this.changes().values()))
"""


def test_a_body_has_one_hash_in_every_process() -> None:
    """
    A hash that depended on the process would be worthless to the next one.
    """
    printed = set()
    for seed, zone, locale in (("0", "UTC", "C"), ("1", "Asia/Tokyo", "C.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(ran.stdout)

    assert 1 == len(printed)
    assert {full().hash("")} == {line.split("\n")[0] for line in printed}


def test_the_hash_of_a_small_commit_never_changes() -> None:
    """
    Stores that exist were written with it: whoever changes this breaks them all.
    """
    small = Commit(
        session="s",
        expected=0,
        operation="t1",
        turns=1,
        nodes=chain("t1", None, [user("hi"), assistant("hello")]),
        leaf="t1:1",
    )

    assert "d80c31c7a2cb01900e1eb2bf001da6b4a286a4c12c2a8d3e12346bdb0cbb2ffd" == small.hash("")


def test_an_unpaired_history_is_not_committed() -> None:
    """
    Sessions invariant 39: what is stored can be resumed.
    """
    commit = full()
    asked = replace(commit, nodes=commit.nodes[:2])

    assert commit is commit.check()
    with pytest.raises(InvalidHistory, match="calls without results"):
        asked.check()
    with pytest.raises(InvalidHistory, match="a user message can't hold tool_call"):
        wrong = Message(role="user", parts=(ToolCall(id="c", name="n"),))
        replace(commit, nodes=chain("t", None, [wrong])).check()


def test_a_commit_cannot_be_changed() -> None:
    """
    It is handed to hooks on its way to the store.
    """
    with pytest.raises(FrozenInstanceError):
        full().operation = "x"  # type: ignore[misc]
