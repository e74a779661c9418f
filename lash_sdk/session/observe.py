"""A session watched across turns: a snapshot, live events, then each commit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Final, TypeAlias

from ..commits import Head
from ..errors import InvalidInput
from ..events import Gap, SessionEvent, TurnEnded
from ..graph import Node
from ..json import frozen, maker
from ..usage import UsageRow
from .lane import Lane
from .snapshot import Snapshot, snapshot

_CURSOR: Final = re.compile(r"([0-9]{1,18})/([^/]*)/([0-9a-f]{8})\.([0-9]{1,18})")
"""Revision, turn, and the live event: whose feed, and its number there."""


@frozen
class Committed:
    """
    A commit that moved the session's head, whoever made it.

    Attributes:
        head: The session's after it; `operation` is the turn's id, if it was a turn.
        nodes: What it added.
        usage: The ledger rows that came with it.
    """

    head: Head
    nodes: tuple[Node, ...] = ()
    usage: tuple[UsageRow, ...] = ()


@frozen
class Seen:
    """
    One thing that an observer sees.

    Attributes:
        cursor: Where to go on after it: opaque text, good in any process.
    """

    cursor: str
    event: Snapshot | Committed | SessionEvent


_seen: Final = maker(Seen)

Sights: TypeAlias = AsyncGenerator[Seen, None]


class Observer:
    """Somebody who observes a session, and how far they have seen it."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._feed = lane.feed
        self._revision = 0
        self._turn = ""
        self._at = 0
        self._moving: asyncio.Task[None] | None = None  # done once the store's head has moved

    async def run(self, cursor: str | None) -> Sights:
        """
        Yield what's to be seen after *cursor*, until the session is closed here.

        Raises:
            InvalidInput: *cursor* isn't one, or is ahead of the session.
            SessionDeleted: The session is gone.
            StoreError: The store couldn't read it.
        """
        lane, feed = self._lane, self._feed
        feed.enter()
        try:
            if (first := await self._start(cursor)) is not None:
                yield first
            moved = True
            for _, event in feed.after(self._at - 1)[:1]:  # whose commit isn't seen yet
                async for seen in self._of(event):
                    yield seen
            while True:
                while self._at < feed.next:
                    for at, event in feed.after(self._at):
                        self._at, ends = at, isinstance(event, TurnEnded)
                        self._turn = "" if ends else getattr(event, "turn", self._turn)
                        yield self._seen(event)
                        if ends:
                            async for seen in self._of(event):
                                yield seen
                base = feed.base
                if moved or (lane.live.revision if base is None else base) > self._revision:
                    async for seen in self._commits(base):
                        yield seen
                if feed.next > self._at or feed.base != base:
                    moved = base is None
                elif lane.closed and base is None:
                    return
                else:
                    moved = await self._wait()
        finally:
            if self._moving is not None:
                self._moving.cancel()
            feed.leave()

    async def _start(self, cursor: str | None) -> Seen | None:
        """Return the snapshot, or the gap that *cursor* leaves; None if it leaves none."""
        live, feed = self._lane.live, self._feed
        if cursor is None:
            now = snapshot(self._lane)
            self._revision, self._at = now.revision, feed.next
            return self._seen(now)
        found = _CURSOR.fullmatch(cursor)
        head = await live.store.head(live.id)
        if found is None or int(found[1]) > (head.revision if head else 0):
            raise InvalidInput(f"cursor: expected one of session {live.id!r}, found {cursor!r}")
        self._revision, self._turn, self._at = int(found[1]), found[2], int(found[4])
        if found[3] == feed.id and self._at <= feed.next:
            return None
        self._at = feed.next
        return self._seen(Gap(dropped=0, kind="unseen"))

    async def _of(self, event: SessionEvent) -> Sights:
        """Yield the commit of a turn, if *event* is its end, after those before it."""
        if isinstance(event, TurnEnded) and event.committed and event.revision > self._revision:
            async for seen in self._commits(event.revision):
                yield seen

    async def _commits(self, last: int | None) -> Sights:
        """
        Yield commits that weren't seen yet, up to revision *last*.

        Without one, live events that come meanwhile go first.
        """
        live = self._lane.live
        nodes: tuple[Node, ...] = ()
        usage: tuple[UsageRow, ...] = ()
        async for page in live.store.load(live.id, self._revision):
            nodes, usage = nodes + page.nodes, (*usage, *page.usage)
            if page.head is None:
                continue
            if self._feed.next > self._at if last is None else page.revision > last:
                return
            self._revision = page.revision
            yield self._seen(Committed(head=page.head, nodes=nodes, usage=usage))
            nodes = usage = ()

    async def _wait(self) -> bool:
        """Return once there may be more; whether it's the store that told so."""
        live, feed = self._lane.live, self._feed
        if self._moving is None:
            self._moving = asyncio.create_task(live.store.moved(live.id, self._revision))
            self._moving.add_done_callback(lambda _moved: feed.wake())
        if not (moving := self._moving).done():  # it may be while nobody waits here
            await feed.woken()
        if moved := moving.done():
            self._moving = None
            moving.result()
        return moved

    def _seen(self, event: Snapshot | Committed | SessionEvent) -> Seen:
        cursor = f"{self._revision}/{self._turn or ''}/{self._feed.id}.{self._at}"
        return _seen(cursor=cursor, event=event)
