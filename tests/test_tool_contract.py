"""
The contracts of tools and of counters: sound ones pass, planted faults are found.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Final

import pytest
from pydantic import BaseModel, ConfigDict

from lash_sdk import Plugin, Usage, hooks
from lash_sdk.contexts import UsageContext
from lash_sdk.testing.pytest import ToolContract, UsageContract
from lash_sdk.tools import Tool, ToolRetry, tool


@tool(on_recovery="rerun")
async def greet(name: str, loudly: bool = False) -> str:
    """
    Greet somebody.

    Args:
        name: Whom.
        loudly: Whether to shout.
    """
    return f"Hello, {name}{'!' if loudly else '.'}"


class TestGreet(ToolContract):
    arguments: ClassVar = {"name": "Ada"}

    @pytest.fixture
    def tool(self) -> Tool:
        return greet


class Used(BaseModel):
    model_config = ConfigDict(frozen=True)

    used: Usage = Usage()


class Meter(Plugin):
    State = Used

    @hooks.on_usage
    def add(self, ctx: UsageContext) -> None:
        self.state = Used(used=self.state.used + ctx.row.usage)


class TestMeter(UsageContract):
    @pytest.fixture
    def plugin(self) -> type[Plugin]:
        return Meter

    def counted(self, plugin: Meter) -> Usage:
        used: Usage = plugin.state.used
        return used


# --- planted faults -----------------------------------------------------------------------


def mute(name: str) -> str:
    """Greet somebody."""
    return name


@tool
def undescribed(name: str) -> str:
    return name


@tool
async def odd(name: str) -> object:
    """
    Return what JSON can't say.

    Args:
        name: Whom.
    """
    return object()


class Busy:
    """A tool that minds being called twice at a time."""

    def __init__(self) -> None:
        self.inside = 0

    async def run(self, name: str) -> str:
        self.inside += 1
        await asyncio.sleep(0.01)
        found, self.inside = self.inside, 0
        return f"{name} {found}"


class Once:
    """A tool that says it may run again, and counts how often it did."""

    def __init__(self) -> None:
        self.times = 0

    async def run(self, name: str) -> str:
        self.times += 1
        return f"{name} {self.times}"


@tool
async def deaf(name: str) -> str:
    """
    Go on, whatever happens.

    Args:
        name: Whom.
    """
    for _ in range(4):
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            continue
    return name


@tool(on_recovery="resume")
async def keyless(name: str) -> str:
    """
    Want to be called again, without a key.

    Args:
        name: Whom.
    """
    return name


DEAF_SECONDS: Final = 0.3


def lax(schema: Any) -> Tool:
    return replace(greet, definition=replace(greet.definition, parameters=schema))


def unchecked(text: str) -> dict[str, Any]:
    return {"name": "Ada"}


PLANTED: Final[dict[str, tuple[str, Callable[[], Tool]]]] = {
    "no description": ("test_a_model_can_tell_what_it_is_for", lambda: undescribed),
    "a silent parameter": ("test_a_model_can_tell_what_it_is_for", lambda: tool(mute)),
    "an open schema": ("test_what_it_takes_is_said_exactly", lambda: lax({"type": "object"})),
    "arguments that don't fit": (
        "test_a_good_call_is_accepted",
        lambda: tool(lambda number: number),
    ),
    "no check of unknown ones": (
        "test_an_argument_that_it_does_not_know_is_refused",
        lambda: replace(greet, validate=unchecked),
    ),
    "no check of missing ones": (
        "test_a_required_argument_that_is_missing_is_refused",
        lambda: replace(greet, validate=unchecked),
    ),
    "a value that isn't JSON": ("test_it_answers_in_a_session", lambda: odd),
    "a tool that isn't for two": (
        "test_a_second_call_is_not_disturbed_by_the_first",
        lambda: tool(name="busy")(Busy().run),
    ),
    "a tool that can't be cancelled": ("test_it_ends_when_it_is_cancelled", lambda: deaf),
    "resuming without a key": ("test_it_can_keep_what_it_says_of_recovery", lambda: keyless),
    "retrying without a key": (
        "test_it_can_keep_what_it_says_of_recovery",
        lambda: replace(
            greet,
            definition=replace(greet.definition, retry=ToolRetry(attempts=2, idempotent=True)),
        ),
    ),
    "another value when it runs again": (
        "test_a_turn_that_dies_around_it_loses_nothing",
        lambda: tool(name="once", on_recovery="rerun")(Once().run),
    ),
}


class Impatient(ToolContract):
    arguments: ClassVar = {"name": "Ada"}
    patience = DEAF_SECONDS


async def tried(contract: Any, name: str, thing: object) -> None:
    found = getattr(contract, name)(thing)
    if inspect.isawaitable(found):
        await found


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_fault_of_a_tool_is_found(planted: str) -> None:
    """
    A contract that passes everything promises nothing.
    """
    name, make = PLANTED[planted]
    with pytest.raises((AssertionError, pytest.fail.Exception, Exception)) as caught:
        await tried(Impatient(), name, make())

    assert not isinstance(caught.value, AttributeError)


@pytest.mark.parametrize("name", sorted(n for n in dir(ToolContract) if n.startswith("test_")))
def test_each_clause_of_the_tools_contract_has_a_planted_fault(name: str) -> None:
    """
    A clause that was never seen to fail may not be able to.
    """
    assert name in {clause for clause, _make in PLANTED.values()}


class Global(Meter):
    """Counts for the whole process."""

    total: ClassVar[list[Usage]] = [Usage()]

    @hooks.on_usage
    def add(self, ctx: UsageContext) -> None:
        self.total[0] += ctx.row.usage
        self.state = Used(used=self.total[0])


class Lost(Meter):
    """Keeps its count on the instance, which goes with the process."""

    sum = Usage()

    @hooks.on_usage
    def add(self, ctx: UsageContext) -> None:
        self.sum = self.sum + ctx.row.usage
        self.state = Used(used=self.sum)


class Twice(Meter):
    """Counts a row on each of two hooks."""

    @hooks.on_turn_committed
    async def again(self, ctx: Any) -> None:
        self.state = Used(used=self.state.used + ctx.usage)


class Head(Meter):
    """Begins with something."""

    @hooks.on_session_opened
    async def opened(self, ctx: Any) -> None:
        self.state = Used(used=Usage(input=1))


class Successes(Meter):
    """Counts finished turns only."""

    @hooks.on_usage
    def add(self, ctx: UsageContext) -> None: ...

    @hooks.after_turn
    async def done(self, ctx: Any) -> None:
        if type(ctx.outcome).__name__ == "Finished":
            self.state = Used(used=self.state.used + ctx.usage)


COUNTERS: Final[dict[str, type[Meter]]] = {
    "test_nothing_is_counted_before_anything_was_used": Head,
    "test_each_row_is_counted_once": Twice,
    "test_a_turn_whose_model_failed_counts_what_it_used": Successes,
    "test_two_sessions_are_counted_apart": Global,
    "test_a_session_that_is_opened_again_goes_on_counting": Lost,
}


@pytest.mark.parametrize("name", sorted(n for n in dir(UsageContract) if n.startswith("test_")))
async def test_a_planted_fault_of_a_counter_is_found(name: str) -> None:
    """
    One for each clause.
    """
    with pytest.raises(AssertionError):
        await tried(TestMeter(), name, COUNTERS[name])
