"""A commit, made ready for the server and sent in one call."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from psycopg.types.numeric import Int8

from lash_sdk.commits import Receipt, part_hash
from lash_sdk.errors import (
    InvalidHistory,
    InvalidInput,
    OperationMismatch,
    RevisionConflict,
    SessionDeleted,
)
from lash_sdk.json import encode

from .pieces import pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lash_sdk.commits import Commit
    from lash_sdk.messages import Blob

    from .server import Server

PARTS: Final = 1 << 20
"""How many parts a commit can have."""

_COMMIT: Final = """
select o_outcome, o_revision, o_place from @schema@.commit(
  %b::text, %b::bigint, %b::text, %b::double precision, %b::bigint,
  %b::text, %b::text[], %b::text[], %b::bytea[],
  %b::bytea[], %b::bytea[], %b::bytea[],
  %b::bytea[], %b::bytea[],
  %b::text[], %b::bytea[],
  %b::text[], %b::text[],
  %b::text[], %b::text[], %b::bytea[],
  %b::text, %b::text, %b::text, %b::text,
  %b::bytea, %b::bytea, %b::boolean, %b::boolean)
"""

Blobs: TypeAlias = tuple[list[bytes], list["bytes | None"]]
"""Hashes, and the bytes of those that brought any."""


@dataclass(frozen=True, slots=True)
class Body:
    """
    A commit made ready for the server.

    Attributes:
        args: Of the function, but for the last.
        fault: What's wrong with its chain of nodes.
    """

    commit: Commit
    args: Sequence[object]
    fault: InvalidHistory | None


def body(commit: Commit, limit: int | None) -> Body:
    """
    Return *commit* with its canonical bytes made and its parts hashed.

    Raises:
        InvalidInput: A part can't be said in JSON, or they're too many or too long.
    """
    parts = commit.parts()
    if len(parts) >= PARTS:
        raise InvalidInput(f"expected fewer than {PARTS} parts, found {len(parts)}")
    size = sum([len(data) for _, _, data in parts])
    size += sum([blob.size for blob in commit.blobs])
    if limit is not None and size > limit:
        raise InvalidInput(f"commit {commit.operation!r}: expected {limit} bytes, found {size}")
    hashes = [part_hash(part) for part in parts]
    fault = _fault(commit)
    return Body(commit, [*_args(commit), *_links(commit, hashes), fault is not None], fault)


def _args(commit: Commit) -> Iterable[object]:
    nodes = commit.nodes
    yield commit.session
    yield Int8(commit.expected)
    yield commit.operation
    yield commit.at or time.time()
    yield Int8(commit.turns)
    yield nodes[0].parent if nodes else commit.leaf
    yield [node.id for node in nodes]
    yield [node.kind for node in nodes]
    yield [node.data for node in nodes]
    values = [None if c.value is None else c.data for c in commit.components]
    yield [c.name.encode("utf-8", "surrogatepass") for c in commit.components]
    yield [None if data is None else hashlib.sha256(data).digest() for data in values]
    yield values
    yield from blobs(commit.blobs)
    yield [row.id for row in commit.usage]
    yield [pack(row, commit) for row in commit.usage]
    yield list(commit.consumed)
    yield list(commit.children)
    yield [row.plugin for row in commit.rows]
    yield [row.name for row in commit.rows]
    yield [encode(row.body) for row in commit.rows]
    yield commit.restore
    yield commit.parent
    yield commit.pending
    yield commit.turn


def _links(commit: Commit, hashes: Sequence[str]) -> Iterable[bytes]:
    yield bytes.fromhex("".join(hashes))
    yield tail(commit.operation, hashes)


def tail(operation: str, hashes: Iterable[str]) -> bytes:
    """Return what the chain hashes after the hash of the commit before."""
    names = (operation, *hashes)
    text = "".join([f"{len(name)}:{name}" for name in names])
    return text.encode("utf-8", "surrogatepass")


def blobs(found: Iterable[Blob]) -> Blobs:
    """
    Return blobs as the server takes them.

    Raises:
        InvalidInput: One's bytes aren't what its hash says.
    """
    hashes: list[bytes] = []
    bodies: list[bytes | None] = []
    for blob in found:
        hash = _hash(blob)
        if blob.data is not None and hashlib.sha256(blob.data).digest() != hash:
            raise InvalidInput(f"blob {blob.sha256!r}: its bytes are others")
        hashes.append(hash)
        bodies.append(blob.data)
    return hashes, bodies


def _hash(blob: Blob) -> bytes:
    try:
        return bytes.fromhex(blob.sha256)
    except ValueError:
        raise InvalidInput(f"blob {blob.sha256!r} isn't a sha256") from None


def _fault(commit: Commit) -> InvalidHistory | None:
    """Return what's wrong with the nodes among themselves: they're to be one chain."""
    parent = commit.nodes[0].parent if commit.nodes else commit.leaf
    seen: set[str] = set()
    for node in commit.nodes:
        if node.id in seen:
            return InvalidHistory(f"node {node.id!r} is there already: an id is used once")
        if node.parent != parent:
            return InvalidHistory(
                f"node {node.id!r}: expected parent {parent!r}, found {node.parent!r}"
            )
        parent = node.id
        seen.add(parent)
    if commit.leaf != parent:
        return InvalidHistory(f"leaf {commit.leaf!r} isn't the last node {parent!r}")
    return None


async def apply(server: Server, body: Body) -> Receipt:
    """
    Return the receipt of a commit, put in now or before.

    Raises:
        LashError: As `Store.commit` says.
    """
    commit = body.commit
    outcome, revision, place = await server.call(_COMMIT, *body.args, False)
    if outcome == "alone":  # children are to be removed: nobody else may write meanwhile
        outcome, revision, place = await server.call(_COMMIT, *body.args, True)
    match outcome:
        case "done":
            return Receipt(
                session=commit.session,
                operation=commit.operation,
                revision=revision,
                leaf=commit.leaf,
                cursor=place,
            )
        case "mismatch":
            raise OperationMismatch(commit.session, commit.operation)
        case "conflict":
            raise RevisionConflict(commit.session, expected=commit.expected, actual=revision)
        case "deleted":
            raise SessionDeleted(commit.session)
        case _:
            raise body.fault or InvalidHistory(f"commit {commit.operation!r}: {outcome}")
