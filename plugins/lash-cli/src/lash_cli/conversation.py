"""A stored session as turns: what was said, called and decided in each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lash_sdk.errors import LashError
from lash_sdk.graph import Graph, Raw
from lash_sdk.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from lash_sdk.outcomes import Ending, ToolRecord
from lash_sdk.usage import Ledger

from .failures import CommandError
from .screen import ending_line, tool_line
from .words import arguments, short, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lash_sdk.commits import Head
    from lash_sdk.graph import Node
    from lash_sdk.ports import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A session as its store has it, with every branch."""

    head: Head
    graph: Graph
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """
    The nodes that one turn left, or one change outside a turn.

    Attributes:
        id: The operation id of its commit.
        parent: The turn before it on its path; None for the first.
    """

    id: str
    parent: str | None
    nodes: tuple[Node, ...]

    @property
    def ending(self) -> Ending | None:
        """How it ended; None where nothing was run."""
        for node in reversed(self.nodes):
            if node.kind == Ending.kind:
                return Ending.from_json(node.value.to_json())
        return None

    @property
    def ask(self) -> str:
        """What the user said first."""
        for node in self.nodes:
            if isinstance(node.value, Message) and node.value.role == "user":
                return node.value.text
        return ""


async def read_head(store: Store, id: str) -> Head:
    """
    Return where the session with this id stands.

    Raises:
        CommandError: There's none, or nothing of it is committed.
        SessionDeleted: There was one.
        StoreError: It can't be read.
    """
    head = await store.head(id)
    if head is not None:
        return head
    if "journal" in store.capabilities and await store.journal(id):
        raise CommandError(
            f"session {id!r} has an unfinished first turn and nothing else",
            way_out=f"lash resume {id}, or lash resume {id} --discard",
        )
    raise CommandError(f"no session {id!r}", way_out="lash sessions list")


async def read_session(store: Store, id: str) -> Stored:
    """
    Return the session with this id.

    Raises:
        CommandError: There's none.
        SessionDeleted: There was one.
        StoreError: It can't be read.
    """
    head = await read_head(store, id)
    nodes: list[Node] = []
    ledger = Ledger()
    async for page in store.load(id):
        nodes += page.nodes
        ledger.add(page.usage)
    return Stored(head=head, graph=Graph().load(nodes, head.leaf), ledger=ledger)


def turns(nodes: Iterable[Node]) -> list[Turn]:
    """Return *nodes* by turn, in their order."""
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found.setdefault(_turn_of(node.id), []).append(node)
    return [
        Turn(
            id=id,
            parent=None if inner[0].parent is None else _turn_of(inner[0].parent),
            nodes=tuple(inner),
        )
        for id, inner in found.items()
    ]


def told(turn: Turn, number: int) -> Iterator[str]:
    """Yield a turn as lines for a person."""
    yield f"── turn {number} · {turn.id}"
    records = dict(_records(turn))
    for node in turn.nodes:
        match node.value:
            case Message() as message:
                yield from _message_lines(message, records)
            case Raw(kind=kind, body=body) if kind not in (ToolRecord.kind, Ending.kind):
                yield f"[{kind}] {value(body)}"
            case _:
                continue
    if (ending := turn.ending) is not None:
        for issue in ending.issues:
            yield f"! {issue.kind}: {issue.code}: {short(issue.message, 200)}"
        yield f"── {ending_line(ending.outcome)}"


def branches(stored: Stored) -> list[str]:
    """Return every branch as a tree of turns; `*` is where the session stands."""
    every = turns(stored.graph)
    below: dict[str | None, list[Turn]] = {}
    for turn in every:
        below.setdefault(turn.parent, []).append(turn)
    leaf = None if stored.head.leaf is None else _turn_of(stored.head.leaf)
    active = {_turn_of(node.id) for node in stored.graph.path()}
    lines: list[str] = []
    waiting = [(turn, "") for turn in reversed(below.get(None, []))]
    while waiting:
        turn, indent = waiting.pop()
        mark = "*" if turn.id == leaf else "│" if turn.id in active else " "
        ending = turn.ending
        how = f"  [{ending_line(ending.outcome)}]" if ending else ""
        lines.append(f"{mark} {indent}{turn.id}  {short(turn.ask)}{how}")
        children = below.get(turn.id, [])
        deeper = indent + "  " if len(children) > 1 else indent
        waiting += [(child, deeper) for child in reversed(children)]
    return lines


def _turn_of(node: str) -> str:
    return node.rpartition(":")[0] or node


def _records(turn: Turn) -> Iterator[tuple[str, ToolRecord]]:
    for node in turn.nodes:
        if node.kind == ToolRecord.kind:
            try:
                record = ToolRecord.from_json(node.value.to_json())
            except LashError:
                continue  # of a later form: its result is shown all the same
            yield record.call, record


def _message_lines(message: Message, records: dict[str, ToolRecord]) -> Iterator[str]:
    who = f"{message.role} ({message.origin})" if message.origin else message.role
    for part in message.parts:
        match part:
            case Text(text=text):
                yield f"{who}: {text}"
            case Image(blob=blob):
                yield f"{who}: [image {blob.media_type}, {blob.size} bytes]"
            case File(name=name, blob=blob):
                yield f"{who}: [file {short(name)}, {blob.size} bytes]"
            case Reasoning(text=text):
                yield f"{who} thought: {short(text, 200)}"
            case ToolCall(id=id) if id not in records:
                yield f"→ {part.name}({arguments(part.arguments)})"
            case ToolResult(call=call):
                yield (
                    tool_line(records[call])
                    if call in records
                    else (f"{part.name} → {part.status}: {short(part.text, 120)}")
                )
            case ToolCall():
                continue


def print_json(body: object) -> None:
    """Print *body* for a machine to read."""
    print(json.dumps(body, indent=2))
