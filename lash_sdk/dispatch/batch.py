"""
A batch of tool calls: parallel ones together, then serial ones, in call order.

A batch always answers, also when it's cancelled: every call has a record, and
records stand in the order the model asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from ..events import SessionEvent, ToolEnded, ToolsFinished, ToolStarted
from ..hooks.specs import Projector
from ..journal import Seam
from ..messages import Message, Text, ToolCall, ToolResult
from ..outcomes import Cancelled, Failure, Issue, ToolRecord
from ..policy import GRACE
from .call import Bench, Made, make_call
from .projection import status


class Desk(Bench, Protocol):
    """What a batch needs of the session it's made in."""

    @property
    def seam(self) -> Seam:
        """Where its journal stands."""
        ...

    @property
    def projector(self) -> Projector:
        """What turns outcomes into what the model is shown."""
        ...

    @property
    def watch(self) -> Callable[[SessionEvent], None] | None:
        """Shows an event to whoever watches, if anybody does."""
        ...


class Batch:
    """
    The calls of one effect.

    Attributes:
        made: What came of them beside their records.
    """

    __slots__ = ("_calls", "_desk", "_key", "_turn", "made")

    def __init__(self, desk: Desk, turn: str, key: str, calls: tuple[ToolCall, ...]) -> None:
        self._desk = desk
        self._turn = turn
        self._key = key
        self._calls = calls
        self.made = Made()

    async def run(self) -> ToolsFinished:
        """Return every call's record and result; being cancelled closes them."""
        toolbox, serial = self._desk.toolbox, set[int]()
        if len(self._calls) > 1:
            for at, call in enumerate(self._calls):
                tool = toolbox.get(call.name)
                if tool is not None and tool.definition.serial:
                    serial.add(at)
        # Each call has a task of its own: one that ignores being cancelled can then
        # be left behind, and one that cancels itself cancels nobody else.
        tasks: dict[int, asyncio.Task[ToolRecord]] = {}
        try:
            for at in range(len(self._calls)):
                if at not in serial:
                    tasks[at] = asyncio.create_task(self._one(at))
            if tasks:
                await asyncio.wait(tasks.values())
            for at in sorted(serial):
                tasks[at] = asyncio.create_task(self._one(at))
                await asyncio.wait((tasks[at],))
        except asyncio.CancelledError:
            await _give_up(tasks.values())
        return self._answer([_record(tasks.get(at)) for at in range(len(self._calls))])

    async def _one(self, at: int) -> ToolRecord:
        """Return the record of one call; a defect in its making is its outcome."""
        desk, call = self._desk, self._calls[at]
        key = f"{self._key}/{at}"
        if desk.watch is not None:
            desk.watch(
                ToolStarted(turn=self._turn, call=call.id, name=call.name, arguments=call.arguments)
            )
        try:
            record = await desk.seam.call(
                key, lambda: make_call(desk, self._turn, key, call, self.made)
            )
        except (Exception, SystemExit) as error:
            failure = Failure(
                reason="internal",
                code="tool_crashed",
                message=f"{type(error).__name__}: {error}",
                source="runtime",
            )
            record = _close(call, failure)
        if desk.watch is not None:
            desk.watch(ToolEnded(turn=self._turn, record=record))
        return record

    def _answer(self, records: list[ToolRecord | None]) -> ToolsFinished:
        closed = tuple(
            [
                record or _close(call, Cancelled())
                for call, record in zip(self._calls, records, strict=True)
            ]
        )
        results = [
            self._project(call, record) for call, record in zip(self._calls, closed, strict=True)
        ]
        return ToolsFinished(
            key=self._key,
            results=Message(role="tool", parts=tuple(results)),
            records=closed,
            issues=tuple(self.made.issues),
            abort=self.made.abort,
        )

    def _project(self, call: ToolCall, record: ToolRecord) -> ToolResult:
        """Return what the model is shown; a failing projector shows its error."""
        try:
            parts = tuple(self._desk.projector(call.name, record.outcome))
        except Exception as error:
            text = f"[failed: projector] {type(error).__name__}: {error}"
            parts = (Text(text=text),)
            self.made.issues.append(Issue(kind="plugin", code="tool_projector", message=text))
        return ToolResult(call=call.id, name=call.name, status=status(record.outcome), parts=parts)


async def _give_up(tasks: Iterable[asyncio.Task[ToolRecord]]) -> None:
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
    for task in running:
        task.add_done_callback(_record)  # so that nobody is told of its exception


def _record(task: asyncio.Task[ToolRecord] | None) -> ToolRecord | None:
    """Return what a call came to; None if it never began or has no end."""
    if task is None or not task.done() or task.cancelled() or task.exception():
        return None
    return task.result()


def _close(call: ToolCall, outcome: Failure | Cancelled) -> ToolRecord:
    return ToolRecord(call=call.id, name=call.name, arguments=call.arguments, outcome=outcome)
