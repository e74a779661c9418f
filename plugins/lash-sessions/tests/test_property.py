"""Whatever happens to a tree of sessions: usage, histories, tasks and ids stay right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from lash_sdk.runner.settle import Settling
from lash_sessions import creating, spending, turns
from lash_sessions.tree import Tree

from .trees import STORIES, Plan, Story, play

QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
RICH = Story(
    Plan(
        "root",
        "await",
        (
            Plan("root.0", "await", (Plan("root.0.0", "twice", ()),)),
            Plan("root.1", "cancel", (Plan("root.1.0", "await", ()),)),
            Plan("root.2", "leave", ()),
        ),
    ),
    frozenset(),
    cancelled=False,
    handed=True,
)


@QUICK
@given(STORIES)
@example(RICH)
@example(replace(RICH, failing=frozenset((0, 2))))
@example(replace(RICH, failing=frozenset((4, 5))))
@example(replace(RICH, cancelled=True))
def test_a_tree_of_sessions_stays_right_whatever_happens(story: Story) -> None:
    """
    Cancels, failed commits, handoffs, two who await one turn, turns left to run.
    """
    asyncio.run(play(story))


# --- planted faults ------------------------------------------------------------


def twice(made: Any, row: Any) -> Any:
    """Give a row that's passed on a name of its own each time."""
    return replace(row, source=made.origin.source, id=f"{row.id}+{id(object())}{len(made.passed)}")


async def nothing(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


def silent(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


def keeps(self: Any) -> None:
    """Let the session go on, and keep the result."""
    if self.made.running is self:
        self.made.running = None


READY = turns.ready
BUILD = Settling._build
CHOOSE = creating._choose


def anybody(tree: Any, asker: Any, id: str, order: Any) -> Any:
    """Begin a second turn as if there were none."""
    tree.find(id).running = None
    return READY(tree, asker, id, order)


def childless(self: Any, messages: Any) -> Any:
    """Name no children in a commit."""
    return replace(BUILD(self, messages), children=())


def doubled(made: Any, row: Any) -> Any:
    """Pass on twice of what was spent."""
    return replace(row, source=made.origin.source, usage=row.usage + row.usage)


def lossy(tree: Any, made: Any, row: Any) -> None:
    """Take a row for passed on, and lose it."""
    made.passed.add(row.id)


async def renamed(tree: Any, asker: Any, request: Any) -> Any:
    """Make a session under another name than was asked for."""
    id, key = await CHOOSE(tree, asker, request)
    return f"{id}-{len(tree.made)}", key


FAULTS: dict[str, list[tuple[Any, str, Callable[..., Any]]]] = {
    "rows are renamed on their way": [(spending, "_labelled", twice)],
    "rows are doubled on their way": [(spending, "_labelled", doubled)],
    "nothing is passed on": [(spending, "relay", silent), (spending, "pass_on", nothing)],
    "a result can be taken twice": [(turns.Running, "taken", keeps)],
    "a second turn begins beside the first": [(turns, "ready", anybody)],
    "a commit forgets its children": [(Settling, "_build", childless)],
    "a cancel doesn't go down": [(Tree, "settle", nothing)],
    "a row is lost on its way": [(spending, "relay", lossy)],
    "a session is made under another name": [(creating, "_choose", renamed)],
    "a handoff isn't remembered": [(creating, "remember", silent)],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A property that nothing breaks says nothing.
    """
    for place, name, wrong in FAULTS[fault]:
        monkeypatch.setattr(place, name, wrong)

    @settings(QUICK, max_examples=40, phases=[Phase.explicit, Phase.generate], derandomize=True)
    @given(STORIES)
    @example(RICH)
    @example(replace(RICH, failing=frozenset((0, 2))))
    @example(replace(RICH, failing=frozenset((4, 5))))
    @example(replace(RICH, failing=frozenset((2, 3, 4, 5, 6))))
    @example(replace(RICH, cancelled=True))
    def holds(story: Story) -> None:
        asyncio.run(play(story))

    with pytest.raises(BaseException) as caught:
        holds()
    assert not isinstance(caught.value, KeyboardInterrupt)
