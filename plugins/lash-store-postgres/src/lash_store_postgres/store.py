"""The store itself: what the kernel asks, handed on to the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from lash_sdk.errors import StoreError
from lash_sdk.ports import BASE, Store

from . import commits, forks, heads, inbox, journal, pages, pieces
from .address import Address
from .claims import Claims
from .outcome import Works
from .server import Server
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from lash_sdk.commits import Commit, Head, Receipt
    from lash_sdk.graph import Node
    from lash_sdk.ports import Claim, InboxItem, JournalRow, Page, SessionSummary


class PostgresStore(Store):
    """
    Sessions in PostgreSQL; any number of processes and machines may share them.

    A commit is flushed by the server when `commit` returns. An open store belongs to
    one event loop, and isn't carried across `os.fork`.
    """

    capabilities: ClassVar[frozenset[str]] = BASE | {"observe", "vacuum"}
    limit: ClassVar[int | None] = 64 * 1024 * 1024

    def __init__(self, url: str, *, patience: float = 5.0, connections: int = 8) -> None:
        """
        Make a store of the database at *url*; its tables are made when it's opened.

        Args:
            url: As PostgreSQL takes it; `schema=` names the schema of the tables.
            patience: Seconds to wait for others, or for the server, before `StoreBusy`.
            connections: How many it may have at once, beside one for its claims.

        Raises:
            InvalidInput: The URL is none of PostgreSQL's.
        """
        self.address = Address(url)
        self._server = Server(self.address, patience, connections)
        self._claims = Claims(self._server)
        self._watch = Watch(self._server)
        self._works = Works()
        self._feed = heads.Feed(self._server)
        self._open = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address.text!r})"

    async def find(self) -> None:
        """
        Return if its tables are there, open or not; make none.

        Raises:
            StoreMissing: They aren't; the message names the schema.
            StoreCorrupt, SchemaTooNew, StoreError: As `open` does.
        """
        await self._server.find()

    async def open(self) -> None:
        """
        Make the store ready; make its tables if there are none.

        Raises:
            StoreCorrupt: The schema has something else in it.
            SchemaTooNew: A newer version wrote it; it's left untouched.
            StoreError: The server can't be reached, or refuses us.
        """
        if not self._open:
            await self._server.open()
            self._open = True

    async def close(self) -> None:
        """Finish what was accepted and release everything; twice is fine."""
        if self._open:
            self._open = False
            await self._works.begin(self._close())

    async def _close(self) -> None:
        await self._works.others_ended()
        await self._watch.close()
        await self._claims.close()
        await self._server.close()

    def _check(self) -> Server:
        if not self._open:
            raise StoreError(f"{self.address.text} isn't open")
        self._server.check()
        return self._server

    # --- reading ---------------------------------------------------------------

    async def head(self, session: str) -> Head | None:
        """Return where *session* stands, or None if nothing made it yet."""
        return await heads.head(self._check(), session)

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """Yield what was committed after revision *since*, oldest first."""
        async for page in pages.load(self._check(), session, since):
            yield page

    async def node(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""
        return await pages.node(self._check(), id)

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Return the receipt of an operation, or None if it never landed."""
        return await heads.receipt(self._check(), session, operation)

    async def blob(self, ref: str) -> bytes:
        """Return the bytes behind a ref of a manifest or of a message's `Blob`."""
        return await pieces.read_blob(self._check(), ref)

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        """Return at most *limit* sessions updated before then, newest first."""
        return await heads.sessions(self._check(), before, limit, prefix)

    async def moved(self, session: str, revision: int) -> None:
        """Return once the head of *session* is past *revision*, whoever moved it."""
        self._check()
        await self._watch.moved(session, revision)

    async def changes(self, cursor: int = 0) -> AsyncIterator[Receipt]:
        """Yield the receipts of commits after *cursor*, of any session, and end."""
        self._check()
        async for receipt in self._feed.after(cursor):
            yield receipt

    # --- writing ---------------------------------------------------------------

    async def commit(self, commit: Commit) -> Receipt:
        """
        Make *commit* the session's head, or change nothing.

        Returns or raises only once the outcome is known, also when the caller
        is cancelled.
        """
        server = self._check()
        body = commits.body(commit, self.limit)
        return await self._works.begin_in(commit.session, commits.apply(server, body))

    async def fork(self, session: str, id: str, *, at: str | None = None) -> Head:
        """Make session *id* on the nodes of *session*, in constant time."""
        return await self._works.begin(forks.fork(self._check(), session, id, at))

    async def enqueue(self, session: str, item: InboxItem) -> InboxItem:
        """Keep *item* until a turn uses it; durable on return."""
        server = self._check()
        data = inbox.packed(item)
        return await self._works.begin_in(session, inbox.put(server, session, item, data))

    async def pending(self, session: str) -> Sequence[InboxItem]:
        """Return what waits in the session's inbox, oldest first."""
        return await inbox.waiting(self._check(), session)

    async def withdraw(self, session: str, key: str) -> bool:
        """
        Take a waiting item back, key and all; return whether it still waited.

        If the connection breaks just then, False may also mean that it was taken back.
        """
        return await self._works.begin_in(session, inbox.withdraw(self._check(), session, key))

    async def delete(self, session: str) -> bool:
        """Delete *session* and its pending children for good; return if there was one."""
        query = "select @schema@.delete(%b::text, %b::text)"
        outcome = await self._change(query, session, uuid4().hex)
        return bool(outcome == "done")

    async def tombstone(self, session: str, nodes: Sequence[str]) -> int:
        """Hide *nodes* from every read; return how many were visible."""
        query = "select @schema@.tombstone(%b::text, %b::text[])"
        return int(str(await self._change(query, session, list(nodes))))

    async def vacuum(self) -> int:
        """Remove tombstoned nodes, leaving their hashes; return how many."""
        return int(str(await self._change("select @schema@.vacuum()")))

    async def gc(self, *, dry_run: bool = False) -> int:
        """Remove blobs that no head and no journal reaches; return how many bytes."""
        if dry_run:
            rows = await self._check().rows("select size from @schema@.garbage()")
            return sum([size for (size,) in rows])
        return int(str(await self._change("select @schema@.collect()")))

    async def _change(self, query: str, *args: object) -> object:
        """Return what a call of one value returns, whatever happens to the caller."""
        row = await self._works.begin(self._check().call(query, *args))
        return row[0]

    # --- claims and journals ---------------------------------------------------

    async def claim(self, session: str) -> Claim:
        """Take the right to run a turn of *session*; `release` gives it back."""
        self._check()
        taking = self._works.begin(self._claims.take(session))
        try:
            return await taking
        except asyncio.CancelledError:
            if taking.done() and not taking.exception():  # nobody is left to give it back
                await self._works.begin(self._claims.release(taking.result()))
            raise

    async def release(self, claim: Claim) -> None:
        """Give *claim* back; a second call, or one for a stale claim, does nothing."""
        if self._open:
            self._check()
            # whoever asks the server before this does waits a moment: see `claims.GRACE`
            self._works.leave(self._claims.release(claim))
            await asyncio.sleep(0)  # it's on its way

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        """Make *rows* durable, all or none, and *claim* the newest that wrote any."""
        server = self._check()
        entry = journal.entry(claim, rows)
        await self._works.begin_in(claim.session, journal.put(server, self._claims, entry))

    async def journal(self, session: str) -> Sequence[JournalRow]:
        """Return the rows of the session's unfinished turns, in their order."""
        return await journal.rows(self._check(), session)

    async def journal_drop(self, claim: Claim, turn: str) -> None:
        """Remove the rows of a turn that will never be committed, and its children."""
        await self._works.begin(journal.drop(self._check(), self._claims, claim, turn))
