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
from .call import make_call, record_of
from .live import Live
from .made import Made


@dataclass(slots=True)
class Batch:
    """
    The calls of one effect.

    Attributes:
        key: The effect's.
        done: What came of those that have ended, by position.
    """

    live: Live
    turn: str
    key: str
    calls: tuple[ToolCall, ...]
    done: dict[int, CallResult] = field(default_factory=dict)

    async def run(self) -> ToolsFinished:
        """
        Return every call's record and result; being cancelled closes them.

        Raises:
            LashError: The journal can't be kept, or a plugin's state can't.
        """
        # Each call has a task of its own: one that ignores being cancelled can then
        # be left behind, and one that cancels itself cancels nobody else.
        tasks: list[asyncio.Task[None]] = []
        try:
            for together in self._order():
                begun = [asyncio.create_task(self._one(at)) for at in together]
                tasks += begun
                await asyncio.wait(begun)
                for error in [task.exception() for task in begun if not task.cancelled()]:
                    if error is not None:
                        raise error
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

    async def _one(self, at: int) -> None:
        """Make one call, or take it from the record; a defect is its outcome."""
        live, turn, call, key = self.live, self.turn, self.calls[at], f"{self.key}/{at}"
        intent, known = live.seam.call(key)
        if known is not None:
            self.done[at] = known
            return
        if live.watch is not None:
            arguments = call.arguments
            live.watch(ToolStarted(turn=turn, call=call.id, name=call.name, arguments=arguments))
        try:
            result = await make_call(live, turn, key, call, intent)
        except (Exception, SystemExit) as error:
            if live.seam.broken is not None:
                raise
            text = f"{type(error).__name__}: {error}"
            failure = Failure(
                reason="internal", code="tool_crashed", message=text, source="runtime"
            )
            result = Made().close(live, record_of(call, failure))
        if at in self.done:
            return  # it was given up meanwhile
        self.done[at] = result
        live.seam.finish(key, result)
        if live.watch is not None:
            live.watch(ToolEnded(turn=turn, record=result.record))
        if len(self.done) < len(self.calls):
            await live.seam.flush()

    def _result(self, at: int) -> CallResult:
        """Return what a call came to: it's cancelled if it never began or has no end."""
        if at not in self.done:
            self.done[at] = Made().close(self.live, record_of(self.calls[at], Cancelled()))
            self.live.seam.finish(f"{self.key}/{at}", self.done[at])
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
