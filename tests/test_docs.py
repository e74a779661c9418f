"""
What the README and the docs say really works.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cookiecutter.main import cookiecutter

from lash_sdk import Lash
from lash_sdk.hooks import HOOKS
from lash_sdk.plugins.registered import register
from lash_sdk.plugins.registry import Registry
from lash_sdk.testing import ScriptedModel, call, reply

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert found, f"{page.name} has no example"
    return found


def test_the_first_example_of_the_readme_prints_what_it_says(tmp_path: Path) -> None:
    """
    It's the first thing anybody tries.
    """
    script = tmp_path / "example.py"
    script.write_text(blocks(ROOT / "README.md")[0], encoding="utf-8")

    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)

    assert ["turn 1 is durable at revision 1", "It is 5. 30 tokens"] == ran.stdout.splitlines()


def test_the_plugin_of_the_readme_is_one() -> None:
    """
    A stranger starts from these lines alone.
    """

    module = ModuleType("lash_shout")
    exec(blocks(ROOT / "README.md")[1], module.__dict__)
    registry = Registry([register(module.__dict__["Shout"])])

    assert registry.plans.before_turn and registry.plans.provide_tools


def test_the_readme_is_short() -> None:
    """
    A page that nobody finishes promises nothing.
    """
    assert 120 >= len((ROOT / "README.md").read_text(encoding="utf-8").splitlines())


def tutorial() -> dict[str, object]:
    page = ROOT / "docs" / "tutorial.md"
    names: dict[str, object] = {"__name__": "tutorial"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), names)
    return names


STEPS = [name for name, thing in tutorial().items() if inspect.iscoroutinefunction(thing)]


@pytest.mark.parametrize("step", STEPS)
def test_each_step_of_the_tutorial_runs(step: str) -> None:
    """
    Its assertions are its claims.
    """
    function = tutorial()[step]

    assert inspect.iscoroutinefunction(function)
    asyncio.run(function())


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_in_the_reference(name: str) -> None:
    """
    A hook that nobody can find isn't there.
    """
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")

    assert f"### `{name}`" in page
    assert (HOOKS[name].__doc__ or "").strip().splitlines()[0] in page


LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page: Path) -> None:
    """
    Pages move; their links must move with them.
    """
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_children_survive_as_the_page_says(tmp_path: Path) -> None:
    """
    Killed with one of three children, and resumed to the right total.
    """
    page = ROOT / "docs" / "children.md"
    script = tmp_path / "agents.py"
    script.write_text(blocks(page)[0], encoding="utf-8")

    def ran() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )

    first, second = ran(), ran()

    assert (-9, "") == (first.returncode, first.stdout)
    assert (0, "") == (second.returncode, second.stderr)
    assert f"```\n{second.stdout}```" in page.read_text(encoding="utf-8")


def test_every_name_on_the_page_about_a_childs_turn_is_there() -> None:
    """
    A maintainer follows it from function to function.
    """
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+\.)?_?[A-Za-z_]\w*(?:\.\w+)*)`", page))
    sources = [*(ROOT / "lash_sdk").rglob("*.py"), *(ROOT / "plugins").glob("*/src/**/*.py")]
    words = set(re.findall(r"\w+", "\n".join(path.read_text("utf-8") for path in sources)))
    defined = {
        f"{scope}.{name}"
        for path in sources
        for scope, name in definitions(path.read_text(encoding="utf-8"), path.stem)
    }

    for name in named:
        first, _, last = name.rpartition(".")
        if first and not name.startswith(("lash_", "tests", "ctx")):
            assert f"{first}.{last}" in defined, name
        assert set(re.findall(r"\w+", name)) <= words, name


def definitions(source: str, module: str) -> list[tuple[str, str]]:
    """Return what is defined in a module and in its classes, each with where."""
    found: list[tuple[str, str]] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.append((node.name, each.name))
                elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                    found.append((node.name, each.target.id))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((module, node.name))
    return found


def page(name: str) -> dict[str, object]:
    """Return what the blocks of a page define, run in order."""
    path = ROOT / "docs" / name
    module = ModuleType(name.partition(".")[0].replace("-", "_"))
    for block in blocks(path):
        if "from lash_weather" not in block:  # of a project that has it
            exec(compile(block, str(path), "exec"), module.__dict__)
    return module.__dict__


async def test_the_plugin_of_the_ten_minutes_does_what_it_says() -> None:
    """
    A tool, a gate, a setting and a state, as somebody would copy them.
    """
    weather: Any = page("write-a-plugin.md")["Weather"]
    ask = reply(calls=[call("weather_forecast", city="Oslo")])
    model = ScriptedModel([ask, ask, "done"])
    config = {"weather": {"most": 1}}
    async with Lash(model=model, plugins=[weather], autoload=False, config=config) as lash:
        turn = await (await lash.session("s")).run("Weather in Oslo?")
    first, second = [str(record.outcome) for record in turn.tool_calls]

    assert "rain in Oslo" in first and "no more forecasts" in second


@pytest.mark.slow
def test_the_tests_of_the_ten_minutes_are_green(tmp_path: Path) -> None:
    """
    In the project that the page begins with, with the changes that it tells of.
    """
    made = cookiecutter(str(ROOT / "cookiecutter-plugin"), no_input=True, output_dir=str(tmp_path))
    project = Path(made)
    plugin, behaviour = blocks(ROOT / "docs" / "write-a-plugin.md")
    (project / "src/lash_weather/plugin.py").write_text(plugin)
    (project / "tests/test_behaviour.py").write_text(behaviour)
    contract = (project / "tests/test_contract.py").read_text()
    contract = contract.replace('{"name": "Ada"}', '{"city": "Oslo"}')
    (project / "tests/test_contract.py").write_text(
        contract.replace("plugin.greet", "plugin.forecast")
    )

    tests = ["tests/test_behaviour.py", "tests/test_contract.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
    )

    assert "11 passed" in ran.stdout, ran.stdout


async def test_the_crash_of_the_page_on_tests_runs() -> None:
    """
    Its assertion is its claim.
    """
    survives: Any = page("test-a-plugin.md")["survives"]

    await survives()
