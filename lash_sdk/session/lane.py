"""
The one live session behind all handles of an id: it runs one turn at a time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..commits import Commit, Component, Receipt
from ..contexts import ConfigContext
from ..dispatch.live import Live
from ..dispatch.toolbox import ToolState
from ..errors import (
    ContextOverflow,
    ModelError,
    RevisionConflict,
    SessionBusy,
    SessionClosed,
    Unavailable,
)
from ..events import SessionEvent
from ..hooks.answers import Visibility
from ..hooks.plugin import Plugin
from ..messages import Message
from ..outcomes import Finished, Stopped
from ..policy import OnBusy, Policy
from ..ports import Model
from ..runner.drive import Drive
from ..runner.options import Options
from ..turn import Turn
from ..usage import NOTHING, Ledger, UsageReport
from .opening import POLICY, reload
from .output import Output
from .record import TurnRecord

TASKS = frozenset(("tasks",))
"""The role of `transform_policy` and `on_config_changed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """
    One turn that's asked for.

    Attributes:
        watch: Shown every event of this turn, and of no other.
    """

    message: Message
    model: Model | None = None
    instructions: str | None = None
    output: Output | None = None
    watch: Callable[[SessionEvent], None] | None = None


class Lane:
    """
    A live session and the turn that runs in it.

    Attributes:
        handles: How many handles hold it.
        model: The model object in use, if it isn't known by name.
        drive: The running turn.
    """

    __slots__ = (
        "_ended",
        "_kept",
        "_lock",
        "_on_busy",
        "closed",
        "drive",
        "handles",
        "live",
        "model",
    )

    def __init__(
        self, live: Live, on_busy: OnBusy, model: Model | None, kept: frozenset[str] = frozenset()
    ) -> None:
        self.live = live
        self.model = model
        self.handles = 0
        self.drive: Drive | None = None
        self.closed = False
        self._on_busy = on_busy
        self._kept = kept  # parts of the policy that whoever opened it chose
        self._lock = asyncio.Lock()
        self._ended: list[asyncio.Future[None]] = []  # who waits for the turn's end

    async def run(self, ask: Ask) -> TurnRecord:
        """
        Return the record of a turn, once it's durable.

        Raises:
            SessionBusy: A turn is running, and the app's policy is to reject.
            ModelError: The model failed; the turn is committed as stopped.
            LashError: Nothing was committed; the session is as it was.
        """
        self._check_open()
        if self._lock.locked():
            if self._on_busy == "fork":
                raise Unavailable("fork", why="it comes with the effect journal")
            if self._on_busy == "reject":
                raise SessionBusy(self.live.id)
        async with self._lock:
            self._check_open()
            if ask.watch is None:
                record = await self._turn(ask)
            else:
                unwatch = self.live.listen(ask.watch)
                try:
                    record = await self._turn(ask)
                finally:
                    unwatch()
        _raise_failure(record)
        return record

    async def commit(
        self, components: Sequence[Component], operation: str | None = None
    ) -> Receipt:
        """
        Commit a change of state outside a turn; the revision grows by one.

        Raises:
            SessionBusy: A turn is running.
            RevisionConflict: Somebody else committed meanwhile; the session has
                been read anew.
        """
        self._check_open()
        if self._lock.locked():
            raise SessionBusy(self.live.id)
        async with self._lock:
            live = self.live
            commit = Commit(
                session=live.id,
                expected=live.revision,
                operation=operation or mint(),
                turns=live.turns,
                leaf=live.graph.leaf,
                components=tuple(components),
                usage=tuple(live.pending),
            )
            try:
                receipt = await live.store.commit(commit)
            except RevisionConflict:
                await self._refresh()
                raise
            live.revision = receipt.revision
            live.ledger.add(live.pending)
            live.pending.clear()
            return receipt

    async def configure(self, policy: Policy, model: Model | None) -> Policy:
        """
        Commit *policy* as the session's, as plugins want it, and return it.

        *model* is the object in use from then on, None if it's known by name.
        """
        live = self.live
        before = live.policy
        if live.plans.transform_policy is not None:
            policy = live.plans.transform_policy(live.context(TASKS), policy)
        if model is not None and policy.model != model.name:
            model = None  # a plugin chose another, by name
        if policy == before:
            self.model = model
            return policy
        # of a model object only this process knows
        kept = policy if model is None else replace(policy, model="")
        await self.commit([Component(name=POLICY, version=1, value=kept.to_json())])
        live.policy, self.model = policy, model
        if live.plans.on_config_changed is not None:
            await live.plans.on_config_changed(ConfigContext(live, before, policy, roles=TASKS))
        if live.faults.pending:
            await live.tell_faults()
        return policy

    def usage(self) -> UsageReport:
        """Return the ledger's report, with what isn't committed yet."""
        running = self.drive.turn.rows if self.drive is not None else ()
        if not running and not self.live.pending:
            return self.live.ledger.report()
        ledger = Ledger(self.live.ledger.rows)
        ledger.add((*self.live.pending, *running))
        return ledger.report()

    async def apply_tools(self, state: ToolState) -> ToolState:
        """Commit which tools the session hides and shows; return the state."""
        toolbox = self.live.toolbox
        toolbox.check(state)
        await self.commit([state.to_component()])
        return toolbox.apply(state)

    async def set_tools(self, names: Sequence[str], word: Visibility) -> ToolState:
        """Commit that tools *names* are hidden or shown; return the state."""
        state = self.live.toolbox.state
        overrides = {**state.overrides, **dict.fromkeys(names, word)}
        return await self.apply_tools(replace(state, overrides=overrides))

    async def cancel(self) -> None:
        """Stop the running turn, if there's one, and wait until it's settled."""
        if self.drive is not None:
            ended = asyncio.get_running_loop().create_future()
            self._ended.append(ended)
            self.drive.stop("cancelled")
            await ended

    async def close(self) -> None:
        """Settle a running turn, tell the plugins, and take no more turns."""
        if self.closed:
            return
        self.closed = True  # first, so that no turn that queues begins
        await self.cancel()
        live = self.live
        if live.plans.on_session_closed is not None:
            await live.plans.on_session_closed(live.context())
        if live.faults.pending:
            await live.tell_faults()

    async def _turn(self, ask: Ask) -> TurnRecord:
        live = self.live
        options = self._options(ask)
        turn = Turn(
            id=mint(), session=live.id, limits=options.policy.limits, state=live.protocol_state
        )
        self.drive = Drive(live, turn, options)
        try:
            turn = await self.drive.run(ask.message)
            if turn.revision is None:
                self._roll_back()
        except BaseException as error:
            turn = self.drive.turn
            if turn.revision is None:
                live.pending += turn.rows  # it's owed all the same
                self._roll_back()
            if isinstance(error, RevisionConflict):
                await self._refresh()
            raise
        finally:
            self.drive = None
            for ended in self._ended:
                if not ended.done():
                    ended.set_result(None)
            self._ended.clear()
        return _record(live, turn, ask.output)

    def _options(self, ask: Ask) -> Options:
        live, output = self.live, ask.output
        return Options(
            model=ask.model or self.model or live.model(live.policy.model),
            policy=live.policy,
            instructions=ask.instructions,
            schema=output.schema if output else None,
            fit=output.fit if output else None,
        )

    def _roll_back(self) -> None:
        """Give plugins back the state that's committed: the turn wasn't."""
        self.live.injections.clear()
        self.live.blobs.clear()
        for instance, state in zip(self.live.instances, self.live.saved, strict=True):
            if isinstance(instance, Plugin):
                instance.state = state

    async def _refresh(self) -> None:
        """Read the session anew: somebody else moved its head."""
        await reload(self.live, keep=self._kept)

    def _check_open(self) -> None:
        if self.closed:
            raise SessionClosed(self.live.id)


def mint() -> str:
    """Return a fresh id for a turn or an operation: 24 hexadecimal digits."""
    return os.urandom(12).hex()


def _record(live: Live, turn: Turn, output: Output | None) -> TurnRecord:
    outcome = turn.outcome
    assert outcome is not None  # noqa: S101 - the turn is done
    committed = turn.revision is not None
    value: Any = outcome.value if isinstance(outcome, (Finished, Stopped)) else None
    if output is not None and isinstance(outcome, Finished) and outcome.tool is None:
        value = output.parse(outcome.text)
    return TurnRecord(
        id=turn.id,
        session=live.id,
        index=live.turns if committed else live.turns + 1,
        revision=live.revision,
        committed=committed,
        outcome=outcome,
        messages=turn.messages,
        value=value,
        usage=turn.usage,
        children_usage=NOTHING,
        tool_calls=turn.records,
        issues=turn.issues,
    )


def _raise_failure(record: TurnRecord) -> None:
    """Raise what a provider's failure is, the committed turn with it."""
    outcome = record.outcome
    if not isinstance(outcome, Stopped) or outcome.reason != "provider_error":
        return
    error: ModelError
    if outcome.code == "context_overflow":
        error = ContextOverflow(outcome.message)
    else:
        error = ModelError(outcome.message, code=outcome.code)
    error.turn = record
    raise error
