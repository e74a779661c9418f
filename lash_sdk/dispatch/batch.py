"""
A batch of tool calls: parallel ones together, then serial ones, in call order.

A batch always answers, also when it's cancelled: every call has a record, and
records stand in the order the model asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from ..events import ToolEnded, ToolsFinished, ToolStarted
from ..journal import CallResult
from ..messages import Message, ToolCall
from ..outcomes import Cancelled, Failure
from ..policy import GRACE
from .call import Made, make_call, record_of
from .live import Live


@dataclass(slots=True)
class Batch:
    """
    The calls of one effect.

    Attributes:
        key: The effect's.
        begun: Those that were told of, by position.
        done: What came of those that have ended.
        running: How many tasks of the group have not ended.
        ended: Done once none of them runs.
        failed: What ended one of them that isn't its call's outcome.
    """

    live: Live
    turn: str
    key: str
    calls: tuple[ToolCall, ...]
    begun: set[int] = field(default_factory=set)
    done: dict[int, CallResult] = field(default_factory=dict)
    running: int = 0
    ended: asyncio.Future[None] = field(init=False)
    failed: BaseException | None = None

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
                self.running = len(together)
                self.ended = loop.create_future()
                tasks += [loop.create_task(self._task(at)) for at in together]
                await self.ended  # one future for all: `asyncio.wait` takes a callback each
                if self.failed is not None:
                    raise self.failed
        except asyncio.CancelledError:
            await _give_up(tasks)
        results = [self._result(at) for at in range(len(self.calls))]
        for result in results:
            self.live.injections += result.queued
            for blob in result.blobs:
                self.live.blobs[blob.sha256] = blob
        return ToolsFinished(
            key=self.key,
            results=Message(role="tool", parts=tuple([each.result for each in results])),
            records=tuple([each.record for each in results]),
            issues=tuple([issue for each in results for issue in each.issues]),
            abort=next((each.abort for each in results if each.abort is not None), None),
        )

    def _order(self) -> list[list[int]]:
        """Return which calls are made together, by position, one group after the other."""
        parallel: list[int] = []
        serial: list[list[int]] = []
        for at, call in enumerate(self.calls):
            tool = self.live.toolbox.get(call.name)
            if tool is not None and tool.definition.serial:
                serial.append([at])
            else:
                parallel.append(at)
        return [parallel, *serial] if parallel else serial

    async def _task(self, at: int) -> None:
        """Make one call in a task of its own; the last one to end wakes the batch."""
        try:
            await self._one(at)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.failed = self.failed or error
        finally:
            self.running -= 1
            if not self.running and not self.ended.done():
                self.ended.set_result(None)

    async def _one(self, at: int) -> None:
        """Make one call, or take it from the record; a defect is its outcome."""
        live, turn, call, key = self.live, self.turn, self.calls[at], f"{self.key}/{at}"
        intent, known = live.seam.call(key)
        if known is not None:
            self.done[at] = known
            return
        self.begun.add(at)
        if live.watch is not None:
            arguments = call.arguments
            live.watch(ToolStarted(turn=turn, call=call.id, name=call.name, arguments=arguments))
        try:
            result = await make_call(live, turn, key, call, intent)
        except Exception as error:
            if live.seam.broken is not None:
                raise
            text = f"{type(error).__name__}: {error}"
            failure = Failure(
                reason="internal", code="tool_crashed", message=text, source="runtime"
            )
            result = Made().close(live, record_of(call, failure))
        self._close(at, result)
        if live.seam.keeps and len(self.done) < len(self.calls):
            await live.seam.flush()

    def _close(self, at: int, result: CallResult) -> None:
        """Take what came of a call, unless it was given up meanwhile."""
        if at in self.done:
            return
        self.done[at] = result
        self.live.seam.finish(f"{self.key}/{at}", result)
        if self.live.watch is not None and at in self.begun:
            self.live.watch(ToolEnded(turn=self.turn, record=result.record))

    def _result(self, at: int) -> CallResult:
        """Return what a call came to: it's cancelled if it never began or has no end."""
        if at not in self.done:
            self._close(at, Made().close(self.live, record_of(self.calls[at], Cancelled())))
        return self.done[at]


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
