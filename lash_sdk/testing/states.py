"""Plugin states, looked at and read from files: one for each version that there was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..plugins.state import read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..hooks import Plugin
    from ..session import Session


def instances(session: Session) -> Sequence[object]:
    """Return the session's own instances of all its plugins."""
    return session._lane.live.instances  # pyright: ignore[reportPrivateUsage]


def instance_of(session: Session, plugin: type[Any]) -> Any:
    """
    Return the session's own instance of *plugin*.

    Raises:
        AssertionError: It has none, for it has no hook that a session calls.
    """
    found = [each for each in instances(session) if isinstance(each, plugin)]
    assert found, f"{plugin.__name__} has no instance: it has no hook that a session calls"
    return found[0]


def check_states(plugin: type[Plugin], folder: Path) -> None:
    """
    Read each `v<version>.json` of *folder* as a session that was saved then would.

    There's a file for each version up to today's, and today's is exactly what the
    state says now: whoever changes the form raises the version and adds a file.

    Raises:
        AssertionError: A file is missing, can't be brought up to today's version, or
            the form changed without a new version.
    """
    form: Any = plugin.State
    assert form is not None, f"{plugin.__name__} has no State"
    for version in range(1, plugin.state_version + 1):
        path = folder / f"v{version}.json"
        assert path.is_file(), f"no {path.name}: keep a state of each version"
        value = json.loads(path.read_text(encoding="utf-8"))
        instance = plugin()
        instance.name, instance.version = plugin.name, plugin.version
        state = read(instance, version, value)
        if version == plugin.state_version:
            found = state.model_dump(mode="json")
            assert value == found, f"{path.name}: the state changed, and its version didn't"
