"""
Prompt prefixes, computed once per machine and kept on disk.

Reading half a thousand tokens of examples takes this model seconds; putting back
what it made of them takes milliseconds. The server aborts on a damaged file, so a
file's name holds the hash of its bytes, and only a file that fits is handed over.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from lash_sdk.json import JsonObject, encode

from .client import Client, Completion
from .weights import digest

MOST: Final = 32
"""Files that are kept, of up to ten megabytes each."""

NOTHING: Final = Completion(messages=({"role": "user", "content": "x"},), limit=1)
"""Makes the server put what its slot holds aside, to be found by later prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixes:
    """The prefixes of one set of weights, in one folder."""

    folder: Path
    weights: str

    async def warm(
        self,
        client: Client,
        address: str,
        openings: Sequence[tuple[JsonObject, ...]],
        watch: Callable[[int, int], None],
    ) -> None:
        """
        Return when the server knows all *openings*; *watch* hears (done, total).

        Raises:
            ModelError: The server was lost.
        """
        for done, opening in enumerate(openings):
            watch(done, len(openings))
            name = self._name(opening)
            if kept := self._find(name):
                await client.slot(address, "restore", kept)
            else:
                await self._make(client, address, opening, name)
            await client.complete(address, NOTHING, lambda _: None)
        watch(len(openings), len(openings))

    async def _make(
        self, client: Client, address: str, opening: tuple[JsonObject, ...], name: str
    ) -> None:
        read = Completion(messages=opening, limit=1)
        said = await client.complete(address, read, lambda _: None)
        part = f"{name}.{os.getpid()}.part"
        saved = await client.slot(address, "save", part)
        if saved.get("n_saved") != said.usage.context:  # somebody came in between
            (self.folder / part).unlink(missing_ok=True)
            return
        whole = f"{name}.{digest(self.folder / part)}.kv"
        os.replace(self.folder / part, self.folder / whole)
        self._prune()

    def _name(self, opening: tuple[JsonObject, ...]) -> str:
        made_by = f"{version('xllamacpp')} {self.weights}"
        return hashlib.sha256(made_by.encode() + encode(list(opening))).hexdigest()[:32]

    def _find(self, name: str) -> str | None:
        for path in self.folder.glob(f"{name}.*.kv"):
            if path.name == f"{name}.{digest(path)}.kv":
                path.touch()
                return path.name
            path.unlink(missing_ok=True)
        return None

    def _prune(self) -> None:
        kept = sorted(self.folder.glob("*.kv"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-MOST]:
            path.unlink(missing_ok=True)
