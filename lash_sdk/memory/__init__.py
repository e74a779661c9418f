"""The memory store: the reference for every other, and the default."""

from .store import PAGE, MemoryStore

__all__ = ["PAGE", "MemoryStore"]
