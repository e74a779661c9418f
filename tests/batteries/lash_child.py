"""
A process with an app and one session in it, which runs turns as it's told.

It speaks as `lash_sdk.testing.store_child` does: a command a line, an answer a line.
What its tools do to the world, it appends to a file, where no crash undoes it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from lash_sdk import Lash, tool
from lash_sdk.errors import LashError
from lash_sdk.json import Json
from lash_sdk.ports import ModelRequest
from lash_sdk.session import Session
from lash_sdk.testing import Reply, ScriptedModel, call, reply
from lash_sdk.testing.store_child import answer
from lash_sdk.testing.store_place import made


class Player:
    """The commands, on the session that was opened."""

    def __init__(self) -> None:
        self._lash: Lash | None = None
        self._session: Session | None = None
        self._world = -1

    async def open(self, factory: str, url: str, policy: str, effects: str, session: str) -> None:
        """Open an app with that `on_busy` on a store, and a session in it."""
        assert policy in ("reject", "queue", "fork")
        self._world = world = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def note(what: str) -> None:
            os.write(world, f"{what} {os.getpid()}\n".encode())

        @tool
        async def charge() -> str:
            """Do what's done at once."""
            note("charge")
            return "charged"

        @tool
        async def ship() -> str:
            """Do what a crash interrupts: nobody knows whether it was done."""
            note("ship")
            await asyncio.sleep(60)
            return "shipped"

        @tool(on_recovery="rerun")
        async def look() -> str:
            """Do what may be done again."""
            note("look")
            return "seen"

        is_open = Path(f"{effects}.gate").exists

        async def respond(request: ModelRequest) -> Reply:
            """Call all tools if asked to go, answer them once the gate's open; else repeat."""
            last = request.history[-1]
            if last.role == "user" and last.text == "go":
                return reply(calls=[call("charge"), call("look"), call("ship")])
            while last.role == "tool" and not is_open():  # noqa: ASYNC110 - another process'
                await asyncio.sleep(0.005)
            said = [message.text for message in request.history if message.role == "user"]
            return reply(f"re: {said[-1]}", delay=0.02)

        model = ScriptedModel([respond] * 10_000)
        self._lash = Lash(
            model=model,
            store=made(factory, url),
            tools=[charge, ship, look],
            autoload=False,
            on_busy=policy,  # type: ignore[arg-type]
        )
        await self._lash.__aenter__()
        self._session = await self._lash.session(session)

    async def run(self, text: str) -> Json:
        """Run a turn; return its session, index, revision and text."""
        assert self._session is not None
        turn = await self._session.run(text)
        return [turn.session, turn.index, turn.revision, turn.text]

    async def storm(self, name: str, count: int) -> Json:
        """Run so many turns, one after the other; return what came of each."""
        outcomes: list[Json] = []
        for number in range(count):
            try:
                outcomes.append(await self.run(f"{name}-{number}"))
            except LashError as error:
                outcomes.append(type(error).__name__)
        return outcomes

    async def resume(self) -> Json:
        """Finish the interrupted turn; return its text, None if there's none."""
        assert self._session is not None
        turn = await self._session.resume()
        return None if turn is None else turn.text

    async def close(self) -> None:
        """Close the app."""
        if self._lash is not None:
            await self._lash.close()
            self._lash = self._session = None
            os.close(self._world)


async def serve() -> None:
    """Do what each line asks for until there are no more."""
    player = Player()
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *args = json.loads(line)
        command: Callable[..., Awaitable[Json]] = getattr(player, name)
        try:
            value = await command(*args)
        except LashError as error:
            answer(str(error), type(error).__name__)
        else:
            answer(value)
    await player.close()


if __name__ == "__main__":
    asyncio.run(serve())
