"""
A tree of sessions on a file, in a process that is killed after a while.

Called with the file, the milliseconds until the kill (0: none), and the depth. Prints what
holds at the end, as JSON, once it gets there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from lash_sdk import Lash
from lash_sdk.contexts import ToolContext
from lash_sdk.errors import LashError
from lash_sdk.graph import check_pairs
from lash_sdk.messages import Message
from lash_sdk.prompt import PromptPart
from lash_sdk.testing import call, reply
from lash_sdk.tools import tool
from lash_sessions import SessionRequest, SessionsPlugin
from lash_store_sqlite.plugin import SqlitePlugin

PARTS = (PromptPart(text="be brief"),) if sys.argv[4:] else ()
"""With parts of its own a child can only be opened again by what made it."""


class Model:
    """Answers with a tool call first, and ends after it."""

    name = "model"
    window = None

    async def answer(self, request: Any, emit: Any) -> Any:
        await asyncio.sleep(0.002)
        last = request.history[-1]
        said = reply("done") if last.role == "tool" else reply(calls=[call("do", at=last.text)])
        return said.answer

    async def close(self) -> None:
        """Do nothing."""


@tool(on_recovery="resume")
async def do(at: str, ctx: ToolContext) -> str:
    """Hand on what's to be done, until nothing is left."""
    left = int(at)

    async def one() -> None:
        child = await ctx.role("lifecycle").create(SessionRequest(parts=PARTS))
        await ctx.role("turns").start_turn(child.id, str(left - 1))

    await asyncio.gather(*[one() for _ in range(3 if left else 0)])
    return "ok"


async def main(file: str, depth: str) -> dict[str, Any]:
    async with Lash(
        model=Model(),
        tools=[do],
        store=f"sqlite:///{file}",
        plugins=[SessionsPlugin, SqlitePlugin],
        autoload=False,
    ) as lash:
        root = await lash.session("root")
        turn = await root.resume() if root.interrupted else None
        if turn is None and root.revision == 0:
            turn = await root.run(depth)
        heads = await lash.sessions(limit=1000, children=True)
        own, wrong = 0, []
        for head in heads:
            async with await lash.session(head.id) as session:
                own += session.usage().by_source["turn"].total
                try:
                    said = [n.value for n in session.graph.path() if isinstance(n.value, Message)]
                    check_pairs(said)
                    assert 4 == len(said) and not session.interrupted, said
                except (LashError, AssertionError) as error:
                    wrong.append(f"{head.id}: {error}")
        return {
            "sessions": len(heads),
            "turns": sorted({head.turns for head in heads}),
            "own": own,
            "total": root.usage().total,
            "wrong": wrong,
        }


def kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[2] != "0":
        after = int(sys.argv[2]) / 1000
        threading.Thread(target=kill_after, args=(after,), daemon=True).start()
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[3]))))
