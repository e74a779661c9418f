"""
Sub-agents: a tool by which an agent hands work to a session of its own making.

Installing the package is all it takes for `spawn_agent` and `ask_agent` to be there.
"""

from .plugin import Capability, Config, SubagentsPlugin

__all__ = ["Capability", "Config", "SubagentsPlugin"]
