"""Work in the background: hidden, owned here, or owned elsewhere and kept in the books."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from lash_sdk.errors import InvalidInput

from .errors import TaskExists, UnknownTask
from .tasks import LIVE, TERMINAL, Change, TaskChanged, TaskKind, TaskRecord, TaskSpec, TaskState

EVENTS: Final = 256
"""Events that wait for a slow subscriber; then the oldest make way."""
LONGEST: Final = 5.0
"""Seconds that a task which is told to stop may take."""


Cancel: TypeAlias = Callable[[], Awaitable[None]]
Work: TypeAlias = Callable[["Ticket"], Coroutine[Any, Any, Any]]


@dataclass(slots=True, eq=False)
class _Task:
    record: TaskRecord
    cancel: Cancel | None = None
    running: asyncio.Task[Any] | None = None
    asked: bool = False  # whether it was told to stop


class Ticket:
    """What a task that's owned here is handed: its record, and ways to tell of itself."""

    def __init__(self, tasks: Tasks, task: _Task) -> None:
        self._tasks = tasks
        self._task = task

    @property
    def record(self) -> TaskRecord:
        """The task as it is now."""
        return self._task.record

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop; one that looks can end well."""
        return self._task.asked

    def progress(self, text: str) -> None:
        """Tell whoever watches how far it is."""
        self._tasks.tell("progress", self._task.record, text)

    def wait(self) -> None:
        """Say that it waits for something; shown as idle."""
        self._tasks.move(self._task, "waiting")

    def go_on(self) -> None:
        """Say that it goes on."""
        self._tasks.move(self._task, "running")


class Tasks:
    """The tasks of every session of one `Lash`; each is found in its own session alone."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, str], _Task] = {}
        self._hidden: dict[str, set[asyncio.Task[Any]]] = {}
        self._errors: dict[str, BaseException] = {}
        self._subscribers: list[tuple[str | None, deque[TaskChanged], asyncio.Event]] = []

    # --- hidden ------------------------------------------------------------------

    def spawn_hidden(self, session: str, work: Coroutine[Any, Any, Any]) -> None:
        """Run *work* unlisted; nobody can cancel it, and `await_hidden` waits for it."""
        task = asyncio.create_task(work, name=f"lash-hidden-{session}")
        self._hidden.setdefault(session, set()).add(task)
        task.add_done_callback(lambda done: self._hidden_ended(session, done))

    async def await_hidden(self, session: str) -> None:
        """
        Return once no hidden task of *session* is left, those that others add included.

        Raises:
            BaseException: The first error of one since the last time.
        """
        while running := self._hidden.get(session):
            await asyncio.wait(tuple(running))
            await asyncio.sleep(0)  # let their ends be noted
        if (error := self._errors.pop(session, None)) is not None:
            raise error

    def _hidden_ended(self, session: str, task: asyncio.Task[Any]) -> None:
        self._hidden.get(session, set()).discard(task)
        if not self._hidden.get(session):
            self._hidden.pop(session, None)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._errors.setdefault(session, error)

    # --- in the books ------------------------------------------------------------

    def spawn(self, session: str, spec: TaskSpec, work: Work) -> TaskRecord:
        """
        Run *work* as a task that's owned here; its end is in the books by itself.

        Raises:
            TaskExists: A live task of the session has its id.
        """
        task = self._add(session, spec, "running", None)
        running = asyncio.create_task(work(Ticket(self, task)), name=f"lash-task-{spec.id}")
        task.running = running
        running.add_done_callback(lambda done: self._ended(task, done))
        return task.record

    def register(self, session: str, spec: TaskSpec, cancel: Cancel | None = None) -> TaskRecord:
        """
        Keep a task in the books that's owned elsewhere; *cancel* stops it there.

        Raises:
            TaskExists: A live task of the session has its id.
        """
        return self._add(session, spec, "running", cancel).record

    def mark_terminal(
        self, session: str, id: str, state: TaskState, summary: str = ""
    ) -> TaskRecord | None:
        """
        Note that a task is over; one that's unknown, or over already, stays as it is.

        Raises:
            InvalidInput: *state* is no end.
        """
        if state not in TERMINAL:
            raise InvalidInput(f"state: expected one of {sorted(TERMINAL)}, found {state!r}")
        task = self._tasks.get((session, id))
        if task is not None:
            self.move(task, state, summary)
        return None if task is None else task.record

    def mark_live_state(self, session: str, id: str, state: TaskState) -> TaskRecord | None:
        """
        Note that a task runs or waits; one that's unknown or over stays as it is.

        Raises:
            InvalidInput: *state* isn't one of a live task.
        """
        if state not in LIVE:
            raise InvalidInput(f"state: expected one of {sorted(LIVE)}, found {state!r}")
        task = self._tasks.get((session, id))
        if task is not None:
            self.move(task, state)
        return None if task is None else task.record

    def unregister(self, session: str, id: str) -> None:
        """Take a task out of the books; an unknown one is."""
        self._tasks.pop((session, id), None)

    def get(self, session: str, id: str) -> TaskRecord:
        """
        Return a task.

        Raises:
            UnknownTask: The session has none of that id.
        """
        task = self._tasks.get((session, id))
        if task is None:
            raise UnknownTask(id)
        return task.record

    def list(
        self,
        session: str | None = None,
        *,
        kind: TaskKind | None = None,
        include_terminal: bool = False,
    ) -> Sequence[TaskRecord]:
        """Return tasks by age, oldest first: of a session, of a kind, those that live."""
        found = [
            task.record
            for (scope, _id), task in self._tasks.items()
            if (session is None or scope == session)
            and (kind is None or task.record.spec.kind == kind)
            and (include_terminal or not task.record.terminal)
        ]
        return sorted(found, key=lambda record: record.created)

    # --- cancelling --------------------------------------------------------------

    async def cancel(self, session: str, id: str) -> TaskRecord:
        """
        Stop a task and return its record; one that's over stays as it is.

        Raises:
            UnknownTask: The session has none of that id.
        """
        self.get(session, id)
        return await self._cancel(self._tasks[session, id])

    async def cancel_all(self, session: str) -> Sequence[TaskRecord]:
        """Stop every live task of a session; return their records."""
        tasks = [self._tasks[session, record.id] for record in self.list(session)]
        return await asyncio.gather(*map(self._cancel, tasks))

    async def _cancel(self, task: _Task) -> TaskRecord:
        if task.record.terminal or task.asked:
            return task.record
        task.asked = True
        self.move(task, "cancel_requested")
        policy, running = task.record.spec.cancel_policy, task.running
        try:
            if task.cancel is not None:
                async with asyncio.timeout(LONGEST):
                    await task.cancel()
            if running is not None and policy != "external":
                if policy == "cooperative":
                    await asyncio.wait([running], timeout=0.1)
                running.cancel()
                await asyncio.wait([running], timeout=LONGEST)
        except Exception as error:
            self.move(task, "failed", f"{type(error).__name__}: {error}")
        self.move(task, "cancelled")
        return task.record

    # --- moving ------------------------------------------------------------------

    def check_transfer(self, to: str, ids: Sequence[str]) -> None:
        """
        Accept that tasks could be moved to *to*.

        Raises:
            TaskExists: A live one there has one of the *ids*.
        """
        for id in ids:
            there = self._tasks.get((to, id))
            if there is not None and not there.record.terminal:
                raise TaskExists(id)

    def transfer(self, origin: str, to: str, ids: Sequence[str]) -> Sequence[TaskRecord]:
        """
        Move tasks to another session, all of them or none; unknown ids are passed over.

        Raises:
            TaskExists: A live one there has one of the *ids*.
        """
        if origin == to:
            return ()
        self.check_transfer(to, ids)
        moved = []
        for id in dict.fromkeys(ids):
            task = self._tasks.pop((origin, id), None)
            if task is None:
                continue
            task.record = replace(task.record, session=to, updated=time.time())
            self._tasks[to, id] = task
            moved.append(task.record)
            self.tell("transferred", task.record)
        return tuple(moved)

    async def closed(self, session: str, parent: str | None) -> None:
        """Let go of a closed session's tasks, each as its policy says."""
        ids = [record.id for record in self.list(session)]
        for id in ids:
            task = self._tasks[session, id]
            policy = task.record.spec.close_policy
            if policy == "transfer" and parent is not None and (parent, id) not in self._tasks:
                self.transfer(session, parent, (id,))
            elif policy != "keep":
                await self._cancel(task)

    async def close(self) -> None:
        """Stop everything that's owned here."""
        for task in tuple(self._tasks.values()):
            await self._cancel(task)
        hidden = [task for tasks in self._hidden.values() for task in tasks]
        for each in hidden:
            each.cancel()
        if hidden:
            await asyncio.wait(hidden, timeout=LONGEST)
        for _session, _queue, wake in self._subscribers:
            wake.set()

    # --- telling -----------------------------------------------------------------

    async def events(self, session: str | None = None) -> AsyncIterator[TaskChanged]:
        """Yield what happens to tasks from now on; who is slow misses the oldest."""
        subscriber = (session, deque[TaskChanged](maxlen=EVENTS), asyncio.Event())
        self._subscribers.append(subscriber)
        _session, queue, wake = subscriber
        try:
            while True:
                while queue:
                    yield queue.popleft()
                wake.clear()
                await wake.wait()
        finally:
            self._subscribers.remove(subscriber)

    def tell(self, change: Change, record: TaskRecord, text: str = "") -> None:
        """Show a change to whoever watches."""
        for session, queue, wake in self._subscribers:
            if session in (None, record.session):
                queue.append(TaskChanged(change=change, record=record, text=text))
                wake.set()

    def move(self, task: _Task, state: TaskState, summary: str = "") -> None:
        """Note a task's new state; an end is final."""
        now = task.record
        if now.terminal or now.state == state:
            return
        if state in LIVE and now.state == "cancel_requested":
            return
        at = time.time()
        over = at if state in TERMINAL else None
        task.record = replace(now, state=state, summary=summary, updated=at, completed=over)
        quiet = state in LIVE or state == "pending"
        self.tell("state_changed" if quiet else state, task.record)  # type: ignore[arg-type]

    def _add(self, session: str, spec: TaskSpec, state: TaskState, cancel: Cancel | None) -> _Task:
        if not spec.id:
            raise InvalidInput("task id: expected text that isn't empty")
        known = self._tasks.get((session, spec.id))
        if known is not None and not known.record.terminal:
            raise TaskExists(spec.id)
        at = time.time()
        record = TaskRecord(spec=spec, session=session, state=state, created=at, updated=at)
        task = self._tasks[session, spec.id] = _Task(record, cancel)
        self.tell("registered", record)
        return task

    def _ended(self, task: _Task, running: asyncio.Task[Any]) -> None:
        if running.cancelled():
            self.move(task, "cancelled")
        elif (error := running.exception()) is not None:
            self.move(task, "failed", f"{type(error).__name__}: {error}")
        else:
            said = running.result()
            self.move(task, "completed", "" if said is None else str(said))
