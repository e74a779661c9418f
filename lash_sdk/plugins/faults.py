"""Faults: whom to blame for one, and when to stop asking a plugin."""

from __future__ import annotations

import inspect
import logging
import os
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from ..errors import PluginFault
from .registered import Registered

STRIKES: Final = 5
"""Faults in a row after which a plugin's hooks are switched off in a session."""

HERE: Final = os.path.dirname(__file__)
"""Where hooks are called from; of no interest to who wrote one."""

SWITCHABLE: Final = frozenset(("listen", "collect", "transform"))
"""Kinds that can be switched off; what guards a session goes on denying."""

log = logging.getLogger("lash.plugins")


def blame(
    plugin: Registered,
    hook: str,
    function: Callable[..., Any],
    cause: BaseException | str,
    session: str | None = None,
) -> PluginFault:
    """Return a fault that names the plugin, its version, the hook and the line."""
    name, version, where = plugin.name, plugin.version, _where(function, cause)
    fault = PluginFault(name, version, hook, where=where, cause=cause, session=session)
    if isinstance(cause, BaseException):
        fault.__cause__ = cause
        cause.__traceback__ = _own_frames(cause.__traceback__)
        cause.add_note(f"in plugin {name!r} {version}, hook {hook}")
    return fault


class Faults:
    """
    One session's faults: who failed how often in a row, and who is switched off.

    Attributes:
        off: Plugin indices whose switchable hooks aren't called any more.
        strikes: Faults in a row, by plugin index; empty while all is well.
        pending: Faults that `on_fault` hasn't heard of yet, with "off".
    """

    __slots__ = ("off", "pending", "strikes")

    def __init__(self) -> None:
        self.off: set[int] = set()
        self.strikes: dict[int, int] = {}
        self.pending: list[tuple[PluginFault, bool]] = []

    def struck(self, index: int, fault: PluginFault) -> None:
        """Take in a fault that was isolated."""
        count = self.strikes[index] = self.strikes.get(index, 0) + 1
        off = count == STRIKES
        if off:
            self.off.add(index)
        self.pending.append((fault, off))
        log.warning("%s%s", fault, "; switched off" if off else "")


def _own_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return *trace* from where the plugin begins: how it was called is no news."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(HERE):
        trace = trace.tb_next
    return trace


def _where(function: Callable[..., Any], cause: BaseException | str) -> str:
    """Return "file:line" of the failing line, else of the function itself."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    if isinstance(cause, BaseException):
        for frame in reversed(traceback.extract_tb(cause.__traceback__)):
            if frame.filename == code.co_filename:
                return f"{frame.filename}:{frame.lineno}"
    return f"{code.co_filename}:{code.co_firstlineno}"
