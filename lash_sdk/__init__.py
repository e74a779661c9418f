"""Durable LLM-agent sessions, in which everything but a small kernel is a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import hooks
    from .app import Lash
    from .hooks.plugin import Plugin
    from .policy import Limits
    from .tools import tool
    from .usage import Usage

__all__ = ["Lash", "Limits", "Plugin", "Usage", "hooks", "tool"]

_HOMES = {
    "Lash": "app",
    "Limits": "policy",
    "Plugin": "hooks.plugin",
    "Usage": "usage",
    "tool": "tools",
}


def __getattr__(name: str) -> object:
    """Return a public name from its room, which is loaded now and not before."""
    from importlib import import_module

    if name == "hooks":
        return import_module(f"{__name__}.hooks")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
