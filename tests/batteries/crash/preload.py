"""The preload library: built with the C compiler, and armed in the process it's loaded into."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_suffix(".c")
FAILS: Final = {"kill": -1, "eio": errno.EIO, "enospc": errno.ENOSPC, "emfile": errno.EMFILE}


def build(folder: Path) -> Path:
    """Return the library, built into *folder*."""
    made = folder / "preload.so"
    compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(made), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return made


def arm(suffix: str, at: int, does: str) -> None:
    """Fail at the call with this number on files whose names end in *suffix*."""
    ctypes.CDLL(None).battery_arm(os.fsencode(suffix), at, FAILS[does])


def calls() -> int:
    """Return how many calls there were since."""
    found: int = ctypes.CDLL(None).battery_calls()
    return found
