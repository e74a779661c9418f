"""The commits that a store is tried with, and what can be seen of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, Unpack

from ..commits import Commit, Head
from ..errors import SessionDeleted
from ..graph import Node, chain
from ..messages import assistant, user

if TYPE_CHECKING:
    from ..commits import Component
    from ..messages import Blob
    from ..ports import Store
    from ..usage import UsageRow


class Fields(TypedDict, total=False):
    """Fields of a commit that a test sets itself."""

    at: float
    blobs: tuple[Blob, ...]
    components: tuple[Component, ...]
    expected: int
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


async def loaded(store: Store, session: str, since: int = 0) -> tuple[list[Node], list[UsageRow]]:
    """Return everything that `load` tells of a session; nothing if it's deleted."""
    nodes: list[Node] = []
    usage: list[UsageRow] = []
    try:
        async for page in store.load(session, since):
            nodes += page.nodes
            usage += page.usage
    except SessionDeleted:
        return [], []
    return nodes, usage


async def seen(store: Store, session: str) -> tuple[Head | None, list[Node], list[UsageRow]]:
    """Return all that can be seen of a session, to compare with later."""
    nodes, usage = await loaded(store, session)
    return await store.head(session), nodes, usage
