"""The commits that a store is tried with, and what can be seen of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, Unpack

from ..commits import Commit, Head
from ..errors import SessionDeleted
from ..graph import Node, chain
from ..messages import assistant, user
from ..usage import Usage, UsageRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..commits import Component, PluginRow
    from ..messages import Blob
    from ..ports import Store


class Fields(TypedDict, total=False):
    """Fields of a commit that a test sets itself."""

    at: float
    blobs: tuple[Blob, ...]
    children: tuple[str, ...]
    components: tuple[Component, ...]
    consumed: tuple[str, ...]
    expected: int
    leaf: str | None
    nodes: tuple[Node, ...]
    parent: str | None
    pending: str | None
    restore: str | None
    rows: tuple[PluginRow, ...]
    turn: str | None
    turns: int
    usage: tuple[UsageRow, ...]


def turn(
    session: str, number: int, *, operation: str = "", text: str = "hello", **fields: Unpack[Fields]
) -> Commit:
    """
    Return a session's commit after *number* others that this function made.

    It holds a question and an answer. Its operation is "<session>-<number>"
    unless another is named.
    """
    turn = operation or f"{session}-{number}"
    parent = f"{session}-{number - 1}:1" if number and not operation else None
    nodes = chain(turn, parent, [user(text), assistant(f"answer {number}")])
    commit = Commit(
        session=session,
        expected=number,
        operation=turn,
        at=float(number + 1),
        turns=number + 1,
        nodes=nodes,
        leaf=nodes[-1].id,
    )
    return replace(commit, **fields)


def spent(session: str, number: int) -> tuple[UsageRow, ...]:
    """Return the ledger row of the turn of that number."""
    usage = Usage(input=number + 1, output=2)
    return (row(f"{session}-{number}/1", usage, estimated=number % 2 == 1),)


def row(id: str, usage: Usage, *, estimated: bool = False) -> UsageRow:
    """Return a ledger row."""
    return UsageRow(
        id=id, turn="t", session="s", source="turn", model="m", usage=usage, estimated=estimated
    )


async def loaded(store: Store, session: str, since: int = 0) -> tuple[list[Node], list[UsageRow]]:
    """Return all that `load` tells of a session, read; nothing if it's deleted."""
    nodes: list[Node] = []
    usage: list[UsageRow] = []
    try:
        async for page in store.load(session, since):
            nodes += page.nodes
            usage += page.usage
    except SessionDeleted:
        return [], []
    for node in nodes:
        assert node.value is not None
    return nodes, usage


async def seen(store: Store, session: str) -> tuple[Head | None, list[Node], list[UsageRow]]:
    """Return all that can be seen of a session, to compare with later."""
    nodes, usage = await loaded(store, session)
    return await store.head(session), nodes, usage


async def revision(store: Store, session: str) -> int:
    """Return the session's revision; 0 if there's no such session."""
    head = await store.head(session)
    return head.revision if head else 0


async def manifest(store: Store, session: str) -> Mapping[str, str]:
    """Return the session's manifest."""
    head = await store.head(session)
    return head.manifest if head else {}
