"""
The line before a busy session: its inbox keeps who waits, in order, for all processes.

A turn that waits is there with its input, and its caller holds a claim named after it
for as long as they live. If they end before their turn came, their input is like any
other: the next turn takes it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from ..dispatch.live import Live
from ..errors import LashError, SessionBusy
from ..json import Json, frozen
from ..messages import Message, blobs, user
from ..ports import Claim, InboxItem


@frozen
class Place:
    """Somebody's place in the line."""

    live: Live
    turn: str
    ticket: Claim

    async def leave(self) -> None:
        """Give it up; input that no turn has used is taken back."""
        store, id = self.live.store, self.live.id
        try:
            with suppress(LashError):  # the ticket goes all the same, and then it's anybody's
                await store.withdraw(id, self.turn)
        finally:
            await store.release(self.ticket)


async def join(live: Live, turn: str, message: Message) -> Place:
    """
    Return a place at the end of the line, once it's durable.

    Attachments stay with the caller: an inbox keeps words.
    """
    words = message
    if blobs((message,)):
        words = user(message.text or "(sent without its attachments)")
    ticket = await live.store.claim(_ticket(live, turn))
    try:
        body: Json = {"turn": turn, "message": words.to_json()}
        await live.store.enqueue(live.id, InboxItem(key=turn, body=body))
    except BaseException:
        await live.store.release(ticket)
        raise
    return Place(live=live, turn=turn, ticket=ticket)


async def first(live: Live, ours: Collection[str]) -> str | None:
    """Return the turn that comes next; those of *ours* are known to live."""
    for item in await live.store.pending(live.id):
        if item.turn is not None and await _lives(live, item.turn, ours):
            return item.turn
    return None


async def take_in(
    live: Live, own: str | None, ours: Collection[str]
) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """
    Return keys and messages of what a turn begins with, beside its caller's message.

    That's what waits for any turn, also of callers who are gone; the place of its
    *own* is used up with it.
    """
    items = []
    for item in await live.store.pending(live.id):
        if item.turn in (None, own) or not await _lives(live, item.turn or "", ours):
            items.append(item)
    messages = [item.message for item in items if item.turn is None or item.turn != own]
    return tuple([item.key for item in items]), tuple(messages)


async def _lives(live: Live, turn: str, ours: Collection[str]) -> bool:
    """Return whether the caller of a waiting turn is there."""
    if turn in ours:
        return True
    try:
        ticket = await live.store.claim(_ticket(live, turn))
    except SessionBusy:
        return True
    await live.store.release(ticket)
    return False


def _ticket(live: Live, turn: str) -> str:
    return f"{live.id}~{turn}~waits"
