"""
The contract of a host of several sessions: ours keeps it, and planted faults are found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import pytest

from lash_sdk import Plugin
from lash_sdk.errors import SessionBusy
from lash_sdk.testing.pytest import SessionManagerContract
from lash_sessions import Root, SessionRequest, SessionsPlugin, children, roles, spending, turns
from lash_sessions.tree import Tree
from lash_sessions.turns import Running


class TestSessions(SessionManagerContract):
    @pytest.fixture
    def session_manager(self) -> type[Plugin]:
        return SessionsPlugin


create = roles.Lifecycle.create
start = roles.Turns.start_turn_stream
relay = spending.relay
spawn = Tree.spawn
STRAY: Final[list[asyncio.Task[None]]] = []
"""Held, or it might be collected."""
complete = roles.Direct.direct_completion


async def nothing(*arguments: Any, **named: Any) -> None:
    """Do nothing."""


async def of_nobody(self: Any, request: object = None) -> Any:
    return await create(self, SessionRequest(relation=Root()))


async def started_anyhow(self: Any, session: str, input: Any) -> Any:
    with suppress(SessionBusy):
        return await start(self, session, input)


def doubled(tree: Any, made: Any, row: Any) -> None:
    relay(tree, made, row)
    relay(tree, made, replace(row, id=f"{row.id}+"))


async def of_no_source(self: Any, request: Any, source: str = "") -> Any:
    return await complete(self, request)


def strayed(self: Tree, work: Any, name: str) -> asyncio.Task[Any]:
    STRAY.append(asyncio.create_task(asyncio.sleep(60)))
    return spawn(self, work, name)


def untyped(tree: Any, turn: str) -> None:
    tree.turns[turn].cancel()


PLANTED: Final[dict[str, tuple[str, Any, str, Any]]] = {
    "a role is missing": (
        "test_every_role_is_supplied",
        children.ROLES,
        "direct",
        lambda tree, asker: None,
    ),
    "a child has no maker": (
        "test_a_child_is_its_makers_and_has_a_history_of_its_own",
        roles.Lifecycle,
        "create",
        of_nobody,
    ),
    "a child is seen at once": (
        "test_a_child_is_seen_once_the_turn_that_made_it_is_committed",
        roles.Lifecycle,
        "create",
        of_nobody,
    ),
    "a lost turn's child stays": (
        "test_a_turn_that_is_lost_takes_its_children_along",
        roles.Lifecycle,
        "create",
        of_nobody,
    ),
    "a record can be taken again": (
        "test_a_turns_record_is_taken_once",
        Running,
        "taken",
        lambda self: None,
    ),
    "a second turn is let go by": (
        "test_a_session_runs_one_turn_at_a_time",
        roles.Turns,
        "start_turn_stream",
        started_anyhow,
    ),
    "a turn doesn't stop": (
        "test_a_cancelled_turn_is_committed_as_such",
        Running,
        "cancel",
        lambda self: None,
    ),
    "cancelling stays up": ("test_cancelling_goes_down", Tree, "settle", nothing),
    "a row is passed on under two ids": (
        "test_every_token_is_counted_once",
        spending,
        "relay",
        doubled,
    ),
    "input goes nowhere": (
        "test_input_reaches_a_sessions_next_turn",
        roles.Lifecycle,
        "inject_turn_input",
        nothing,
    ),
    "a completion is paid for by nobody in particular": (
        "test_a_direct_completion_is_paid_for_and_not_remembered",
        roles.Direct,
        "direct_completion",
        of_no_source,
    ),
    "what isn't there is a KeyError": (
        "test_what_is_not_there_is_an_error_of_ours",
        turns,
        "cancel",
        untyped,
    ),
    "something outlives the app": (
        "test_nothing_is_left_running_when_the_app_closes",
        Tree,
        "spawn",
        strayed,
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_fault_of_a_manager_is_found(
    planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A contract that passes everything promises nothing.
    """
    name, where, what, fault = PLANTED[planted]
    clause: Callable[..., Any] = getattr(SessionManagerContract(), name)
    setter = monkeypatch.setitem if isinstance(where, dict) else monkeypatch.setattr
    setter(where, what, fault)
    monkeypatch.setattr("lash_sdk.testing.manager_contract.PATIENCE", 0.5)
    monkeypatch.setattr("lash_sessions.tree.LONGEST", 0.5)
    before = asyncio.all_tasks()

    with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError, KeyError)):
        await clause(SessionsPlugin)

    left = asyncio.all_tasks() - before
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.mark.parametrize(
    "name", sorted(n for n in dir(SessionManagerContract) if n.startswith("test_"))
)
def test_each_clause_of_the_managers_contract_has_a_planted_fault(name: str) -> None:
    """
    A clause that was never seen to fail may not be able to.
    """
    assert name in {clause for clause, *_ in PLANTED.values()}
