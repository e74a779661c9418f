"""
A disk for SQLite that fails when it's told to, or that remembers what was written.

It stands before the system's own, and becomes the default of its process: the store
is used as it is. What it counts are the calls that change files: write, sync,
truncate, delete.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Final, Protocol, TypeAlias

import apsw

SECTOR: Final = 512
"""Bytes that a disk writes whole."""


class Disk(Protocol):
    """Told of each call before it's made; may raise, or end the process."""

    def write(self, name: str, offset: int, data: bytes, size: int) -> None:
        """Take note of a write to a file that has *size* bytes."""
        ...

    def sync(self, name: str) -> None:
        """Take note of a flush."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Take note that a file is cut."""
        ...

    def delete(self, name: str) -> None:
        """Take note that a file is removed."""
        ...


Name: TypeAlias = "apsw.URIFilename | str | None"


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, base: str, name: Name, flags: list[int]):
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary"
        self._name = PurePath(path).name
        super().__init__(base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.write(self._name, offset, data, self.xFileSize())
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.sync(self._name)
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:
        self._disk.truncate(self._name, newsize)
        super().xTruncate(newsize)


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk, base: str) -> None:
        self._disk = disk
        self._base = base
        super().__init__(f"battery-{id(disk)}", base, makedefault=True)

    def xOpen(self, name: Name, flags: list[int]) -> apsw.VFSFile:
        return _File(self._disk, self._base, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._disk.delete(PurePath(filename).name)
        super().xDelete(filename, syncdir)


@contextmanager
def mounted(disk: Disk) -> Generator[None]:
    """Put *disk* under every database that's opened meanwhile in this process."""
    vfs = _Vfs(disk, apsw.vfs_names()[0])
    hooks = sys.excepthook, sys.unraisablehook
    # apsw tells of what a disk raises, beside passing it on as the error that it is
    sys.excepthook = lambda *told: None
    sys.unraisablehook = lambda *told: None
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = hooks
        vfs.unregister()


class Trap:
    """
    Lets calls pass up to one, and then does something else.

    Attributes:
        calls: What was asked for, as "write a.db-wal".
    """

    def __init__(self, at: int | None, spring: Callable[[], None]) -> None:
        """Spring at the call with this number, from 1."""
        self.calls: list[str] = []
        self._at = at
        self._spring = spring

    def _call(self, what: str, name: str) -> None:
        self.calls.append(f"{what} {name}")
        if len(self.calls) == self._at:
            self._spring()

    def write(self, name: str, offset: int, data: bytes, size: int) -> None:
        """Count."""
        self._call("write", name)

    def sync(self, name: str) -> None:
        """Count."""
        self._call("sync", name)

    def truncate(self, name: str, size: int) -> None:
        """Count."""
        self._call("truncate", name)

    def delete(self, name: str) -> None:
        """Count."""
        self._call("delete", name)


def die() -> None:
    """End this process as SIGKILL does: with it."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def eio() -> None:
    """Fail as a broken disk does."""
    raise apsw.IOError("planned: the disk failed")


def enospc() -> None:
    """Fail as a full disk does."""
    raise apsw.FullError("planned: the disk is full")


SPRINGS: Final[dict[str, Callable[[], None]]] = {"kill": die, "eio": eio, "enospc": enospc}
