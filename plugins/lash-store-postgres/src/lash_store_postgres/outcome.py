"""Work whose outcome its caller learns, whatever happens to the caller."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Outcome(asyncio.Future[T]):
    """
    A future that won't be cancelled.

    A task that's cancelled while it waits for one goes on waiting, and gets its
    `CancelledError` once the outcome is there.
    """

    def cancel(self, msg: object = None) -> bool:
        """Return False: what was begun is going to end."""
        return False


class Works:
    """What is being done, so that it can be waited for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def begin_in(self, lane: str, work: Coroutine[object, object, T]) -> Outcome[T]:
        """Return the outcome of *work*, done after what was begun in that lane before it."""
        lock = self._lanes.get(lane)
        if lock is None:
            self._lanes[lane] = lock = asyncio.Lock()
        return self.begin(_after(lock, work))

    def begin(self, work: Coroutine[object, object, T]) -> Outcome[T]:
        """Return the outcome of *work*, which goes on if the caller is cancelled."""
        outcome: Outcome[T] = Outcome()
        self.leave(work).add_done_callback(partial(_tell, outcome))
        return outcome

    def leave(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Return the task of *work*, which nobody has to wait for."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def others_ended(self) -> None:
        """Wait until nothing is being done but by the caller."""
        while others := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(others)


async def _after(lane: asyncio.Lock, work: Coroutine[object, object, T]) -> T:
    async with lane:
        return await work


def _tell(outcome: Outcome[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        outcome.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())
