"""What everybody spends is counted once, whatever happens to who spends it."""

from __future__ import annotations

from typing import Any

import pytest

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import ModelContext, ToolContext, TurnContext, UsageContext
from lash_sdk.errors import InvalidInput
from lash_sdk.events import OfChild, UsageAdded
from lash_sdk.memory import MemoryStore
from lash_sdk.testing import call, reply
from lash_sdk.usage import Usage
from lash_sessions import SessionRequest, difference

from .making import acting, app, children


async def work(ctx: ToolContext) -> str:
    """Have a child do something, and ask a model directly."""
    await ctx.role("lifecycle").create(SessionRequest(id="kid", source="scout"))
    await ctx.role("turns").start_turn("kid", "x")
    await ctx.role("direct").direct_completion("y", "memory")
    return "ok"


def answer(request: Any) -> Any:
    last = request.history[-1]
    if last.text in "xy" and last.text:
        return reply("said", usage=Usage(input=1, cache_read=7))
    return "done" if last.role == "tool" else reply(calls=[call("do")])


async def test_own_turns_children_and_direct_calls_are_each_in_the_ledger_once() -> None:
    """
    By source and model; the turn's record tells its own from the others'.
    """
    store = MemoryStore()
    async with app(answer=answer, tools=[acting(work)], store=store) as lash:
        parent = await lash.session("parent")
        record = await parent.run("go")
        by = children(parent).usage_report().by
        assert (30, 16) == (record.usage.total, record.children_usage.total)
    async with app(store=store) as lash:
        again = (await lash.session("parent")).usage()

        assert by == again.by
        assert {"turn": 30, "scout": 8, "memory": 8} == {
            source: usage.total for source, usage in again.by_source.items()
        }
        assert 8 == (await lash.session("kid")).usage().total


async def test_the_default_label_is_child() -> None:
    """
    Who doesn't say is a child.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await children(parent).create(SessionRequest(id="kid"))
        await children(parent).start_turn("kid", "hi")
        assert {"child"} == set(parent.usage().by_source)


async def test_what_comes_live_and_what_is_final_are_one() -> None:
    """
    Cached tokens too; the parent's stream, its hooks and its ledger agree.
    """
    heard: list[tuple[str, int]] = []

    class Hearing(Plugin):
        name = "hearing"

        @hooks.on_usage
        def hear(self, ctx: UsageContext) -> None:
            if ctx.session_id == "parent":
                heard.append((ctx.origin, ctx.row.usage.total))

    async with app(Hearing, answer=answer, tools=[acting(work)]) as lash:
        parent = await lash.session("parent")
        seen = [event async for event in parent.stream("go")]

        rows = [event.row for event in seen if isinstance(event, UsageAdded)]
        assert [("own", 15), ("child", 8), ("direct", 8), ("own", 15)] == heard
        assert 46 == sum(row.usage.total for row in rows) == parent.usage().total
        assert len({row.id for row in rows}) == len(rows)
        assert [8] == [
            event.of.row.usage.total
            for event in seen
            if isinstance(event, OfChild) and isinstance(event.of, UsageAdded)
        ]


async def test_who_decides_on_spending_sees_what_children_spent() -> None:
    """
    A budget is for the whole tree.
    """
    seen: list[int] = []

    class Deciding(Plugin):
        name = "deciding"

        @hooks.decide_spend
        async def decide(self, ctx: ModelContext) -> None:
            if ctx.session_id == "parent":
                seen.append(ctx.children_usage.total)

    async with app(Deciding, answer=answer, tools=[acting(work)]) as lash:
        await (await lash.session("parent")).run("go")
    assert [0, 16] == seen


async def test_nothing_is_lost_with_a_turn_that_was_not_committed() -> None:
    """
    It's owed, reported at once, and paid with the next commit.
    """
    refusing = True

    class Refusing(Plugin):
        name = "refusing"

        @hooks.after_turn
        async def refuse(self, ctx: TurnContext) -> list[Any]:
            if refusing and ctx.session_id == "parent":
                raise ValueError("not this one")
            return []

    store = MemoryStore()
    async with app(Refusing, answer=answer, tools=[acting(work)], store=store) as lash:
        parent = await lash.session("parent")
        with pytest.raises(Exception, match="not this one"):
            await parent.run("go")
        assert 46 == parent.usage().total
        refusing = False
        await parent.run("y")
    async with app(store=store) as lash:
        assert 46 + 8 == (await lash.session("parent")).usage().total


async def test_usage_outside_a_turn_is_durable_and_moves_no_revision() -> None:
    """
    Nobody waits for the next turn to pay.
    """
    store = MemoryStore()
    async with app(answer=answer, store=store) as lash:
        parent = await lash.session("parent")
        await children(parent).create(SessionRequest(id="kid"))
        before = parent.revision
        await children(parent).start_turn("kid", "x")
        await children(parent).direct_completion("y", "memory")
        assert before == parent.revision
    async with app(store=store) as lash:
        assert {"child": 8, "memory": 8} == {
            source: usage.total
            for source, usage in (await lash.session("parent")).usage().by_source.items()
        }


async def test_two_turns_of_one_child_in_one_turn_are_both_counted() -> None:
    """
    Sums are by the child's turn, and a later one doesn't replace an earlier.
    """

    async def twice(ctx: ToolContext) -> str:
        await ctx.role("lifecycle").create(SessionRequest(id="kid"))
        for text in "xx":
            await ctx.role("turns").start_turn("kid", text)
        return "ok"

    async with app(answer=answer, tools=[acting(twice)]) as lash:
        record = await (await lash.session("parent")).run("go")
        assert 16 == record.children_usage.total


async def test_a_grandchilds_tokens_reach_the_top_once() -> None:
    """
    Through its maker, under the label that one has.
    """

    async def act(ctx: ToolContext) -> str:
        below = {"parent": "kid", "kid": "grandkid"}.get(ctx.session_id)
        if below is not None:
            await ctx.role("lifecycle").create(SessionRequest(id=below, source=below))
            await ctx.role("turns").start_turn(below, "do")
        return "ok"

    def ask(request: Any) -> Any:
        return "done" if request.history[-1].role == "tool" else reply(calls=[call("do")])

    async with app(answer=ask, tools=[acting(act)]) as lash:
        parent = await lash.session("parent")
        await parent.run("go")

        assert {"turn": 30, "kid": 60} == {
            source: usage.total for source, usage in parent.usage().by_source.items()
        }


async def test_the_difference_of_two_reports_is_what_came_between() -> None:
    """
    Sorted, without what didn't change; reports the wrong way round are refused.
    """
    async with app() as lash:
        parent = await lash.session("parent")
        await parent.run("hi")
        before = parent.usage()
        await children(parent).create(SessionRequest(id="kid"))
        await children(parent).start_turn("kid", "hi")
        after = parent.usage()

        assert {("child", "talking"): Usage(input=10, output=5)} == difference(before, after)
        assert {} == difference(after, after)
        with pytest.raises(InvalidInput, match="went down"):
            difference(after, before)
