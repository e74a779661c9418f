"""A stranger's plugin: one file and a pyproject, in somebody else's environment."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from .running import Machine, asking

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "lash-dice"
version = "1.2.3"
description = "Throws dice that always show the same."
dependencies = ["lash-sdk"]

[project.entry-points.lash]
dice = "lash_dice:Dice"

[tool.hatch.build.targets.wheel]
include = ["lash_dice.py"]
"""

SOURCE = """\
from lash_sdk import Plugin, hooks, tool
from lash_sdk.contexts import SessionContext, TurnContext
from lash_sdk.hooks import Directive, EnqueueMessages
from lash_sdk.messages import note
from lash_sdk.tools import Tool


@tool
def throw(sides: int) -> int:
    \"\"\"Throw a die.\"\"\"
    return sides


class Dice(Plugin):
    \"\"\"A tool, and a word before each turn.\"\"\"

    @hooks.provide_tools
    def tools(self, ctx: SessionContext) -> list[Tool]:
        return [throw]

    @hooks.before_turn
    async def remind(self, ctx: TurnContext) -> list[Directive]:
        return [EnqueueMessages(messages=(note("The dice are loaded."),))]
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh virtual environment with a stranger's plugin pip-installed."""
    folder = tmp_path_factory.mktemp("stranger")
    source = folder / "lash-dice"
    source.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "lash_dice.py").write_text(SOURCE)
    place = folder / "venv"
    venv.create(place, with_pip=False)
    paths = {"base": str(place), "platbase": str(place)}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    # what's installed here is installed there too: nothing is fetched
    (site / "ours.pth").write_text(f"{sysconfig.get_path('purelib')}\n{_editable()}")
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install"]
    quiet = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run(
        [*pip, *quiet, "--disable-pip-version-check", str(source)],
        check=True,
        env={**os.environ, "PIP_NO_INPUT": "1"},
    )
    return place


def _editable() -> str:
    """Return the folders of members that are installed as links."""
    here = Path(sysconfig.get_path("purelib"))
    return "".join([f"{path.read_text().strip()}\n" for path in here.glob("_lash_*.pth")])


def test_it_is_seen_working_in_a_turn(machine: Machine, environment: Path) -> None:
    """Its tool runs and its hook speaks, with nothing said on the command line."""
    model = machine.script(asking("throw", sides=6), "A six.")
    python = str(environment / "bin" / "python")

    def lash(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-P", "-m", "lash_cli", *words],
            cwd=machine.work,
            env=machine.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    listed = lash("plugins", "list")
    ran = lash("run", "Throw a die.", "-m", model, "-s", "x")
    shown = lash("sessions", "show", "x")
    examined = lash("plugins", "doctor")

    assert "lash-dice" in listed.stdout
    assert (ran.returncode, ran.stdout) == (0, "A six.\n")
    assert "✓ throw(sides=6) → 6" in ran.stderr
    assert "system (dice): The dice are loaded." in shown.stdout
    assert examined.returncode == 0, examined.stdout
