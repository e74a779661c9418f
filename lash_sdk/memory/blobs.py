"""What the memory store keeps by its content: components and blobs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..commits import Component
from ..errors import InvalidInput, StoreCorrupt
from ..messages import Blob


class Blobs:
    """Values and bytes by their refs; equal content is there once."""

    def __init__(self) -> None:
        self._components: dict[str, Component] = {}
        self._bytes: dict[str, bytes] = {}

    def check(self, blobs: Iterable[Blob]) -> None:
        """
        Accept *blobs* if each brings its bytes or is here already.

        Raises:
            InvalidInput: One's bytes are missing or aren't what its hash says.
        """
        for blob in blobs:
            if blob.data is None and blob.sha256 in self._bytes:
                continue
            if blob.data is None or Blob.of(blob.data, blob.media_type) != blob:
                raise InvalidInput(f"blob {blob.sha256!r}: its bytes aren't at hand")

    def add(self, component: Component, ref: str) -> None:
        """Keep *component* under its ref."""
        self._components[ref] = component

    def keep(self, blobs: Iterable[Blob]) -> None:
        """Keep the bytes of *blobs*, of those that bring any."""
        self._bytes.update((blob.sha256, blob.data) for blob in blobs if blob.data is not None)

    def read(self, ref: str) -> bytes:
        """
        Return the bytes behind *ref*.

        Raises:
            StoreCorrupt: There are none.
        """
        if ref in self._components:
            return self._components[ref].data
        if ref not in self._bytes:
            raise StoreCorrupt(f"no blob {ref!r}")
        return self._bytes[ref]

    def collect(self, live: Collection[str], *, dry_run: bool) -> int:
        """Remove what isn't *live*, unless *dry_run*; return how many bytes that is."""
        components = [ref for ref in self._components if ref not in live]
        blobs = [ref for ref in self._bytes if ref not in live]
        size = sum(len(self.read(ref)) for ref in (*components, *blobs))
        if not dry_run:
            for ref in components:
                del self._components[ref]
            for ref in blobs:
                del self._bytes[ref]
        return size
