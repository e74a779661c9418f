"""The plugin in real sessions: its effect, its forks, another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lash_sdk import Lash, tool
from lash_sdk.ports import Store
from lash_sdk.session import Session
from lash_sdk.testing import (
    HookRecorder,
    ScriptedModel,
    call,
    check_states,
    instance_of,
    reply,
)

from {{ cookiecutter.__module }}.plugin import {{ cookiecutter.__class }}

DELETE = reply(calls=[call("delete", path="a.txt")])


@tool
async def delete(path: str) -> str:
    """
    Delete a file.

    Args:
        path: Which.
    """
    return f"deleted {path}"


@pytest.fixture
def plugins() -> list[type[{{ cookiecutter.__class }}]]:
    return [{{ cookiecutter.__class }}]


@pytest.fixture
def plugin_config() -> dict[str, Any]:
    return {"{{ cookiecutter.__name }}": {"denied": ["delete"]}}


@pytest.fixture
async def session(lash: Lash) -> Session:
    return await lash.session("test", tools=[delete])


def denials(session: Session) -> int:
    """Return how many calls the session's plugin has denied."""
    plugin: {{ cookiecutter.__class }} = instance_of(session, {{ cookiecutter.__class }})
    return plugin.state.denials


async def test_a_listed_tool_is_denied_and_the_turn_goes_on(
    session: Session, scripted_model: ScriptedModel
) -> None:
    """
    The model is told why, and beforehand that it shouldn't.
    """
    scripted_model.say(DELETE, "done")
    turn = await session.run("Delete it.")
    (record,) = turn.tool_calls

    assert record.decided == "{{ cookiecutter.__name }}"
    assert "delete isn't allowed here" in str(record.outcome)
    assert "Don't call delete." in scripted_model.requests[0].system
    assert turn.text == "done"
    assert denials(session) == 1


async def test_other_tools_are_none_of_its_business(lash_store: Store) -> None:
    """
    Without the setting everything is as it was without the plugin.
    """
    model = ScriptedModel([DELETE, "done"])
    async with Lash(model=model, store=lash_store, plugins=[{{ cookiecutter.__class }}]) as lash:
        session = await lash.session("test", tools=[delete])
        turn = await session.run("Delete it.")

        assert "deleted a.txt" in str(turn.tool_calls[0].outcome)
        assert model.requests[0].system == ""
        assert denials(session) == 0


async def test_its_hooks_are_called(
    hook_recorder: HookRecorder, session: Session, scripted_model: ScriptedModel
) -> None:
    """
    The prompt is asked for before each model call, the gate before each tool call.
    """
    scripted_model.say(DELETE, "done")
    await session.run("Delete it.")
    (guarded,) = hook_recorder.of("decide_tool")

    assert (guarded.plugin, guarded.did) == ("{{ cookiecutter.__name }}", "answered")
    assert len(hook_recorder.of("provide_prompt")) == 2


async def test_a_fork_counts_anew(session: Session, scripted_model: ScriptedModel) -> None:
    """
    What was tried elsewhere says nothing about this conversation.
    """
    scripted_model.say(DELETE, "done")
    await session.run("Delete it.")
    other = await session.fork(id="other")

    assert (denials(session), denials(other)) == (1, 0)


async def test_another_process_goes_on_counting(
    lash: Lash, session: Session, scripted_model: ScriptedModel, lash_store: Store
) -> None:
    """
    The count is saved with the turn, and belongs to one session.
    """
    scripted_model.say(DELETE, "done")
    await session.run("Delete it.")
    async with Lash(store=lash_store, plugins=[{{ cookiecutter.__class }}]) as again:
        assert denials(await again.session("test")) == 1
    assert denials(await lash.session("other")) == 0


def test_states_of_every_version_can_be_read() -> None:
    """
    A session of last year is opened tomorrow.
    """
    check_states({{ cookiecutter.__class }}, Path(__file__).parent / "states")
