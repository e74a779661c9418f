"""
The one live session behind all handles of an id: it runs one turn at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace

from ..dispatch.aside import Aside
from ..dispatch.live import OPEN, Live
from ..errors import (
    LashError,
    OperationMismatch,
    RevisionConflict,
    SessionBusy,
    StoreError,
    TurnInterrupted,
)
from ..events import InputAccepted
from ..journal import Began, Closing, Deed, Journal
from ..json import maker
from ..ports import Claim, Model
from ..runner.ask import Options
from ..runner.drive import Drive
from ..turn import Turn, begun
from ..usage import Ledger, UsageReport, UsageRow
from .asks import Ask, Rules, mint
from .door import Door
from .feed import Feed
from .line import take_in
from .opening import reload
from .output import Output
from .record import TurnRecord, raise_failure, recorded
from .recovery import Unfinished, rows_of, take_up, unfinished

_accepted, _options = maker(InputAccepted), maker(Options)


class Lane:
    """
    A live session and the turn that runs in it.

    Attributes:
        handles: How many handles hold it.
        door: Lets one at a time change it.
        model: The model object in use, if it isn't known by name.
        drive: The running turn.
        feed: What whoever observes it is told.
        interrupted: The turn that never finished, if there's one.
        unsettled: What turns cost that are neither committed nor given up.
    """

    def __init__(self, live: Live, rules: Rules, model: Model | None) -> None:
        self.live = live
        self.rules = rules
        self.model = self._own = model
        self.handles = 0
        self.drive: Drive | None = None
        self.feed = Feed(live)
        self.interrupted: str | None = None
        self.unsettled: dict[str, tuple[UsageRow, ...]] = {}
        self.door = Door(live, self.refresh)
        self._ended: list[asyncio.Future[None]] = []  # who waits for the turn's end

    @property
    def closed(self) -> bool:
        """Whether it takes no more turns."""
        return self.door.closed

    async def run(self, ask: Ask) -> TurnRecord:
        """
        Return the record of a turn, once it's durable.

        Raises:
            SessionBusy: A turn is running, and the app's policy isn't to wait.
            OperationMismatch: A turn had the id that this one was given.
            TurnInterrupted: One never finished, and the policy isn't to resume.
            ModelError: The model failed; the turn is committed as stopped.
            LashError: Nothing was committed; the session is as it was.
        """
        live, queues, given = self.live, self.rules.on_busy == "queue", ask.turn
        place = unwatch = None
        try:
            claim = await self.door.enter(politely=queues)
        except SessionBusy:
            if not queues:
                raise
            ask = replace(ask, turn=ask.turn or mint())
            place, claim = await self.door.line_up(str(ask.turn), ask.message)
        try:
            if claim is not None and claim.unfinished:
                await self._clear_up(claim)
            if given is not None and await live.store.node(f"{given}:0") is not None:
                raise OperationMismatch(live.id, given)
            waits = live.store.may_wait(live.id) if claim is None else claim.waiting
            keys, sent = await take_in(live, ask.turn, self.door.waiting) if waits else ((), ())
            event = _accepted(messages=(*sent, ask.message), inbox=keys)
            if ask.watch is not None:
                unwatch = live.listen(ask.watch)
            record = await self._begin(ask, event, claim)
        finally:
            if unwatch is not None:
                unwatch()
            await self.door.leave(claim)
            await self.door.step_out(place)
        raise_failure(record)
        return record

    async def resume(self, output: Output | None = None) -> TurnRecord | None:
        """
        Return the record of the interrupted turn, finished; None without one.

        Raises:
            SessionBusy: Somebody is at it.
            ModelError: The model failed; the turn is committed as stopped.
        """
        async with self.door.held() as claim:
            found = await self.find(claim)
            if claim is None or found is None:
                return None
            record = await self._again(found, claim, output)
        raise_failure(record)
        return record

    async def discard(self, turn: str | None = None) -> TurnRecord | None:
        """
        Settle the interrupted turn without running it, or forget a lost *turn*.

        Return the record of the settled turn; None without one.

        Raises:
            SessionBusy: Somebody is at it.
            InvalidInput: There's no such turn.
        """
        async with self.door.held() as claim:
            found = await self.find(claim)
            if claim is not None and turn is not None and (found is None or found.turn != turn):
                await self._forget(turn, claim)
                return None
            if claim is None or found is None:
                return None
            return await self._again(found, claim, None, Closing)

    def usage(self, *, inherited: bool = False) -> UsageReport:
        """Return the ledger's report, with what isn't committed yet."""
        live = self.live
        running = self.drive.turn.rows if self.drive is not None else ()
        if live.aside is not None:
            running = (*running, *live.aside.rows.values())
        if not (running or live.pending or inherited or self.unsettled):
            return live.ledger.report()
        ledger = Ledger(live.ledger.rows)
        ledger.add((*live.pending, *running))
        for rows in self.unsettled.values():
            ledger.add(rows)
        if inherited:
            ledger.add(live.inherited.rows)
        return ledger.report()

    async def cancel(self) -> None:
        """Stop the running turn, if there's one, and wait until it's settled."""
        if self.drive is not None:
            ended = asyncio.get_running_loop().create_future()
            self._ended.append(ended)
            self.drive.stop("cancelled")
            await ended

    async def close(self) -> None:
        """Settle a running turn, tell the plugins, and take no more turns."""
        if self.door.closed:
            return
        self.door.closed = True  # first, so that no turn that queues begins
        await self.cancel()
        await self.door.emptied()
        live = self.live
        if live.plans.on_session_closed is not None:
            await live.plans.on_session_closed(live.context())
        await live.tell_faults()
        self.feed.wake()

    async def refresh(self) -> None:
        """Read the session anew: its head has moved."""
        await reload(self.live, keep=self.rules.kept)
        named = self.live.policy.model
        known = [each for each in (self.model, self._own) if each is not None]
        self.model = next((each for each in known if each.name == named), None)

    async def find(self, claim: Claim | None) -> Unfinished | None:
        """Return the turn that can be finished, and note it."""
        found = await unfinished(self.live) if claim is not None and claim.unfinished else None
        self.interrupted = found.turn if found else None
        return found

    async def _clear_up(self, claim: Claim) -> None:
        """
        Finish the turn that was interrupted, if that's the app's policy.

        Raises:
            TurnInterrupted: It isn't.
        """
        found = await self.find(claim)
        if found is None:
            return
        if self.rules.on_interrupted == "refuse":
            raise TurnInterrupted(self.live.id, found.turn)
        await self._again(found, claim, None)

    def _begin(self, ask: Ask, event: InputAccepted, claim: Claim | None) -> Awaitable[TurnRecord]:
        """Return the record of a new turn, when awaited."""
        live = self.live
        options = self._options(ask.model, ask.instructions, ask.output)
        turn = begun(ask.turn or mint(), live.id, options.policy.limits, live.protocol_state)
        if claim is not None and self.rules.durability == "effect":
            began = Began(
                event=event,
                revision=live.revision,
                leaf=live.graph.leaf,
                limits=options.policy.limits,
                model=ask.spec,
                instructions=ask.instructions,
                schema=options.schema,
            )
            self._keep(Journal, claim, Unfinished(turn=turn.id, began=began, rows=()))
        return self._drive(Drive(live, turn, options), event, claim, ask.output)

    def _keep(self, form: type[Journal], claim: Claim, known: Unfinished) -> None:
        """Put what the turn hears on record, after what's *known* of it."""
        live, turn, past = self.live, known.turn, known.rows
        outside, instances = live.outside, live.instances
        live.seam = form(live.store, claim, turn, outside=outside, instances=instances, past=past)
        live.seam.begin(known.began)

    async def _again(
        self, found: Unfinished, claim: Claim, output: Output | None, form: type[Journal] = Journal
    ) -> TurnRecord:
        """Return the record of a turn that's run again from its journal."""
        live, began = self.live, found.began
        if output is None and isinstance(began.schema, dict):
            output = Output.plain(began.schema)
        model = None if began.model is None else live.model(began.model)
        options = self._options(model, began.instructions, output)
        turn = begun(found.turn, live.id, began.limits, live.protocol_state)
        self._keep(form, claim, found)
        drive = Drive(live, turn, options)
        return await self._drive(drive, began.event, claim, output, found.deeds)

    async def _drive(
        self,
        drive: Drive,
        event: InputAccepted,
        claim: Claim | None,
        output: Output | None,
        deeds: Sequence[Deed] = (),
    ) -> TurnRecord:
        """Return the record of the turn, once it's durable; *deeds* are what it did before."""
        live, self.drive = self.live, drive
        self.feed.begin()
        aside = live.aside = Aside(turn=drive.turn.id)
        try:
            if deeds:
                await take_up(live, deeds)
            turn = await drive.run(event)
            if turn.revision is None:
                await self._drop(turn, claim)
        except BaseException as error:
            if drive.turn.revision is None:
                await self._lose(drive.turn, claim, error)
            raise
        finally:
            self.drive = None
            self.feed.end()
            live.aside = None
            live.seam = OPEN
            for ended in self._ended:
                if not ended.done():
                    ended.set_result(None)
            self._ended.clear()
        if aside.rows:  # some may have come while it was committed
            live.pending += [row for row in aside.rows.values() if row.id not in live.ledger]
        self.interrupted = None
        self.unsettled.pop(turn.id, None)
        return recorded(live, turn, output, aside.usage)

    async def _lose(self, turn: Turn, claim: Claim | None, error: BaseException) -> None:
        """Put the session back; what the turn did stays on record where that helps."""
        live, seam = self.live, self.live.seam
        await seam.settled()
        helps = (StoreError, RevisionConflict, SessionBusy)
        if not seam.flushed or (isinstance(error, LashError) and not isinstance(error, helps)):
            await self._drop(turn, claim)
        else:
            with suppress(LashError):
                if await live.store.receipt(live.id, turn.id) is None:  # or nobody can say
                    await seam.flush()
            rows = live.aside.rows.values() if live.aside is not None else ()
            live.roll_back()
            self.interrupted = turn.id
            self.unsettled[turn.id] = (*turn.rows, *rows)
        if isinstance(error, RevisionConflict):
            if self.interrupted is not None:
                error.turn, self.interrupted = turn.id, None
                error.journal = (await rows_of(live.store, live.id, turn.id)).rows
            await self.refresh()

    async def _forget(self, turn: str, claim: Claim) -> None:
        """Give up a lost turn for good; what it cost is owed all the same."""
        live = self.live
        found = await rows_of(live.store, live.id, turn)
        await live.store.journal_drop(claim, turn)
        live.pending += self.unsettled.pop(turn, found.owed(live.id))

    async def _drop(self, turn: Turn, claim: Claim | None) -> None:
        """Forget a turn that's not to be; its usage is owed all the same."""
        live, aside = self.live, self.live.aside
        children = () if aside is None else tuple(aside.children)
        if children and live.roles is not None and live.roles.manager is not None:
            await live.roles.manager.lose(live, children)
        live.pending += turn.rows
        if aside is not None:
            live.pending += aside.rows.values()
        if claim is not None and (live.seam.keeps or children):
            with suppress(LashError):
                await live.store.journal_drop(claim, turn.id)
        live.roll_back()

    def _options(self, model: Model | None, words: str | None, output: Output | None) -> Options:
        policy = self.live.policy
        return _options(
            model=model or self.model or self.live.model(policy.model),
            policy=policy,
            instructions=words,
            schema=output.schema if output else None,
            fit=output.fit if output else None,
        )
