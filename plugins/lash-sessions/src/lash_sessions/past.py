"""A turn that was committed earlier, read back as its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk.errors import StoreCorrupt
from lash_sdk.messages import Message
from lash_sdk.outcomes import Ending, Finished, ToolRecord
from lash_sdk.session import TurnRecord
from lash_sdk.usage import NOTHING

if TYPE_CHECKING:
    from lash_sdk.dispatch.live import Live
    from lash_sdk.graph import Node


async def read_back(live: Live, turn: str) -> TurnRecord | None:
    """Return the record of a committed turn of *live*; None if there's none of that id."""
    if f"{turn}:0" not in live.graph:  # most begin just now: the store needn't be asked
        return None
    receipt = await live.store.receipt(live.id, turn)
    if receipt is None:
        return None
    nodes: list[Node] = []
    while (id := f"{turn}:{len(nodes)}") in live.graph:
        nodes.append(live.graph.node(id))
    messages = tuple([node.value for node in nodes if isinstance(node.value, Message)])
    ending = _ending(nodes)
    outcome = ending.outcome
    if isinstance(outcome, Finished) and outcome.tool is None:
        said = [message.text for message in messages if message.role == "assistant"]
        outcome = Finished(text=said[-1] if said else "", value=outcome.value)
    rows = [row for row in live.ledger.rows if row.turn == turn]
    path = [node for node in live.graph.path() if node.kind == Ending.kind]
    ids = [node.id for node in path]
    place = ids.index(nodes[-1].id) - len(ids) if nodes[-1].id in ids else -1
    return TurnRecord(
        id=turn,
        session=live.id,
        index=live.turns + 1 + place,
        revision=receipt.revision,
        committed=True,
        outcome=outcome,
        messages=messages,
        value=getattr(outcome, "value", None),
        usage=sum([row.usage for row in rows if row.source == "turn"], NOTHING),
        children_usage=sum([row.usage for row in rows if row.source != "turn"], NOTHING),
        tool_calls=tuple([_tool(node) for node in nodes if node.kind == ToolRecord.kind]),
        issues=ending.issues,
    )


def _ending(nodes: list[Node]) -> Ending:
    for node in reversed(nodes):
        if node.kind == Ending.kind:
            value = node.value
            return value if isinstance(value, Ending) else Ending.from_json(value.to_json())
    raise StoreCorrupt("a committed turn doesn't say how it ended")


def _tool(node: Node) -> ToolRecord:
    value = node.value
    return value if isinstance(value, ToolRecord) else ToolRecord.from_json(value.to_json())
