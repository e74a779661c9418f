"""
A process that does to a store what a test tells it.

It reads one JSON array a line, `[command, argument, …]`, and answers with one
object a line. `os.kill` ends it wherever a command says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..errors import LashError
from ..messages import Blob
from ..ports import InboxItem, JournalRow
from .store_place import made
from .store_turns import turn

if TYPE_CHECKING:
    from ..json import Json
    from ..ports import Claim, Store


class Servant:
    """The commands, on the one store that was opened last."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._claims: dict[str, Claim] = {}

    @property
    def store(self) -> Store:
        """The store that's open."""
        assert self._store is not None
        return self._store

    async def open(self, factory: str, url: str) -> None:
        """Open a store of that URL."""
        self._store = made(factory, url)
        await self._store.open()

    async def close(self) -> None:
        """Close the store, if one is open."""
        store, self._store = self._store, None
        self._claims.clear()
        if store is not None:
            await store.close()

    async def head(self, session: str) -> int | None:
        """Return the session's revision."""
        head = await self.store.head(session)
        return head.revision if head else None

    async def commit(self, session: str, number: int, operation: str = "") -> int:
        """Commit a turn; return its revision."""
        return (await self.store.commit(turn(session, number, operation=operation))).revision

    async def fill(self, session: str, number: int, size: int) -> int:
        """Commit a turn that brings a blob of so many bytes."""
        blob = Blob.of(b"x" * size, "text/plain")
        return (await self.store.commit(turn(session, number, blobs=(blob,)))).revision

    async def hammer(self, session: str, number: int) -> int:
        """Say so after a first commit, then go on until one is refused."""
        await self.commit(session, number)
        answer(True)
        while True:
            number += 1
            await self.commit(session, number)

    async def spread(self, prefix: str, count: int) -> int:
        """Commit to so many sessions, one after the other."""
        for number in range(count):
            await self.commit(f"{prefix}-{number}", 0)
        return count

    async def die_after(self, session: str, number: int) -> None:
        """Commit, and be killed before anybody is told."""
        await self.commit(session, number)
        os.kill(os.getpid(), signal.SIGKILL)

    async def die_during(self, session: str, number: int, passes: int) -> None:
        """Be killed that many passes of the loop after a commit was begun."""
        task = asyncio.ensure_future(self.commit(session, number))
        for _ in range(passes):
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGKILL)
        await task

    async def enqueue(self, session: str, key: str, body: str) -> str:
        """Enqueue an item; return its key."""
        return (await self.store.enqueue(session, InboxItem(key=key, body=body))).key

    async def claim(self, session: str) -> int:
        """Claim a session and keep the claim; return its generation."""
        self._claims[session] = claim = await self.store.claim(session)
        return claim.generation

    async def release(self, session: str) -> None:
        """Give the session's claim back."""
        await self.store.release(self._claims[session])

    async def journal_put(self, session: str, key: str) -> None:
        """Write a journal row under the session's claim."""
        row = JournalRow(turn="t", key=key, kind="k", body=key)
        await self.store.journal_put(self._claims[session], [row])

    async def limit(self, size: int) -> None:
        """Let no file of this process grow past so many bytes; -1 for no limit."""
        import resource  # where there's none, no file can be limited

        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size < 0 else size, hard))


def answer(value: Json, error: str = "") -> None:
    """Say what a command returned, or how it failed."""
    print(json.dumps({"value": value, "error": error}), flush=True)


async def serve() -> None:
    """Do what each line asks for until there are no more."""
    servant = Servant()
    while line := sys.stdin.readline():
        name, *args = json.loads(line)
        command: Callable[..., Awaitable[Json]] = getattr(servant, name)
        try:
            value = await command(*args)
        except LashError as error:
            answer(str(error), type(error).__name__)
        else:
            answer(value)
    await servant.close()


if __name__ == "__main__":
    asyncio.run(serve())
