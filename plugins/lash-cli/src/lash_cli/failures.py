"""What an error means at the command line: a message, a way out, an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Final

from lash_sdk.errors import (
    ConfigError,
    InvalidHistory,
    InvalidInput,
    LashError,
    ModelError,
    PluginConflict,
    PluginFault,
    RevisionConflict,
    SchemaTooNew,
    SessionBusy,
    SessionDeleted,
    SessionExists,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreMissing,
    Unavailable,
)

OK: Final = 0
STOPPED: Final = 1
"""The turn stopped or failed, or there was a problem to report."""
USAGE: Final = 2
"""The command line or the configuration doesn't fit."""
MISSING: Final = 3
"""A package isn't installed."""
STORE: Final = 4
"""The store can't be used."""
INTERRUPTED: Final = 130
"""Ctrl-C."""


class CommandError(LashError):
    """
    Raised when a command can't do what it's asked.

    Attributes:
        way_out: What to do about it.
        code: What the process exits with.
    """

    def __init__(self, message: str, *, way_out: str = "", code: int = USAGE) -> None:
        super().__init__(message)
        self.way_out = way_out
        self.code = code


_MEANINGS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (ConfigError, USAGE, "mend the file or the option that the message names"),
    (InvalidInput, USAGE, "mend the value that the message names; lash COMMAND --help"),
    (PluginConflict, USAGE, "lash plugins doctor"),
    (SessionExists, USAGE, "another --store, or for a fork another --as; nothing was written"),
    (InvalidHistory, USAGE, "lash sessions tree ID --json has every node to name"),
    (SessionDeleted, USAGE, "another id; those of deleted sessions are never used again"),
    (StoreBusy, STORE, "the same command again; nothing was written"),
    (StoreFull, STORE, "make room on the disk, then the same command again"),
    (StoreCorrupt, STORE, "another --store, or a backup; what's stored was left as it is"),
    (SchemaTooNew, STORE, "upgrade the store's package; what's stored was left as it is"),
    (StoreMissing, STORE, "the --store of one that's there; lash run and lash chat make a new one"),
    (StoreError, STORE, "mend what the message names, or take another --store"),
    (SessionBusy, STOPPED, "wait for the running turn, or name another --session"),
    (RevisionConflict, STOPPED, "the same command again; nothing was written"),
    (PluginFault, STOPPED, "lash plugins doctor; LASH_DISABLE_PLUGINS=NAME leaves it out"),
)
"""The first that fits counts."""

_MODEL_WAYS: Final = {
    "auth": "set the provider's key in the environment; lash run --help",
    "context_overflow": "a new session, or a model with a larger window",
}


def explain(error: BaseException) -> tuple[str, str, int]:
    """Return what to say of *error*, the way out, and the exit code."""
    match error:
        case CommandError():
            return str(error), error.way_out, error.code
        case ConfigError():
            return "\n       ".join(error.problems), _MEANINGS[0][2], USAGE
        case Unavailable():
            package = error.package
            way_out = (
                f"pip install {package}" if package else "lash plugins list, lash plugins doctor"
            )
            return str(error), way_out, MISSING
        case ModelError():
            way_out = _MODEL_WAYS.get(error.code, "the same command again, or another --model")
            return str(error), way_out, STOPPED
        case LashError():
            for kind, code, way_out in _MEANINGS:
                if isinstance(error, kind):
                    return str(error), way_out, code
            return str(error), "", STOPPED
        case OSError(errno=errno.ENOSPC):
            return (f"can't write: {error.strerror}", "make room where the output goes", STOPPED)
        case _:
            text = f"unexpected {type(error).__name__}: {error}"
            return text, "LASH_DEBUG=1 lash … shows where, for a bug report", STOPPED


def report(error: BaseException) -> int:
    """Print *error* to standard error; return the exit code."""
    message, way_out, code = explain(error)
    if isinstance(error, PluginFault):
        from .notes import take_note

        take_note(error)
    if os.environ.get("LASH_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    print(f"error: {message}", file=sys.stderr)
    if way_out:
        print(f"try: {way_out}", file=sys.stderr)
    return code
