"""
Sessions whose commits are waited for, told of by the server.

Whoever waits holds a shared advisory lock that stands for the session. A commit tries
that lock, and notifies if somebody has it: so only a session that's waited for pays
for the notice, and nothing that's committed after the lock was taken goes by unseen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql

from . import heads
from .refusals import translated
from .schema import Connection, named

if TYPE_CHECKING:
    from .server import Server

_LOCK: Final = "select pg_advisory_lock_shared(@schema@.watch(%b::text))"
_UNLOCK: Final = "select pg_advisory_unlock_shared(@schema@.watch(%b::text))"


class Watch:
    """The sessions that one open store waits for, and the connection that hears of them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._db: Connection | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def moved(self, session: str, revision: int) -> None:
        """
        Return once the head of *session* is past *revision*.

        Raises:
            SessionDeleted: The session is gone.
        """
        told = asyncio.Event()
        try:
            while True:
                await self._wait_for(session, told)
                head = await heads.head(self._server, session)
                if head is not None and head.revision > revision:
                    return
                await told.wait()
                told.clear()
        finally:
            await self._forget(session, told)

    async def close(self) -> None:
        """Wait for nothing any more."""
        async with self._turn:
            await self._drop()

    async def _wait_for(self, session: str, told: asyncio.Event) -> None:
        """Have *told* set with each commit to *session*, and when the connection breaks."""
        async with self._turn:
            others = self._waiting.setdefault(session, set())
            known = bool(others)
            others.add(told)
            if self._db is None:
                await self._connect()
            elif not known:
                await self._run(_LOCK, session)

    async def _forget(self, session: str, told: asyncio.Event) -> None:
        async with self._turn:
            others = self._waiting.get(session, set())
            others.discard(told)
            if not others and self._waiting.pop(session, None) is not None and self._db:
                await self._run(_UNLOCK, session)

    # The rest is for whoever has the turn.

    async def _connect(self) -> None:
        db = await self._server.connect_again()
        try:
            channel = sql.Identifier(f"lash:{self._server.address.schema}")
            await db.execute(sql.SQL("listen {}").format(channel))
            for session in self._waiting:
                await db.execute(named(_LOCK, self._server.address), (session,))
        except BaseException as error:
            await db.close()
            if isinstance(error, psycopg.Error):
                raise translated(error, self._server.address.text) from error
            raise
        self._db = db
        self._hearing = asyncio.ensure_future(self._hear(db))

    async def _run(self, query: str, session: str) -> None:
        """Make a call on the connection, which hears nothing meanwhile and loses nothing."""
        db = self._db
        if db is None:
            return
        await self._hush()
        try:
            await db.execute(named(query, self._server.address), (session,))
        except psycopg.Error:
            await self._drop()
        else:
            self._hearing = asyncio.ensure_future(self._hear(db))

    async def _hear(self, db: Connection) -> None:
        """Wake whoever waits for a session that the server tells of."""
        try:
            async for notice in db.notifies():
                for told in self._waiting.get(notice.payload, ()):
                    told.set()
        except psycopg.Error:
            self._db = None
            self._wake_all()
            await db.close()

    async def _hush(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.wait([self._hearing])
            self._hearing = None

    async def _drop(self) -> None:
        await self._hush()
        db, self._db = self._db, None
        if db is not None:
            await db.close()
        self._wake_all()

    def _wake_all(self) -> None:
        for others in self._waiting.values():
            for told in others:
                told.set()
