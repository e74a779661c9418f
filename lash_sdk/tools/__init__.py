"""
A tool: what the model is told of it, how its arguments are checked, what runs.

`@tool` makes one from a typed function. Nothing here calls a tool; that's
`lash_sdk.dispatch`.
"""

from .definition import OPEN as OPEN
from .definition import Function as Function
from .definition import OnRecovery as OnRecovery
from .definition import Tool as Tool
from .definition import ToolDefinition as ToolDefinition
from .definition import ToolOptions as ToolOptions
from .definition import ToolRetry as ToolRetry
from .definition import as_tool as as_tool
from .definition import from_schema as from_schema
from .definition import tool as tool
from .returned import as_json as as_json
from .returned import attachments as attachments
from .schema import Arguments as Arguments
from .schema import parse_arguments as parse_arguments
