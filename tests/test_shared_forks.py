"""
A fork shares what an open session has read: it must be what the store has.

After each of any moves, every open session is compared with itself in a fresh app.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from lash_sdk import Lash, Limits, Plugin, hooks
from lash_sdk.contexts import SessionContext, TurnContext
from lash_sdk.errors import InvalidHistory
from lash_sdk.graph import History
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import assistant, user
from lash_sdk.session import Session
from lash_sdk.testing import ScriptedModel
from lash_sdk.tools import tool

MOVES = (
    *("run", "fork", "fork and close", "fork at", "checkout", "rewrite", "append", "append after"),
    *("reopen", "configure", "hide", "show"),
)

Move = tuple[str, int, int]
"""What, in which session, and at which node."""


class Count(BaseModel):
    model_config = ConfigDict(frozen=True)
    n: int = 0


class Shortens(Plugin):
    State = Count

    @hooks.before_turn
    def count(self, ctx: TurnContext) -> None:
        self.state = Count(n=self.state.n + 1)

    @hooks.transform_history
    async def shorten(self, ctx: SessionContext, value: History) -> History | None:
        return History().plus(tuple(value[-2:])) if len(value) > 4 else None


@tool
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


def app(store: MemoryStore) -> Lash:
    model = ScriptedModel(["answer"] * 100)
    return Lash(model=model, store=store, tools=[add], plugins=[Shortens], autoload=False)


def seen(session: Session) -> dict[str, Any]:
    """
    Everything of a session that somebody can look at.
    """
    live = session._lane.live  # pyright: ignore[reportPrivateUsage] - the plugin's state
    return {
        "revision": session.revision,
        "messages": list(session.messages),
        "leaf": session.graph.leaf,
        "path": session.graph.path(),
        "nodes": sorted(session.graph, key=lambda node: node.id),
        "tree": session.graph.tree(),
        "turns": live.turns,
        "state": [each.state for each in live.instances if isinstance(each, Shortens)],
        "limits": live.policy.limits,
        "tools": {name: callable for name, (_tool, _by, callable) in session.catalogue.items()},
        "usage": session.usage(),
        "all usage": session.usage(inherited=True).usage,
    }


async def move(lash: Lash, sessions: list[Session], step: Move) -> None:
    what, which, where = step
    at = which % len(sessions)
    session = sessions[at]
    node = list(session.graph)[where % len(session.graph)].id
    match what:
        case "run":
            await session.run("go on")
        case "fork" | "fork and close" | "fork at":
            sessions.append(await session.fork(at=node if what == "fork at" else None))
            if what == "fork and close":
                await session.close()
                del sessions[at]
        case "checkout":
            await session.checkout(node)
        case "rewrite":
            await session.rewrite()
        case "append":
            await session.append([user("more"), assistant("yes")])
        case "append after":
            await session.append([user("aside")], after=node)
        case "reopen":
            await session.close()
            sessions[at] = await lash.session(session.id)
        case "configure":
            await session.configure(limits=Limits(iterations=where + 1))
        case _:
            await (session.hide("add") if what == "hide" else session.show("add"))


async def played(steps: list[Move]) -> None:
    store = MemoryStore()
    async with app(store) as lash:
        sessions = [await lash.session("s")]
        await sessions[0].run("begin")
        for step in steps:
            with suppress(InvalidHistory):  # a node where nothing can go on
                await move(lash, sessions, step)
            async with app(store) as fresh:
                for session in sessions:
                    assert seen(await fresh.session(session.id)) == seen(session)


@pytest.mark.parametrize(
    "moves",
    [
        [("fork", 0, 0), ("run", 0, 0), ("run", 1, 0), ("rewrite", 0, 0), ("append", 1, 0)],
        [("fork and close", 0, 0), ("fork", 0, 0), ("run", 1, 0), ("reopen", 1, 0), ("run", 0, 0)],
        [("append after", 0, 2), ("checkout", 0, 2), ("fork", 0, 0), ("run", 1, 0), ("run", 0, 0)],
        [("run", 0, 0), ("checkout", 0, 2), ("fork", 0, 0), ("run", 0, 0), ("run", 1, 0)],
    ],
    ids=["both go on", "fork of a fork", "a branch aside", "gone back"],
)
async def test_a_shared_fork_is_what_the_store_has(moves: list[Move]) -> None:
    """
    What one does next shows in no other, and a branch is the store's to tell.
    """
    await played(moves)


steps = st.tuples(st.sampled_from(MOVES), st.integers(0, 5), st.integers(0, 20))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=12))
def test_it_is_in_any_order(moves: list[Move]) -> None:
    """
    Whatever was forked, run, gone back or closed: nothing shows in the wrong session.
    """
    asyncio.run(played(moves))
