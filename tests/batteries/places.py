"""The stores that many processes can share, each in a place of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lash_sdk.testing.store_place import Place

SQLITE: Final = "lash_store_sqlite:SqliteStore.from_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """
    A place that's new and empty.

    Attributes:
        sever: Takes the lock of every claim away, behind its holder's back.
    """

    place: Place
    sever: Callable[[], None]


@contextmanager
def sqlite(folder: Path, factory: str = SQLITE) -> Generator[Arena]:
    """Yield a file in *folder*."""
    file = folder / "a.db"

    def sever() -> None:
        (folder / "a.db-claims").unlink()

    yield Arena(place=Place(url=f"sqlite:///{file}", factory=factory, file=file), sever=sever)


ARENAS: Final[dict[str, Callable[[Path], AbstractContextManager[Arena]]]] = {"sqlite": sqlite}
"""By name, what makes one in a folder."""
