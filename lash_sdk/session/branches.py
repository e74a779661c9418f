"""Branches of a session's graph: where one can begin, and one that plugins want."""

from __future__ import annotations

from typing import Any

from ..dispatch.live import Live
from ..errors import InvalidHistory
from ..graph import Content, Graph, chain
from ..messages import Message, blobs
from ..outcomes import Ending
from ..runner.ask import CONTEXT
from .asks import mint


def ending(graph: Graph, node: str) -> str:
    """
    Return the nearest node up from *node* that a commit ended with.

    Raises:
        InvalidHistory: There's no such node, or none ends a commit.
    """
    at: str | None = graph.node(node).id
    while at is not None:
        operation, _, ordinal = at.rpartition(":")
        if not ordinal.isdigit() or f"{operation}:{int(ordinal) + 1}" not in graph:
            return at
        at = graph.node(at).parent
    raise InvalidHistory(f"node {node!r}: no commit ends at it or before it")


def turns_on(graph: Graph) -> int:
    """Return how many turns ended on the active path."""
    return sum(node.kind == Ending.kind for node in graph.path())


async def rewritten(live: Live) -> dict[str, Any]:
    """
    Return the parts of a commit whose history is as plugins want it; none if they leave it.

    The path is kept as far as its messages are; what stands with a message that
    comes after, such as tool records, is told again with it.
    """
    if live.plans.transform_history is None:
        return {}
    wanted = tuple(await live.plans.transform_history(live.context(CONTEXT), live.history))
    parent, kept, whole = None, 0, True
    beside: dict[int, list[Content]] = {}
    last: list[Content] = []
    for node in live.graph.path():
        if isinstance(node.value, Message):
            whole = whole and kept < len(wanted) and wanted[kept] == node.value
            kept += whole
            last = beside.setdefault(id(node.value), [])
        elif not whole:
            last.append(node.value)
        if whole:
            parent = node.id
    if whole and kept == len(wanted):
        return {}
    operation = mint()
    new = wanted[kept:]
    nodes = chain(operation, parent, [v for m in new for v in (m, *beside.get(id(m), ()))])
    leaf = nodes[-1].id if nodes else parent
    return {
        "operation": operation,
        "nodes": nodes,
        "leaf": leaf,
        "turns": turns_on(live.graph.load(nodes, leaf)),
        "blobs": tuple(blobs(new)),
    }
