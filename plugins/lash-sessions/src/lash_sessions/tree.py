"""The sessions that others made in one `Lash`, open, and what runs in them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lash_sdk.errors import LashError, SessionDeleted, SessionExists
from lash_sdk.policy import GRACE
from lash_sdk.ports import Asker, SessionHost, SessionSpec

from . import children, handoffs, recovery, spending
from .background import Tasks
from .errors import UnknownSession
from .handles import Handles
from .monitors import Monitors
from .requests import SessionHandle
from .state import Origin, introduce, recall, remember

if TYPE_CHECKING:
    from lash_sdk.dispatch.live import Live
    from lash_sdk.journal import Deed
    from lash_sdk.session import Session
    from lash_sdk.usage import UsageRow

    from .plugin import Config
    from .turns import Running

LONGEST: Final = GRACE
"""Seconds that what is told to stop may take."""


@dataclass(slots=True, eq=False)
class Made:
    """
    A session that another one made, open.

    Attributes:
        maker: The session that made it, to which its usage is passed on.
        running: The turn that was started in it and whose result nobody took.
        passed: Ids of the ledger rows that its maker has.
    """

    session: Session
    live: Live
    maker: str
    origin: Origin
    running: Running | None = None
    passed: set[str] = field(default_factory=set)

    @property
    def handle(self) -> SessionHandle:
        """What its maker is handed."""
        return SessionHandle(id=self.live.id, parent=self.live.parent, policy=self.live.policy)


class Tree:
    """
    The host of several sessions of one `Lash`: whoever asks, there's one of it.

    Attributes:
        made: The sessions that others made, by id, as long as they're open.
        reserved: Ids of those that are being made.
        turns: Turns that were started and whose result nobody took.
        slots: How many more turns a session's children may run at once.
        looked: Sessions whose children were looked after: what a process that
            ended left running in them goes on.
        kept: Those that others made, and that left tasks when they were closed.
    """

    def __init__(self, host: SessionHost, config: Config) -> None:
        self.host = host
        self.config = config
        self.made: dict[str, Made] = {}
        self.reserved: set[str] = set()
        self.turns: dict[str, Running] = {}
        self.slots: dict[str, asyncio.Semaphore] = {}
        self.looked: set[str] = set()
        self.kept: set[str] = set()
        self.tasks = Tasks()
        self.handles = Handles(self)
        self.monitors = Monitors(self)
        self._counts: dict[str, Counter[Hashable]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    # --- what the kernel asks --------------------------------------------------

    def role(self, name: str, asker: Asker) -> Any:
        """Return the role's object for whoever asks; "children" has all of them."""
        introduce(asker.live, self)
        return children.ROLES[name](self, asker)

    async def route(self, live: Live) -> Session | None:
        """Return a handle of the session that a turn on *live* is to run in; None: itself."""
        await recovery.go_on(self, live)
        return await handoffs.route(self, live)

    async def recover(self, live: Live, deeds: Sequence[Deed], *, closing: bool) -> None:
        """Bring to an end what an interrupted turn of *live* had begun elsewhere."""
        aside = live.aside
        if aside is None:
            await recovery.go_on(self, live)
            return
        self._counts.pop(aside.turn, None)
        await recovery.recover(self, live, deeds, closing=closing)

    async def settle(self, live: Live, *, cancelled: bool) -> None:
        """Hear that a turn is about to be committed; a cancelled one takes its own along."""
        aside = live.aside
        if aside is None:
            return
        self._counts.pop(aside.turn, None)
        begun = [each for each in self.turns.values() if each.asker == (live.id, aside.turn)]
        if cancelled:
            for turn in begun:
                turn.drop()
            await self.stop(begun)
        if (left := self.left(live.id)) != recall(live).left:
            remember(live, left=left)

    async def lose(self, live: Live, children: Sequence[str]) -> None:
        """Let go of *children*: the turn that made them is lost, and they go with it."""
        if live.aside is not None:
            self._counts.pop(live.aside.turn, None)
        for id in children:
            await self.forget(id)

    async def close(self) -> None:
        """Stop and release everything, before the app closes its sessions."""
        await self.monitors.close()
        await self.tasks.close()
        await self.handles.close()
        for id in tuple(self.made):
            await self.forget(id)
        running = [task for task in self._running if not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=LONGEST)

    async def closed(self, live: Live) -> None:
        """Hear that a session is closed here: what hangs on it goes, or stays, as it should."""
        self.looked.discard(live.id)
        await self.monitors.closed(live.id)
        await self.tasks.closed(live.id, live.parent)
        await self.handles.closed(live.id)
        for made in tuple(self.made.values()):
            if made.maker == live.id:
                await self.forget(made.live.id)
        made_here = self.made.get(live.id)
        if made_here is not None and made_here.live is live:
            del self.made[live.id]
            self._note_tasks(live.id)

    # --- what the rooms of this package ask --------------------------------------

    def find(self, id: str) -> Made:
        """
        Return a session that was made here.

        Raises:
            UnknownSession: There's none of that id.
        """
        found = self.made.get(id)
        if found is None:
            raise UnknownSession(id)
        return found

    def meant(self, asker: Asker, id: str | None) -> str:
        """
        Return the id of the session that's meant; None means who asks.

        Raises:
            UnknownSession: It's neither the one that asks nor made here.
        """
        if id is None or id == asker.live.id:
            return str(asker.live.id)
        return self.find(id).live.id

    def books(self, asker: Asker, id: str | None) -> str:
        """
        Return the id of the session whose tasks are meant; it may be closed if it left some.

        Raises:
            UnknownSession: It's neither the one that asks nor made here.
        """
        return id if id in self.kept else self.meant(asker, id)

    async def open(self, spec: SessionSpec) -> Made:
        """
        Return a session that another one made, open; it's made if *spec* says how.

        Raises:
            SessionExists: It's to be made, and has history.
        """
        session = await self.host.open(spec)
        live = self.host.live(spec.id)
        origin = recall(live).origin or Origin(maker=live.parent or "", relation="root")
        made = Made(session, live, origin.maker, origin)
        known = self.made.setdefault(spec.id, made)
        if known is not made:
            await session.close()
            raise SessionExists(spec.id)
        introduce(live, self)
        maker = self.host.live(origin.maker)
        if maker is not None:
            introduce(maker, self)
            made.passed.update(row.id for row in maker.ledger.rows)
        return made

    async def reopen(self, id: str) -> Made | None:
        """Return a session that was made earlier, open; None if it's gone."""
        if id in self.made:
            return self.made[id]
        try:
            if await self.host.store.head(id) is None or self.host.live(id) is not None:
                return None
            return await self.open(SessionSpec(id=id, unseen=True))
        except SessionDeleted:
            return None

    async def forget(self, id: str) -> None:
        """Close a session that was made here, its turn stopped first; unknown ones are."""
        made = self.made.get(id)
        if made is None:
            return
        if made.running is not None:
            await self.stop([made.running])
            made.running.taken()
        with suppress(LashError):
            await spending.pass_on(self, made)
        self.made.pop(id, None)
        with suppress(LashError):
            await made.session.close()
        self._note_tasks(id)

    def _note_tasks(self, id: str) -> None:
        """Remember a closed session whose tasks somebody may still ask for."""
        if self.tasks.list(id, include_terminal=True):
            self.kept.add(id)

    async def stop(self, turns: Sequence[Running]) -> None:
        """Stop turns and wait until they're settled, though not for ever."""
        for turn in turns:
            turn.cancel()
        tasks = [turn.task for turn in turns if not turn.task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=LONGEST)

    def count(self, turn: str, what: Hashable) -> int:
        """Return how often a running turn did *what* before; the same on every replay."""
        counts = self._counts.setdefault(turn, Counter())
        counts[what] += 1
        return counts[what] - 1

    def left(self, maker: str) -> tuple[str, ...]:
        """Return the sessions of *maker*'s making in which, or below which, a turn runs."""
        found = set()
        for turn in self.turns.values():
            made: Made | None = None if turn.task.done() else turn.made
            while made is not None and made.maker != maker:
                made = self.made.get(made.maker)
            if made is not None:
                found.add(made.live.id)
        return tuple(sorted(found))

    def slot(self, maker: str) -> asyncio.Semaphore:
        """Return what a turn of *maker*'s children has to hold while it runs."""
        return self.slots.setdefault(maker, asyncio.Semaphore(self.config.concurrency))

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Return a task that ends with the tree at the latest."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def heard(self, live: Live, row: UsageRow) -> None:
        """Hear of a row of any session's ledger; one's that was made is passed on."""
        made = self.made.get(live.id)
        if made is not None and made.live is live and self.host.live(made.maker) is not None:
            spending.relay(self, made, row)
