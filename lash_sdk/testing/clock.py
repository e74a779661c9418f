"""A clock that goes when it's told to, for tests of what takes time."""

from __future__ import annotations

import asyncio
import heapq
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

START: Final = 1_767_225_600.0
"""Where it begins: 2026, in UTC."""

BREATHS: Final = 20
"""Passes of the loop in which what's due may do what it does."""


class FakeClock:
    """Stands still until it's moved; sleeps and time limits of its loop follow it."""

    def __init__(self, now: float = START) -> None:
        self._began = now
        self._origin = self._passed = 0.0  # on the loop's own clock, which counts finely
        self._due: list[float] = []

    @property
    def now(self) -> float:
        """What `time.time()` returns, in seconds since 1970."""
        return round(self._began + (self._passed - self._origin), 6)

    async def advance(self, seconds: float) -> None:
        """
        Move on, and let everything happen that's due by then, in its order.

        Raises:
            ValueError: Time doesn't go back.
        """
        if seconds < 0:
            raise ValueError(f"expected seconds >= 0, found {seconds!r}")
        end = self._passed + seconds
        await _breathe()
        while self._due and self._due[0] <= end:
            self._passed = max(self._passed, heapq.heappop(self._due))
            await _breathe()
        self._passed = end
        await _breathe()

    @contextmanager
    def ticking(self, loop: asyncio.AbstractEventLoop) -> Generator[FakeClock]:
        """Be the time of *loop* and of `time.time()` meanwhile."""
        theirs: Any = loop
        call_at: Callable[..., Any] = loop.call_at

        def noted(when: float, *arguments: Any, **context: Any) -> Any:
            heapq.heappush(self._due, when)
            return call_at(when, *arguments, **context)

        wall = time.time
        self._origin = self._passed = loop.time()
        theirs.time, theirs.call_at = lambda: self._passed, noted
        time.time = lambda: self.now
        try:
            yield self
        finally:
            del theirs.time, theirs.call_at
            time.time = wall


async def _breathe() -> None:
    for _ in range(BREATHS):
        await asyncio.sleep(0)
