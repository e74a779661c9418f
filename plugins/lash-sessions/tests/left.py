"""
A turn in the background that outlives the turn that began it, and is killed with its process.

Called with a file and what to do: "begin" is killed while the turn runs, "resume" and "run"
go on in their own way and print what holds then, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from lash_sdk import Lash
from lash_sdk.contexts import ToolContext
from lash_sdk.testing import call, reply
from lash_sdk.tools import tool
from lash_sessions import SessionRequest, SessionsPlugin
from lash_store_sqlite.plugin import SqlitePlugin

FILE, WHAT = sys.argv[1:]
DEPTH = {"root": ["kid"], "kid": ["grandkid"], "grandkid": []}
CALLED = asyncio.Event()
"""Set once the tool of the youngest has been called, and its model is asked again."""


class Model:
    """Answers with a tool call first, then with words, the youngest after a while."""

    name = "model"
    window = None

    async def answer(self, request: Any, emit: Any) -> Any:
        if request.history[-1].role == "user" and request.history[-1].text != "hello":
            return reply(calls=[call("do")]).answer
        if request.session == "grandkid" and WHAT == "begin":
            CALLED.set()
            await asyncio.sleep(60)
        return reply(f"{request.session} is done").answer

    async def close(self) -> None:
        """Do nothing."""


@tool
async def do(ctx: ToolContext) -> str:
    """Begin a turn below, and leave it running."""
    for id in DEPTH[ctx.session_id]:
        await ctx.role("lifecycle").create(SessionRequest(id=id))
        await ctx.role("turns").start_turn_stream(id, "go")
    return "ok"


async def main() -> dict[str, Any]:
    async with Lash(
        model=Model(),
        tools=[do],
        store=f"sqlite:///{FILE}",
        plugins=[SessionsPlugin, SqlitePlugin],
        autoload=False,
    ) as lash:
        root = await lash.session("root")
        role: Any = root.children
        if WHAT == "begin":
            await root.run("go")
            await CALLED.wait()
            await asyncio.wait([role._tree.made["kid"].running.task])
            os.kill(os.getpid(), signal.SIGKILL)
        resumed = await root.resume() if WHAT == "resume" else await root.run("hello")
        texts = [(await role.await_turn(turn)).text for turn in tuple(role._tree.turns)]
        heads = await lash.sessions(limit=10, children=True)
        return {
            "resumed": resumed is not None,
            "texts": texts,
            "turns": {head.id: head.turns for head in heads},
            "total": root.usage().total,
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
