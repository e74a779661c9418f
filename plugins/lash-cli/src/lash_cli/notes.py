"""
What went wrong with plugins while sessions ran, kept for `lash plugins doctor`.

A note counts the faults of one version of a plugin, and has the last one's words.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .settings import data_folder

if TYPE_CHECKING:
    from pathlib import Path

    from lash_sdk.errors import PluginFault


def take_note(fault: PluginFault, *, off: bool = False) -> None:
    """Keep *fault*; a file that can't be written is no error."""
    notes = read_notes()
    before = notes.get(fault.plugin, {})
    count = before.get("count", 0) if before.get("version") == fault.version else 0
    notes[fault.plugin] = {
        "version": fault.version,
        "count": count + 1,
        "hook": fault.hook,
        "where": fault.where,
        "message": str(fault),
        "off": off,
    }
    _write(notes)


def read_notes() -> dict[str, dict[str, Any]]:
    """Return what was noted, by plugin."""
    try:
        body = json.loads(_path().read_bytes())
    except (OSError, ValueError, RuntimeError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def forget(plugin: str) -> None:
    """Drop what was noted of *plugin*."""
    notes = read_notes()
    if notes.pop(plugin, None) is not None:
        _write(notes)


def _path() -> Path:
    return data_folder() / "faults.json"


def _write(notes: dict[str, dict[str, Any]]) -> None:
    with suppress(OSError, RuntimeError):
        path = _path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(notes))
        beside.replace(path)
