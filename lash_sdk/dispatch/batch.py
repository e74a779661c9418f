"""
A batch of tool calls: parallel ones together, then serial ones, in call order.

A batch always answers, also when it's cancelled: every call has a record, and
records stand in the order the model asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from ..effects import CallTools
from ..events import ToolEnded, ToolsFinished, ToolStarted
from ..journal import CallResult
from ..json import maker
from ..messages import new_message
from ..outcomes import Cancelled, Issue
from ..policy import GRACE
from .call import Calling, record_of
from .live import Live

_finished = maker(ToolsFinished)


class Batch:
    """The calls of one effect."""

    def __init__(self, live: Live, turn: str, effect: CallTools) -> None:
        """Take the calls that *effect* wants made."""
        self._live = live
        self._turn = turn
        self._key = effect.key
        self._calls = effect.calls
        self._begun: set[int] = set()  # those that were told of, by position
        self._done: dict[int, CallResult] = {}
        self._running = 0
        self._ended: asyncio.Future[None] | None = None  # done once none of the group runs
        self._failed: BaseException | None = None  # ended one, and isn't its outcome

    async def run(self) -> ToolsFinished:
        """
        Return every call's record and result; being cancelled closes them.

        Raises:
            LashError: The journal can't be kept, or a plugin's state can't.
        """
        # Each call has a task of its own: one that ignores being cancelled can then
        # be left behind, and one that cancels itself cancels nobody else.
        tasks: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        try:
            for together in self._order():
                self._running = len(together)
                self._ended = loop.create_future()
                tasks += [loop.create_task(self._one(at)) for at in together]
                await self._ended  # one future for all: `asyncio.wait` takes a callback each
                if self._failed is not None:
                    raise self._failed
        except asyncio.CancelledError:
            await _give_up(tasks)
        results = [self._result(at) for at in range(len(self._calls))]
        issues: tuple[Issue, ...] = ()
        for result in results:
            self._live.injections += result.queued
            issues += result.issues
            for blob in result.blobs:
                self._live.blobs[blob.sha256] = blob
        return _finished(
            key=self._key,
            results=new_message(role="tool", parts=tuple([each.result for each in results])),
            records=tuple([each.record for each in results]),
            issues=issues,
            abort=next((each.abort for each in results if each.abort is not None), None),
        )

    def _order(self) -> list[list[int]]:
        """Return which calls are made together, by position, one group after the other."""
        alone = self._live.toolbox.serial
        parallel = [at for at, call in enumerate(self._calls) if call.name not in alone]
        serial = [[at] for at, call in enumerate(self._calls) if call.name in alone]
        return [parallel, *serial] if parallel else serial

    async def _one(self, at: int) -> None:
        """Make one call, or take it from the record; the last one to end wakes the batch."""
        live, turn, call, key = self._live, self._turn, self._calls[at], f"{self._key}/{at}"
        try:
            intent, known = live.seam.call(key)
            if known is not None:
                self._done[at] = known
                return
            self._begun.add(at)
            if live.watch is not None:
                text = call.arguments
                live.watch(ToolStarted(turn=turn, call=call.id, name=call.name, arguments=text))
            self._close(at, key, await Calling(live, turn, key, call).run(intent))
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._failed = self._failed or error
        finally:
            self._running -= 1
            if not self._running and self._ended is not None and not self._ended.done():
                self._ended.set_result(None)

    def _close(self, at: int, key: str, result: CallResult) -> None:
        """Take what came of a call, unless it was given up meanwhile."""
        if at in self._done:
            return
        self._done[at] = result
        self._live.seam.finish(key, result)
        if self._live.watch is not None and at in self._begun:
            self._live.watch(ToolEnded(turn=self._turn, record=result.record))

    def _result(self, at: int) -> CallResult:
        """Return what a call came to: it's cancelled if it never began or has no end."""
        if at not in self._done:
            call, key = self._calls[at], f"{self._key}/{at}"
            given_up = Calling(self._live, self._turn, key, call)
            self._close(at, key, given_up.close(record_of(call, Cancelled())))
        return self._done[at]


async def _give_up(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel what runs and wait for it, though not for ever."""
    loop = asyncio.get_running_loop()
    until = loop.time() + GRACE
    running = {task for task in tasks if not task.done()}
    for task in running:
        task.cancel()
    while running and (left := until - loop.time()) > 0:
        try:
            _done, running = await asyncio.wait(running, timeout=left)
        except asyncio.CancelledError:
            continue  # once is enough; whoever did it is told after the commit
    for task in running:  # so that nobody is told of its exception
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
