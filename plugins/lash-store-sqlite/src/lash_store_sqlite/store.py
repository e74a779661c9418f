"""The store itself: a thread that writes, a thread that reads, one file."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar, TypeVarTuple
from urllib.parse import unquote

import apsw

from lash_sdk.errors import InvalidInput, StoreError
from lash_sdk.ports import Store

from . import reading, writing
from .connection import connect, create, retried, translated
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from lash_sdk.commits import Commit, Head, Receipt
    from lash_sdk.graph import Node
    from lash_sdk.ports import Page, SessionSummary

Args = TypeVarTuple("Args")
T = TypeVar("T")

SCHEME = "sqlite:///"


class SqliteStore(Store):
    """
    Sessions in one SQLite file; any number of processes may share it.

    A commit is on the disk, flushed, when `commit` returns. Keep the file on a
    local disk, and don't carry an open store across `os.fork`.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset(("commit",))

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
        self._thread: ThreadPoolExecutor | None = None

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
        try:
            await self._run(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was accepted and release everything; twice is fine."""
        thread, self._thread = self._thread, None
        if thread is not None:
            # handed over whole, so that being cancelled can't stop it halfway
            closing = thread.submit(self._close)
            thread.shutdown(wait=False)
            await asyncio.shield(asyncio.wrap_future(closing))

    async def head(self, session: str) -> Head | None:
        """
        Return where *session* stands, or None if it was never committed.

        Raises:
            SessionDeleted: The id was used by a session that's gone.
        """
        return await self._read(reading.head, session)

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """
        Yield what was committed after revision *since*, oldest first.

        Raises:
            SessionDeleted: The id was used by a session that's gone.
            StoreCorrupt: A stored part isn't what its hash says.
        """
        links = await self._read(reading.chain, session, since)
        for span in reading.spans(links):
            yield await self._read(reading.read_page, session, span)

    async def node(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""
        return await self._read(reading.node, id)

    async def commit(self, commit: Commit) -> Receipt:
        """
        Make *commit* the session's head, or change nothing.

        Returns or raises only once the outcome is known, also when the caller
        is cancelled.
        """
        if commit.consumed or commit.children:
            raise self._lacks("inbox" if commit.consumed else "fork")
        body = writing.body(commit)  # here, so that the writer only writes
        return await self._open_writer().submit(
            partial(writing.apply, body=body),
            seek=partial(writing.landed, body=body),
            size=body.size,
        )

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Return the receipt of an operation, or None if it never landed."""
        return await self._read(reading.receipt, session, operation)

    async def blob(self, ref: str) -> bytes:
        """
        Return the bytes behind a ref of a manifest or of a message's `Blob`.

        Raises:
            StoreCorrupt: There's none, or its hash is another.
        """
        return await self._read(reading.blob, ref)

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        """Return at most *limit* sessions updated before then, newest first."""
        return await self._read(reading.sessions, before, limit, prefix)

    async def delete(self, session: str) -> bool:
        """
        Delete *session* for good; return whether there was one.

        Its id is never used again. Blobs stay until they're collected.
        """
        return await self._open_writer().submit(
            partial(writing.delete, session=session), seek=partial(writing.deleted, session=session)
        )

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise StoreError(f"{self.path!r} isn't open")
        return self._writer

    async def _run(self, action: Callable[[], T]) -> T:
        """Return what *action* returns in the reader's thread."""
        if self._thread is None:
            raise StoreError(f"{self.path!r} isn't open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, action)

    async def _read(self, query: Callable[[apsw.Connection, *Args], T], *args: *Args) -> T:
        """Return what *query* finds, on a snapshot of its own."""
        return await self._run(lambda: self._query(lambda db: query(db, *args)))

    # These run in the reader's thread.

    def _open(self) -> None:
        if self._writer is None:
            create(self.path, self._patience)
            self._reader = connect(self.path, self._patience)
            self._reader.execute("pragma query_only=1")
            self._writer = Writer(self.path, self._patience)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._reader is not None:
            self._reader.close()
        self._writer = self._reader = None

    def _query(self, query: Callable[[apsw.Connection], T]) -> T:
        db = self._reader
        if db is None:
            raise StoreError(f"{self.path!r} isn't open")

        def snapshot() -> T:
            db.execute("begin")
            try:
                return query(db)
            finally:
                if db.in_transaction:
                    db.execute("commit")

        try:
            return retried(snapshot, self._patience)
        except (apsw.Error, UnicodeEncodeError) as error:
            raise translated(error, self.path) from error
