"""The plugin: found by the kernel, and a session that outlives its app."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lash_sdk import Lash
from lash_sdk.testing import ScriptedModel, reply


def test_the_plugin_loads_no_driver() -> None:
    """
    Whoever has it installed and uses another store shouldn't pay for it.
    """
    script = "import sys, lash_store_postgres.plugin; print('psycopg' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "False\n" == shown.stdout


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
async def test_a_session_goes_on_in_another_app(url: str, scheme: str) -> None:
    """
    The URL is all that the second app knows of the first.
    """
    url = url.replace("postgresql", scheme, 1)
    async with Lash(model=ScriptedModel([reply("one")]), store=url) as lash:
        session = await lash.session("chat-1")
        await session.run("first")
    async with Lash(model=ScriptedModel([reply("two")]), store=url) as lash:
        session = await lash.session("chat-1")
        turn = await session.run("second")

        assert ["first", "one", "second", "two"] == [m.text for m in session.messages]
        assert (2, 2) == (turn.index, turn.revision)
        assert ["chat-1"] == [row.id for row in await lash.sessions()]
