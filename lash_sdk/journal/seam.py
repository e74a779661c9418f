"""The door between a turn and the outside, and what stands in it without a journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from ..effects import Effect
from ..events import Event
from .facts import Began, CallResult, Intent

Do = Callable[[Effect], Awaitable[Event]]


class Seam(Protocol):
    """
    What stands between a turn and the outside.

    Attributes:
        recalled: Whether the last effect was answered from it.
        closing: Whether nothing new is to be begun.
        broken: Why the record can't be kept any more.
        flushed: Whether the store has any of it.
        keeps: Whether anything is recorded at all.
    """

    keeps: bool
    recalled: bool
    closing: bool
    broken: Exception | None
    flushed: bool

    @property
    def replaying(self) -> bool:
        """Whether answers may still come from the record."""
        ...

    def begin(self, began: Began) -> None:
        """Record how the turn began."""
        ...

    def perform(self, effect: Effect, do: Do) -> Awaitable[Event]:
        """Return the event that answers *effect*: on record, or from *do*."""
        ...

    def hear(self, key: str, event: Event) -> None:
        """Record an event that came without being asked for."""
        ...

    def call(self, key: str) -> tuple[Intent | None, CallResult | None]:
        """Return what's on record of the call *key*."""
        ...

    def intend(self, key: str, intent: Intent) -> Awaitable[None]:
        """Return once it's durable that the call *key* is about to be made."""
        ...

    def finish(self, key: str, result: CallResult) -> None:
        """Record what came of the call *key*."""
        ...

    def flush(self) -> Awaitable[None]:
        """Return once everything so far is durable."""
        ...


class OpenSeam:
    """Lets everything through and records nothing: `durability="turn"`."""

    keeps = replaying = recalled = closing = flushed = False
    broken: Exception | None = None

    def begin(self, began: Began) -> None:
        """Record nothing."""

    def perform(self, effect: Effect, do: Do) -> Awaitable[Event]:
        """Return what *do* answers."""
        return do(effect)

    def hear(self, key: str, event: Event) -> None:
        """Record nothing."""

    def call(self, key: str) -> tuple[Intent | None, CallResult | None]:
        """Return that nothing is on record."""
        return None, None

    async def intend(self, key: str, intent: Intent) -> None:
        """Record nothing."""

    def finish(self, key: str, result: CallResult) -> None:
        """Record nothing."""

    async def flush(self) -> None:
        """Do nothing."""
