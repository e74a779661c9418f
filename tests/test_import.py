"""
What importing costs: `import lash_sdk` loads next to nothing.

Each test starts an interpreter of its own, for this one has everything loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"pydantic", "pydantic_core", "pluggy", "asyncio", "importlib_metadata", "json"}


def loaded(code: str) -> set[str]:
    """Return the modules that *code* loads in a fresh interpreter."""
    script = (
        "import sys; before = set(sys.modules)\n"
        f"{code}\n"
        "after = set(sys.modules) - before\n"
        "import json; print(json.dumps(sorted(after)))"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(json.loads(ended.stdout))


def top(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_importing_the_package_loads_the_package_alone() -> None:
    """
    Whoever only looks for the version, or for types, pays for neither.
    """
    modules = loaded("import lash_sdk")

    assert {"lash_sdk"} == {name for name in modules if name.startswith("lash")}
    assert set() == HEAVY & top(modules)


def test_importing_the_app_loads_no_plugin_and_not_what_they_need() -> None:
    """
    pydantic is for tools and configuration, the metadata reader for a cold index.
    """
    modules = loaded("from lash_sdk import Lash")

    assert {"lash_sdk"} == {name for name in top(modules) if name.startswith("lash")}
    assert set() == {"pydantic", "pydantic_core", "importlib_metadata", "pytest"} & top(modules)
    assert set() == {name for name in modules if name.startswith("lash_sdk.testing")}
    assert len(modules) < 250


@pytest.mark.parametrize("name", ["Limits", "Usage", "tool", "Plugin", "hooks"])
def test_a_public_name_loads_its_own_room_and_those_below(name: str) -> None:
    """
    A plugin that only declares a tool doesn't load the runner.
    """
    modules = loaded(f"from lash_sdk import {name}")

    rooms = {"lash_sdk.app", "lash_sdk.session", "lash_sdk.runner", "lash_sdk.memory"}
    assert set() == rooms & modules
    assert "pydantic" not in top(modules)


def test_the_package_names_what_it_has() -> None:
    """
    Completion at a prompt shows the public names; any other is an ordinary error.
    """
    import lash_sdk

    assert {"Lash", "Limits", "Plugin", "Usage", "hooks", "tool"} == set(lash_sdk.__all__)
    assert set(lash_sdk.__all__) <= set(dir(lash_sdk))
    assert all(getattr(lash_sdk, name) is not None for name in lash_sdk.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Agent'"):
        lash_sdk.Agent  # noqa: B018


def test_the_testing_package_needs_no_pytest() -> None:
    """
    Applications use the scripted model in demos, without a test runner.
    """
    modules = loaded("import lash_sdk.testing")

    assert set() == {"pytest", "_pytest"} & top(modules)


def test_a_turn_runs_without_asyncio_noise_or_network() -> None:
    """
    A whole app in a bare interpreter: no warning, no socket but the loop's own.
    """
    code = """
import asyncio, sys
def audit(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        raise RuntimeError(event)
sys.addaudithook(audit)
from lash_sdk import Lash
from lash_sdk.testing import ScriptedModel
async def main():
    async with Lash(model=ScriptedModel(["hi"]), autoload=False) as app:
        session = await app.session("s")
        assert (await session.run("go")).text == "hi"
asyncio.run(main())
"""
    assert "lash_sdk.app" in loaded(code)
