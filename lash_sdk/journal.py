"""
The seam between a turn and the outside: where a journal stands.

Everything that enters a turn passes one of two doors: `perform` for an effect,
`call` for one call of a batch. A journal answers what it has a record of, and
records what it lets happen. `OpenSeam` keeps no record; it's what
`durability="turn"` means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from .effects import Effect
from .events import Event
from .outcomes import ToolRecord


class Seam(Protocol):
    """What stands between a turn and the outside."""

    def perform(self, effect: Effect, do: Callable[[Effect], Awaitable[Event]]) -> Awaitable[Event]:
        """Return the event that answers *effect*: on record, or from *do*."""
        ...

    def call(self, key: str, do: Callable[[], Awaitable[ToolRecord]]) -> Awaitable[ToolRecord]:
        """Return the record of the call *key*: on record, or from *do*."""
        ...


class OpenSeam:
    """Lets everything through and records nothing."""

    __slots__ = ()

    def perform(self, effect: Effect, do: Callable[[Effect], Awaitable[Event]]) -> Awaitable[Event]:
        """Return what *do* answers."""
        return do(effect)

    def call(self, key: str, do: Callable[[], Awaitable[ToolRecord]]) -> Awaitable[ToolRecord]:
        """Return what *do* records."""
        return do()
