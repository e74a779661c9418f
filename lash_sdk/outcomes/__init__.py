"""
What became of a tool call, and of a turn.

A call's outcome goes to its record raw; what the model sees of it is a
projection. A turn ends in exactly one of `Finished`, `HandedOff`, `Stopped`.
"""

from .calls import (
    Cancelled,
    Control,
    Fail,
    Failure,
    FailureClass,
    Finish,
    Handoff,
    Success,
    ToolOutcome,
    ToolRecord,
    outcome_from_json,
)
from .turns import (
    Ending,
    Finished,
    HandedOff,
    Issue,
    Stopped,
    StopReason,
    TurnOutcome,
    turn_outcome_from_json,
    turn_outcome_to_json,
)

__all__ = [
    "Cancelled",
    "Control",
    "Ending",
    "Fail",
    "Failure",
    "FailureClass",
    "Finish",
    "Finished",
    "HandedOff",
    "Handoff",
    "Issue",
    "StopReason",
    "Stopped",
    "Success",
    "ToolOutcome",
    "ToolRecord",
    "TurnOutcome",
    "outcome_from_json",
    "turn_outcome_from_json",
    "turn_outcome_to_json",
]
