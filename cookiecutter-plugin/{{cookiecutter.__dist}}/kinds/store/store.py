"""
The store: for now the SDK's reference store, which keeps sessions in memory.

Every promise of a store is kept from the first day. Put your own methods in the
place of the inherited ones, one by one: the contract says which promise broke.
"""

from __future__ import annotations

from typing import Self

from lash_sdk.errors import InvalidInput
from lash_sdk.memory import MemoryStore


class {{ cookiecutter.__class }}Store(MemoryStore):
    """
    Sessions under a name.

    Attributes:
        name: What the URL says after the scheme.
    """

    def __init__(self, name: str) -> None:
        """Take the name; nothing is opened before `open`."""
        super().__init__()
        self.name = name

    @classmethod
    def from_url(cls, url: str, *, prefix: str = "") -> Self:
        """
        Return the store that *url* names.

        Raises:
            InvalidInput: It names none, or none that may be used.
        """
        name = url.partition(":")[2]
        if not name or not name.startswith(prefix):
            raise InvalidInput(f"store {url!r}: expected a name that begins with {prefix!r}")
        return cls(name)
