"""`Lash`: the application's side of everything. Three lines to a first turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from .contexts import HostContext
from .dispatch.live import Live
from .dispatch.toolbox import Toolbox
from .errors import InvalidInput, LashError, SessionClosed, expect
from .json import Json
from .outcomes import ToolOutcome
from .plugins.config import OWN, configured, patience
from .plugins.discovery import SDK_VERSION
from .plugins.loading import Broken, gather
from .plugins.registered import Registered
from .plugins.registry import Registry
from .plugins.supply import Supplies
from .policy import Durability, Limits, OnBusy, OnInterrupted, Policy, Retry
from .ports import Model, SessionSpec, SessionSummary, Store
from .prompt import PromptPart
from .session.actions import act
from .session.asks import Desk, Rules
from .session.handle import Session
from .session.host import Host
from .session.lane import Lane
from .session.opening import bear, open_live
from .session.recovery import left_over
from .session.roles import Roles
from .tools import Function, Tool, as_tool


class Lash:
    """
    An application of agents: one store, one set of plugins, any sessions.

    It's an async context manager; nothing is imported or opened before it's
    entered, and everything is released when it's left.
    """

    def __init__(
        self,
        *,
        model: str | Model = "",
        store: str | Store = "memory:",
        tools: Sequence[Tool | Function] = (),
        plugins: Sequence[object] = (),
        autoload: bool = True,
        durability: Durability = "effect",
        instructions: str | Sequence[PromptPart] = "",
        limits: Limits | None = None,
        retry: Retry | None = None,
        on_busy: OnBusy = "reject",
        on_interrupted: OnInterrupted = "refuse",
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Take what every session starts from.

        Args:
            model: "<scheme>:<name>", or a model object.
            store: A URL, or a store object.
            tools: Functions, or what `@tool` made of them.
            plugins: Plugin classes, beside those that are installed.
            autoload: Whether installed plugins take part.
            durability: "effect" or "turn".
            instructions: The application's part of the prompt.
            limits: How far a turn may go.
            retry: How often a model is asked again after a failure that may pass.
            on_busy: What a second turn on a busy session meets.
            on_interrupted: What a turn on an interrupted session meets.
            config: A section per plugin, and "plugins" for all.

        Raises:
            InvalidInput: A value can't be used; the message names it.
        """
        _one_of("durability", durability, ("effect", "turn"))
        _one_of("on_busy", on_busy, ("reject", "queue", "fork"))
        _one_of("on_interrupted", on_interrupted, ("refuse", "resume"))
        if not hasattr(store, "commit"):  # or it stands before one
            expect(str | Store, store=store)
        expect(Iterable, tools=tools, plugins=plugins, instructions=instructions)
        expect(Limits | None, limits=limits)
        expect(Retry | None, retry=retry)
        expect(Mapping | None, config=config)
        self._model = model
        self._store_given = store
        self._tools = tuple([as_tool(each) for each in tools])
        self._given = tuple(plugins)
        self._autoload = autoload
        self._rules = Rules(on_busy=on_busy, on_interrupted=on_interrupted, durability=durability)
        self._config = dict(config or {})
        text = instructions if isinstance(instructions, str) else ""
        self._parts = () if isinstance(instructions, str) else tuple(instructions)
        expect(PromptPart, **{f"instructions[{at}]": part for at, part in enumerate(self._parts)})
        self._policy = Policy(instructions=text, limits=limits or Limits(), retry=retry or Retry())
        self._desk = Desk(model=self.model, open=self.session, release=self._release)
        self._lanes: dict[str, Lane] = {}
        self._doors: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._models: dict[str, Model] = {}
        self._closing = asyncio.Event()
        self._shared: asyncio.Task[None] | None = None
        self._open = False
        self.broken: list[Broken] = []
        """Installed plugins that don't take part, and why."""

    @property
    def plugins(self) -> tuple[Registered, ...]:
        """The plugins that take part, in their order."""
        return tuple(self.registry.plugins)

    @property
    def store(self) -> Store:
        """The store, open while the app is."""
        return self._store

    async def __aenter__(self) -> Lash:
        """
        Import and configure the plugins, and open the store.

        Raises:
            ConfigError: The configuration doesn't fit; it lists every problem.
            PluginConflict: Two plugins claim one thing.
            PluginFault: A plugin's hook doesn't fit, or failed.
            Unavailable: A scheme's package isn't installed.
            StoreError: The store can't be opened.
        """
        found, self.broken = await asyncio.to_thread(
            gather, self._given, autoload=self._autoload, config=self._config
        )
        absent = frozenset([each.found.name for each in self.broken])
        chosen = configured(found, self._config, absent)
        self.registry = Registry(chosen, patience=patience(self._config))
        ctx = HostContext(SDK_VERSION, {k: v for k, v in self._config.items() if k != OWN})
        self._supplies = Supplies(self.registry, ctx, self.broken)
        given = self._store_given
        self._store = self._supplies.store(given) if isinstance(given, str) else given
        host = Host(self._store, self.model, self._open_session, self._lanes)
        self._roles = Roles(host)
        self._roles.manager = self._supplies.manager(host)
        try:
            if self._model != "":
                self.model(self._model)
            await self._start_shared(ctx)
            await self._store.open()
        except BaseException:
            for model in self._models.values():
                await model.close()
            await self._stop_shared()
            raise
        self._open = True
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.close()

    def session(
        self,
        id: str,
        *,
        model: str | Model | None = None,
        instructions: str | None = None,
        tools: Sequence[Tool | Function] | None = None,
        limits: Limits | None = None,
    ) -> Opening:
        """
        Return session *id*, to await or to enter; it's made by its first commit.

        What isn't None stands in place of the app's and of what was configured.

        Raises:
            InvalidInput: The id can't be used, or the session is open already
                with other settings.
            SessionDeleted: The id was used by a session that's gone.
            PluginFault: A plugin's state can't be restored, or a hook failed.
        """
        expect(Iterable | None, tools=tools)
        own = None if tools is None else [as_tool(each) for each in tools]
        spec = SessionSpec(id=id, model=model, instructions=instructions, limits=limits, tools=own)
        return Opening(open=self._open_session, spec=spec)

    async def sessions(
        self,
        *,
        before: float | None = None,
        limit: int = 100,
        prefix: str = "",
        children: bool = False,
    ) -> Sequence[SessionSummary]:
        """
        Return summaries, newest first; those of children only if asked for.

        A session whose first turn isn't committed yet is among them: `unfinished`.
        """
        found = await self._alive().store.sessions(before=before, limit=limit, prefix=prefix)
        return [each for each in found if children or each.parent is None]

    async def delete(self, id: str) -> bool:
        """Delete a session for good; return whether there was one."""
        lane = self._alive()._lanes.pop(id, None)
        if lane is not None:
            await lane.close()
        return await self._store.delete(id)

    async def act(self, name: str, *, session: str | None = None, **arguments: Json) -> ToolOutcome:
        """
        Ask a plugin's action something, in a session or outside of any.

        Raises:
            InvalidInput: There's no such action, or it wants a session and has
                none, or the other way round.
        """
        if session is not None:
            async with self.session(session) as opened:
                return await opened.act(name, **arguments)
        live = self._live(SessionSpec(id="none"), self._policy)
        return await act(live, name, arguments, in_session=False)

    def model(self, wanted: str | Model) -> Model:
        """
        Return a model object for a spec; the same spec is the same object.

        Raises:
            InvalidInput: It's no spec.
            Unavailable: Nobody supplies its scheme; the message names the package.
        """
        if not isinstance(wanted, str):
            if not hasattr(wanted, "answer"):
                raise InvalidInput(f"model: expected '<scheme>:<name>' or Model, found {wanted!r}")
            return wanted
        if wanted not in self._models:
            self._models[wanted] = self._supplies.model(wanted)
        return self._models[wanted]

    async def close(self) -> None:
        """Settle running turns and release everything; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        manager = self._roles.manager
        managers = [] if manager is None else [manager.close]
        models = [model.close for model in self._models.values()]
        await _all([*managers, self._close_lanes, self._stop_shared, *models, self._store.close])

    async def _close_lanes(self) -> None:
        try:
            await _all([lane.close for lane in self._lanes.values()])
        finally:
            self._lanes.clear()

    async def _open_session(self, spec: SessionSpec) -> Session:
        self._alive()
        async with self._doors.setdefault(spec.id, asyncio.Lock()):
            lane = self._lanes.get(spec.id)
            if lane is None or lane.closed:
                lane = await self._make_lane(spec)
                self._lanes[spec.id] = lane
            elif spec.changes_anything:
                raise InvalidInput(f"session {spec.id!r} is open already: use session.configure")
            lane.handles += 1
        return Session(lane, self._desk)

    async def _make_lane(self, spec: SessionSpec) -> Lane:
        wanted = self._model if spec.model is None else spec.model
        own = None if isinstance(wanted, str) else self.model(wanted)
        policy = self._policy.with_overrides(
            model=wanted if isinstance(wanted, str) else wanted.name,
            instructions=spec.instructions,
            limits=spec.limits,
        )
        live = self._live(spec, policy)
        if spec.birth is not None:
            await bear(self._store, spec.id, spec.birth)
        await open_live(live, self._roles.host.live, keep=spec.kept, unseen=spec.unseen)
        if own is not None and live.policy.model != own.name:
            own = None  # the session was configured to use another
        lane = Lane(live, replace(self._rules, kept=spec.kept), own)
        lane.interrupted, lane.unsettled = await left_over(live)
        return lane

    def _live(self, spec: SessionSpec, policy: Policy) -> Live:
        tools = self._tools if spec.tools is None else spec.tools
        return Live(
            id=spec.id,
            registry=self.registry,
            store=self._store,
            model=self.model,
            policy=policy,
            parts=(*self._parts, *spec.parts),
            toolbox=Toolbox((*tools, *spec.more)),
            roles=self._roles,
        )

    async def _release(self, lane: Lane) -> None:
        async with self._doors.setdefault(lane.live.id, asyncio.Lock()):
            lane.handles -= 1
            if lane.handles == 0:
                await lane.close()
                if self._lanes.get(lane.live.id) is lane:
                    del self._lanes[lane.live.id]

    def _alive(self) -> Lash:
        if not self._open:
            raise SessionClosed("(the app isn't open: use 'async with Lash(...)')")
        return self

    async def _start_shared(self, ctx: HostContext) -> None:
        """Enter every `around_app`; they stay around until the app closes."""
        self.registry.deadline.start()
        ready = asyncio.get_running_loop().create_future()

        async def inner() -> None:
            ready.set_result(None)
            await self._closing.wait()

        around = self.registry.around_app(ctx, inner)
        if around is inner:
            return
        shared: asyncio.Task[None] = asyncio.create_task(around())  # type: ignore[arg-type]
        try:
            await asyncio.wait([ready, shared], return_when="FIRST_COMPLETED")
        except asyncio.CancelledError:
            shared.cancel()
            raise
        if not ready.done():
            await shared
            raise LashError("a plugin's around_app returned before the app opened")
        self._shared = shared

    async def _stop_shared(self) -> None:
        self._closing.set()
        self.registry.deadline.stop()
        if self._shared is not None:
            await self._shared


@dataclass(slots=True, kw_only=True, eq=False)
class Opening:
    """A session on its way: await it, or enter it."""

    open: Callable[[SessionSpec], Coroutine[Any, Any, Session]]
    spec: SessionSpec
    session: Session | None = None

    def __await__(self) -> Generator[Any, None, Session]:
        return self.open(self.spec).__await__()

    async def __aenter__(self) -> Session:
        self.session = await self
        return self.session

    async def __aexit__(self, *_raised: object) -> None:
        if self.session is not None:
            await self.session.close()


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInput(f"{name}: expected one of {choices}, found {value!r}")


async def _all(closers: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Call each, whatever the others do; the last error is raised at the end."""
    async with AsyncExitStack() as stack:
        for closer in reversed(closers):
            stack.push_async_callback(closer)
