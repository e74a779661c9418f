"""The live events of a session, kept for whoever observes it."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Final

from ..dispatch.live import Live
from ..events import Gap, SessionEvent

BUFFER: Final = 1000
"""Live events that are kept of a session that's observed."""


class Feed:
    """
    The live events of a session, numbered, for whoever observes it.

    It listens while somebody observes, and then to the end of the running turn, so
    that who comes back with a cursor in time misses nothing.

    Attributes:
        id: Known from other processes' by it; empty as long as nobody observed.
        next: The number of the next event.
        base: The revision that the running turn builds on; None while none runs.
    """

    def __init__(self, live: Live) -> None:
        self.id = ""
        self.next = 0
        self.base: int | None = None
        self._live = live
        self._events: deque[SessionEvent] = deque(maxlen=BUFFER)
        self._observers = 0
        self._stop: Callable[[], None] | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    def enter(self) -> None:
        """Take in one who observes."""
        self.id = self.id or os.urandom(4).hex()
        self._observers += 1
        if self._stop is None:
            self._stop = self._live.listen(self._take)

    def leave(self) -> None:
        """Let one go."""
        self._observers -= 1
        self._rest()

    def begin(self) -> None:
        """Note that a turn begins; unseen, it's a gap for who comes back."""
        self.base = self._live.revision
        last = self._events[-1] if self._events else None
        if self._stop is None and self.id and not isinstance(last, Gap):
            self._take(Gap(dropped=0, kind="unseen"))

    def end(self) -> None:
        """Note that the turn is over."""
        self.base = None
        self._rest()
        self.wake()

    def after(self, at: int) -> tuple[int, SessionEvent] | None:
        """Return the event numbered *at* and the number to go on with, if there's one."""
        first = self.next - len(self._events)
        if at < first:
            return first, Gap(dropped=first - at)
        return (at + 1, self._events[at - first]) if at < self.next else None

    def wake(self) -> None:
        """Let whoever waits look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def woken(self) -> asyncio.Future[None]:
        """Return what's done once there's something to look at."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return waiting

    def _take(self, event: SessionEvent) -> None:
        self._events.append(event)
        self.next += 1
        self.wake()

    def _rest(self) -> None:
        if self._stop is not None and not self._observers and self.base is None:
            self._stop()
            self._stop = None
