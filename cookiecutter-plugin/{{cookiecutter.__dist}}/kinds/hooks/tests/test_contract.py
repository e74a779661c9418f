"""A turn that dies at any boundary is finished as if nothing had been."""

from __future__ import annotations

from lash_sdk import tool
from lash_sdk.testing import Trial, call, crash_everywhere, reply

from {{ cookiecutter.__module }}.plugin import {{ cookiecutter.__class }}


@tool(on_recovery="rerun")
async def look(at: str) -> str:
    """
    Look at something.

    Args:
        at: What.
    """
    return f"seen {at}"


async def test_a_turn_survives_the_end_of_its_process() -> None:
    """
    What the plugin remembers is what it would have been.
    """
    trial = Trial(
        script=[reply(calls=[call("look", at="it")]), "done"],
        tools=[look],
        make_plugins=lambda: [{{ cookiecutter.__class }}],
    )

    assert await crash_everywhere(trial)
