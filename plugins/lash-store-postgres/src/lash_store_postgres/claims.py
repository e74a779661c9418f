"""
The right to run a session's turn, told by the server.

A claim is an advisory lock on a number that the session's id says, held by one
connection that a store keeps for all of its claims. The server frees it once that
connection is gone, however it ended, and not before. Whoever writes a journal names
the server process behind that connection, and is refused if it's another by now.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import psycopg
from psycopg.types.numeric import Int8

from lash_sdk.errors import SessionBusy, SessionDeleted, SessionError
from lash_sdk.ports import Claim

from .refusals import translated, unknown
from .schema import Connection, key, named

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from .server import Server

GRACE: Final = 0.25
"""Seconds in which the server learns that a client has died, before it's believed to live."""

_WHO: Final = """
select pid, (extract(epoch from backend_start) * 1000000)::bigint
from pg_stat_get_activity(pg_backend_pid())
"""
_CLAIM: Final = "select * from @schema@.claim(%b::text, %b::bigint)"
_STATE: Final = "select state from @schema@.sessions where id = %b::text"
_UNLOCK: Final = "select pg_advisory_unlock(%b::bigint)"
_LOCK: Final = "select pg_try_advisory_lock(%b::bigint)"
_END: Final = """
select pg_terminate_backend(pid, 1000) from pg_stat_get_activity(%b::integer)
where (extract(epoch from backend_start) * 1000000)::bigint = %b::bigint
"""
_WAIT: Final = (
    "select set_config('lock_timeout', %s, true), pg_advisory_xact_lock_shared(%b::bigint)"
)


class Backend(NamedTuple):
    """The server's process behind a connection; its start tells two of one id apart."""

    pid: int
    started: int


class Claims:
    """
    The claims that one open store holds, and the connection that holds them.

    Attributes:
        backend: Of that connection, or of the last one.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._held: dict[int, Claim | None] = {}  # None while a claim is being made
        self._newest = 0
        self._db: Connection | None = None
        self.backend = Backend(0, 0)
        self._turn = asyncio.Lock()

    async def take(self, session: str) -> Claim:
        """
        Return a claim of *session*.

        Raises:
            SessionBusy: Somebody who lives holds it.
            SessionDeleted: The id was used by a session that's gone.
        """
        lock = self._lock(session)
        if lock in self._held:
            raise await self.refusal(session)
        self._held[lock] = None
        try:
            claim = await self._grant(session, lock)
        except BaseException:
            del self._held[lock]
            raise
        self._held[lock] = claim
        return claim

    async def _grant(self, session: str, lock: int) -> Claim:
        deadline = time.monotonic() + GRACE
        while True:
            row = await self._run(_CLAIM, session, Int8(lock))
            taken, deleted, generation, revision, unfinished, waiting = row
            if deleted:
                raise SessionDeleted(session)
            if taken:
                break
            if time.monotonic() >= deadline:
                raise SessionBusy(session)
            await self._wait(lock, deadline)
        self._newest = max(self._newest, generation) + 1
        return Claim(
            session=session,
            holder=uuid4().hex,
            generation=self._newest,
            revision=revision,
            unfinished=unfinished,
            waiting=waiting,
        )

    async def _wait(self, lock: int, deadline: float) -> None:
        """Wait until nobody holds *lock*, or until the deadline."""
        left = max(1, round((deadline - time.monotonic()) * 1000))
        await self._server.wait(_WAIT, f"{left}ms", Int8(lock))

    def holds(self, claim: Claim) -> bool:
        """Return whether *claim* is held."""
        return self._held.get(self._lock(claim.session)) == claim

    async def refusal(self, session: str) -> SessionError:
        """Return the error for whoever has no claim on *session*."""
        rows = await self._server.rows(_STATE, session)
        return SessionDeleted(session) if rows and rows[0][0] == 2 else SessionBusy(session)

    async def release(self, claim: Claim) -> None:
        """Give *claim* back, unless it's stale."""
        if not self.holds(claim):
            return
        lock = self._lock(claim.session)
        del self._held[lock]
        async with self._turn:
            if self._db is not None:
                try:
                    await self._db.execute(_UNLOCK, (lock,))
                except psycopg.Error:
                    await self._drop()  # and with the connection the lock

    async def close(self) -> None:
        """Give every claim back."""
        async with self._turn:
            self._held.clear()
            if self._db is not None:
                with suppress(psycopg.Error):  # else it's free only once the server has noticed
                    await self._db.execute("select pg_advisory_unlock_all()")
            await self._drop()

    async def regain(self, lost: Backend) -> None:
        """Take the locks of all claims again, whose connection was *lost*; drop the others."""
        async with self._turn:
            if self.backend == lost:
                await self._drop()
                await self._connected()

    def _lock(self, session: str) -> int:
        return key(self._server.address, "claim", session)

    # The rest is for whoever has the turn.

    async def _run(self, query: str, *args: object) -> TupleRow:
        """Return the row of a query on the claims' connection."""
        statement = named(query, self._server.address)
        async with self._turn:
            deadline = time.monotonic() + self._server.patience
            while True:
                try:
                    db = await self._connected()
                    found = await (await db.execute(statement, args)).fetchone()
                except psycopg.Error as error:
                    if not unknown(error) or time.monotonic() > deadline:
                        raise translated(error, self._server.address.text) from error
                    await self._drop()
                else:
                    assert found is not None  # noqa: S101 - a call has one row
                    return found

    async def _connected(self) -> Connection:
        if self._db is None:
            db = await self._server.connect_again()
            try:
                await self._end_last(db)
                row = await (await db.execute(_WHO)).fetchone()
                assert row is not None  # noqa: S101 - it's there, for it answers
                for lock, claim in tuple(self._held.items()):
                    free = await (await db.execute(_LOCK, (lock,))).fetchone() if claim else None
                    if claim and free != (True,):
                        del self._held[lock]  # somebody else was quicker
            except BaseException:
                await db.close()
                raise
            self._db = db
            self.backend = Backend(*row)
        return self._db

    async def _end_last(self, db: Connection) -> None:
        """End the server's process of the last connection: it may not have noticed its end."""
        if self.backend.pid:
            await db.execute(_END, (self.backend.pid, self.backend.started))

    async def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            await db.close()
