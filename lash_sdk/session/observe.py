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
from ..json import frozen
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


Sights: TypeAlias = AsyncGenerator[Seen, None]


class Observer:
    """Somebody who observes a session, and how far they have seen it."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._feed = lane.feed
        self._revision = 0
        self._turn = ""
        self._at = 0

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
            if (before := feed.after(self._at - 1)) is not None:  # whose commit isn't seen yet
                async for seen in self._of(before[1]):
                    yield seen
            while True:
                async for seen in self._live():
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

    async def _live(self) -> Sights:
        """Yield live events; after a turn's end its commit."""
        while step := self._feed.after(self._at):
            self._at, event = step
            self._turn = "" if isinstance(event, TurnEnded) else getattr(event, "turn", self._turn)
            yield self._seen(event)
            async for seen in self._of(event):
                yield seen

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
        live = self._lane.live
        if self._feed.base is not None:
            await self._feed.woken()
            return False
        here = self._feed.woken()
        there = asyncio.create_task(live.store.moved(live.id, self._revision))
        try:
            await asyncio.wait((here, there), return_when=asyncio.FIRST_COMPLETED)
            if there.done():
                there.result()
            return there.done()
        finally:
            here.cancel()
            there.cancel()

    def _seen(self, event: Snapshot | Committed | SessionEvent) -> Seen:
        cursor = f"{self._revision}/{self._turn or ''}/{self._feed.id}.{self._at}"
        return Seen(cursor=cursor, event=event)
