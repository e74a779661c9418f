"""
Graph and history: append-only, shared, and never changed under a reader.
"""

# What is shared shows only from inside.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash_sdk.commits import node_part
from lash_sdk.errors import InvalidHistory, StoreCorrupt
from lash_sdk.graph import Graph, History, Node, Note, Part, Raw, chain, check_pairs, read_value
from lash_sdk.json import encode
from lash_sdk.messages import Message, Text, ToolCall, ToolResult, assistant, note, user
from lash_sdk.outcomes import Success, ToolRecord


def nodes(graph: Graph, turn: str, count: int = 1) -> tuple[Node, ...]:
    return chain(turn, graph.leaf, [user(f"{turn} {at}") for at in range(count)])


def grown(*turns: str) -> Graph:
    graph = Graph()
    for turn in turns:
        graph = graph.append(nodes(graph, turn, 2))
    return graph


def ids(graph: Graph) -> list[str]:
    return [node.id for node in graph]


def path(graph: Graph) -> list[str]:
    return [node.id for node in graph.path()]


# --- nodes -----------------------------------------------------------------------


def test_a_chain_is_parents_and_children() -> None:
    """
    Node ids are (turn id, ordinal): the same on every replay.
    """
    record = ToolRecord(call="c", name="n", arguments={}, outcome=Success(value=1))
    plan = Note(plugin="plan", type="todo", body=[1])

    made = chain("t1", "t0:4", [user("a"), record, plan])

    assert [("t1:0", "t0:4"), ("t1:1", "t1:0"), ("t1:2", "t1:1")] == [
        (node.id, node.parent) for node in made
    ]
    assert ["message", "tool", "plugin"] == [node.kind for node in made]


def test_a_nodes_bytes_are_made_once() -> None:
    """
    A message is encoded when it is stored, and never again.
    """
    (node,) = chain("t", None, [user("a")])

    assert node.data is node.data
    assert encode(user("a").to_json()) == node.data


def test_a_stored_node_is_read_back_with_the_same_bytes() -> None:
    """
    Its hash is over them; so a record, a note and an unknown kind stay raw.
    """
    record = ToolRecord(call="c", name="n", arguments={}, outcome=Success(value=1))
    later = Raw(kind="later", body={"a": [1, None]})

    for node in chain("t", None, [user("a"), record, Note(plugin="p", type="t", body=1), later]):
        sealed: list[Part] = []
        again = Node.stored(node.id, node.parent, node.kind, node.data, sealed.append)

        assert (node.id, node.parent, node.kind) == (again.id, again.parent, again.kind)
        assert [] == sealed
        assert node.data == encode(again.value.to_json())
        assert node.data == again.data
        assert [node_part(node)] == sealed


def test_a_damaged_message_is_reported_when_it_is_read() -> None:
    """
    Skipping it would change what was said.
    """
    with pytest.raises(StoreCorrupt, match=r"message\.parts: missing"):
        read_value("t:0", "message", {"role": "user"})


def test_a_message_that_no_provider_takes_is_not_loaded() -> None:
    """
    What was written by us was sound: this was changed by somebody else.
    """
    body = Message(role="user", parts=asks("1").parts).to_json()

    with pytest.raises(StoreCorrupt, match="node 't:0': message: a user message can't hold"):
        read_value("t:0", "message", body)


def test_a_node_cannot_be_changed() -> None:
    """
    Appending never changes what is there.
    """
    (node,) = chain("t", None, [user("a")])

    with pytest.raises(FrozenInstanceError):
        node.parent = "x"  # type: ignore[misc]


# --- the graph -------------------------------------------------------------------


def test_appending_keeps_every_node_by_identity() -> None:
    """
    Sessions invariant 1: nothing that was said is said otherwise later.
    """
    before = grown("a", "b")
    held = list(before)

    after = before.append(nodes(before, "c", 2))

    assert all(old is new for old, new in zip(held, after, strict=False))
    assert ["a:0", "a:1", "b:0", "b:1", "c:0", "c:1"] == ids(after)


def test_a_new_node_hangs_on_the_leaf() -> None:
    """
    Sessions invariant 2: or a turn would answer something else.
    """
    graph = grown("a")

    after = graph.append(nodes(graph, "b"))

    assert "a:1" == after.node("b:0").parent
    with pytest.raises(InvalidHistory, match="node 'c:0': parent 'nowhere' isn't there"):
        graph.load(chain("c", "nowhere", [user("x")]), "c:0")


def test_an_id_is_taken_once() -> None:
    """
    Sessions invariant 3: on every branch, and within what is appended.
    """
    graph = grown("a", "b").at("a:1")

    with pytest.raises(InvalidHistory, match="node 'b:0' is there already"):
        graph.load(nodes(graph, "b"), "b:0")
    with pytest.raises(InvalidHistory, match="node 'c:0' is there already"):
        first = nodes(graph, "c")
        graph.load([*first, *chain("c", "c:0", [user("x")])], "c:0")


def test_refused_nodes_leave_the_graph_as_it_was() -> None:
    """
    The session goes on from where it stood.
    """
    graph = grown("a")

    with pytest.raises(InvalidHistory):
        graph.load([*nodes(graph, "b", 3), *chain("x", "nowhere", [user("x")])], "x:0")
    after = graph.append(nodes(graph, "b", 3))

    assert ["a:0", "a:1"] == ids(graph)
    assert ["a:0", "a:1", "b:0", "b:1", "b:2"] == path(after)


def test_a_branch_keeps_the_old_one() -> None:
    """
    Sessions invariants 4 and 5: one path is active, the other is still there.
    """
    graph = grown("a", "b")
    back = graph.at("a:0")

    branch = back.append(nodes(back, "c"))

    assert ["a:0", "c:0"] == path(branch)
    assert ["a:0", "a:1", "b:0", "b:1"] == path(branch.at("b:1"))
    assert ["a:0", "a:1", "b:0", "b:1", "c:0"] == ids(branch)
    assert "b:1" in branch


def test_branching_back_and_forth_keeps_nodes_by_identity() -> None:
    """
    Sessions invariants 8 to 10: what two branches share is the same nodes, with
    a plugin's among them, and going back adds none.
    """
    graph = Graph()
    graph = graph.append(
        chain("a", None, [user("x"), Note(plugin="p", type="t", body=1), assistant("y")])
    )
    graph = graph.append(nodes(graph, "b"))

    back = graph.at("a:2")

    assert [True] * 3 == [one is two for one, two in zip(graph.path(), back.path(), strict=False)]
    assert len(graph) == len(back) == len(back.at("b:0"))
    assert "plugin" == back.path()[1].kind


def test_whether_a_node_is_on_the_path_is_found_without_what_is_before_it() -> None:
    """
    A hook may ask it in each turn: no step of a turn may touch all history.
    """
    looked: list[str] = []

    class Index(dict[str, int]):
        def __getitem__(self, id: str) -> int:
            looked.append(id)
            return super().__getitem__(id)

    graph = Graph()
    for turn in range(100):
        graph = graph.append(nodes(graph, f"t{turn}"))
    branch = graph.at("t97:0").append(chain("b", "t97:0", [user("x")]))
    branch._index = Index(branch._index)

    assert branch.stands_on("t96:0")
    assert not branch.stands_on("t98:0")
    assert len(looked) < 20


NOTE = Note(plugin="p", type="t", body=None)


def test_the_tree_has_every_branch_and_says_which_is_active() -> None:
    """
    By the nearest message before it, whatever stands between; a long one is no matter.
    """
    one = Graph().append(chain("a", None, [user("1"), assistant("x"), NOTE]))
    left = one.append(chain("b", "a:2", [user("2"), assistant("y")]))
    both = left.at("a:2").append(chain("c", "a:2", [user("3")]))

    (root,) = both.tree()
    (answer,) = root.answers
    found = [(said.node.id, said.active, len(said.answers)) for said in answer.answers]
    assert ("a:0", True) == (root.node.id, root.active)
    assert ("a:1", True) == (answer.node.id, answer.active)
    assert [("b:0", False, 1), ("c:0", True, 0)] == found
    assert () == Graph().tree()
    assert 1 == len(Graph().append(chain("d", None, [user("x")] * 5000)).tree())


def test_the_empty_graph_has_no_path() -> None:
    """
    A session begins with nothing, and may be taken back to it.
    """
    graph = grown("a").at(None)

    assert [] == path(graph) == path(Graph())
    assert None is nodes(graph, "b")[0].parent
    assert 2 == len(graph)


def test_an_unknown_node_is_an_error() -> None:
    """
    A wrong leaf is not healed in silence.
    """
    graph = grown("a")

    for ask in (graph.at, graph.node):
        with pytest.raises(InvalidHistory, match="no node 'x:0'"):
            ask("x:0")
    assert "a:1" == graph.node("a:1").id
    assert "x:0" not in graph
    assert None not in graph


def test_a_view_does_not_know_what_came_after_it() -> None:
    """
    The log is shared, the sight is not.
    """
    before = grown("a")
    after = before.append(nodes(before, "b"))

    assert "b:0" in after
    assert "b:0" not in before
    with pytest.raises(InvalidHistory):
        before.at("b:0")
    with pytest.raises(InvalidHistory):
        before.node("b:0")


def test_a_loaded_graph_is_the_graph_that_was_stored() -> None:
    """
    With its branches and its leaf, also when it comes in pages.
    """
    graph = grown("a", "b").at("a:0")
    graph = graph.append(nodes(graph, "c"))
    stored = list(graph)

    whole = Graph().load(stored, "b:1")
    paged = Graph().load(stored[:2], None).load(iter(stored[2:]), "c:0")

    assert stored == list(whole) == list(paged)
    assert ["a:0", "a:1", "b:0", "b:1"] == path(whole)
    assert ["a:0", "c:0"] == path(paged)


@pytest.mark.parametrize(
    ("order", "leaf", "message"),
    [
        ([1, 0], "a:1", "node 'a:1': parent 'a:0' isn't there"),
        ([1], "a:1", "parent 'a:0' isn't there"),
        ([0, 0], "a:0", "node 'a:0' is there already"),
        ([0], "a:1", "no node 'a:1'"),
    ],
)
def test_a_graph_that_does_not_hold_together_is_not_loaded(
    order: list[int], leaf: str, message: str
) -> None:
    """
    Parents come first, so no cycle can be stored or loaded.
    """
    stored = list(grown("a"))
    empty = Graph()

    with pytest.raises(InvalidHistory, match=message):
        empty.load([stored[at] for at in order], leaf)
    assert 0 == len(empty)
    assert ["b:0"] == path(empty.append(nodes(empty, "b")))


class Counted(list[Any]):
    """A log that counts how often it's copied or walked through."""

    copies = 0

    def __getitem__(self, at: Any) -> Any:
        Counted.copies += isinstance(at, slice)
        return super().__getitem__(at)

    def __iter__(self) -> Any:
        Counted.copies += 1
        return super().__iter__()

    def copy(self) -> Any:
        Counted.copies += 1
        return super().copy()


def test_appending_copies_nothing_of_the_past() -> None:
    """
    The thousandth turn costs what the first did.
    """
    graph = Graph()
    graph._log = Counted()
    log = graph._log
    Counted.copies = 0

    for turn in range(1000):
        graph = graph.append(nodes(graph, f"t{turn}", 2))
        graph = graph.at(graph.leaf)

    assert 0 == Counted.copies
    assert log is graph._log
    assert 2000 == len(graph)


def test_only_an_old_view_that_goes_on_copies() -> None:
    """
    It gets a log of its own, once; both go on for nothing from there.
    """
    old = grown("a")
    new = old.append(nodes(old, "b"))

    other = old.append(nodes(old, "c"))
    more = other.append(nodes(other, "d"))

    assert new._log is old._log
    assert other._log is not old._log
    assert more._log is other._log


# Each step is (what, which view, how many or where)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "at", "load", "refused", "none"]),
        st.integers(0, 40),
        st.integers(0, 3),
    ),
    max_size=40,
)


def seen(graph: Graph) -> tuple[Any, ...]:
    """Return everything that a reader can see of *graph*."""
    return (
        list(graph),
        graph.leaf,
        graph.path(),
        len(graph),
        [graph.node(node.id) for node in graph],
    )


def step(view: Graph, what: str, turn: str, size: int) -> Graph:
    if what == "append":
        return view.append(nodes(view, turn, size))
    if what == "load":
        return view.load(nodes(view, turn, size), view.leaf)
    if what == "refused":
        with pytest.raises(InvalidHistory):
            view.load([*nodes(view, turn, size), *chain("bad", "nowhere", [user("x")])], None)
        return view
    if what == "at" and len(view):
        return view.at(list(view)[size % len(view)].id)
    return view.at(None)


@settings(deadline=None)
@given(STEPS)
def test_no_view_is_changed_by_what_others_do(steps: list[tuple[str, int, int]]) -> None:
    """
    Sessions invariant 14: a snapshot held by a reader stays as it was, however
    appends, branches, loads and failures follow on the shared log.
    """
    views = [Graph()]
    held = [seen(views[0])]
    for number, (what, which, size) in enumerate(steps):
        made = step(views[which % len(views)], what, f"t{number}", size)
        views.append(made)
        held.append(seen(made))

        assert held == [seen(view) for view in views]
        taken = [node.id for node in made]
        assert len(taken) == len(set(taken))
        assert all(
            child.parent == (parent.id if parent else None)
            for parent, child in zip((None, *made.path()), made.path(), strict=False)
        )
        assert path(made) == [id for id in taken if made.stands_on(id)]
        assert not made.stands_on("never there")


# --- history ---------------------------------------------------------------------


def said(*texts: str) -> tuple[Message, ...]:
    return tuple([user(text) for text in texts])


def test_history_reads_like_a_list() -> None:
    """
    A hook gets it, and hooks are written by strangers.
    """
    a, b, c, d = said("a", "b", "c", "d")
    history = History([a, b]).plus((c,)).plus((d,))

    assert [a, b, c, d] == list(history)
    assert (a, c, d, d, a) == tuple(history[at] for at in (0, 2, 3, -1, -4))
    assert (b, c) == history[1:3]
    assert (d, c, b, a) == history[::-1] == tuple(reversed(history))
    assert 4 == len(history)
    assert (2, True, 1) == (history.index(c), d in history, history.count(a))
    for at in (4, -5):
        with pytest.raises(IndexError, match=f"message {at} of 4"):
            history[at]
    with pytest.raises(IndexError):
        History()[0]


def test_adding_to_history_shares_its_base() -> None:
    """
    A model call in a long session must not copy the session.
    """
    base = Counted(said("a", "b"))
    history = History(base)
    Counted.copies = 0

    turn = history.plus(said("c")).plus(said("d")).plus(())

    assert base is turn._base
    assert 0 == Counted.copies
    assert 4 == len(turn)


def test_settling_grows_the_base_in_place() -> None:
    """
    A committed turn's messages join the past for the price of themselves.
    """
    base = Counted(said("a"))
    history: History = History(base)
    Counted.copies = 0

    for turn in range(1000):
        history = history.plus(said(f"q{turn}", f"a{turn}")).settled()

    assert base is history._base
    assert 0 == Counted.copies
    assert 2001 == len(history)
    assert history is history.settled()


def test_two_turns_from_one_history_do_not_mix() -> None:
    """
    A fork and its origin settle on one base.
    """
    start = History(list(said("a")))

    one = start.plus(said("b")).settled()
    two = start.plus(said("c")).settled()

    assert ["a", "b"] == [message.text for message in one]
    assert ["a", "c"] == [message.text for message in two]
    assert ["a"] == [message.text for message in start]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 2)), max_size=30))
def test_no_history_is_changed_by_another(steps: list[tuple[bool, int, int]]) -> None:
    """
    Sessions invariant 14, for what models and hooks are shown.
    """
    views = [History()]
    held: list[list[Message]] = [[]]
    for number, (settle, which, size) in enumerate(steps):
        view = views[which % len(views)]
        more = said(*[f"{number} {at}" for at in range(size)])
        made = view.settled() if settle else view.plus(more)
        expected = [*held[which % len(views)], *(() if settle else more)]
        views.append(made)
        held.append(expected)

        assert held == [list(view) for view in views]
        assert [len(messages) for messages in held] == [len(view) for view in views]


# --- calls and results -----------------------------------------------------------


def asks(*calls: str) -> Message:
    return Message(role="assistant", parts=tuple([ToolCall(id=id, name="n") for id in calls]))


def answers(*calls: str) -> Message:
    return Message(role="tool", parts=tuple([ToolResult(call=id, name="n") for id in calls]))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [user("a"), assistant("b"), user("c")],
        [user("a"), asks("1"), answers("1"), assistant("b")],
        [asks("1", "2"), answers("1", "2"), asks("3"), answers("3")],
        [note("x"), asks("1"), answers("1"), note("y")],
    ],
)
def test_paired_messages_are_accepted(messages: list[Message]) -> None:
    """
    Also those that begin or end in the middle of a conversation.
    """
    check_pairs(messages)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([asks("1")], r"calls without results: \['1'\]"),
        ([asks("1"), user("a")], r"calls without results: \['1'\]"),
        ([asks("1"), note("a"), answers("1")], r"calls without results: \['1'\]"),
        ([asks("1"), assistant("a")], r"calls without results"),
        ([asks("1"), asks("2")], r"calls without results: \['1'\]"),
        ([answers("1")], r"expected results for \[\], found \['1'\]"),
        ([Message(role="tool", parts=())], r"expected results for \[\], found \[\]"),
        ([asks("1"), answers("1"), answers("1")], r"expected results for \[\]"),
        ([asks("1", "2"), answers("1")], r"expected results for \['1', '2'\], found"),
        ([asks("1"), answers("1", "2")], r"found \['1', '2'\]"),
        ([asks("1", "2"), answers("2", "1")], r"found \['2', '1'\]"),
        ([asks("1"), answers("2")], r"found \['2'\]"),
        ([asks("1", "1"), answers("1", "1")], r"call ids aren't unique: \['1', '1'\]"),
        ([asks("1"), answers("1"), asks("1"), answers("1")], r"call ids aren't unique"),
        ([Message(role="user", parts=asks("1").parts)], "a user message can't hold tool_call"),
        (
            [asks("1"), Message(role="user", parts=answers("1").parts)],
            "a user message can't hold tool_result",
        ),
        ([asks(""), answers("")], "a tool call without id or name"),
    ],
)
def test_what_a_provider_would_refuse_is_refused(messages: list[Message], message: str) -> None:
    """
    Once stored, such a history could never be answered again.
    """
    with pytest.raises(InvalidHistory, match=message):
        check_pairs(messages)


def resume_safe(messages: Sequence[Message]) -> bool:
    """The rule again, written from the provider's side: fold the messages."""
    taken: list[str] = []
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            if not waiting or [result.call for result in message.results] != waiting:
                return False
            waiting = []
        elif waiting:
            return False
        else:
            waiting = [call.id for call in message.calls]
            taken += waiting
    return not waiting and len(taken) == len(set(taken))


CALLS = st.lists(st.sampled_from("123"), max_size=2)
MAKERS: list[Callable[..., Message]] = [asks, answers]
TALK = st.lists(
    st.builds(lambda make, calls: make(*calls), st.sampled_from(MAKERS), CALLS)
    | st.just(user("u")),
    max_size=6,
)


@given(TALK)
def test_the_check_is_the_providers_rule(messages: list[Message]) -> None:
    """
    Whatever is accepted here is accepted there, and the reverse.
    """
    try:
        check_pairs(messages)
        accepted = True
    except InvalidHistory:
        accepted = False

    assert resume_safe(messages) == accepted


@given(TALK)
def test_the_rule_is_local(messages: list[Message]) -> None:
    """
    A turn is checked without its history: two good halves make a good whole,
    as long as their ids differ.
    """
    renamed = [
        Message(role=m.role, parts=tuple([_renamed(part) for part in m.parts])) for m in messages
    ]
    if resume_safe(messages):
        check_pairs([*messages, *renamed])


def _renamed(part: Any) -> Any:
    if isinstance(part, ToolCall):
        return ToolCall(id=f"x{part.id}", name=part.name)
    if isinstance(part, ToolResult):
        return ToolResult(call=f"x{part.call}", name=part.name)
    return Text(text="x")
