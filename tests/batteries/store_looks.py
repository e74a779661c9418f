"""
The nine invariants: what a store shows, beside what the model knows.

Heads; history, byte by byte; inputs; usage; claims; blobs; the feed; chains, which a
load verifies; and that nothing is left of what was deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Final, TypeAlias

from lash_sdk.errors import SessionBusy
from lash_sdk.graph import Node
from lash_sdk.ports import Store
from lash_sdk.usage import UsageRow

from .stands import Stand, answer
from .store_model import Model

EACH: Final = ("heads", "history", "inputs", "usage", "journals")
"""What's shown of each session."""

Shown: TypeAlias = "dict[str, object]"
"""By the invariant's name, what can be seen."""


def shown(model: Model, ids: Collection[str], refs: Collection[str]) -> Shown:
    """Return what has to be seen of sessions *ids*, of blobs, of lists and of the feed."""
    alive = [id for id in ids if id not in model.gone]
    found = {id: model.sessions.get(id) for id in alive}
    return {
        "heads": {id: known and known.head for id, known in found.items()},
        "history": {id: pages(model, id) for id in alive},
        "inputs": {
            id: list(known.waiting.values()) if known else [] for id, known in found.items()
        },
        "usage": {id: list(known.usage) if known else [] for id, known in found.items()},
        "journals": {
            id: [(r.turn, r.key, r.kind, r.data) for r in model.journals.get(id, {}).values()]
            for id in alive
        },
        "claims": [id for id in alive if id in model.held],
        "blobs": {ref: ref for ref in refs},
        "listed": [
            (h.session, h.revision, h.turns, h.updated, h.parent, model.unfinished(h.session))
            for h in model.listed()
        ],
        "feed": model.feed[-50:],
        "deleted": {id: ("SessionDeleted",) for id in ids if id in model.gone},
    }


def pages(model: Model, id: str, since: int = 0) -> list[object]:
    """Return what `load` has to tell."""
    return [
        (revision, [_node(model.nodes[id].node) for id in nodes], head)
        for revision, nodes, head in model.pages(id, since)
    ]


def _node(node: Node) -> tuple[str, str | None, str, bytes]:
    return node.id, node.parent, node.kind, node.data


def referred(model: Model, ids: Collection[str]) -> set[str]:
    """Return the refs of what the last commits of sessions *ids* refer to."""
    return {ref for id in ids if id not in model.gone for ref in _refs(model, id)}


def _refs(model: Model, id: str) -> list[str]:
    found = model.sessions.get(id)
    if found is None:
        return []
    commit, head = found.log[-1] if found.log else (None, found.head)
    visible = commit and (not commit.nodes or any(model.visible(n.id) for n in commit.nodes))
    blobs = [blob.sha256 for blob in commit.blobs] if commit and visible else []
    return [*head.manifest.values(), *blobs]


async def look(stand: Stand, model: Model, ids: Collection[str], refs: Collection[str]) -> Shown:
    """Return the same of a store; the model says only what to ask for."""
    store = stand.store
    alive = [id for id in ids if id not in model.gone]
    gone = [id for id in ids if id in model.gone]
    found = [await _session(store, id, held=id in model.held) for id in alive]
    await stand.read_on()
    feed = [receipt for receipt in stand.feed if receipt.session not in model.gone]
    return {
        **{name: {id: each[name] for id, each in zip(alive, found, strict=True)} for name in EACH},
        "claims": [id for id, each in zip(alive, found, strict=True) if each["claims"]],
        "blobs": {ref: hashlib.sha256(await store.blob(ref)).hexdigest() for ref in refs},
        "listed": [
            (s.id, s.revision, s.turns, s.updated, s.parent, s.unfinished)
            for s in await store.sessions()
        ],
        "feed": [(r.session, r.operation, r.revision, r.leaf) for r in feed][-50:],
        "deleted": {id: await _gone(store, id) for id in gone},
    }


async def _session(store: Store, id: str, *, held: bool) -> Shown:
    """Return what's shown of one session."""
    told, usage = await load(store, id)
    return {
        "heads": await store.head(id),
        "history": told,
        "inputs": list(await store.pending(id)),
        "usage": usage,
        "journals": [(r.turn, r.key, r.kind, r.data) for r in await store.journal(id)],
        "claims": held and await _busy(store, id),
    }


async def load(store: Store, session: str, since: int = 0) -> tuple[list[object], list[UsageRow]]:
    """Return what `load` tells: a revision each, its nodes and head; and the ledger."""
    told: list[object] = []
    nodes: list[Node] = []
    ledger: dict[str, UsageRow] = {}
    async for page in store.load(session, since):
        nodes += page.nodes
        for row in page.usage:
            ledger.setdefault(row.id, row)
        if page.head is not None:
            told.append((page.revision, list(map(_node, nodes)), page.head))
            nodes = []
    return told, list(ledger.values())


async def _busy(store: Store, session: str) -> bool:
    try:
        await store.release(await store.claim(session))
    except SessionBusy:
        return True
    return False


async def _gone(store: Store, session: str) -> object:
    """Return how it's refused, if every way to read it shows nothing."""
    shows = [*await store.pending(session), *await store.journal(session)]
    return [] == shows and await answer(store.head(session))
