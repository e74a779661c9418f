"""
A commit: everything that a turn leaves behind, in one piece.

A store applies all of it or nothing. Its parts are stored once, as rows, each
with a hash; the commit's own hash chains them to the commit before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from .errors import StoreCorrupt
from .graph import Node, Part, check_pairs, joined
from .json import Json, Value, digest, encode, encode_known, frozen
from .messages import Blob, Message
from .usage import UsageRow


@frozen
class Stored(Value, title="component"):
    """What the blob of a component holds."""

    version: int
    value: Json


@frozen
class Component(Value):
    """
    A part of a session's state that changed: tools, policy, protocol, a plugin.

    Attributes:
        name: "policy", "tools", "protocol", or "plugin/<name>".
        version: Of the value's form, for migrations.
        value: JSON; None removes the component.
    """

    name: str
    version: int
    value: Json

    @property
    def data(self) -> bytes:
        """The canonical bytes, version included."""
        return encode_known(Stored(version=self.version, value=self.value).to_json())

    @property
    def ref(self) -> str:
        """What its blob is known by: equal content, equal ref."""
        return digest(self.data)


@frozen
class PluginRow:
    """A named row of a plugin's own, written with the commit that made it."""

    plugin: str
    name: str
    body: Json


@frozen
class Commit:
    """
    What is to become a session's head.

    Attributes:
        expected: The revision it builds on; 0 makes the session. It isn't a part
            of the body.
        operation: Its id; the same id with the same body is the same commit.
        at: When, in seconds since 1970, UTC; not a part of the body.
        turns: Committed turns on the path after this commit.
        nodes: New nodes, one chain; on the head's leaf, or a branch.
        leaf: The leaf after this commit.
        components: Those that changed.
        blobs: Bytes that new messages refer to.
        consumed: Keys of the inbox rows it used.
        children: Its session's children, pending on this operation, that it makes
            visible.
        restore: The end of an earlier commit, whose manifest takes the head's
            place before `components` change it.
        parent: The session that makes this one, in its first commit.
        pending: The parent's turn that has to be committed first, likewise.
        turn: The turn whose journal rows it clears, if there are any; not a
            part of the body.
    """

    session: str
    expected: int = field(compare=False)
    operation: str
    at: float = field(default=0.0, compare=False)
    turns: int = 0
    nodes: tuple[Node, ...] = ()
    leaf: str | None = None
    components: tuple[Component, ...] = ()
    blobs: tuple[Blob, ...] = ()
    usage: tuple[UsageRow, ...] = ()
    consumed: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    rows: tuple[PluginRow, ...] = ()
    restore: str | None = None
    parent: str | None = None
    pending: str | None = None
    turn: str | None = field(default=None, compare=False)

    def check(self) -> Commit:
        """
        Return the commit itself once its history is one that a model accepts.

        Raises:
            InvalidHistory: Calls and results don't pair, or an id is taken
                twice; nothing may be written.
        """
        values = [node.value for node in self.nodes]
        check_pairs([value for value in values if isinstance(value, Message)])
        return self

    def parts(self) -> list[Part]:
        """
        Return its parts in their one order, as (kind, key, bytes).

        No two parts share a key; blobs are there by their hash alone.
        """
        parts = [node_part(node) for node in self.nodes]
        parts += [("component", c.name, c.data) for c in self.components]
        parts += [("blob", b.sha256, b"") for b in self.blobs]
        parts += [usage_part(row) for row in self.usage]
        parts += [("inbox", key, b"") for key in self.consumed]
        parts += [("child", child, b"") for child in self.children]
        parts += [("row", joined(r.plugin, r.name), encode(r.body)) for r in self.rows]
        if self.restore is not None:
            parts.append(("restore", self.restore, b""))
        if self.parent is not None:
            parts.append(("parent", joined(self.parent, self.pending or ""), b""))
        parts.append(("head", self.leaf or "", b"%d" % self.turns))
        return parts

    def size(self) -> int:
        """Return the bytes that its parts and blobs have together."""
        return sum(len(part[2]) for part in self.parts()) + sum(b.size for b in self.blobs)

    def hash(self, parent: str) -> str:
        """Return the commit's hash, after the commit whose hash is *parent*."""
        return chain_hash(parent, self.operation, map(part_hash, self.parts()))


def node_part(node: Node) -> Part:
    """Return a node as a part."""
    return (node.kind, joined(node.id, node.parent or ""), node.data)


def usage_part(row: UsageRow) -> Part:
    """Return a ledger row as a part."""
    return ("usage", row.id, encode_known(row.to_json()))


def part_hash(part: Part) -> str:
    """Return the sha256 of one part: its kind, its key and its bytes."""
    kind, key, data = part
    return digest(joined(kind, key).encode("utf-8", "surrogatepass") + data)


def chain_hash(parent: str, operation: str, hashes: Iterable[str]) -> str:
    """Return the sha256 over the parent's hash, the operation id and the parts."""
    text = joined(parent, operation) + "64:".join(("", *hashes))  # each has 64 digits
    return digest(text.encode("utf-8", "surrogatepass"))


@frozen
class Seal:
    """
    What a stored commit says that its parts are, once its own hash is known to be right.

    Attributes:
        hashes: The sha256 of each part, in their order.
    """

    session: str
    revision: int
    hashes: Sequence[str]

    def check(self, part: Part) -> None:
        """
        Accept a part of the commit.

        Raises:
            StoreCorrupt: It has no part like that.
        """
        if part_hash(part) not in self.hashes:
            raise self.broken(f"{part[0]} {part[1]!r}")

    def broken(self, what: str) -> StoreCorrupt:
        """Return the error for what isn't as it was stored."""
        return StoreCorrupt(
            f"session {self.session!r}: {what} isn't what was stored;"
            f" revision {self.revision - 1} is the last good one"
        )


@frozen
class Receipt:
    """
    Proof that a commit is durable.

    Attributes:
        revision: The session's revision after it.
        leaf: Its leaf after it.
        cursor: Its place among all commits of the store; see `Store.changes`.
    """

    session: str
    operation: str
    revision: int
    leaf: str | None
    cursor: int = field(default=0, compare=False)


@frozen
class Head:
    """
    Where a session stands.

    Attributes:
        manifest: Component name to the ref of its blob.
        updated: Time of the last commit, in seconds since 1970, UTC.
        operation: The last commit's id; empty before the first.
        parent: The session that made this one, if any.
        pending: The parent's turn that isn't committed yet; nobody sees the
            session before.
        forked_from: The session it was forked from, and at which revision.
    """

    session: str
    revision: int
    leaf: str | None
    turns: int
    manifest: Mapping[str, str]
    updated: float
    operation: str = ""
    parent: str | None = None
    pending: str | None = None
    forked_from: tuple[str, int] | None = None

    def waits_for(self, session: str, turn: str) -> bool:
        """Return whether it's a child's that waits for that turn of *session*."""
        return self.pending == turn and self.parent == session
