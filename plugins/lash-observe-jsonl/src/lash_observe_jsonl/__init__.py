"""A trace of everything that happens, as JSON Lines."""

from .plugin import JsonlPlugin

__all__ = ["JsonlPlugin"]
