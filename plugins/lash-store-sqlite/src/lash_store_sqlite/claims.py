"""
The right to run a session's turn, told by the operating system.

A claim is a lock on one byte of a file beside the database, where the session's
id says. The kernel frees it once the process that took it is gone, however it
ended, and not before. The lock belongs to the open file: two stores of one
process exclude each other, and a forked child that closes its copy takes nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from io import FileIO
from typing import TYPE_CHECKING, Final
from uuid import uuid4
from weakref import WeakSet

from lash_sdk.errors import StoreError, StoreFull, Unavailable
from lash_sdk.ports import Claim

if TYPE_CHECKING:
    from .journal import State

LOCKS: Final = sys.platform == "linux"
"""Whether the system has locks that belong to an open file; others can't claim."""

SUFFIX: Final = "-claims"
"""What the file's name has after the database's."""

_ALL: Final = 0
"""As a length: up to the end of any file."""


class Claims:
    """The claims that one open store holds."""

    def __init__(self, path: str) -> None:
        """Hold none yet; the file is made with the first."""
        self._path = os.path.realpath(path) + SUFFIX
        self._file: FileIO | None = None
        self._held: dict[int, Claim | None] = {}  # None while a claim is being made
        self._newest = 0
        self._holder = uuid4().hex
        self._mutex = threading.Lock()
        _OPEN.add(self)

    def take(self, session: str) -> bool:
        """
        Return whether the session's lock was free, and is ours now.

        Raises:
            Unavailable: The system has no such locks.
            StoreError: The file can't be made.
        """
        at = offset(session)
        with self._mutex:
            if at in self._held or not _lock(self._open(), at):
                return False
            self._held[at] = None
            return True

    def grant(self, session: str, state: State) -> Claim:
        """Return the claim of a lock that was taken."""
        with self._mutex:
            generation = self._newest = max(self._newest, state.generation) + 1
            claim = Claim(
                session=session,
                holder=self._holder,
                generation=generation,
                revision=state.revision,
                unfinished=state.unfinished,
                waiting=state.waiting,
            )
            self._held[offset(session)] = claim
            return claim

    def holds(self, claim: Claim) -> bool:
        """Return whether *claim* is held."""
        return self._held.get(offset(claim.session)) == claim

    def give_up(self, session: str) -> None:
        """Free a lock that was taken, and got no claim."""
        self._free(offset(session), None)

    def release(self, claim: Claim) -> None:
        """Give *claim* back, unless it's stale."""
        self._free(offset(claim.session), claim)

    def _free(self, at: int, claim: Claim | None) -> None:
        with self._mutex:
            if at in self._held and self._held[at] == claim and self._file is not None:
                _unlock(self._file, at, 1)
                del self._held[at]

    def close(self) -> None:
        """Give every claim back."""
        with self._mutex:
            self._held.clear()
            if self._file is not None:
                with suppress(StoreError):  # a forked child may have it open too
                    _unlock(self._file, 0, _ALL)
                self._file.close()
                self._file = None

    def disown(self) -> None:
        """Let a forked child's copy of the file go; its parent keeps the locks."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> FileIO:
        if not LOCKS:
            raise Unavailable("journal", why="claims need open-file locks, which Linux has")
        if self._file is None:
            try:
                self._file = FileIO(self._path, "ab")
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                kind = StoreFull if full else StoreError
                raise kind(f"can't open {self._path!r}: {error}") from error
        return self._file


@lru_cache(maxsize=1024)
def offset(session: str) -> int:
    """Return the byte that stands for a session: 62 bits of its id's sha256."""
    id = session.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(id).digest()[:8], "big") >> 2


def _lock(file: FileIO, at: int) -> bool:
    try:
        _set(file, at, 1, free=False)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise StoreError(f"can't lock {file.name!r}: {error}; keep it on a local disk") from error
    return True


def _unlock(file: FileIO, at: int, length: int) -> None:
    try:
        _set(file, at, length, free=True)
    except OSError as error:
        raise StoreError(f"can't unlock {file.name!r}: {error}") from error


def _set(file: FileIO, start: int, length: int, *, free: bool) -> None:
    import fcntl  # only where `LOCKS` says so

    kind = fcntl.F_UNLCK if free else fcntl.F_WRLCK
    # struct flock; a lock of this kind names no process
    lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)


_OPEN: Final[WeakSet[Claims]] = WeakSet()


def _disown() -> None:
    for claims in _OPEN:
        claims.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
