"""Where a store keeps its sessions, and what a test may do there behind its back."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..ports import Store, StoreFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    The place of a store that a test was given; what's left out, it hasn't got.

    A store that has none of it lives in its process alone: a default `Place`
    says so.

    Attributes:
        url: Names the place.
        factory: "module:name" of what makes a store from that URL, importable in
            another process.
        file: Holds the sessions once every store on it is closed, the bytes of
            a node as they are.
        rows: Returns how many rows there are in all, hidden ones too; not through
            the store.
        lock: Keeps every store from writing for as long as it's entered.
        newer: Makes the closed place look as if a newer version had written it.
    """

    url: str = ""
    factory: str = ""
    file: Path | None = None
    rows: Callable[[], int] | None = None
    lock: Callable[[], AbstractContextManager[object]] | None = None
    newer: Callable[[], None] | None = None

    @property
    def facilities(self) -> frozenset[str]:
        """What of it there is: "process", "file", "rows", "lock", "newer"."""
        found = {
            "process": bool(self.url and self.factory),
            "file": self.file is not None,
            "rows": self.rows is not None,
            "lock": self.lock is not None,
            "newer": self.newer is not None,
        }
        return frozenset(name for name, is_there in found.items() if is_there)

    def handle(self) -> Store:
        """Return another store on the same place; it isn't open."""
        return made(self.factory, self.url)


def made(factory: str, url: str) -> Store:
    """Return the store that *factory*, as "module:name", makes from *url*."""
    module, _, name = factory.partition(":")
    make: StoreFactory = operator.attrgetter(name)(import_module(module))
    return make(url)
