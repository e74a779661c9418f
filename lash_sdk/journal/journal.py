"""A turn's journal: what it heard from outside, durable before what depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..commits import Component
from ..effects import AskModel, CallTools, Effect, PassCheckpoint, Prepare, WriteCommit
from ..errors import StoreCorrupt
from ..events import CheckpointPassed, Event, TurnPrepared, TurnStopped
from ..hooks.plugin import Plugin
from ..json import digest, encode
from ..plugins.state import PREFIX, read, save, states
from ..ports import Claim, JournalRow, Store
from . import facts
from .seam import Do, Seam


class _Write(asyncio.Task[Exception | None]):
    """A write on its way, for all who wait: being cancelled, one of them ends it for nobody."""

    def cancel(self, msg: object = None) -> bool:
        """Return False."""
        return False


class Journal(Seam):
    """
    The record of one turn, and the seam that keeps it.

    Rows are written behind, in their order, one write after the other: those that
    came within one pass of the loop, or while a write was on its way, share the next.
    A tool and a plugin that isn't part of a model call begin only once the rows before
    are durable. A model is asked meanwhile: that may be done again. What was on record
    already is answered from there, and nothing behind it runs again.
    """

    closing = False
    keeps = True

    def __init__(
        self,
        store: Store,
        claim: Claim,
        turn: str,
        *,
        outside: Collection[type[Effect]],
        instances: Sequence[object] = (),
        past: Sequence[JournalRow] = (),
    ) -> None:
        """
        Take a turn's *past*, if it has one; *outside* are the effects that wait.

        Plugin *instances* are as the turn found them when it began.
        """
        self.flushed = bool(past)
        self._store = store
        self._claim = claim
        self._turn = turn
        self._outside = outside
        self._instances = instances
        self._saved = states(instances)
        self._past = tuple(past)
        self._left = {(r.key, r.kind): at for at, r in enumerate(past) if r.kind != facts.DEED}
        self._applied = 0
        self._rows: list[JournalRow] = []
        # counts of rows: recorded, to be written without waiting for more, and of the newest write
        self._made = self._asked = self._tried = 0
        self._writing: _Write | None = None

    @property
    def replaying(self) -> bool:
        """Whether answers may still come from the record."""
        return bool(self._left)

    def begin(self, began: facts.Began) -> None:
        """Record how the turn began."""
        key = f"{self._turn}/0"
        if self._left.pop((key, facts.INPUT), None) is None:
            self._add(key, facts.INPUT, began)

    async def perform(self, effect: Effect, do: Do) -> Event:
        """Return the event that answers *effect*: on record, or from *do*."""
        known = self._recall(effect) if self._left else None
        self.recalled = known is not None
        if known is not None:
            return known
        outside = type(effect) in self._outside
        if outside and self._rows:
            self._write()
            # a model is asked while the write goes on: one pass of the loop lets it begin
            await (asyncio.sleep(0) if isinstance(effect, AskModel) else self.flush())
        event = await do(effect)
        if not isinstance(effect, (CallTools, WriteCommit)) and (
            outside or event not in (TurnPrepared(key=effect.key), CheckpointPassed(key=effect.key))
        ):  # somebody took part
            self.hear(effect.key, event)
        return event

    def hear(self, key: str, event: Event) -> None:
        """Record what answered the effect *key*."""
        self._add(key, facts.EVENT, facts.Heard(event=event))  # type: ignore[arg-type]

    def call(self, key: str) -> tuple[facts.Intent | None, facts.CallResult | None]:
        """Return what's on record of the call *key*."""
        return self._take(key, facts.INTENT), self._take(key, facts.RESULT)

    async def intend(self, key: str, intent: facts.Intent) -> None:
        """Return once it's durable that the call *key* is about to be made."""
        self._add(key, facts.INTENT, intent)
        await self.flush()

    def finish(self, key: str, result: facts.CallResult) -> None:
        """Record what came of the call *key*."""
        self._add(key, facts.RESULT, result)
        self._write()

    def did(self, deed: facts.Deed) -> None:
        """Record what the turn did beside its effects; the same again is once."""
        self._add(digest(encode(deed.to_json())), facts.DEED, deed)

    async def flush(self) -> None:
        """Return once everything so far is durable."""
        wanted = self._made
        while self._made - len(self._rows) < wanted:
            error = await self._write()
            if error is not None and self._tried >= wanted:  # an older write is tried again
                self.broken = error
                raise error

    async def settled(self) -> None:
        """
        Return once no write is on its way, also if cancelled; no call is begun any more.

        Intents that aren't durable are dropped, for their calls never were. Nobody may wait
        for rows after that: the counts still have them.
        """
        while self._writing is not None:
            with suppress(asyncio.CancelledError):  # it's counted all the same
                await self._writing
        self._rows = [row for row in self._rows if row.kind != facts.INTENT]

    def _write(self) -> _Write:
        """Return the write that's on its way; it begins in the loop's next pass."""
        self._asked = self._made
        if self._writing is None:
            self._writing = _Write(self._put())
        return self._writing

    async def _put(self) -> Exception | None:
        """Return why what's recorded couldn't be written; None once it's durable."""
        rows, failed = tuple(self._rows), None
        self._tried = self._made
        try:
            await self._store.journal_put(self._claim, rows)
            del self._rows[: len(rows)]
            self.flushed = True
        except Exception as error:
            failed = error
        finally:
            self._writing = None
        if failed is None and self._made - len(self._rows) < self._asked:
            self._write()
        return failed

    def _add(self, key: str, kind: str, body: facts.Row) -> None:
        if self._instances and not isinstance(body, (facts.Began, facts.Deed)):
            if changed := save(self._instances, self._saved):
                body = replace(body, states=tuple(changed))
            self._saved = states(self._instances)
        blobs = body.blobs if isinstance(body, facts.CallResult) else ()
        self._rows.append(JournalRow(turn=self._turn, key=key, kind=kind, body=body, blobs=blobs))
        self._made += 1

    def _recall(self, effect: Effect) -> Event | None:
        """
        Return the event on record; None if the effect is to be performed.

        Raises:
            StoreCorrupt: There's none, though what came later is on record.
        """
        heard = self._take(effect.key, facts.EVENT)
        if heard is not None:
            return heard.event  # type: ignore[no-any-return]
        if isinstance(effect, Prepare):
            return TurnPrepared(key=effect.key)  # nobody took part
        if isinstance(effect, PassCheckpoint):
            return CheckpointPassed(key=effect.key)
        if isinstance(effect, (CallTools, WriteCommit)):
            return None
        raise StoreCorrupt(f"the journal of turn {self._turn!r} has no answer to {effect.key!r}")

    def _take(self, key: str, kind: str) -> Any:
        """Return a row once it's used, with plugin states as of then; None without one."""
        at = self._left.pop((key, kind), None)
        if at is None:
            return None
        for row in self._past[self._applied : at + 1]:
            self._restore(getattr(facts.read_row(row), "states", ()))
        self._applied = max(self._applied, at + 1)
        return facts.read_row(self._past[at])

    def _restore(self, components: Sequence[Component]) -> None:
        for component in components:
            for instance in self._instances:
                if isinstance(instance, Plugin) and PREFIX + instance.name == component.name:
                    instance.state = read(instance, component.version, component.value)
        if components:
            self._saved = states(self._instances)


class Closing(Journal):
    """Answers what's on record, and lets nothing new begin: a turn to be discarded."""

    closing = True

    async def perform(self, effect: Effect, do: Do) -> Event:
        """Return the event on record; without one, that the turn is discarded."""
        calls = f"{effect.key}/" if isinstance(effect, CallTools) else None
        begun = calls and any(key.startswith(calls) for key, _kind in self._left)
        if begun or isinstance(effect, WriteCommit):
            return await super().perform(effect, do)
        known = self._recall(effect) if self._left else None
        self.recalled = known is not None
        return known or TurnStopped(reason="discarded")
