"""The turn machine: its law in `machine`, what it holds in `state`."""

from .machine import TABLE, advance, cancelled, own_ids, waits_for
from .state import Phase, Turn, turn_from_json, turn_to_json

__all__ = [
    "TABLE",
    "Phase",
    "Turn",
    "advance",
    "cancelled",
    "own_ids",
    "turn_from_json",
    "turn_to_json",
    "waits_for",
]
