"""The plugin in real sessions: its effect, its forks, another process."""

from __future__ import annotations

import pytest
from lash_sdk import Lash
from lash_sdk.errors import InvalidInput
from lash_sdk.testing import ScriptedModel

from {{ cookiecutter.__module }}.plugin import {{ cookiecutter.__class }}
from {{ cookiecutter.__module }}.store import {{ cookiecutter.__class }}Store

URL = "{{ cookiecutter.__name }}:chats"
CONFIG = {"{{ cookiecutter.__name }}": {"prefix": "chats"}}


async def test_a_url_leads_to_it(scripted_model: ScriptedModel) -> None:
    """
    With the prefix that's set.
    """
    scripted_model.say("hi", "ho")
    async with Lash(
        model=scripted_model,
        store=URL,
        plugins=[{{ cookiecutter.__class }}],
        config=CONFIG,
    ) as lash:
        session = await lash.session("test")
        await session.run("one")
        other = await session.fork(id="other")
        await other.run("two")

        assert isinstance(lash.store, {{ cookiecutter.__class }}Store)
        assert lash.store.name == "chats"
        assert {row.id: row.turns for row in await lash.sessions()} == {"test": 1, "other": 2}


@pytest.mark.parametrize("url", ["{{ cookiecutter.__name }}:", "{{ cookiecutter.__name }}:other"])
async def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    """
    Before anything is written to a place that nobody meant.
    """
    with pytest.raises(InvalidInput, match="expected a name that begins with 'chats'"):
        async with Lash(store=url, plugins=[{{ cookiecutter.__class }}], config=CONFIG):
            pass


async def test_another_app_goes_on_where_the_first_ended() -> None:
    """
    What the store holds is all that it needs.
    """
    store = {{ cookiecutter.__class }}Store("chats")
    for turns, text in enumerate(["one", "two"], 1):
        async with Lash(model=ScriptedModel(["hi"]), store=store) as lash:
            turn = await (await lash.session("test")).run(text)

            assert turn.index == turns
