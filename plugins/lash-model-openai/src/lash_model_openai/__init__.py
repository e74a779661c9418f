"""Models that are reached through the official OpenAI client."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import OpenAIConfig
    from .model import OpenAIModel

__all__ = ["OpenAIConfig", "OpenAIModel"]


def __getattr__(name: str) -> object:
    """Return an exported name; the client is loaded by the first that needs it."""
    if name == "OpenAIModel":
        from .model import OpenAIModel

        return OpenAIModel
    if name == "OpenAIConfig":
        from .config import OpenAIConfig

        return OpenAIConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
