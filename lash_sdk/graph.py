"""
A session's history: nodes, the graph they form, and the messages on its path.

Graph and history are views: a shared log that only grows, and how far this view
sees. Appending copies nothing, and nobody who holds a view sees it change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Final, TypeAlias, overload

from .errors import InvalidHistory, StoreCorrupt
from .json import Json, decode, encode_known, frozen, maker
from .messages import Message
from .outcomes import Ending, ToolRecord


@frozen
class Raw:
    """A node's value as it was stored: decoded on demand, or of an unknown kind."""

    kind: str
    body: Json

    def to_json(self) -> Json:
        """Return the body itself."""
        return self.body


@frozen
class Note:
    """
    A plugin's own node: on the path, but never shown to the model.

    Attributes:
        type: The plugin's word for it.
    """

    kind: ClassVar[str] = "plugin"
    plugin: str
    type: str
    body: Json

    def to_json(self) -> Json:
        """Return the node's body as it's stored."""
        return {"plugin": self.plugin, "type": self.type, "body": self.body}


Content: TypeAlias = Message | ToolRecord | Ending | Note | Raw
"""What a node can hold."""

MESSAGE: Final = Message.kind

Part: TypeAlias = tuple[str, str, bytes]
"""A part of a commit: its kind, its key and its bytes."""

Seal: TypeAlias = Callable[[Part], None]
"""Accepts a part that's what was stored; raises `StoreCorrupt` for any other."""


@frozen
class Node:
    """
    One entry of a session graph.

    What comes out of a store is read, and made sure of, when somebody asks for it: then
    `value` and `data` raise `StoreCorrupt` if it isn't what was stored, or no message.

    Attributes:
        id: "<turn id>:<ordinal>", unique in the store.
        parent: The node before it on its path; None for a root.
        kind: "message", "tool", "plugin", or a word that a later version knows.
    """

    id: str
    parent: str | None
    kind: str
    _value: Content | None = field(default=None, repr=False)
    _data: bytes | None = field(default=None, repr=False)
    _seal: Seal | None = field(default=None, repr=False)

    @classmethod
    def of(cls, id: str, parent: str | None, value: Content) -> Node:
        """Return a new node."""
        return _node(id=id, parent=parent, kind=value.kind, _value=value)

    @classmethod
    def stored(cls, id: str, parent: str | None, kind: str, data: bytes, seal: Seal) -> Node:
        """Return the node that's kept as *data*, if *seal* accepts it once it's read."""
        return _node(id=id, parent=parent, kind=kind, _data=data, _seal=seal)

    @property
    def value(self) -> Content:
        """A `Message`, a `ToolRecord`, an `Ending`, a `Note`, or `Raw`."""
        if self._value is None:
            value = read_value(self.id, self.kind, decode(self.data))
            object.__setattr__(self, "_value", value)
            return value
        return self._value

    @property
    def data(self) -> bytes:
        """The canonical bytes of the value, made once."""
        data = self._data
        if data is None:
            data = encode_known(self.value.to_json())
            object.__setattr__(self, "_data", data)
        elif self._seal is not None:
            self._seal((self.kind, joined(self.id, self.parent or ""), data))
            object.__setattr__(self, "_seal", None)
        return data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return (self.id, self.parent, self.value) == (other.id, other.parent, other.value)

    def __hash__(self) -> int:
        return hash(self.id)


_node: Final = maker(Node)


def joined(*names: str) -> str:
    """Return *names* as one text, each with its length, so that none runs into another."""
    return "".join([f"{len(name)}:{name}" for name in names])


def read_value(id: str, kind: str, body: Json) -> Content:
    """
    Return what a node was stored as; a kind we don't know is kept as it is.

    Raises:
        StoreCorrupt: A message's body isn't one, or its parts don't fit its role.
    """
    try:
        return Message.from_json(body) if kind == MESSAGE else Raw(kind=kind, body=body)
    except StoreCorrupt as error:
        raise StoreCorrupt(f"node {id!r}: {error}") from error


def chain(turn: str, parent: str | None, values: Iterable[Content]) -> tuple[Node, ...]:
    """Return *values* as nodes of *turn*, each the parent of the next."""
    nodes = []
    for ordinal, value in enumerate(values):
        id = f"{turn}:{ordinal}"
        nodes.append(_node(id=id, parent=parent, kind=value.kind, _value=value))
        parent = id
    return tuple(nodes)


@dataclass(slots=True, eq=False, repr=False)
class Graph:
    """
    A view of a session's nodes: those up to a point, and which one is the leaf.

    Everything that can't be reached from the leaf is an inactive branch.
    """

    _log: list[Node] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict)
    _size: int = 0
    leaf: str | None = None
    _forks: bool = False

    @property
    def branched(self) -> bool:
        """Whether there are nodes that the leaf doesn't stand on."""
        last = self._log[self._size - 1].id if self._size else None
        return self._forks or self.leaf != last

    def append(self, nodes: Sequence[Node]) -> Graph:
        """Return a graph with *nodes* added: a chain on its leaf that a store has accepted."""
        (log, index), forks = self._own(), self.branched
        log.extend(nodes)
        return Graph(log, index, len(log), nodes[-1].id if nodes else self.leaf, forks)

    def load(self, nodes: Iterable[Node], leaf: str | None) -> Graph:
        """
        Return a graph with stored *nodes* added, parents first, and this *leaf*.

        Raises:
            InvalidHistory: An id is taken, a parent comes later or never, or the leaf.
        """
        log, index = self._own()
        _catch_up(log, index)
        last, forks = log[-1].id if log else None, self._forks
        for node in nodes:
            if node.id in index:
                raise InvalidHistory(f"node {node.id!r} is there already")
            if node.parent != last:
                if node.parent is not None and node.parent not in index:
                    raise InvalidHistory(f"node {node.id!r}: parent {node.parent!r} isn't there")
                forks = True
            index[last := node.id] = len(log)
            log.append(node)
        return Graph(log, index, len(log), None, forks).at(leaf)

    def _own(self) -> tuple[list[Node], dict[str, int]]:
        """Return log and index to add to: new ones, if somebody else grew the shared log."""
        if len(self._log) == self._size:
            return self._log, self._index
        return self._log[: self._size], {}

    def at(self, leaf: str | None) -> Graph:
        """
        Return the same nodes seen from *leaf*.

        Raises:
            InvalidHistory: There's no such node.
        """
        if leaf is not None:
            self.node(leaf)
        return Graph(self._log, self._index, self._size, leaf, self._forks)

    def node(self, id: str) -> Node:
        """
        Return a node by its id, on any branch.

        Raises:
            InvalidHistory: There's no such node.
        """
        if id not in self:
            raise InvalidHistory(f"no node {id!r}")
        return self._log[self._index[id]]

    def path(self) -> tuple[Node, ...]:
        """Return the nodes from the root to the leaf."""
        if not self.branched:
            return tuple(self._log[: self._size])
        nodes, index, at = [], _catch_up(self._log, self._index), self.leaf
        while at is not None:
            nodes.append(self._log[index[at]])
            at = nodes[-1].parent
        return tuple(reversed(nodes))

    def stands_on(self, id: str) -> bool:
        """Return whether a node is on the path to the leaf; what's before it isn't looked at."""
        if id not in self or not self.branched:
            return id in self
        at, place = self.leaf, self._index[id]
        while at is not None and self._index[at] > place:
            at = self._log[self._index[at]].parent
        return at == id

    def tree(self) -> tuple[Said, ...]:
        """Return the messages of all branches, each under the nearest before it."""
        path = {node.id for node in self.path()}
        above: dict[str | None, str | None] = {None: None}  # the nearest message up from a node
        for node in self:
            above[node.id] = node.id if node.kind == MESSAGE else above[node.parent]
        under: dict[str | None, list[Said]] = {}
        for node in reversed(list(self)):
            if node.kind == MESSAGE:
                answers = tuple(reversed(under.pop(node.id, [])))
                said = Said(node=node, active=node.id in path, answers=answers)
                under.setdefault(above[node.parent], []).append(said)
        return tuple(reversed(under.get(None, [])))

    def __contains__(self, id: object) -> bool:
        found = _catch_up(self._log, self._index).get(id, self._size)  # type: ignore[call-overload]
        return found < self._size  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Node]:
        return iter(self._log[: self._size])


def _catch_up(log: list[Node], index: dict[str, int]) -> dict[str, int]:
    """Return *index* with the nodes that came to *log* since somebody last looked."""
    for at in range(len(index), len(log)):
        index[log[at].id] = at
    return index


@frozen
class Said:
    """
    A message in the tree of all that was ever said in a session.

    Attributes:
        active: Whether it's on the path to the leaf.
        answers: What was said next, on each branch, in the order it was stored.
    """

    node: Node
    active: bool
    answers: tuple[Said, ...] = field(default=(), repr=False)


class History(Sequence[Message]):
    """
    The messages on a path: a shared base and what came after it.

    It's what a model is sent and a hook looks at. `plus` copies nothing of the
    base, so a turn's cost doesn't depend on the session's length. A message out of
    a store is read when it's looked at; looking raises what `Node.value` raises.
    """

    __slots__ = ("_base", "_more", "_size")

    def __init__(
        self,
        base: list[Message] | list[Node] | list[Message | Node] | None = None,
        size: int | None = None,
        more: tuple[Message, ...] = (),
    ) -> None:
        self._base: list[Message | Node] = [] if base is None else base  # type: ignore[assignment]
        self._size = len(self._base) if size is None else size
        self._more = more

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> History:
        """Return the messages among the *nodes* of a path."""
        return cls([node for node in nodes if node.kind == MESSAGE])

    def plus(self, messages: tuple[Message, ...]) -> History:
        """Return this history with *messages* after it, the base shared."""
        return History(self._base, self._size, self._more + messages)

    def settled(self) -> History:
        """Return the same messages, with all of them in the base."""
        if not self._more:
            return self
        base = self._base
        if len(base) != self._size:  # another view went on from this base
            base = base[: self._size]
        base.extend(self._more)
        return History(base)

    @overload
    def __getitem__(self, at: int) -> Message: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Message]: ...
    def __getitem__(self, at: int | slice) -> Message | Sequence[Message]:
        if isinstance(at, slice):
            return tuple([self[each] for each in range(*at.indices(len(self)))])
        size = len(self)
        if not -size <= at < size:
            raise IndexError(f"message {at} of {size}")
        at %= size
        return _message(self._base[at]) if at < self._size else self._more[at - self._size]

    def __len__(self) -> int:
        return self._size + len(self._more)

    def __iter__(self) -> Iterator[Message]:
        yield from map(_message, islice(self._base, self._size))
        yield from self._more


def _message(held: Message | Node) -> Message:
    return held if isinstance(held, Message) else held.value  # type: ignore[return-value]


def check_pairs(messages: Iterable[Message]) -> None:
    """
    Accept *messages* only if each can be one, and every call is answered at once, in order.

    Raises:
        InvalidHistory: They'd be refused by a model's provider.
    """
    pair([message.check() for message in messages])


def pair(messages: Iterable[Message]) -> None:
    """
    Accept *messages* only if every call in them is answered at once, in order.

    The rule is local, so a turn's messages can be checked without its history:
    a message with calls is followed by one tool message with just those
    results, and a tool message stands nowhere else.

    Raises:
        InvalidHistory: They'd be refused by a model's provider.
    """
    open_calls: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if message.role == "tool":
            found = [result.call for result in message.results]
            if found != open_calls or not found:
                raise InvalidHistory(f"expected results for {open_calls!r}, found {found!r}")
            open_calls = []
        elif open_calls:
            break
        elif message.role == "assistant" and (calls := message.calls):
            open_calls = [call.id for call in calls]
            if len(set(open_calls)) != len(open_calls) or not seen.isdisjoint(open_calls):
                raise InvalidHistory(f"call ids aren't unique: {open_calls!r}")
            seen.update(open_calls)
    if open_calls:
        raise InvalidHistory(f"calls without results: {open_calls!r}")
