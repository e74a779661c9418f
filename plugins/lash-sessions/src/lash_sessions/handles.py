"""Tool calls that go on after they returned: a handle now, the outcome when it's asked for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from lash_sdk.errors import InvalidInput
from lash_sdk.json import Json
from lash_sdk.outcomes import Cancelled, Failure, Success, ToolOutcome
from lash_sdk.tools import as_json

from .errors import TaskExists, UnknownTask
from .tasks import TaskRecord

if TYPE_CHECKING:
    from .tree import Tree

Namespace: TypeAlias = Literal["monitor", "subagent", "tool"]

MARK: Final = "__handle__"
PATIENCE: Final = 0.1
"""Seconds that a call which looks whether it's cancelled has to end by itself."""


@dataclass(slots=True, eq=False)
class Call:
    """
    One call that goes on.

    Attributes:
        progress: What it said and nobody heard yet.
        cancelled: Set when it's to end.
    """

    id: str
    tool: str
    namespace: Namespace
    session: str
    progress: list[str] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: ToolOutcome | None = None
    task: asyncio.Task[Any] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def value(self) -> Json:
        """The handle as a model is shown it."""
        return {MARK: "task", "id": self.id, "tool": self.tool}

    def say(self, text: str) -> None:
        """Tell whoever awaits how far it is."""
        self.progress.append(text)

    def end(self, outcome: ToolOutcome) -> None:
        """Take what came of it; the first end counts."""
        if self.outcome is None:
            self.outcome = outcome
            self.over.set()


Work: TypeAlias = Callable[[Call], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """What came of a call, and what it said since the last time."""

    outcome: ToolOutcome
    progress: tuple[str, ...]


class Handles:
    """The calls that go on, of every session of one `Lash`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._calls: dict[tuple[str, str], Call] = {}

    def start(self, session: str, tool: str, work: Work, *, namespace: Namespace = "tool") -> Json:
        """Begin a call, and return its handle at once."""
        call = Call(id=os.urandom(8).hex(), tool=tool, namespace=namespace, session=session)
        self._calls[session, call.id] = call
        call.task = self._tree.spawn(_run(call, work), f"lash-handle-{call.id}")
        return call.value

    async def wait(self, session: str, handle: Json) -> Awaited:
        """
        Return what came of a call, once it's over; it's forgotten then.

        A handle that isn't one, or that the session hasn't got, is a failure.
        """
        try:
            call = self._calls[session, handle_id(handle)]
        except (InvalidInput, KeyError):
            return Awaited(outcome=_unknown(handle), progress=())
        await call.over.wait()
        assert call.outcome is not None  # noqa: S101 - it's over
        said, call.progress = tuple(call.progress), []
        self._calls.pop((call.session, call.id), None)
        return Awaited(outcome=call.outcome, progress=said)

    async def cancel(self, session: str, handle: Json) -> ToolOutcome:
        """
        End a call: it's told, and cut off if it doesn't listen.

        A handle that isn't one, or that the session hasn't got, is a failure.
        """
        try:
            call = self._calls[session, handle_id(handle)]
        except (InvalidInput, KeyError):
            return _unknown(handle)
        return await _cancel(call)

    def shown(self, session: str) -> Sequence[Json]:
        """Return the handles of the session's calls that aren't over, oldest first."""
        return [call.value for call in self._live(session)]

    def validate_visible(self, session: str, ids: Sequence[str]) -> None:
        """
        Accept *ids* if each is of a live call or a live task of the session.

        Raises:
            UnknownTask: One isn't; it's the first.
        """
        seen = {call.id for call in self._live(session)}
        seen |= {record.id for record in self._tree.tasks.list(session)}
        for id in ids:
            if id not in seen:
                raise UnknownTask(id)

    def transfer(self, origin: str, to: str, ids: Sequence[str]) -> None:
        """
        Move calls and tasks to another session, all or none; unknown ids are passed over.

        Raises:
            TaskExists: One there has one of the *ids*.
        """
        if origin == to or not ids:
            return
        for id in ids:
            if (to, id) in self._calls:
                raise TaskExists(id)
        self._tree.tasks.check_transfer(to, ids)
        for id in ids:
            call = self._calls.pop((origin, id), None)
            if call is not None:
                call.session = to
                self._calls[to, id] = call
        self._tree.tasks.transfer(origin, to, ids)

    async def cancel_unreferenced(self, session: str, keep: Sequence[str]) -> Sequence[TaskRecord]:
        """End every live call and task of a session but those of *keep*; return the tasks."""
        calls = [call for call in self._live(session) if call.id not in keep]
        await asyncio.gather(*map(_cancel, calls))
        tasks = [record for record in self._tree.tasks.list(session) if record.id not in keep]
        return await asyncio.gather(
            *[self._tree.tasks.cancel(session, record.id) for record in tasks]
        )

    async def closed(self, session: str) -> None:
        """End what a closed session had begun."""
        await asyncio.gather(*map(_cancel, self._live(session)))
        for key in [key for key in self._calls if key[0] == session]:
            del self._calls[key]

    async def close(self) -> None:
        """End every call."""
        live = [call for call in self._calls.values() if call.outcome is None]
        await asyncio.gather(*map(_cancel, live))

    def _live(self, session: str) -> list[Call]:
        return [
            call
            for (owner, _id), call in self._calls.items()
            if owner == session and call.outcome is None
        ]


def handle_id(handle: Json) -> str:
    """
    Return the id that a handle, as a model gives it back, stands for.

    Raises:
        InvalidInput: It's no handle.
    """
    if isinstance(handle, str):
        return handle
    if isinstance(handle, Mapping) and handle.get(MARK) == "task":
        id = handle.get("id")
        if isinstance(id, str):
            return id
    raise InvalidInput(f"expected a handle, found {handle!r}")


async def _run(call: Call, work: Work) -> None:
    try:
        value = await work(call)
        if not isinstance(value, (Success, Failure, Cancelled)):
            value = Success(value=as_json(value))
        call.end(value)
    except asyncio.CancelledError:
        call.end(Cancelled())
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        call.end(Failure(reason="execution", code="tool_raised", message=text))


async def _cancel(call: Call) -> ToolOutcome:
    call.cancelled.set()
    task = call.task
    if task is not None and call.outcome is None:
        await asyncio.wait([task], timeout=PATIENCE)
        if call.outcome is None:
            task.cancel()
            call.end(Cancelled())
    assert call.outcome is not None  # noqa: S101 - it has ended
    return call.outcome


def _unknown(handle: Json) -> Failure:
    text = f"no such handle: {handle!r}"
    return Failure(reason="invalid_request", code="unknown_handle", message=text, source="runtime")
