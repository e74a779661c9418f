"""
A tool: what the model is told of it, how its arguments are checked, what runs.

`@tool` makes one from a typed function. Nothing here calls a tool; that's
`lash_sdk.dispatch`.
"""

from .definition import OPEN, Arguments, Function, OnRecovery, Tool, ToolDefinition, ToolRetry
from .function import ToolOptions, as_tool, tool
from .returned import as_json, attachments
from .schema import from_schema, parse_arguments

__all__ = [
    "OPEN",
    "Arguments",
    "Function",
    "OnRecovery",
    "Tool",
    "ToolDefinition",
    "ToolOptions",
    "ToolRetry",
    "as_json",
    "as_tool",
    "attachments",
    "from_schema",
    "parse_arguments",
    "tool",
]
