"""
What users test with. It imports no pytest; fixtures and contracts for pytest are
in `lash_sdk.testing.pytest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scripted import Reply, ScriptedModel, call, failure, load_script, reply

if TYPE_CHECKING:
    from .broken import broken_plugin, plugin_of
    from .clock import FakeClock
    from .crash import Trial, crash_everywhere
    from .recorder import HookCall, HookRecorder, record_hooks
    from .states import check_states, instance_of

__all__ = [
    "FakeClock",
    "HookCall",
    "HookRecorder",
    "Reply",
    "ScriptedModel",
    "Trial",
    "broken_plugin",
    "call",
    "check_states",
    "crash_everywhere",
    "failure",
    "instance_of",
    "load_script",
    "plugin_of",
    "record_hooks",
    "reply",
]

_HOMES = {
    "FakeClock": "clock",
    "HookCall": "recorder",
    "HookRecorder": "recorder",
    "Trial": "crash",
    "broken_plugin": "broken",
    "check_states": "states",
    "crash_everywhere": "crash",
    "instance_of": "states",
    "plugin_of": "broken",
    "record_hooks": "recorder",
}


def __getattr__(name: str) -> object:
    """Return a name from its module, which is loaded now: the scripted model needs none."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
