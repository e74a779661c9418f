"""
Sync tools in threads of their own.

The threads are daemons: a tool that never returns can't keep the process from
exiting, as it would in the event loop's own pool.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

MOST: Final = 64
"""Threads at once; further calls wait for one to end."""

_slots = threading.BoundedSemaphore(MOST)


async def inline(function: Callable[..., object], arguments: Mapping[str, Any]) -> object:
    """Return what *function* returns, called on the loop."""
    return function(**arguments)


async def in_thread(function: Callable[..., object], arguments: dict[str, Any]) -> Any:
    """
    Return what *function* returns, called in a thread with the caller's context.

    If the caller is cancelled, the thread goes on and its result is dropped; a
    function that was still waiting for a thread isn't called.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: object, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)
        elif isinstance(error, StopIteration):  # a future can't carry it
            done.set_exception(RuntimeError(f"tool raised {error!r}"))
        else:
            done.set_exception(error)

    def work() -> None:
        value: object = None
        failed: BaseException | None = None
        with _slots:
            if done.cancelled():
                return
            try:
                value = context.run(function, **arguments)
            except BaseException as error:
                failed = error
        try:
            loop.call_soon_threadsafe(settle, value, failed)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=work, name="lash-tool", daemon=True).start()
    return await done
