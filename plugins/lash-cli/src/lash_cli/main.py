"""The entry point of `lash`: what's quick goes first, errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def run() -> None:
    """Run the command line and exit with its code; the console script."""
    # a KeyboardInterrupt that meets an import may be swallowed there, and nothing is made yet
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal can't show is "?"
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
        code = code or 1
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Return the exit code of `lash` with *argv*; nothing is raised."""
    try:
        code = _dispatch(argv)
        sys.stdout.flush()  # here, where a full disk can still be told of
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_output()
        return 1
    except SystemExit as error:  # argparse
        return error.code if isinstance(error.code, int) else 2
    except Exception as error:
        from .failures import report

        return report(error)


def _dispatch(argv: Sequence[str]) -> int:
    if argv and argv[0] == "plugins":  # as `app` would, without loading it
        from .plugins import main as plugins

        return plugins(argv[1:])
    if list(argv) == ["--version"]:
        from lash_sdk.plugins.discovery import SDK_VERSION

        print(f"lash {SDK_VERSION}")
        return 0
    from .app import run_app

    return run_app(argv)


def _drop_output() -> None:
    """Nobody reads any more, or there's no room: let the last flush find neither."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
