"""
How long a hook may keep a turn waiting, and whose doing its end is.

One timer looks at the calls of all hooks; a call itself costs no more than a note.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Final

from .faults import HERE

PATIENCE: Final = 60.0
"""Seconds that a hook call may take, unless `[plugins] deadline` says otherwise."""

LOOKS: Final = 4
"""How often a call is seen before it has taken too long."""


class Deadline:
    """
    Ends hook calls that take too long.

    A call ends between *seconds* and a quarter more; a plugin that swallows that
    is stopped again at each look.

    Attributes:
        calls: The contexts of the calls that are on.
        late: The contexts of those that were ended.
    """

    __slots__ = ("_looks", "_timer", "calls", "late", "seconds")

    def __init__(self, seconds: float = PATIENCE) -> None:
        self.seconds = seconds
        self.calls: set[Any] = set()
        self.late: set[Any] = set()
        self._looks: dict[Any, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look at the calls from now on."""
        self._timer = asyncio.get_running_loop().call_later(self.seconds / LOOKS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def check(self, ctx: Any) -> None:
        """
        Accept that a plugin answered.

        Raises:
            TimeoutError: Its call had been ended, and it swallowed that.
        """
        if ctx in self.late:
            raise TimeoutError

    def cause(self, ctx: Any, error: BaseException) -> BaseException:
        """
        Return what a plugin did wrong, when its call raised *error*.

        A cancellation that nobody asked for is its own doing.

        Raises:
            BaseException: It did nothing wrong: the turn is cancelled, or the
                process ends.
        """
        task = _current()
        self.calls.discard(ctx)
        if ctx in self.late:
            self.late.discard(ctx)
            if task is not None and not task.uncancel():
                return TimeoutError(f"took more than {self.seconds:g} s")
        outside = isinstance(error, (KeyboardInterrupt, SystemExit))
        if isinstance(error, asyncio.CancelledError):
            outside = task is None or task.cancelling() > 0
        if outside or (isinstance(error, GeneratorExit) and task is None):
            raise error
        return error

    def _look(self) -> None:
        self.start()
        self._looks = {ctx: self._looks.get(ctx, 0) + 1 for ctx in self.calls}
        for ctx, looks in self._looks.items():
            if looks > LOOKS and (task := _awaiting(ctx)) is not None:
                if ctx in self.late:  # it swallowed that: once more, counted once
                    task.uncancel()
                self.late.add(ctx)
                task.cancel()


def _awaiting(ctx: Any) -> asyncio.Task[Any] | None:
    """
    Return the task that a plan with *ctx* runs in.

    It's looked for among the frames of all tasks: a note of it on each call would
    cost more than the call.
    """
    for task in asyncio.all_tasks():
        at: Any = task.get_coro()
        while (frame := _frame(at)) is not None:
            if frame.f_code.co_filename.startswith(HERE) and frame.f_locals.get("ctx") is ctx:
                return task
            at = _inner(at)
    return None


def _frame(at: Any) -> Any:
    """Return the frame of a coroutine or of an async generator, None for anything else."""
    return getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None)


def _inner(at: Any) -> Any:
    """Return what's awaited in there, out of what `__await__` or `anext` may have put it in."""
    awaited = at.cr_await if hasattr(at, "cr_await") else at.ag_await
    if awaited is None or _frame(awaited) is not None:
        return awaited
    return next((each for each in gc.get_referents(awaited) if _frame(each) is not None), None)


def _current() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a coroutine that's thrown away has no loop
        return None
