"""The plugin in real sessions: its effect, its forks, another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lash_sdk import Lash
from lash_sdk.outcomes import Success
from lash_sdk.ports import Store
from lash_sdk.session import Session
from lash_sdk.testing import ScriptedModel, call, check_states, instance_of, reply

from {{ cookiecutter.__module }}.plugin import {{ cookiecutter.__class }}

GREET = reply(calls=[call("{{ cookiecutter.__word }}_greet", name="Ada")])


@pytest.fixture
def plugins() -> list[type[{{ cookiecutter.__class }}]]:
    return [{{ cookiecutter.__class }}]


@pytest.fixture
def plugin_config() -> dict[str, Any]:
    return {"{{ cookiecutter.__name }}": {"greeting": "Welcome"}}


def calls(session: Session) -> int:
    """Return how many calls the session's plugin has counted."""
    plugin: {{ cookiecutter.__class }} = instance_of(session, {{ cookiecutter.__class }})
    return plugin.state.calls


async def test_the_model_can_call_the_tool(session: Session, scripted_model: ScriptedModel) -> None:
    """
    With the greeting that's set.
    """
    scripted_model.say(GREET, "done")
    turn = await session.run("Greet Ada.")

    assert turn.tool_calls[0].outcome == Success(value="Welcome, Ada!")
    assert calls(session) == 1


async def test_a_fork_counts_on_for_itself(session: Session, scripted_model: ScriptedModel) -> None:
    """
    It begins with what its origin had, which sees nothing of it.
    """
    scripted_model.say(GREET, "done", GREET, "done")
    await session.run("Greet Ada.")
    other = await session.fork(id="other")
    await other.run("Greet Ada again.")

    assert (calls(session), calls(other)) == (1, 2)


async def test_sessions_know_nothing_of_each_other(
    lash: Lash, session: Session, scripted_model: ScriptedModel
) -> None:
    """
    What's remembered belongs to one conversation.
    """
    scripted_model.say(GREET, "done")
    await session.run("Greet Ada.")
    other = await lash.session("other")

    assert (calls(session), calls(other)) == (1, 0)


async def test_another_process_goes_on_counting(
    session: Session, scripted_model: ScriptedModel, lash_store: Store
) -> None:
    """
    The count is saved with the turn.
    """
    scripted_model.say(GREET, "done")
    await session.run("Greet Ada.")
    async with Lash(store=lash_store, plugins=[{{ cookiecutter.__class }}]) as again:
        assert calls(await again.session("test")) == 1


def test_states_of_every_version_can_be_read() -> None:
    """
    A session of last year is opened tomorrow.
    """
    check_states({{ cookiecutter.__class }}, Path(__file__).parent / "states")
