"""Shell commands that are watched, and wake a session when they say something."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from lash_sdk.errors import InvalidInput

from .errors import TaskExists, UnknownMonitor
from .processes import Shell, Where
from .state import recall, remember
from .tasks import TaskSpec, TaskState

if TYPE_CHECKING:
    from lash_sdk.dispatch.live import Live

    from .tree import Tree

MonitorState: TypeAlias = Literal["idle", "running", "stopped", "exited", "failed"]

UPDATES: Final = 128
"""Updates that wait to be taken; then the oldest make way."""
DEFAULT: Final = 300.0
"""Seconds that a command may run, unless its monitor says otherwise."""
LONGEST: Final = 3600.0
"""What a monitor may say, at most."""

Arming: TypeAlias = Literal["manual", "session_start"]
Waking: TypeAlias = Literal["notify", "queue_turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSpec:
    """
    A command that's to be watched.

    Attributes:
        owner: The plugin that brings it; shown before its id.
        persistent: Whether it may run for ever.
        timeout: Seconds that it may run otherwise, at most an hour.
        arm_on: Whether it starts by itself when the session is first asked for it.
        wake: Whether a line of its output is to begin a turn, or only be noted.
        restart_on_restore: Whether it starts again in a session that's reopened.
    """

    id: str
    command: str
    owner: str = ""
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    persistent: bool = False
    timeout: float = DEFAULT
    arm_on: Arming = "manual"
    wake: Waking = "queue_turn"
    restart_on_restore: bool = False

    def __post_init__(self) -> None:
        if not self.id or not self.command.strip():
            raise InvalidInput(f"monitor {self.id!r}: expected an id and a command")
        if not 0 < self.timeout <= LONGEST:
            raise InvalidInput(f"timeout: expected at most {LONGEST} s, found {self.timeout!r}")
        for name, word, words in (("arm_on", self.arm_on, Arming), ("wake", self.wake, Waking)):
            if word not in get_args(words):
                known = " or ".join(map(repr, get_args(words)))
                raise InvalidInput(f"{name}: expected {known}, found {word!r}")

    @property
    def shown(self) -> str:
        """The id that it's called by."""
        return f"{self.owner}:{self.id}" if self.owner else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorStatus:
    """How a monitor is doing; `last` is the last line it printed."""

    spec: MonitorSpec
    armed: bool
    state: MonitorState
    last: str = ""
    error: str = ""
    exit_status: int | None = None
    events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSnapshot:
    """All monitors of a session, by id; `revision` grows with each change."""

    revision: int
    active: int
    statuses: tuple[MonitorStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorUpdate:
    """
    Something that a monitor tells.

    Attributes:
        sequence: Strictly grows within a session.
        queue_turn_input: What a turn should begin with; set once until it's acknowledged.
    """

    sequence: int
    monitor_id: str
    message: str
    queue_turn_input: str | None = None


@dataclass(slots=True, eq=False)
class _Monitor:
    spec: MonitorSpec
    armed: bool = False
    state: MonitorState = "idle"
    last: str = ""
    error: str = ""
    exit_status: int | None = None
    events: int = 0
    waking: bool = False
    shell: Shell | None = None
    watcher: asyncio.Task[None] | None = None

    def status(self) -> MonitorStatus:
        """Return how it's doing."""
        return MonitorStatus(
            spec=self.spec,
            armed=self.armed,
            state=self.state,
            last=self.last,
            error=self.error,
            exit_status=self.exit_status,
            events=self.events,
        )


@dataclass(slots=True, eq=False)
class _Watch:
    """The monitors of one session, and what they told."""

    monitors: dict[str, _Monitor] = field(default_factory=dict)
    updates: deque[MonitorUpdate] = field(default_factory=lambda: deque(maxlen=UPDATES))
    sequence: int = 0
    revision: int = 0
    asked: bool = False  # whether plugins were asked for theirs
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Monitors:
    """The monitors of every session of one `Lash`; each is its own session's."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._watches: dict[str, _Watch] = {}

    async def start(self, live: Live, spec: MonitorSpec) -> MonitorStatus:
        """
        Watch a command; one that runs already is left as it is.

        Raises:
            OSError: It can't be started.
        """
        watch = self._watch(live)
        monitor = watch.monitors.get(spec.shown)
        if monitor is None or (monitor.state != "running" and monitor.spec != spec):
            monitor = watch.monitors[spec.shown] = _Monitor(spec)
        stopped = recall(live).stopped_monitors
        if spec.shown in stopped:
            remember(live, stopped_monitors=tuple([id for id in stopped if id != spec.shown]))
        monitor.armed = True
        await self._run(live.id, watch, monitor)
        return monitor.status()

    async def status(self, live: Live) -> MonitorSnapshot:
        """Return a snapshot; those that are armed are started first."""
        watch = await self._ready(live)
        statuses = [watch.monitors[id].status() for id in sorted(watch.monitors)]
        active = sum(status.state == "running" for status in statuses)
        return MonitorSnapshot(revision=watch.revision, active=active, statuses=tuple(statuses))

    async def take_updates(self, live: Live) -> Sequence[MonitorUpdate]:
        """Return what monitors told since the last time, oldest first."""
        watch = await self._ready(live)
        taken = tuple(watch.updates)
        watch.updates.clear()
        watch.woken.clear()
        return taken

    async def wait(self, live: Live) -> None:
        """Return once there's something to take; nothing is missed in between."""
        watch = await self._ready(live)
        while not watch.updates:
            watch.woken.clear()
            await watch.woken.wait()

    def ack_wake(self, session: str, ids: Sequence[str]) -> None:
        """Let monitors wake the session again; unknown ones are passed over."""
        watch = self._watches.get(session, _Watch())
        for id in ids:
            if id in watch.monitors:
                watch.monitors[id].waking = False

    async def stop(self, live: Live, id: str) -> MonitorStatus:
        """
        Stop a monitor, and all that its command started; it stays so until it's started.

        Raises:
            UnknownMonitor: The session has none of that id.
        """
        watch = await self._watched(live)
        monitor = watch.monitors.get(id)
        if monitor is None:
            raise UnknownMonitor(id)
        await self._end(live.id, watch, monitor, "stopped")
        stopped = recall(live).stopped_monitors
        if id not in stopped:
            remember(live, stopped_monitors=(*stopped, id))
        return monitor.status()

    async def closed(self, session: str) -> None:
        """Stop what a closed session watched."""
        watch = self._watches.pop(session, None)
        if watch is not None:
            for monitor in watch.monitors.values():
                await self._end(session, watch, monitor, "stopped")

    async def close(self) -> None:
        """Stop everything."""
        for session in tuple(self._watches):
            await self.closed(session)

    # --- inside --------------------------------------------------------------------

    def _watch(self, live: Live) -> _Watch:
        return self._watches.setdefault(live.id, _Watch())

    async def _watched(self, live: Live) -> _Watch:
        """Return a session's monitors, those that plugins bring among them: asked once."""
        watch = self._watch(live)
        if not watch.asked:
            watch.asked = True
            stopped = recall(live).stopped_monitors
            plan = live.plans.provide_monitors
            for plugin, specs in () if plan is None else plan(live.context()):
                for spec in specs:
                    named = _owned(spec, plugin.name)
                    monitor = watch.monitors.setdefault(named.shown, _Monitor(named))
                    again = live.revision == 0 or named.restart_on_restore
                    wanted = named.arm_on == "session_start" and again
                    monitor.armed = wanted and named.shown not in stopped
        return watch

    async def _ready(self, live: Live) -> _Watch:
        watch = await self._watched(live)
        for monitor in tuple(watch.monitors.values()):
            if monitor.armed and monitor.state != "running":
                with suppress(OSError):
                    await self._run(live.id, watch, monitor)
        return watch

    async def _run(self, session: str, watch: _Watch, monitor: _Monitor) -> None:
        if monitor.state == "running":
            return
        spec = monitor.spec
        monitor.state = "running"

        def take(where: Where, line: str) -> None:
            self._take(watch, monitor, where, line)

        try:
            monitor.shell = await Shell.start(spec.command, take, cwd=spec.cwd, env=spec.env)
        except OSError as error:
            self._over(watch, monitor, "failed", error=f"can't be started: {error}")
            raise
        watch.revision += 1
        monitor.error, monitor.exit_status = "", None
        monitor.watcher = self._tree.spawn(
            self._follow(session, watch, monitor, monitor.shell), f"lash-monitor-{spec.shown}"
        )
        task = TaskSpec(
            id=f"monitor:{spec.shown}",
            kind="monitor",
            producer=spec.owner,
            cancel_policy="external",
            close_policy="cancel",
        )

        async def cancel() -> None:
            await self._end(session, watch, monitor, "stopped")

        with suppress(TaskExists):  # one that's just over may still be in the books
            self._tree.tasks.register(session, task, cancel)

    async def _follow(self, session: str, watch: _Watch, monitor: _Monitor, shell: Shell) -> None:
        """See a command to its end, or end it when its time is over."""
        spec = monitor.spec
        try:
            async with asyncio.timeout(None if spec.persistent else spec.timeout):
                status = await shell.wait()
        except TimeoutError:
            await shell.stop()
            why = f"timed out after {spec.timeout} s"
            self._over(watch, monitor, "failed", error=why)
            self._tree.tasks.mark_terminal(session, f"monitor:{spec.shown}", "failed", why)
            return
        except asyncio.CancelledError:
            await shell.stop()
            raise
        if monitor.shell is not shell:
            return
        state: MonitorState = "exited" if status == 0 else "failed"
        why = "" if status == 0 else f"exit status {status}"
        self._over(watch, monitor, state, error=why, status=status)
        ended: TaskState = "completed" if status == 0 else "failed"
        self._tree.tasks.mark_terminal(session, f"monitor:{spec.shown}", ended, why)

    async def _end(
        self, session: str, watch: _Watch, monitor: _Monitor, state: MonitorState
    ) -> None:
        shell, watcher = monitor.shell, monitor.watcher
        running = monitor.state == "running"
        self._over(watch, monitor, state)
        if shell is not None and running:
            await shell.stop()
        if watcher is not None and not watcher.done():
            await asyncio.wait([watcher], timeout=1.0)
        self._tree.tasks.mark_terminal(session, f"monitor:{monitor.spec.shown}", "cancelled")

    def _over(
        self,
        watch: _Watch,
        monitor: _Monitor,
        state: MonitorState,
        *,
        error: str = "",
        status: int | None = None,
    ) -> None:
        """Note the end of a command, however it came; nothing starts it again by itself."""
        monitor.armed = monitor.waking = False
        monitor.shell = None
        monitor.state, monitor.error, monitor.exit_status = state, error, status
        watch.revision += 1
        if state == "failed":
            self._tell(watch, monitor, error)

    def _take(self, watch: _Watch, monitor: _Monitor, where: Where, line: str) -> None:
        monitor.events += 1
        monitor.last = line
        wakes = where == "stdout" and monitor.spec.wake == "queue_turn" and not monitor.waking
        monitor.waking = monitor.waking or wakes
        self._tell(watch, monitor, line, wakes=wakes)

    def _tell(self, watch: _Watch, monitor: _Monitor, line: str, *, wakes: bool = False) -> None:
        watch.sequence += 1
        shown = monitor.spec.shown
        update = MonitorUpdate(
            sequence=watch.sequence,
            monitor_id=shown,
            message=line,
            queue_turn_input=f"[monitor {shown}] {line}" if wakes else None,
        )
        watch.updates.append(update)
        watch.woken.set()


def _owned(spec: MonitorSpec, plugin: str) -> MonitorSpec:
    """Return a plugin's monitor under the plugin's name."""
    return replace(spec, owner=plugin)
