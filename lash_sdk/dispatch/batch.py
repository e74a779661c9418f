"""
A batch of tool calls: parallel ones together, then serial ones, in call order.

A batch always answers, also when it's cancelled: every call has a record, and
records stand in the order the model asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from ..errors import LashError
from ..events import ToolEnded, ToolsFinished, ToolStarted
from ..messages import Message, Text, ToolCall, ToolResult
from ..outcomes import Cancelled, Failure, Issue, ToolRecord
from ..policy import GRACE
from .call import Made, make_call, record_of
from .directives import welcome
from .live import Live
from .projection import status


@dataclass(slots=True)
class Batch:
    """
    The calls of one effect.

    Attributes:
        key: The effect's.
        made: What came of them beside their records.
    """

    live: Live
    turn: str
    key: str
    calls: tuple[ToolCall, ...]
    made: Made = field(default_factory=Made)

    async def run(self) -> ToolsFinished:
        """Return every call's record and result; being cancelled closes them."""
        # Each call has a task of its own: one that ignores being cancelled can then
        # be left behind, and one that cancels itself cancels nobody else.
        tasks: dict[int, asyncio.Task[ToolRecord]] = {}
        try:
            for together in self._order():
                begun = {at: asyncio.create_task(self._one(at)) for at in together}
                tasks |= begun
                await asyncio.wait(begun.values())
        except asyncio.CancelledError:
            await _give_up(tasks.values())
        records = [_record(call, tasks.get(at)) for at, call in enumerate(self.calls)]
        results = tuple([self._project(record) for record in records])
        self._keep()
        return ToolsFinished(
            key=self.key,
            results=Message(role="tool", parts=results),
            records=tuple(records),
            issues=tuple(self.made.issues),
            abort=self.made.abort,
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

    async def _one(self, at: int) -> ToolRecord:
        """Return the record of one call; a defect in its making is its outcome."""
        live, turn, call, key = self.live, self.turn, self.calls[at], f"{self.key}/{at}"
        if live.watch is not None:
            arguments = call.arguments
            live.watch(ToolStarted(turn=turn, call=call.id, name=call.name, arguments=arguments))
        try:
            record = await live.seam.call(key, lambda: make_call(live, turn, key, call, self.made))
        except (Exception, SystemExit) as error:
            text = f"{type(error).__name__}: {error}"
            failure = Failure(
                reason="internal", code="tool_crashed", message=text, source="runtime"
            )
            record = record_of(call, failure)
        if live.watch is not None:
            live.watch(ToolEnded(turn=turn, record=record))
        return record

    def _project(self, record: ToolRecord) -> ToolResult:
        """Return what the model is shown; a failing projector shows its error."""
        name, outcome = record.name, record.outcome
        try:
            parts = tuple(self.live.projector(name, outcome))
        except Exception as error:
            text = f"[failed: projector] {type(error).__name__}: {error}"
            parts = (Text(text=text),)
            self.made.issues.append(Issue(kind="plugin", code="tool_projector", message=text))
        return ToolResult(call=record.call, name=name, status=status(outcome), parts=parts)

    def _keep(self) -> None:
        """Keep blobs for the commit, and messages for the next checkpoint."""
        for blob in self.made.blobs:
            self.live.blobs[blob.sha256] = blob
        for plugin, messages in self.made.queued:
            try:
                self.live.injections += welcome(plugin, messages)
            except LashError as error:
                text = f"plugin {plugin!r} in after_tool: {error}"
                self.made.issues.append(Issue(kind="plugin", code="plugin_messages", message=text))


async def _give_up(tasks: Collection[asyncio.Task[ToolRecord]]) -> None:
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


def _record(call: ToolCall, task: asyncio.Task[ToolRecord] | None) -> ToolRecord:
    """Return what a call came to: it's cancelled if it never began or has no end."""
    if task is None or not task.done() or task.cancelled() or task.exception():
        return record_of(call, Cancelled())
    return task.result()
