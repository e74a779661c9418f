"""
The loop of one turn: an event in, an effect out, performed, and round again.

Being told to stop is an event like any other. The loop takes it between two
effects, closes what is open, commits the turn as stopped, and only then lets
the cancellation go on to whoever waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, assert_never

from ..commits import Receipt
from ..contexts import TurnContext, UsageContext
from ..dispatch.batch import Batch
from ..dispatch.live import Live
from ..effects import AskModel, CallTools, Effect, PassCheckpoint, Prepare, WriteCommit
from ..errors import PluginFault, ProtocolError
from ..events import Event, InputAccepted, TurnEnded, TurnStarted, TurnStopped, UsageAdded
from ..outcomes import StopReason
from ..turn import Phase, Turn, advance, changed
from .ask import CONTEXT, Asking, Options
from .prepare import checkpoint, prepare
from .settle import Settling


class Drive:
    """
    One turn on its way.

    Attributes:
        turn: As far as it is.
    """

    __slots__ = ("_before", "_live", "_options", "_own", "_stop", "_task", "turn")

    def __init__(self, live: Live, turn: Turn, options: Options) -> None:
        self.turn = turn
        self._live = live
        self._options = options
        self._stop: TurnStopped | None = None
        self._task: asyncio.Task[Any] | None = None
        self._before = 0  # requests to cancel the task, before this turn
        self._own = 0  # those that are ours, by `stop`

    def stop(self, reason: StopReason) -> None:
        """
        Stop the turn at the next point where it can; a second call does nothing.

        If it's settling, completion wins, and only plugins are hurried.
        """
        if self._stop is None:
            self._stop = TurnStopped(reason=reason)
            if self._task is not None:
                self._own += 1
                self._task.cancel()

    async def run(self, accepted: InputAccepted) -> Turn:
        """
        Return the turn on what was *accepted*, once it's done.

        Raises:
            PluginFault: A hook failed where the turn is then not kept.
            RevisionConflict: Somebody else committed meanwhile.
            StoreError: The commit failed; nothing was written.
            CancelledError: The caller was cancelled; the turn is committed, or
                never began.
        """
        live = self._live
        task = self._task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        if task.cancelling():
            await asyncio.sleep(0)  # if it's to be cancelled, then before it begins
            self._before = task.cancelling()
        seconds = self._options.policy.limits.seconds
        timer = None
        if seconds is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(seconds, self._out_of_time)
        try:
            if live.plans.around_turn is None:
                await self._loop(accepted)
            else:
                await self._wrapped(accepted)
        except PluginFault as fault:
            if self.turn.revision is None:
                raise
            live.faults.pending.append((fault, False))  # the turn is durable all the same
            await self._tell_faults()
        finally:
            if timer is not None:
                timer.cancel()
            if live.faults.pending:  # those that ended the turn too
                await self._tell_faults()
            cancelled = task.cancelling() > self._before and await self._recover(task)
        if cancelled:
            raise asyncio.CancelledError
        return self.turn

    async def _wrapped(self, accepted: InputAccepted) -> None:
        async def inner(ctx: TurnContext) -> Turn:
            await self._loop(accepted)
            return self.turn

        # its input isn't accepted yet, and yet it's what a wrap wants to see
        ctx = self._live.turn_context(changed(self.turn, {"messages": accepted.messages}))
        await self._live.plans.around_turn(inner)(ctx)
        if self.turn.outcome is None:
            raise ProtocolError(f"turn {self.turn.id!r}: a plugin's around_turn left it out")

    def _out_of_time(self) -> None:
        if self.turn.phase not in (Phase.SETTLING, Phase.DONE):
            self.stop("max_seconds")

    async def _recover(self, task: asyncio.Task[Any]) -> bool:
        """
        Take back what `stop` did to the task; return whether others cancelled it.

        A cancellation that hasn't been thrown yet is taken here, so that it isn't
        thrown at whatever the caller does next.
        """
        with suppress(asyncio.CancelledError):  # it's counted all the same
            await asyncio.sleep(0)
        for _ in range(self._own):
            task.uncancel()
        return task.cancelling() > self._before

    async def _loop(self, accepted: InputAccepted) -> None:
        live, idle = self._live, self._idle
        protocol, seam = live.protocol, live.seam
        if live.watch is not None:
            live.watch(TurnStarted(turn=self.turn.id, session=live.id, index=live.turns + 1))
        event: Event = accepted
        while True:
            before = self.turn
            self.turn, effects = advance(before, event, protocol, idle)
            if self.turn.rows is not before.rows and not seam.recalled:
                self._count()
            if live.faults.pending:
                await self._tell_faults()
            if not effects:
                break
            event = await self._answer(effects[0])
        await self._announce()

    def _idle(self, turn: Turn) -> bool:
        """Return whether nobody takes part in preparing, or in the checkpoint, *turn* is at."""
        live, plans = self._live, self._live.plans
        if self._stop is not None or live.seam.replaying or live.seam.closing:
            return False
        if turn.phase is Phase.PREPARING:
            return not live.prepares and (turn.step > 1 or plans.before_turn is None)
        waits = live.injections or live.store.may_wait(live.id)
        return not waits and plans.at_checkpoint is None

    async def _answer(self, effect: Effect) -> Event:
        """Return the event that answers *effect*, or that the turn is to stop."""
        seam = self._live.seam
        if isinstance(effect, WriteCommit):
            return await seam.perform(effect, self.perform)
        assert self._task is not None  # noqa: S101 - it runs
        if self._stop is None and self._task.cancelling() > self._before:
            self._stop = TurnStopped(reason="cancelled")  # somebody swallowed it
        if self._stop is None:
            try:
                event = await seam.perform(effect, self.perform)
            except asyncio.CancelledError:
                if self._stop is None:
                    self._stop = TurnStopped(reason="cancelled")
            else:
                if seam.recalled and isinstance(effect, PassCheckpoint):
                    self._live.injections.clear()  # they're in the answer
                return event
        seam.hear(effect.key, self._stop)
        return self._stop

    def perform(self, effect: Effect) -> Awaitable[Event]:
        """Perform *effect*, when awaited; return the event that answers it."""
        live, turn = self._live, self.turn
        match effect:
            case AskModel():
                return Asking(live, turn, self._options, effect).run()
            case PassCheckpoint():
                return checkpoint(live, turn, effect)
            case WriteCommit():
                return Settling(live, turn, effect).run()
            case CallTools():
                return Batch(live, turn.id, effect).run()
            case Prepare():
                return prepare(live, turn, effect)
            case _:
                assert_never(effect)

    async def _tell_faults(self) -> None:
        """Tell of plugin faults; being cancelled meanwhile stops the turn."""
        try:
            await self._live.tell_faults()
        except asyncio.CancelledError:
            if self._stop is None:
                self._stop = TurnStopped(reason="cancelled")

    def _count(self) -> None:
        """Tell of the ledger row that a model call just made."""
        live, row = self._live, self.turn.rows[-1]
        if live.watch is not None:
            live.watch(UsageAdded(turn=self.turn.id, row=row))
        if live.plans.on_usage is not None:
            live.plans.on_usage(UsageContext(live, row))

    async def _announce(self) -> None:
        """Tell that the turn is over, once nothing can lose it."""
        live, turn = self._live, self.turn
        committed = turn.revision is not None
        if committed and live.plans.on_turn_committed is not None:
            id, revision, leaf = turn.id, live.revision, live.graph.leaf
            receipt = Receipt(session=live.id, operation=id, revision=revision, leaf=leaf)
            ctx = TurnContext(live, turn, live.turns, receipt=receipt, roles=CONTEXT)
            with suppress(asyncio.CancelledError):  # the caller is told at the end
                await live.plans.on_turn_committed(ctx)
        if live.faults.pending:
            await self._tell_faults()
        if live.watch is not None and turn.outcome is not None:
            live.watch(
                TurnEnded(
                    turn=turn.id,
                    session=live.id,
                    outcome=turn.outcome,
                    revision=live.revision,
                    committed=committed,
                )
            )
