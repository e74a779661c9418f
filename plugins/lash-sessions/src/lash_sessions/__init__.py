"""
Several sessions: made by each other, run beside each other, paid for together.

What's public is here and loaded when it's asked for; installing the package is
all it takes for `session.children` and the roles to be there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .children import Children
    from .direct import DirectAnswer, DirectRequest
    from .errors import (
        HandoffMissing,
        StillNeeded,
        TaskExists,
        UnknownMonitor,
        UnknownSession,
        UnknownTask,
        UnknownTurn,
    )
    from .handles import Awaited
    from .handoffs import FollowedTurn
    from .monitors import MonitorSnapshot, MonitorSpec, MonitorStatus, MonitorUpdate
    from .plugin import SessionsPlugin, provide_monitors
    from .requests import (
        Authority,
        Child,
        Current,
        Empty,
        Existing,
        FromSnapshot,
        Handoff,
        Root,
        SessionHandle,
        SessionRequest,
        child,
        handoff,
    )
    from .spending import difference
    from .state import authority_of
    from .tasks import Attempt, TaskChanged, TaskRecord, TaskSpec
    from .turns import TurnHandle

_HOMES: Final = {
    "children": ("Children",),
    "direct": ("DirectAnswer", "DirectRequest"),
    "errors": (
        "HandoffMissing",
        "StillNeeded",
        "TaskExists",
        "UnknownMonitor",
        "UnknownSession",
        "UnknownTask",
        "UnknownTurn",
    ),
    "handles": ("Awaited",),
    "handoffs": ("FollowedTurn",),
    "monitors": ("MonitorSnapshot", "MonitorSpec", "MonitorStatus", "MonitorUpdate"),
    "plugin": ("SessionsPlugin", "provide_monitors"),
    "requests": (
        "Authority",
        "Child",
        "Current",
        "Empty",
        "Existing",
        "FromSnapshot",
        "Handoff",
        "Root",
        "SessionHandle",
        "SessionRequest",
        "child",
        "handoff",
    ),
    "spending": ("difference",),
    "state": ("authority_of",),
    "tasks": ("Attempt", "TaskChanged", "TaskRecord", "TaskSpec"),
    "turns": ("TurnHandle",),
}
_WHERE: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Attempt",
    "Authority",
    "Awaited",
    "Child",
    "Children",
    "Current",
    "DirectAnswer",
    "DirectRequest",
    "Empty",
    "Existing",
    "FollowedTurn",
    "FromSnapshot",
    "Handoff",
    "HandoffMissing",
    "MonitorSnapshot",
    "MonitorSpec",
    "MonitorStatus",
    "MonitorUpdate",
    "Root",
    "SessionHandle",
    "SessionRequest",
    "SessionsPlugin",
    "StillNeeded",
    "TaskChanged",
    "TaskExists",
    "TaskRecord",
    "TaskSpec",
    "TurnHandle",
    "UnknownMonitor",
    "UnknownSession",
    "UnknownTask",
    "UnknownTurn",
    "authority_of",
    "child",
    "difference",
    "handoff",
    "provide_monitors",
]


def __getattr__(name: str) -> object:
    """Return a public name from its room, which is loaded now."""
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
