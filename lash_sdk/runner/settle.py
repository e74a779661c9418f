"""The end of a turn: hooks hear of it, the commit is built, written and known."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ..commits import Commit, Component, PluginRow, Receipt
from ..contexts import CommitContext
from ..dispatch.directives import apply
from ..dispatch.live import Live
from ..effects import WriteCommit
from ..errors import InvalidInput, PluginFault, StoreError
from ..events import CommitAccepted
from ..graph import chain, pair
from ..json import Json, Value, check, frozen, maker
from ..messages import Message, blobs
from ..outcomes import Ending, Stopped
from ..plugins.state import save, states
from ..policy import GRACE
from ..ports import Store
from ..turn import Turn

ROLES: Final = frozenset(("lifecycle", "trace"))
PROTOCOL: Final = "protocol"


@frozen
class ProtocolState(Value, title="protocol"):
    """The component that a protocol's state is saved as."""

    name: str
    state: Json


_commit, _accepted, _context = maker(Commit), maker(CommitAccepted), maker(CommitContext)


class Settling:
    """The commit of one turn; if it's cancelled meanwhile, completion wins."""

    __slots__ = ("_effect", "_live", "_said", "_turn")

    def __init__(self, live: Live, turn: Turn, effect: WriteCommit) -> None:
        self._live = live
        self._turn = turn
        self._effect = effect

    async def run(self) -> CommitAccepted:
        """
        Return once the turn is durable.

        Raises:
            PluginFault: A hook failed where that aborts the commit.
            RevisionConflict: Somebody else committed meanwhile.
            StoreError: The store couldn't; nothing was written.
        """
        messages = () if self._live.plans.after_turn is None else await self._after_turn()
        if self._live.aside is not None and self._live.aside.away:
            await self._settle_children()
        commit = self._build(messages)
        if self._live.seam.keeps:
            await self._live.seam.settled()  # rows that came after the commit would stay
        receipt = await self._write(commit)
        self._adopt(commit, receipt)
        return _accepted(key=self._effect.key, revision=receipt.revision, messages=messages)

    async def _after_turn(self) -> tuple[Message, ...]:
        """Return what `after_turn` adds; a turn being cancelled doesn't wait long."""
        live, turn = self._live, self._turn
        ctx = live.turn_context(turn, ROLES)
        outcome = turn.outcome
        hurry = isinstance(outcome, Stopped) and outcome.reason == "cancelled"
        try:
            async with asyncio.timeout(GRACE if hurry else None):
                found = await live.plans.after_turn(ctx)
                messages, _ = await apply(ctx, "after_turn", found, may_abort=False)
        except (TimeoutError, asyncio.CancelledError):
            return ()
        return messages

    async def _settle_children(self) -> None:
        """Let what the turn began in other sessions end with it, or go on without it."""
        live, outcome = self._live, self._turn.outcome
        if live.roles is not None and live.roles.manager is not None:
            cancelled = isinstance(outcome, Stopped) and outcome.reason == "cancelled"
            await live.roles.manager.settle(live, cancelled=cancelled)

    def _build(self, messages: tuple[Message, ...]) -> Commit:
        live, turn, aside = self._live, self._turn, self._live.aside
        assert turn.outcome is not None and aside is not None  # noqa: S101 - it's settling
        ending = Ending.of(turn.outcome, turn.issues)
        self._said = said = turn.messages + messages + aside.messages
        pair(said)  # each message was checked where it came in
        values = (*turn.values, *messages, *aside.nodes, ending)
        nodes = chain(turn.id, live.graph.leaf, values)
        components = save(live.instances, live.saved) if live.instances else []
        if turn.state != live.protocol_state:
            state = ProtocolState(name=live.protocol.name, state=turn.state).to_json()
            components.append(Component(name=PROTOCOL, version=live.protocol.version, value=state))
        if aside.before is not None:
            components.append(live.toolbox.state.to_component())
        found = {blob.sha256: blob for blob in blobs(said)} | live.blobs
        owes = live.pending or aside.rows
        commit = _commit(
            session=live.id,
            expected=live.revision,
            operation=turn.id,
            at=time.time(),
            turns=live.turns + 1,
            nodes=nodes,
            leaf=nodes[-1].id,
            components=tuple(components),
            blobs=tuple(found.values()),
            usage=(*live.owed(), *turn.rows, *aside.rows.values()) if owes else turn.rows,
            consumed=turn.inbox,
            children=() if live.seam.closing else tuple(aside.children),
            turn=turn.id,
        )
        if live.plans.provide_commit is not None:
            commit = replace(commit, rows=self._rows(commit))
        return commit

    def _rows(self, commit: Commit) -> tuple[PluginRow, ...]:
        """Return the plugins' own rows, each under its owner's name."""
        ctx = CommitContext(self._live, commit)
        rows: list[PluginRow] = []
        for plugin, found in self._live.plans.provide_commit(ctx):
            for row in found:
                try:
                    check(row.body, where=f"row {row.name!r}")
                except (InvalidInput, AttributeError) as error:
                    name, version = plugin.name, plugin.version
                    raise PluginFault(name, version, "provide_commit", cause=error) from error
                rows.append(replace(row, plugin=plugin.name))
        return tuple(rows)

    async def _write(self, commit: Commit) -> Receipt:
        """Return the receipt; a cancel that comes in between changes nothing."""
        live = self._live
        try:
            if live.plans.around_commit is None:
                store = live.store
                return await (_send(store, commit) if commit.consumed else store.commit(commit))
            nest = live.plans.around_commit(self._innermost)
            receipt: Receipt = await nest(_context(live, commit))
            return receipt
        except asyncio.CancelledError:
            return await _known(live.store, commit)
        except (PluginFault, StoreError) as error:  # maybe after the commit landed
            known = await live.store.receipt(live.id, commit.operation)
            if known is None:
                raise
            if isinstance(error, PluginFault):
                live.faults.pending.append((error, False))
            return known

    async def _innermost(self, ctx: CommitContext) -> Receipt:
        return await _send(self._live.store, ctx.commit)

    def _adopt(self, commit: Commit, receipt: Receipt) -> None:
        """Make the session what the store has."""
        live, turn = self._live, self._turn
        live.revision = receipt.revision
        live.turns = commit.turns
        live.graph = live.graph.append(commit.nodes)
        live.history = live.history.plus(self._said).settled()
        live.paid(commit.usage)
        live.protocol_state = turn.state
        live.blobs.clear()
        if live.instances:
            live.saved = states(live.instances)


async def _send(store: Store, commit: Commit) -> Receipt:
    """Return the receipt; input that was taken back meanwhile isn't consumed."""
    try:
        return await store.commit(commit)
    except InvalidInput:
        waiting = {item.key for item in await store.pending(commit.session)}
        kept = tuple([key for key in commit.consumed if key in waiting])
        if kept == commit.consumed:
            raise
        return await store.commit(replace(commit, consumed=kept))


async def _known(store: Store, commit: Commit) -> Receipt:
    """Return the receipt of a commit whose caller was cancelled, maybe again."""

    async def ask() -> Receipt:
        known = await store.receipt(commit.session, commit.operation)
        return known or await _send(store, commit)

    asking = asyncio.create_task(ask())
    while not asking.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait((asking,))
    return asking.result()
