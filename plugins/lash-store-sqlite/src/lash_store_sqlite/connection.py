"""
Connections: how a database file is made, checked and opened.

A file that isn't ours, or is newer than we are, is found out from its header
alone, before SQLite may touch it.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from ctypes import addressof, c_int
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import apsw

from lash_sdk.errors import (
    InvalidInput,
    LashError,
    SchemaTooNew,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
)

from .migration import STEPS, migrate
from .schema import APPLICATION_ID, PAGE_SIZE, TABLES, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BUSY_TIMEOUT: Final = 200
"""Milliseconds that SQLite itself waits for a lock, each time we try."""

PRAGMAS: Final = {
    "journal_mode": "wal",
    "synchronous": 2,  # full: an acknowledged commit survives a power cut
    "fullfsync": 1,  # only macOS tells the two kinds of flush apart
    "checkpoint_fullfsync": 1,
    "busy_timeout": BUSY_TIMEOUT,
    "trusted_schema": 0,
}
"""What every connection sets, and reads back."""

BUSY: Final = (apsw.BusyError, apsw.LockedError)
_EXISTING: Final = apsw.SQLITE_OPEN_READWRITE
_ANY: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_MAGIC: Final = b"SQLite format 3\0"


def create(path: str, patience: float) -> None:
    """
    Make the file and its tables, unless they're there, and bring older ones up to date.

    Many processes may do this at once; one makes the tables, in one transaction,
    before the file gets its write-ahead log: its header always says what it is.

    Raises:
        StoreCorrupt: There's a file, and it isn't ours, or its end is missing.
        SchemaTooNew: A newer version wrote it.
        StoreError: It can't be opened.
    """
    _check_header(path)
    if Path(path).exists() and not os.access(path, os.W_OK):
        # SQLite's files beside it would be as read-only, and stay so when it no longer is
        raise _unwritable(path)
    db = _open(path, _ANY)
    try:
        db.execute(f"pragma busy_timeout={BUSY_TIMEOUT}")
        db.execute(f"pragma page_size={PAGE_SIZE}")
        if not retried(lambda: _tables(db), patience):
            retried(lambda: _make_tables(db), patience)
        version = retried(lambda: _check_version(db, path), patience)
        if db.readonly("main"):
            raise _unwritable(path)
        if version < VERSION:
            retried(lambda: migrate(db, VERSION, STEPS), patience)
        retried(lambda: db.execute("pragma journal_mode=wal"), patience)
    except apsw.Error as error:
        raise translated(error, path) from error
    finally:
        shut(db)


def connect(path: str, patience: float) -> apsw.Connection:
    """
    Return a connection to a store's file that's there, its pragmas set.

    Raises:
        StoreError: It can't be opened, or a pragma doesn't hold.
    """
    db = _open(path, _EXISTING)
    # otherwise a join with a bound parameter is prepared again each time: 12 us
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    try:
        for name, value in PRAGMAS.items():
            retried(partial(db.pragma, name, value), patience)
            if (found := retried(partial(db.pragma, name), patience)) != value:
                raise StoreError(
                    f"{path!r}: expected pragma {name}={value!r}, found {found!r};"
                    " keep it on a local disk"
                )
    except apsw.Error as error:
        shut(db)
        raise translated(error, path) from error
    except StoreError:
        shut(db)
        raise
    return db


def check_place(db: apsw.Connection, path: str) -> None:
    """
    Return if the connection's file is still the one that's found at its path.

    Raises:
        StoreError: What's written would be in a file that nobody finds again.
    """
    moved = c_int()
    db.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, addressof(moved))
    if moved.value:
        raise StoreError(
            f"{path!r} was moved, replaced or deleted while it was open:"
            " put it back, or close the store and open it again"
        )


def shut(db: apsw.Connection) -> None:
    """
    Close a connection, whatever the disk says to that.

    The last one folds the log into the database. If that fails nothing is lost: the
    log stays, and whoever opens the file next reads it.
    """
    with suppress(apsw.Error):
        db.close(force=True)


def retried(action: Callable[[], T], patience: float) -> T:
    """
    Return what *action* returns, asked again with jitter while others hold a lock.

    Raises:
        apsw.BusyError: They still did after *patience* seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except BUSY:
            if time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter


def translated(error: Exception, path: str) -> LashError:
    """Return *error* in this library's words, with the path and the way out."""
    match error:
        case LashError():
            return error
        case apsw.BusyError() | apsw.LockedError():
            return StoreBusy(f"{path!r} stayed locked by another process: try again")
        case apsw.FullError():
            return StoreFull(f"no room left for {path!r}: make room and try again")
        case apsw.IOError() if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE:
            return StoreFull(f"no room left beside {path!r}: make room and try again")
        case apsw.CorruptError() | apsw.NotADBError():
            return StoreCorrupt(f"{path!r}: {error}; restore it from a backup")
        case apsw.CantOpenError() | apsw.PermissionsError() | apsw.ReadOnlyError():
            return StoreError(
                f"can't open {path!r}: {error}; its folder must exist, and be writable, as the"
                " file and those beside it that have its name"
            )
        case apsw.Error() | MemoryError():
            return StoreError(f"{path!r}: {type(error).__name__}: {error}")
        case _:
            return InvalidInput(f"SQLite can't hold a value of the commit: {error}")


def _unwritable(path: str) -> StoreError:
    return StoreError(f"can't write {path!r}: make it writable, or move it")


def _open(path: str, flags: int) -> apsw.Connection:
    try:
        return apsw.Connection(path, flags=flags)
    except apsw.Error as error:
        raise translated(error, path) from error


def _check_header(path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            header = file.read(100)
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"can't open {path!r}: {error}; choose another path") from None
    if not header or Path(path + "-journal").exists():
        return  # somebody is just making it, or died doing so: SQLite sorts it out
    if header[:16] != _MAGIC or header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise _foreign(path)
    if (found := int.from_bytes(header[60:64], "big")) > VERSION:
        raise SchemaTooNew(path, found=found, known=VERSION)
    page = int.from_bytes(header[16:18], "big") or PAGE_SIZE
    if size % page and not _grows(path) and Path(path).stat().st_size % page:
        # SQLite misses whole pages by itself, and takes what a part of one lacks for zeros
        raise StoreCorrupt(f"{path!r}: its end is missing; restore it from a backup")


def _grows(path: str) -> bool:
    """Return whether there's a log that somebody may be writing into the file just now."""
    return Path(path + "-wal").exists()


def _check_version(db: apsw.Connection, path: str) -> int:
    found: int = db.pragma("user_version")
    if db.pragma("application_id") != APPLICATION_ID or found < 1:
        raise _foreign(path)
    if found > VERSION:
        raise SchemaTooNew(path, found=found, known=VERSION)
    return found


def _foreign(path: str) -> StoreCorrupt:
    return StoreCorrupt(f"{path!r} isn't a session store: choose another path")


def _tables(db: apsw.Connection) -> int:
    found: int = db.execute("select count(*) from sqlite_schema").get
    return found


def _make_tables(db: apsw.Connection) -> None:
    db.execute("begin immediate")
    try:
        if not _tables(db):
            db.execute(f"pragma application_id={APPLICATION_ID}")
            db.execute(f"pragma user_version={VERSION}")
            db.execute(TABLES)
        db.execute("commit")
    except apsw.Error:
        if db.in_transaction:
            db.execute("rollback")
        raise
