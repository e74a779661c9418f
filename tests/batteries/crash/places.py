"""
Where the sessions of a battery lie: a place makes stores, and says what it sees itself.

A place is what a store needs to take part in a battery. `survives` says whether it
outlives a process; `look` reads what's stored without the store's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Store
from lash_store_sqlite import SqliteStore

from .postgres import PostgresPlace
from .reading import reading


class Place(Protocol):
    """One store's worth of sessions."""

    name: str
    survives: bool
    session: str

    def store(self) -> Store:
        """Return a store on this place that isn't open."""
        ...

    def look(self) -> list[str]:
        """Return what is wrong with what's stored, by a second reading of it."""
        ...

    def leftovers(self) -> list[str]:
        """Return what a store that was closed has left behind."""
        ...

    def address(self) -> Mapping[str, str]:
        """Return what `found` makes the same place from, in another process."""
        ...


class MemoryPlace:
    """The memory store: it lives as long as the process."""

    name = "memory"
    survives = False
    session = "s"

    def __init__(self) -> None:
        self._store = MemoryStore()

    def store(self) -> Store:
        """Return the one store."""
        return self._store

    def look(self) -> list[str]:
        """Return nothing: there are no bytes to read."""
        return []

    def leftovers(self) -> list[str]:
        """Return nothing."""
        return []

    def address(self) -> Mapping[str, str]:
        """Refuse: no other process can see it."""
        raise NotImplementedError


class SqlitePlace:
    """A database file in a folder of its own."""

    name = "sqlite"
    survives = True

    def __init__(self, folder: Path, session: str = "s") -> None:
        self.folder = folder
        self.session = session
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        """The database's."""
        return self.folder / "a.db"

    def store(self) -> Store:
        """Return a store of the file."""
        return SqliteStore(self.path)

    def look(self) -> list[str]:
        """Return what is wrong: pages, chains, part hashes, keys."""
        if not self.path.exists():
            return []
        return reading(str(self.path))

    def leftovers(self) -> list[str]:
        """Return the files beside the database and its claims."""
        kept = {"a.db", "a.db-claims"}
        return sorted(found.name for found in self.folder.iterdir() if found.name not in kept)

    def address(self) -> Mapping[str, str]:
        """Return where it lies."""
        return {"kind": self.name, "folder": str(self.folder), "session": self.session}


KINDS: Final[dict[str, Callable[[Mapping[str, str]], Place]]] = {
    "sqlite": lambda at: SqlitePlace(Path(at["folder"]), at["session"]),
    "postgres": lambda at: PostgresPlace(at["url"], at["session"]),
}
"""How a place is found again by its address; a store that joins adds its kind."""


def found(address: Mapping[str, str]) -> Place:
    """Return the place of an address."""
    return KINDS[address["kind"]](address)
