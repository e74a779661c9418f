"""What the kernel asks of a host of several sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

_OURS: Final[dict[str, str]] = dict.fromkeys(
    ("snapshot", "catalogue", "tool_state", "graph", "trace"), ""
)
_THEIRS: Final[dict[str, str]] = dict.fromkeys(
    ("lifecycle", "turns", "tasks", "monitors", "direct"), "lash-sessions"
)
ROLES: Final[Mapping[str, str]] = _OURS | _THEIRS
"""The ten session roles, and the package that brings those the kernel lacks."""


class SessionManager(Protocol):
    """Supplies the five session roles that concern several sessions."""

    def role(self, name: str, session: str) -> Any:
        """Return the role's object for *session*."""
        ...
