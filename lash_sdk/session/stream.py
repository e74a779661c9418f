"""A turn watched while it runs. Watching never slows it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ..errors import InvalidInput
from ..events import Gap, ReasoningDelta, SessionEvent, TextDelta
from .record import TurnRecord

BUFFER: Final = 1000
"""Events that wait for a slow consumer; then older deltas make way."""


log = logging.getLogger("lash.session")


class Stream:
    """
    The events of one turn, as they happen, and its record at the end.

    Nothing runs until the first event or the result is asked for; from then on
    the turn runs in a task of its own. Leaving the loop leaves the turn
    running; leaving `async with`, or `aclose`, cancels it.
    """

    def __init__(
        self, run: Callable[[Callable[[SessionEvent], None]], Coroutine[Any, Any, TurnRecord]]
    ) -> None:
        """Take what runs the turn, shown how to tell of its events."""
        self._run = run
        self._task: asyncio.Task[TurnRecord] | None = None
        self._events: deque[SessionEvent] = deque()
        self._wake = asyncio.Event()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> SessionEvent:
        """
        Return the next event; the end is the end of the turn.

        Raises:
            LashError: After the last event, as `session.run` does.
        """
        task = self._running()
        while True:
            if self._events:
                return self._events.popleft()
            if task.done():
                if not task.cancelled():
                    task.result()  # or its error, so that nobody takes it for an end
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    async def result(self) -> TurnRecord:
        """
        Return the turn's record; cancelling the wait leaves the turn running.

        Raises:
            LashError: As `session.run` does.
        """
        return await asyncio.shield(self._running())

    async def aclose(self) -> None:
        """Cancel the turn if it still runs, and wait until it's settled."""
        if self._task is None:
            self._run = _closed
        elif not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.aclose()

    def _running(self) -> asyncio.Task[TurnRecord]:
        if self._task is None:
            self._task = asyncio.create_task(self._run(self._take), name="lash-turn")
            self._task.add_done_callback(self._ended)
        return self._task

    def _take(self, event: SessionEvent) -> None:
        if len(self._events) >= BUFFER:
            self._make_room()
        self._events.append(event)
        self._wake.set()

    def _make_room(self) -> None:
        """Drop the oldest delta, or the oldest event; one `Gap` stands where they were."""
        gap: tuple[int, Gap] | None = None
        oldest = None
        for at, event in enumerate(self._events):
            if isinstance(event, Gap):
                gap = at, event
                continue
            delta = isinstance(event, (TextDelta, ReasoningDelta))
            if oldest is None or delta:
                oldest = at
            if delta:
                break
        if gap is None:
            self._events[oldest or 0] = Gap(dropped=1)
        elif oldest is not None:
            self._events[gap[0]] = Gap(dropped=gap[1].dropped + 1)
            del self._events[oldest]

    def _ended(self, task: asyncio.Task[TurnRecord]) -> None:
        if not task.cancelled():
            task.exception()  # taken, so that nobody is told twice
        self._wake.set()


async def _closed(watch: Callable[[SessionEvent], None]) -> TurnRecord:
    raise InvalidInput("the stream was closed before its turn began")


def guarded(
    listener: Callable[[SessionEvent], None], session: str
) -> Callable[[SessionEvent], None]:
    """Return *listener* so that what it raises is logged."""

    def listen(event: SessionEvent) -> None:
        try:
            listener(event)
        except Exception:
            log.exception("a listener of session %r failed", session)

    return listen
