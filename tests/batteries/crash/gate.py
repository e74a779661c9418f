"""Where a battery reaches into a turn: every seam passes the gate at every point."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from lash_sdk.errors import ModelError, StoreError


class Hand(Protocol):
    """
    What happens at a point.

    A point lies before an operation, in it, after its work but before its reply
    ("inside"), or once the turn has the reply ("after").
    """

    async def halt(self, operation: str) -> None:
        """End it here: before it did anything, or halfway."""
        ...

    def amid(self, operation: str) -> bool:
        """Begin the end while the operation is under way; return whether that's it."""
        ...

    async def inside(self, operation: str) -> None:
        """End it with the operation done and its reply lost."""
        ...

    def after(self, operation: str) -> None:
        """End it as soon as whoever asked has the reply."""
        ...


class Gate:
    """
    Takes note of every operation, and lets one hand in at one point.

    Attributes:
        trace: The operations in the order they began, each with its number.
        passed: How many points were passed.
        fired: Whether the hand has been in.
    """

    def __init__(self, stop: str | int | None = None, hand: Hand | None = None) -> None:
        """Take the point to stop at, by its name or by how many are passed before it."""
        self.trace: list[str] = []
        self.passed = 0
        self.fired = False
        self._stop = stop
        self._hand = hand
        self._counts: Counter[str] = Counter()
        self._open = False

    def open(self) -> None:
        """Begin to take note."""
        self._open = True

    def shut(self) -> None:
        """Take no more note."""
        self._open = False

    def begin(self, name: str) -> str:
        """Return the name of the operation that begins: "commit#1"."""
        if not self._open:
            return name
        self._counts[name] += 1
        operation = f"{name}#{self._counts[name]}"
        self.trace.append(operation)
        return operation

    async def reach(self, operation: str, placement: str = "before") -> None:
        """Pass a point at which an operation can be ended."""
        if (hand := self._here(operation, placement)) is not None:
            await hand.halt(operation)

    def amid(self, operation: str) -> None:
        """Pass the beginning of an operation's own work."""
        if self._open and self._stop == f"{operation}.inside" and self._hand is not None:
            self.fired = self._hand.amid(operation) or self.fired

    async def inside(self, operation: str) -> None:
        """Pass the point where an operation is done and hasn't replied."""
        if (hand := self._here(operation, "inside")) is not None:
            await hand.inside(operation)

    def after(self, operation: str) -> None:
        """Pass the point where an operation replies."""
        if (hand := self._here(operation, "after")) is not None:
            hand.after(operation)

    def _here(self, operation: str, placement: str) -> Hand | None:
        if not self._open:
            return None
        here = self._stop in (f"{operation}.{placement}", self.passed)
        self.passed += 1
        if not here or self.fired:
            return None
        self.fired = True
        return self._hand


class Nothing:
    """Lets everything pass."""

    async def halt(self, operation: str) -> None:
        """Do nothing."""

    def amid(self, operation: str) -> bool:
        """Do nothing."""
        return False

    async def inside(self, operation: str) -> None:
        """Do nothing."""

    def after(self, operation: str) -> None:
        """Do nothing."""


class Cancel(Nothing):
    """Cancels the task that the turn runs in."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None

    async def halt(self, operation: str) -> None:
        """Cancel, and go no further: the cancellation arrives here."""
        self._cancel()
        if operation.startswith("journal_put"):
            return  # rows are written behind, by a task that nobody cancels
        await asyncio.wait_for(asyncio.Event().wait(), 20)

    def amid(self, operation: str) -> bool:
        """Cancel, and let the operation find out."""
        self._cancel()
        return True

    def after(self, operation: str) -> None:
        """Cancel; it arrives wherever the turn waits next."""
        self._cancel()

    def _cancel(self) -> None:
        assert self.task is not None
        self.task.cancel()


class Fault(Nothing):
    """Raises what the thing behind the seam might raise."""

    async def halt(self, operation: str) -> None:
        """Raise: nothing was done."""
        fail(operation)

    async def inside(self, operation: str) -> None:
        """Raise: it was done, and nobody can tell."""
        fail(operation)


def fail(operation: str) -> NoReturn:
    """Raise the error that belongs to an operation's seam."""
    if operation.startswith("model"):
        raise ModelError("planned: the connection was reset", code="planned")
    if operation.startswith("tool"):
        raise RuntimeError("planned: the tool failed")
    raise StoreError(f"planned: {operation} failed")


class Kill(Nothing):
    """Stands still until the process is killed."""

    def __init__(self, block: Callable[[str], None]) -> None:
        """Take what tells that the point is reached, and blocks for ever."""
        self._block = block

    async def halt(self, operation: str) -> None:
        """Stand still."""
        self._block(operation)

    async def inside(self, operation: str) -> None:
        """Stand still."""
        self._block(operation)

    def after(self, operation: str) -> None:
        """Stand still once the loop comes round again."""
        asyncio.get_running_loop().call_soon(self._block, operation)
