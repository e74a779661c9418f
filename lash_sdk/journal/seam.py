"""The door between a turn and the outside, as it is without a journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..effects import Effect
from ..events import Event
from .facts import Began, CallResult, Deed, Intent

Do = Callable[[Effect], Awaitable[Event]]


class Seam:
    """
    What stands between a turn and the outside.

    This one lets everything through and records nothing: `durability="turn"`.
    `Journal` is the one that does.

    Attributes:
        keeps: Whether anything is recorded at all.
        recalled: Whether the last effect was answered from the record.
        closing: Whether nothing new is to be begun.
        broken: Why the record can't be kept any more.
        flushed: Whether the store has any of it.
    """

    keeps = recalled = closing = flushed = False
    broken: Exception | None = None

    @property
    def replaying(self) -> bool:
        """Whether answers may still come from the record."""
        return False

    def begin(self, began: Began) -> None:
        """Record how the turn began."""

    def perform(self, effect: Effect, do: Do) -> Awaitable[Event]:
        """Return the event that answers *effect*: on record, or from *do*."""
        return do(effect)

    def hear(self, key: str, event: Event) -> None:
        """Record an event that came without being asked for."""

    def call(self, key: str) -> tuple[Intent | None, CallResult | None]:
        """Return what's on record of the call *key*."""
        return None, None

    async def intend(self, key: str, intent: Intent) -> None:
        """Return once it's durable that the call *key* is about to be made."""

    def finish(self, key: str, result: CallResult) -> None:
        """Record what came of the call *key*."""

    def did(self, deed: Deed) -> None:
        """Record what the turn did beside its effects."""

    async def flush(self) -> None:
        """Return once everything so far is durable."""

    async def settled(self) -> None:
        """Return once no write is on its way, also if cancelled; no call is begun any more."""
