"""Ctrl-C: the first stops the turn in good order, the second ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from .failures import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from lash_sdk.session import Session


class Interrupts:
    """
    What Ctrl-C does while a command runs.

    A running turn is committed as cancelled, so that its session goes on; before
    and after a turn the command is cancelled as a whole. The second Ctrl-C doesn't
    wait for either.

    Attributes:
        session: The session whose turn is to be cancelled.
        hits: How often it was pressed.
    """

    def __init__(self) -> None:
        self.session: Session | None = None
        self.hits = 0
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._stopping: asyncio.Task[None] | None = None
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._hit)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _hit(self, number: int, frame: FrameType | None) -> None:
        self.hits += 1
        if self.hits == 1:
            self._loop.call_soon_threadsafe(self._stop)
            return
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h\n")  # a spinner hides the cursor
        os._exit(INTERRUPTED)

    def _stop(self) -> None:
        if self.session is not None and self.session.running:
            os.write(2, b"\nstopping the turn (Ctrl-C again ends at once)\n")
            self._stopping = self._loop.create_task(self._cancel(self.session))
        elif self._task is not None:
            self._task.cancel()

    async def _cancel(self, session: Session) -> None:
        await session.cancel()


def run_async(main: Coroutine[Any, Any, int]) -> int:
    """Return what *main* returns; Ctrl-C where nothing can be kept is 130."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return asyncio.run(main)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
