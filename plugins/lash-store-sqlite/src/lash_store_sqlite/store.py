"""The store itself: a thread that writes, a thread that reads, one file."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar, TypeVarTuple
from urllib.parse import unquote

import apsw

from lash_sdk.errors import InvalidInput, SessionBusy, StoreError, StoreMissing
from lash_sdk.ports import Store

from . import commits, deletion, forks, garbage, heads, inbox, journal, pages, pieces
from .claims import LOCKS, Claims
from .connection import BUSY, connect, create, retried, shut, translated
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from lash_sdk.commits import Commit, Head, Receipt
    from lash_sdk.graph import Node
    from lash_sdk.ports import Claim, InboxItem, JournalRow, Page, SessionSummary

Args = TypeVarTuple("Args")
T = TypeVar("T")

SCHEME: Final = "sqlite:///"
FEED: Final = 500
"""How many receipts are read in one go."""

_EVERYWHERE: Final = frozenset(("commit", "inbox", "fork", "observe", "vacuum"))


class SqliteStore(Store):
    """
    Sessions in one SQLite file; any number of processes may share it.

    A commit is on the disk, flushed, when `commit` returns. Keep the file on a
    local disk, and don't carry an open store across `os.fork`.
    """

    capabilities: ClassVar[frozenset[str]] = _EVERYWHERE | ({"journal"} if LOCKS else set())
    limit: ClassVar[int | None] = 64 * 1024 * 1024

    def __init__(self, path: str | os.PathLike[str], *, patience: float = 5.0) -> None:
        """
        Make a store of the file at *path*; it's made when the store is opened.

        Args:
            path: Its folder must be there.
            patience: Seconds to wait for other processes before `StoreBusy`.
        """
        self.path = os.fspath(path)
        self._patience = patience
        self._writer: Writer | None = None
        self._reader: apsw.Connection | None = None
        self._glass: apsw.Connection | None = None
        self._claims: Claims | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._process = 0

    @classmethod
    def from_url(cls, url: str) -> SqliteStore:
        """
        Return the store of a URL: `sqlite:///relative.db`, `sqlite:////absolute.db`.

        Raises:
            InvalidInput: It's neither.
        """
        path = unquote(url.removeprefix(SCHEME))
        if not url.startswith(SCHEME) or not path or "\0" in path:
            raise InvalidInput(
                f"expected 'sqlite:///relative.db' or 'sqlite:////absolute.db', found {url!r}"
            )
        return cls(path)

    @property
    def transactions(self) -> int:
        """How many transactions have been committed since it was opened."""
        return self._writer.transactions if self._writer else 0

    async def find(self) -> None:
        """
        Return if its file is there, open or not; make none.

        Raises:
            StoreMissing: It isn't.
        """
        if not await asyncio.to_thread(os.path.exists, self.path):
            raise StoreMissing(f"there's no store at {self.path!r}")

    async def open(self) -> None:
        """
        Make the store ready; make its file if there's none.

        Raises:
            StoreCorrupt: What's there isn't a store.
            SchemaTooNew: A newer version wrote it; it's left untouched.
            StoreError: It can't be opened or written.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "lash-store-sqlite-reader")
            self._process = os.getpid()
        try:
            await self._run(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was accepted and release everything; twice is fine."""
        if self._process != os.getpid():
            return  # a forked child's copy: threads and locks are its parent's
        thread, self._thread = self._thread, None
        if thread is not None:
            # handed over whole, so that being cancelled can't stop it halfway
            closing = thread.submit(self._close)
            thread.shutdown(wait=False)
            await asyncio.shield(asyncio.wrap_future(closing))

    # --- reading ---------------------------------------------------------------

    async def head(self, session: str) -> Head | None:
        """Return where *session* stands, or None if nothing made it yet."""
        return await self._glance(_snapshot, heads.head, session)

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """Yield what was committed after revision *since*, oldest first."""
        plans = await self._read(pages.plan, session, since)
        for batch in pages.batches(plans):
            found, damage = await self._read(pages.read, session, batch)
            for page in found:
                yield page
            if damage is not None:
                raise damage

    async def node(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""
        return await self._read(pages.node, id)

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Return the receipt of an operation, or None if it never landed."""
        return await self._read(heads.receipt, session, operation)

    async def blob(self, ref: str) -> bytes:
        """Return the bytes behind a ref of a manifest or of a message's `Blob`."""
        return await self._read(pieces.read_blob, ref)

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        """Return at most *limit* sessions updated before then, newest first."""
        return await self._read(heads.sessions, before, limit, prefix)

    async def changes(self, cursor: int = 0) -> AsyncIterator[Receipt]:
        """Yield the receipts of commits after *cursor*, of any session, and end."""
        full = True
        while full:
            receipts = await self._read(heads.changes, cursor, FEED)
            for receipt in receipts:
                cursor = receipt.cursor
                yield receipt
            full = len(receipts) == FEED

    # --- writing ---------------------------------------------------------------

    async def commit(self, commit: Commit) -> Receipt:
        """
        Make *commit* the session's head, or change nothing.

        Returns or raises only once the outcome is known, also when the caller
        is cancelled.
        """
        body = commits.body(commit, self.limit)  # here, so that the writer only writes
        return await self._open_writer().submit(
            partial(commits.apply, body=body),
            seek=partial(commits.landed, body=body),
            size=body.size,
        )

    async def fork(self, session: str, id: str, *, at: str | None = None) -> Head:
        """Make session *id* on the nodes of *session*, in constant time."""
        return await self._open_writer().submit(
            partial(forks.fork, session=session, id=id, at=at), seek=partial(forks.forked, id=id)
        )

    async def enqueue(self, session: str, item: InboxItem) -> InboxItem:
        """Keep *item* until a turn uses it; durable on return."""
        letter = inbox.letter(session, item)
        return await self._open_writer().submit(
            partial(inbox.put, letter=letter),
            seek=partial(inbox.kept, letter=letter),
            size=len(letter.data),
        )

    async def pending(self, session: str) -> Sequence[InboxItem]:
        """Return what waits in the session's inbox, oldest first."""
        return await self._glance(inbox.waiting, session)

    async def withdraw(self, session: str, key: str) -> bool:
        """Take a waiting item back, key and all; return whether it still waited."""
        return await self._write(partial(inbox.withdraw, session=session, key=key))

    async def delete(self, session: str) -> bool:
        """Delete *session* and its pending children for good; return if there was one."""
        return await self._open_writer().submit(
            partial(deletion.delete, session=session),
            seek=partial(deletion.deleted, session=session),
        )

    async def tombstone(self, session: str, nodes: Sequence[str]) -> int:
        """Hide *nodes* from every read; return how many were visible."""
        return await self._write(partial(garbage.tombstone, session=session, nodes=nodes))

    async def vacuum(self) -> int:
        """Remove tombstoned nodes, leaving their hashes; return how many."""
        return await self._write(garbage.vacuum)

    async def gc(self, *, dry_run: bool = False) -> int:
        """Remove blobs that no head and no journal reaches; return how many bytes."""
        return await (self._read(garbage.count) if dry_run else self._write(garbage.collect))

    # --- claims and journals ---------------------------------------------------

    async def claim(self, session: str) -> Claim:
        """Take the right to run a turn of *session*; `release` gives it back."""
        claims = self._open_claims()
        taken = claims.take(session)
        try:
            state = await self._glance(journal.state, session)
            if not taken:
                raise SessionBusy(session)
            return claims.grant(session, state)
        except BaseException:
            if taken:
                claims.give_up(session)
            raise

    async def release(self, claim: Claim) -> None:
        """Give *claim* back; a second call, or one for a stale claim, does nothing."""
        if self._claims is not None:
            self._open_claims().release(claim)

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        """Make *rows* durable, all or none, and *claim* the newest that wrote any."""
        entry = journal.entry(claim, rows)
        await self._open_writer().submit(
            partial(journal.put, entry=entry, holds=self._open_claims().holds),
            seek=partial(journal.written, entry=entry),
            size=entry.size,
        )

    async def journal(self, session: str) -> Sequence[JournalRow]:
        """Return the rows of the session's unfinished turns, in their order."""
        any = await self._glance(journal.unfinished, session)
        return await self._read(journal.rows, session) if any else ()

    async def journal_drop(self, claim: Claim, turn: str) -> None:
        """Remove the rows of a turn that will never be committed, and its children."""
        holds = self._open_claims().holds
        await self._write(partial(journal.drop, claim=claim, turn=turn, holds=holds))

    # --- the two threads -------------------------------------------------------

    def _check(self) -> None:
        """
        Accept a call in the process that opened the store.

        Raises:
            StoreError: It isn't open, or a fork carried it here.
        """
        if self._thread is None:
            raise StoreError(f"{self.path!r} isn't open")
        if self._process != os.getpid():
            raise StoreError(f"{self.path!r} was opened before a fork: open a store of your own")

    def _open_writer(self) -> Writer:
        self._check()
        if self._writer is None:
            raise StoreError(f"{self.path!r} isn't open")
        return self._writer

    def _open_claims(self) -> Claims:
        self._check()
        if self._claims is None:
            raise StoreError(f"{self.path!r} isn't open")
        return self._claims

    async def _run(self, action: Callable[[], T]) -> T:
        """Return what *action* returns in the reader's thread."""
        self._check()
        return await asyncio.get_running_loop().run_in_executor(self._thread, action)

    async def _read(self, query: Callable[[apsw.Connection, *Args], T], *args: *Args) -> T:
        """Return what *query* finds, on a snapshot of its own."""
        return await self._run(lambda: self._query(lambda db: query(db, *args)))

    async def _glance(self, query: Callable[[apsw.Connection, *Args], T], *args: *Args) -> T:
        """
        Return what *query* finds in a few rows, here: a thread's turn costs ten times that.

        One of several statements wants `_snapshot` around it. It waits for nobody; where
        a lock is in the way, the reader asks instead.
        """
        self._check()
        if (db := self._glass) is not None:
            try:
                return query(db, *args)
            except BUSY:
                pass
            except apsw.Error as error:
                raise translated(error, self.path) from error
        return await self._read(query, *args)

    async def _write(self, run: Callable[[apsw.Connection], T]) -> T:
        """Return what *run* returns in the writer's thread; it's safe to call again."""
        return await self._open_writer().submit(run, seek=lambda db: None)

    # These run in the reader's thread.

    def _open(self) -> None:
        if self._writer is None:
            create(self.path, self._patience)
            self._reader = connect(self.path, self._patience)
            self._reader.execute("pragma query_only=1")
            self._glass = connect(self.path, self._patience)
            self._glass.execute("pragma query_only=1")
            self._glass.set_busy_timeout(0)
            self._claims = Claims(self.path)
            self._writer = Writer(self.path, self._patience)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._claims is not None:
            self._claims.close()
        for db in (self._reader, self._glass):
            if db is not None:
                shut(db)
        self._writer = self._reader = self._glass = self._claims = None

    def _query(self, query: Callable[[apsw.Connection], T]) -> T:
        db = self._reader
        if db is None:
            raise StoreError(f"{self.path!r} isn't open")

        try:
            return retried(lambda: _snapshot(db, query), self._patience)
        except (apsw.Error, UnicodeEncodeError) as error:
            raise translated(error, self.path) from error


def _snapshot(db: apsw.Connection, query: Callable[[apsw.Connection, *Args], T], *args: *Args) -> T:
    """Return what *query* finds while nobody's commit comes in between."""
    db.execute("begin")
    try:
        return query(db, *args)
    finally:
        if db.in_transaction:
            db.execute("commit")
