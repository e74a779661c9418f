"""What must hold after a crash, whatever the point: the ten checks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lash_sdk.graph import Node
from lash_sdk.messages import Message
from lash_sdk.ports import Store
from lash_sdk.usage import UsageRow

from .places import Place
from .seams import COST, Ledger, refusal

Acks = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that a store tells of a session."""

    operations: list[str]
    revisions: list[int]
    turns: int
    nodes: list[Node]
    usage: list[UsageRow]
    pending: list[str]
    journal: int

    @property
    def messages(self) -> list[Message]:
        """The conversation; the session has no branches."""
        return [node.value for node in self.nodes if isinstance(node.value, Message)]

    def of(self, text: str) -> str | None:
        """Return the operation that brought the message *text*, if one did."""
        for node in self.nodes:
            if isinstance(node.value, Message) and node.value.text == text:
                return node.id.rpartition(":")[0]
        return None

    def endings(self, operation: str = "") -> list[str]:
        """Return how a turn ended, each time it did; every turn without one."""
        return [
            _ending(node)
            for node in self.nodes
            if node.kind == "turn" and operation in ("", node.id.rpartition(":")[0])
        ]


async def seen(store: Store, session: str) -> Seen:
    """Return everything that *store*, which is open, tells of *session*."""
    pages = [page async for page in store.load(session)]
    heads = [page.head for page in pages if page.head is not None]
    head = await store.head(session)
    return Seen(
        operations=[each.operation for each in heads],
        revisions=[each.revision for each in heads],
        turns=head.turns if head else 0,
        nodes=[node for page in pages for node in page.nodes],
        usage=[row for page in pages for row in page.usage],
        pending=[item.key for item in await store.pending(session)],
        journal=len(await store.journal(session)),
    )


async def examine(place: Place, acks: Acks) -> tuple[str, list[str]]:
    """
    Return how the reference turn ended, "-" if it isn't there, and what is wrong.

    The next turn has been taken, and every store of the place is closed.
    """
    wrong = place.leftovers() and [f"left behind: {place.leftovers()!r}"]
    wrong += place.look()
    store = place.store()
    await store.open()
    try:
        told = await seen(store, place.session)
        for kind, id in acks:
            if kind == "turn" and await store.receipt(place.session, id) is None:
                wrong.append(f"acknowledged and lost: turn {id!r}")
            if kind == "turn" and told.operations.count(id) != 1:
                wrong.append(f"turn {id!r} is there {told.operations.count(id)} times")
        wrong += list(_whole(told, acks))
        turn = told.of("go")
        return "-" if turn is None else _end(told, turn, wrong), wrong
    finally:
        await store.close()


def _whole(told: Seen, acks: Acks) -> list[str]:
    """Return what is torn, doubled, lost or stranded."""
    wrong: list[str] = []
    if told.revisions != list(range(1, len(told.revisions) + 1)):
        wrong.append(f"revisions {told.revisions!r} have gaps")
    texts = Counter(message.text for message in told.messages if message.role == "user")
    if ("input", "k") in acks and texts["also"] != 1:
        wrong.append(f"the client's input is there {texts['also']} times")
    if max(texts.values()) > 1 or texts["next"] != 1:
        wrong.append(f"input lost or doubled: {dict(texts)!r}")
    if told.pending or told.journal:
        wrong.append(f"stranded: inbox {told.pending!r}, {told.journal} journal rows")
    endings = len(told.endings())
    if not (endings == told.turns == len(told.operations)):
        wrong.append(f"{endings} ends, {told.turns} turns, {len(told.operations)} commits")
    if why := refusal([*told.messages, *told.messages[:1]]):
        wrong.append(f"the history is one that a provider refuses: {why}")
    wrong += _bill(told)
    return wrong


def _bill(told: Seen) -> list[str]:
    """Return what is wrong with the ledger: each answer is paid for once, and whole."""
    answers = sum(message.role == "assistant" for message in told.messages)
    ids = {row.id for row in told.usage}
    wrong: list[str] = []
    if len(ids) != len(told.usage):
        wrong.append("a ledger row is there twice")
    whole = [row for row in told.usage if row.usage == COST]
    if len(whole) != answers or any(row.usage and row.usage != COST for row in told.usage):
        wrong.append(f"{answers} answers, {len(told.usage)} ledger rows")
    return wrong


def _end(told: Seen, turn: str, wrong: list[str]) -> str:
    """Return how *turn* ended; it did so once."""
    ends = told.endings(turn)
    if len(ends) != 1:
        wrong.append(f"the turn has {len(ends)} ends")
        return "?"
    return ends[0]


def _ending(node: Node) -> str:
    """Return the word for how a turn ended, out of its last node."""
    outcome = json.loads(node.data)["outcome"]
    found: str = outcome.get("reason", outcome["kind"])
    return found


def counts(ledger: Ledger) -> str:
    """Return how often each tool took effect."""
    return f"note {ledger.count('note')} send {ledger.count('send')}"
