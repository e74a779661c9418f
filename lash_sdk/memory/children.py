"""Which sessions of the memory store wait for a turn of the one that made them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from ..commits import Head


class Headed(Protocol):
    """A session, as far as it's looked at here."""

    head: Head


class Children:
    """
    Those that wait, by their maker and its turn.

    One whose maker isn't seen itself, once that one's turn is committed, waits for
    what its maker waits for: all of them are seen at once, or gone.
    """

    def __init__(self, find: Callable[[str], Headed | None]) -> None:
        """Take what finds a session by its id."""
        self._find = find
        self._waiting: dict[tuple[str, str], list[str]] = {}
        self._turns: dict[str, set[str]] = {}  # that a maker's children wait for

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, head: Head) -> None:
        """Take in a session that waits."""
        if head.parent is not None and head.pending is not None:
            self._waiting.setdefault((head.parent, head.pending), []).append(head.session)
            self._turns.setdefault(head.parent, set()).add(head.pending)

    def show(self, id: str, turn: str, wait: str | None) -> None:
        """Let a session be seen that waited for *turn*, or let it wait for *wait*; and its own."""
        found = self._find(id)
        assert found is not None  # noqa: S101 - it was looked for before
        found.head = replace(found.head, pending=wait)
        self.add(found.head)
        for below in list(self.take(id, turn)):
            self.show(below, turn, wait)

    def take(self, maker: str, turn: str) -> Iterator[str]:
        """Yield those that still wait for that turn of *maker*; they're looked for no more."""
        for id in self._waiting.pop((maker, turn), ()):
            found = self._find(id)
            if found is not None and found.head.waits_for(maker, turn):
                yield id

    def of(self, maker: str) -> Iterator[str]:
        """Yield those that wait for any turn of *maker*; they're looked for no more."""
        for turn in self._turns.pop(maker, ()):
            yield from self.take(maker, turn)
