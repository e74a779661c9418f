"""A thousand children at once: all finish, and every token is counted once."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from typing import Any

import pytest

from lash_sdk.contexts import ToolContext
from lash_sdk.testing import call, reply
from lash_sdk.tools import tool
from lash_sessions import SessionRequest

from .making import app

MANY = 1000


@tool
async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool(on_recovery="resume")
async def spread(ctx: ToolContext) -> int:
    """Have a thousand children do the same at once."""

    async def one(at: int) -> None:
        await ctx.role("lifecycle").create(SessionRequest(id=f"kid{at}"))
        await ctx.role("turns").start_turn(f"kid{at}", "add")

    await asyncio.gather(*map(one, range(MANY)))
    return MANY


def answer(request: Any) -> Any:
    last = request.history[-1]
    if last.text == "spread":
        return reply(calls=[call("spread")])
    return "done" if last.role == "tool" else reply(calls=[call("add", a=1, b=2)])


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory:", "sqlite"])
async def test_a_thousand_children_at_once_add_up(
    store: str, tmp_path: Any, record_property: Any
) -> None:
    """
    A turn of two model calls and a tool in each; the figures are beside the same without.
    """
    from lash_store_sqlite.plugin import SqlitePlugin

    async def played(path: str, *, with_parent: bool) -> float:
        """Return the seconds that a thousand turns take, with a parent or without."""
        url = store if store == "memory:" else f"sqlite:///{tmp_path}/{path.replace(' ', '-')}.db"
        async with app(SqlitePlugin, answer=answer, tools=[add, spread], store=url) as lash:
            started = time.perf_counter()
            if with_parent:
                parent = await lash.session("parent")
                turn = await parent.run("spread")
                seconds = time.perf_counter() - started
                assert 30 * MANY == turn.children_usage.total
                assert 30 * (MANY + 1) == parent.usage().total
                found = await lash.sessions(limit=2 * MANY, children=True)
                assert {1} == {each.turns for each in found} and MANY + 1 == len(found)
            else:

                async def alone(at: int) -> None:
                    await (await lash.session(f"s{at}")).run("add")

                await asyncio.gather(*map(alone, range(MANY)))
                seconds = time.perf_counter() - started
            sizes[path] = tracemalloc.get_traced_memory()[0] / MANY / 1024
            return seconds

    sizes: dict[str, float] = {}
    for name, with_parent in (("children", True), ("alone", False)):
        seconds = await played(name, with_parent=with_parent)
        tracemalloc.start()
        await played(f"{name} traced", with_parent=with_parent)
        tracemalloc.stop()
        figure = f"{MANY / seconds:.0f} turns/s, {sizes[f'{name} traced']:.1f} KiB a session"
        record_property(f"{store} {name}", figure)
        print(f"{store} {name}: {figure}")
