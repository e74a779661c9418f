"""
The one thread that writes, for all sessions of a store.

It takes what is waiting and never waits for more: jobs that came while it was busy
go into one transaction, a savepoint each, and cost one flush. If the transaction
fails, they're done again one by one, so that the guilty one fails alone. It never
ends with callers waiting, and a job's outcome is known when its future is done.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import apsw

from lash_sdk.errors import LashError, StoreError

from .connection import BUSY, check_place, connect, retried, shut, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

JOBS: Final = 64
"""How many jobs go into one transaction."""

BYTES: Final = 1024 * 1024
"""How many bytes fill a transaction: none is added to one that has them."""


class Outcome(asyncio.Future[T]):
    """
    A future that won't be cancelled.

    A task that's cancelled while it waits for one goes on waiting, and gets its
    `CancelledError` once the outcome is there.
    """

    def cancel(self, msg: object = None) -> bool:
        """Return False: what was handed over is going to happen."""
        return False


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """
    Something to do in a transaction.

    Attributes:
        run: Does it; safe to repeat.
        seek: Looks whether it was done: what `run` returned, or None.
        size: Bytes that it writes, roughly.
    """

    run: Callable[[apsw.Connection], T]
    seek: Callable[[apsw.Connection], T | None]
    size: int
    outcome: Outcome[T]


class Writer:
    """
    The thread, its connection and what is waiting for it.

    Attributes:
        transactions: How many it has committed; tests and benchmarks count them.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._db: apsw.Connection | None = connect(path, patience)
        self._queue: SimpleQueue[Job[object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lash-store-sqlite", daemon=True)
        self._closed = False
        self.transactions = 0
        self._thread.start()

    def submit(
        self,
        run: Callable[[apsw.Connection], T],
        *,
        seek: Callable[[apsw.Connection], T | None],
        size: int = 0,
    ) -> Outcome[T]:
        """
        Return the outcome of *run*, which happens in the writer's thread.

        Raises:
            StoreError: The writer was closed.
        """
        if self._closed:
            raise StoreError(f"{self._path!r} is closed")
        outcome: Outcome[T] = Outcome(loop=asyncio.get_running_loop())
        self._queue.put(Job(run, seek, size, outcome))  # type: ignore[arg-type]
        return outcome

    def close(self) -> None:
        """Finish what was accepted, then end the thread; blocks until it has."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    # The rest is the thread's.

    def _work(self) -> None:
        last = False
        while not last:
            jobs, last = self._take()
            outcomes: list[object] = []
            try:
                self._settle(jobs, outcomes)
            except BaseException as error:
                left = len(jobs) - len(outcomes)
                outcomes += [StoreError(f"{self._path!r}: {error!r}")] * left
            _tell(zip(jobs, outcomes, strict=True))
        if self._db is not None:
            shut(self._db)

    def _take(self) -> tuple[list[Job[object]], bool]:
        """Return what is waiting, at least one job, and whether it's the last."""
        jobs: list[Job[object]] = []
        size = 0
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            size += job.size
            if len(jobs) >= JOBS or size >= BYTES:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True

    def _settle(self, jobs: list[Job[object]], outcomes: list[object]) -> None:
        """Add each job's outcome to *outcomes*: what it returned, or its error."""
        if len(jobs) > 1:
            try:
                outcomes += retried(partial(self._together, jobs), self._patience)
            except BUSY as error:  # alone they'd wait as long again, each of them
                outcomes += [translated(error, self._path) for _ in jobs]
            except Exception as error:
                self._recover(error)
            if outcomes:
                return
        for job in jobs:
            try:
                outcomes.append(retried(partial(self._alone, job), self._patience))
            except Exception as error:
                outcomes.append(self._resolve(job, error))

    def _alone(self, job: Job[object]) -> object:
        """Do one job in a transaction."""
        db = self._begin()
        try:
            result = job.run(db)
            self._commit(db)
        except BaseException:
            _roll_back(db)
            raise
        self.transactions += 1
        return result

    def _together(self, jobs: list[Job[object]]) -> list[object]:
        """Do jobs in one transaction, where a refusal undoes its own job alone."""
        db = self._begin()
        outcomes: list[object] = []
        try:
            for job in jobs:
                db.execute("savepoint job")
                try:
                    outcomes.append(job.run(db))
                except LashError as refusal:
                    db.execute("rollback to job")
                    outcomes.append(refusal)
                db.execute("release job")
            self._commit(db)
        except BaseException:
            _roll_back(db)
            raise
        self.transactions += 1
        return outcomes

    def _begin(self) -> apsw.Connection:
        """Return the connection, in a new transaction that may write."""
        db = self._connection()
        if db.in_transaction:  # a rollback failed: this connection is of no use
            self._drop()
            db = self._connection()
        db.execute("begin immediate")
        return db

    def _commit(self, db: apsw.Connection) -> None:
        """Commit, unless that would be to a file that's no longer there."""
        check_place(db, self._path)
        db.execute("commit")

    def _connection(self) -> apsw.Connection:
        if self._db is None:
            self._db = connect(self._path, self._patience)
        return self._db

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            shut(db)

    def _recover(self, error: Exception) -> None:
        """Drop the connection unless what happened leaves it sound."""
        if isinstance(error, apsw.Error) and not isinstance(error, _HARMLESS):
            self._drop()

    def _resolve(self, job: Job[object], error: Exception) -> object:
        """Return the outcome of a job that failed: it may have been done."""
        if not isinstance(error, apsw.Error) or isinstance(error, _HARMLESS):
            return translated(error, self._path)
        self._drop()
        try:
            found = retried(lambda: job.seek(self._connection()), self._patience)
        except Exception as again:
            return StoreError(
                f"{self._path!r}: {error}; then {again}: it isn't known whether this"
                " was written, repeat it with the same operation id"
            )
        return translated(error, self._path) if found is None else found


_HARMLESS: Final = (*BUSY, apsw.FullError, apsw.ConstraintError, apsw.TooBigError)
"""Errors after which the connection is as good as before."""


def _roll_back(db: apsw.Connection) -> None:
    if db.in_transaction:  # SQLite itself may have rolled back
        try:
            db.execute("rollback")
        except apsw.Error:
            return  # whoever begins next finds the transaction, and reconnects


def _tell(done: Iterable[tuple[Job[object], object]]) -> None:
    """Wake each loop once, with the outcomes of its jobs."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Outcome[object], object]]] = {}
    for job, result in done:
        loops.setdefault(job.outcome.get_loop(), []).append((job.outcome, result))
    for loop, results in loops.items():
        try:
            loop.call_soon_threadsafe(_deliver, results)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _deliver(results: list[tuple[Outcome[object], object]]) -> None:
    for outcome, result in results:
        if isinstance(result, Exception):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)
