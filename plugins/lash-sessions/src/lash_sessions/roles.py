"""What hooks and tools are handed: one object per role, for one who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from lash_sdk.messages import Message
from lash_sdk.ports import Asker, InboxItem, ModelRequest

from . import creating, direct, turns
from .errors import StillNeeded
from .requests import Authority, SessionHandle, as_message
from .state import authority, recall, remember
from .tasks import TaskChanged, TaskKind, TaskRecord, TaskSpec, TaskState

if TYPE_CHECKING:
    from lash_sdk.dispatch.live import Live
    from lash_sdk.json import Json
    from lash_sdk.messages import UserPart
    from lash_sdk.outcomes import ToolOutcome
    from lash_sdk.ports import Model
    from lash_sdk.session import Session, TurnRecord

    from .background import Cancel, Work
    from .direct import DirectAnswer, DirectRequest
    from .handles import Awaited, Namespace
    from .handles import Work as HandleWork
    from .tree import Tree


class Role:
    """What one who asks may do."""

    __slots__ = ("_asker", "_live", "_tree")

    def __init__(self, tree: Tree, asker: Asker) -> None:
        self._tree = tree
        self._asker = asker
        self._live: Live = asker.live


class Lifecycle(Role):
    """Sessions that come and go."""

    __slots__ = ()

    async def create(self, request: object = None) -> SessionHandle:
        """
        Make a session, by a `SessionRequest` or its JSON form; all of it, or nothing.

        Within a turn it's seen once the turn is committed, and goes if that's lost.

        Raises:
            SessionExists: Its id is taken.
            InvalidInput: The request can't be used.
        """
        return await creating.create(self._tree, self._asker, request)

    async def close_session(self, session: str) -> None:
        """
        Close a session that was made; what it holds stays in the store.

        If it was handed to, its predecessor's turns run there again.

        Raises:
            StillNeeded: It's the one that asks, or a turn of its is running or its
                result wasn't taken.
        """
        if session == self._live.id:
            raise StillNeeded(session, "it's the one that asks")
        made = self._tree.made.get(session)
        if made is None:
            return
        if made.running is not None:
            raise StillNeeded(session, f"turn {made.running.id!r} runs, or wants to be awaited")
        remember(made.live, seed=None)
        maker = self._tree.host.live(made.maker)
        if maker is not None and recall(maker).successor == session:
            remember(maker, successor=recall(made.live).successor)
            if maker.aside is None:
                await self._tree.host.commit(made.maker, f"closed:{session}")
        await self._tree.forget(session)

    async def inject_turn_input(
        self, session: str, input: str | Sequence[UserPart] | Message, *, key: str | None = None
    ) -> str:
        """
        Hand a session that was made input for its next checkpoint; return its key.

        It's durable on return, and a running turn isn't waited for. The same *key*
        and input are handed over once.

        Raises:
            UnknownSession: There's no such session here.
        """
        made = self._tree.find(session)
        name = key or creating.fresh()
        item = InboxItem(key=name, body=as_message(input).to_json())
        await self._tree.host.store.enqueue(made.live.id, item)
        return name

    def take_first_turn_input(self, session: str) -> Message | None:
        """Return the input that waits for a session's first turn; once, then None."""
        live = self._tree.host.live(session)
        return None if live is None else creating.take_first_turn_input(live)

    def activate_managed_session(self, session: str) -> Session:
        """
        Take a session out of these hands, and return it as the caller's own.

        Raises:
            UnknownSession: There's no such session here.
            StillNeeded: A turn of its runs, or its result wasn't taken.
        """
        made = self._tree.find(session)
        if made.running is not None:
            raise StillNeeded(session, f"turn {made.running.id!r} runs, or wants to be awaited")
        del self._tree.made[session]
        return made.session

    async def reopen_session(self, session: str) -> SessionHandle | None:
        """Take a session that was made earlier back into these hands; None if it's gone."""
        made = await self._tree.reopen(session)
        return None if made is None else made.handle

    def sessions_made(self) -> Sequence[SessionHandle]:
        """Return the open sessions that the one which asks has made, oldest first."""
        return [made.handle for made in self._tree.made.values() if made.maker == self._live.id]

    def authority(self, session: str | None = None) -> Authority | None:
        """Return what a session may do as a sub-agent; None for one that is none."""
        live = self._live if session is None else self._tree.find(session).live
        return authority(live)


class Turns(Role):
    """Turns of sessions that were made."""

    __slots__ = ()

    async def start_turn_stream(
        self,
        session: str,
        input: str | Sequence[UserPart],
        *,
        output: Any = None,
        model: str | Model | None = None,
        instructions: str | None = None,
    ) -> turns.TurnHandle:
        """
        Start a turn, and return at once; its events may be read or left.

        Raises:
            UnknownSession: There's no such session here.
            SessionBusy: A turn of its runs, or its result wasn't taken.
        """
        order = turns.Order(input=input, output=output, model=model, instructions=instructions)
        return turns.start(self._tree, self._asker, session, order)

    async def start_turn(
        self,
        session: str,
        input: str | Sequence[UserPart],
        *,
        output: Any = None,
        model: str | Model | None = None,
        instructions: str | None = None,
    ) -> TurnRecord:
        """
        Start a turn and return its record, once it's over; who stops waiting stops it.

        Raises:
            UnknownSession: There's no such session here.
            SessionBusy: A turn of its runs, or its result wasn't taken.
            LashError: The turn's own.
        """
        order = turns.Order(input=input, output=output, model=model, instructions=instructions)
        running = turns.ready(self._tree, self._asker, session, order)
        running.begin()
        try:
            return await turns.take(self._tree, running.id)
        except asyncio.CancelledError:
            running.drop()
            raise

    async def await_turn(self, turn: str) -> TurnRecord:
        """
        Return a turn's record, once it's over; it's taken by that.

        Until then it can be awaited again, by whomever; cancelling the wait leaves
        the turn running.

        Raises:
            UnknownTurn: It was never started here, or its result was taken.
            LashError: The turn's own.
        """
        return await turns.take(self._tree, turn)

    async def cancel_turn(self, turn: str) -> None:
        """
        Tell a turn to stop, and return at once; again is fine.

        Raises:
            UnknownTurn: It was never started here, or its result was taken.
        """
        turns.cancel(self._tree, turn)

    async def drop_turn(self, turn: str) -> None:
        """Stop a turn whose result nobody wants, and return at once; an unknown one is."""
        turns.drop(self._tree, turn)


class Background(Role):
    """Work in the background, and calls that go on; a session's own alone."""

    __slots__ = ()

    def spawn_hidden_task(self, work: Coroutine[Any, Any, Any], session: str | None = None) -> None:
        """Run *work* unlisted; `await_hidden` waits for it."""
        self._tree.tasks.spawn_hidden(self._scope(session), work)

    async def await_hidden(self, session: str | None = None) -> None:
        """Return once no hidden work is left; raise the first error there was."""
        await self._tree.tasks.await_hidden(self._scope(session))

    def spawn_background_task(
        self, spec: TaskSpec, work: Work, session: str | None = None
    ) -> TaskRecord:
        """
        Run *work* as a task in the books.

        Raises:
            TaskExists: A live task has its id.
            UnknownSession: There's no such session here.
        """
        return self._tree.tasks.spawn(self._scope(session), spec, work)

    def register_background_task(
        self, spec: TaskSpec, cancel: Cancel | None = None, session: str | None = None
    ) -> TaskRecord:
        """
        Keep a task that's owned elsewhere in the books.

        Raises:
            TaskExists: A live task has its id.
            UnknownSession: There's no such session here.
        """
        return self._tree.tasks.register(self._scope(session), spec, cancel)

    def unregister_background_task(self, task: str) -> None:
        """Take a task out of the books; an unknown one is."""
        self._tree.tasks.unregister(self._live.id, task)

    def mark_terminal(self, task: str, state: TaskState, summary: str = "") -> TaskRecord | None:
        """Note that a task is over: an end is final, and an unknown task is no error."""
        return self._tree.tasks.mark_terminal(self._live.id, task, state, summary)

    def mark_live_state(self, task: str, state: TaskState) -> TaskRecord | None:
        """Note that a task runs or waits, unless it's over."""
        return self._tree.tasks.mark_live_state(self._live.id, task, state)

    async def list_background_tasks(
        self,
        session: str | None = None,
        *,
        kind: TaskKind | None = None,
        include_terminal: bool = False,
    ) -> Sequence[TaskRecord]:
        """
        Return tasks, oldest first; also those that a session left when it was closed.

        Raises:
            UnknownSession: There's no such session here, and none that left tasks.
        """
        scope = self._books(session)
        return self._tree.tasks.list(scope, kind=kind, include_terminal=include_terminal)

    async def cancel_background_task(self, task: str, session: str | None = None) -> TaskRecord:
        """
        Stop a task; return its record.

        Raises:
            UnknownTask: There's none of that id.
            UnknownSession: There's no such session here, and none that left tasks.
        """
        return await self._tree.tasks.cancel(self._books(session), task)

    async def cancel_all(self) -> Sequence[TaskRecord]:
        """Stop every live task; return their records."""
        return await self._tree.tasks.cancel_all(self._live.id)

    def task_events(self) -> AsyncIterator[TaskChanged]:
        """Return what happens to the session's tasks from now on, to iterate."""
        return self._tree.tasks.events(self._live.id)

    def start_handle(self, tool: str, work: HandleWork, *, namespace: Namespace = "tool") -> Json:
        """Begin a call that goes on; return its handle at once."""
        return self._tree.handles.start(self._live.id, tool, work, namespace=namespace)

    async def await_handle(self, handle: Json) -> Awaited:
        """Return what came of a call, once it's over."""
        return await self._tree.handles.wait(self._live.id, handle)

    async def cancel_handle(self, handle: Json) -> ToolOutcome:
        """End a call; return what came of it."""
        return await self._tree.handles.cancel(self._live.id, handle)

    def list_handles(self) -> Sequence[Json]:
        """Return the handles of the calls that aren't over."""
        return self._tree.handles.shown(self._live.id)

    def validate_visible(self, ids: Sequence[str], session: str | None = None) -> None:
        """
        Accept *ids* if each is of a live call or task.

        Raises:
            UnknownTask: The first that isn't.
        """
        self._tree.handles.validate_visible(self._books(session), ids)

    def transfer(self, origin: str, to: str, ids: Sequence[str]) -> None:
        """
        Move calls and tasks from one session to another, all or none.

        *origin* may be closed, if it left tasks.

        Raises:
            TaskExists: One there has one of the *ids*.
            UnknownSession: One of the two isn't here.
        """
        self._tree.handles.transfer(self._books(origin), self._scope(to), ids)

    async def cancel_unreferenced(
        self, keep: Sequence[str], session: str | None = None
    ) -> Sequence[TaskRecord]:
        """End every live call and task but those of *keep*."""
        return await self._tree.handles.cancel_unreferenced(self._books(session), keep)

    def _scope(self, session: str | None) -> str:
        return self._tree.meant(self._asker, session)

    def _books(self, session: str | None) -> str:
        return self._tree.books(self._asker, session)


class Direct(Role):
    """Models asked once, outside a conversation."""

    __slots__ = ()

    async def direct_completion(
        self, request: DirectRequest | str, source: str = "direct"
    ) -> DirectAnswer:
        """
        Return what a model answers; the session pays, under *source*.

        Raises:
            InvalidInput: The model or its variant isn't known.
            ModelError: There's no answer, or it doesn't fit.
        """
        return await direct.complete(self._tree, self._asker, request, source)

    async def direct_llm_completion(
        self, request: ModelRequest, source: str = "direct", *, model: str | Model | None = None
    ) -> DirectAnswer:
        """
        Return the whole answer to a whole request, its model taken as it's named.

        Raises:
            ModelError: There's no answer.
        """
        return await direct.complete_whole(self._tree, self._asker, request, source, model)
