"""The plugin in real sessions: its effect, its forks, another process."""

from __future__ import annotations

from typing import Any

import pytest
from lash_sdk import Lash, Usage
from lash_sdk.errors import ContextOverflow
from lash_sdk.ports import Store

from {{ cookiecutter.__module }}.plugin import {{ cookiecutter.__class }}

SPEC = "{{ cookiecutter.__name }}:small"


@pytest.fixture
def plugins() -> list[type[{{ cookiecutter.__class }}]]:
    return [{{ cookiecutter.__class }}]


@pytest.fixture
def plugin_config() -> dict[str, Any]:
    return {"{{ cookiecutter.__name }}": {"window": 3}}


async def test_it_answers_by_its_name(lash: Lash) -> None:
    """
    And says what it used.
    """
    session = await lash.session("test", model=SPEC)
    turn = await session.run("one two")

    assert turn.text == "one two"
    assert turn.usage == Usage(input=2, output=2)
    assert [row.model for row in session.usage().rows] == [SPEC]


async def test_what_is_too_long_is_told(lash: Lash) -> None:
    """
    A session can be shortened then.
    """
    session = await lash.session("test", model=SPEC)
    with pytest.raises(ContextOverflow, match="expected at most 3 tokens, found 4"):
        await session.run("one two three four")


async def test_a_fork_goes_on_with_it(lash_store: Store) -> None:
    """
    The application's model is every session's.
    """
    async with Lash(store=lash_store, model=SPEC, plugins=[{{ cookiecutter.__class }}]) as lash:
        session = await lash.session("test")
        await session.run("one")
        other = await session.fork(id="other")

        assert (await other.run("two")).text == "two"


async def test_another_process_finds_it_again(lash: Lash, lash_store: Store) -> None:
    """
    By the same name.
    """
    session = await lash.session("test", model=SPEC)
    await session.run("one")
    async with Lash(store=lash_store, model=SPEC, plugins=[{{ cookiecutter.__class }}]) as again:
        turn = await (await again.session("test")).run("two")

    assert (turn.index, turn.text) == (2, "two")
