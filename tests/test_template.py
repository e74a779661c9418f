"""
The template: what it makes works, and its own tests fail when the plugin breaks.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter
from packaging.specifiers import SpecifierSet

from lash_sdk.plugins.discovery import SDK_VERSION, fits

ROOT: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = ROOT / "cookiecutter-plugin"
KINDS: Final = ("tools", "hooks", "model", "store")
BIN: Final = Path(sys.executable).parent
COMMON: Final = {
    ".gitignore",
    ".lash-template.json",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "src/MODULE/__init__.py",
    "src/MODULE/plugin.py",
    "src/MODULE/py.typed",
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/test_behaviour.py",
    "tests/test_contract.py",
    "tests/test_package.py",
}
WORKFLOWS: Final = {".github/workflows/release.yml", ".github/workflows/test.yml"}
EXTRA: Final = {
    "tools": {"tests/states/v1.json"},
    "hooks": {"tests/states/v1.json"},
    "model": {"src/MODULE/model.py"},
    "store": {"src/MODULE/store.py"},
}


def bake(folder: Path, **answers: str) -> Path:
    """Return the project that the template makes of *answers*."""
    made = cookiecutter(str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(folder))
    return Path(made)


def files(project: Path) -> set[str]:
    """Return the files of a project, its module's name left out."""
    (module,) = [path.name for path in (project / "src").iterdir()]
    names = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    return {name.replace(f"src/{module}/", "src/MODULE/") for name in names}


# --- what's made -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ci", ["yes", "no"])
def test_each_kind_makes_exactly_these_files(tmp_path: Path, kind: str, ci: str) -> None:
    """
    Whatever else lies around is read by somebody who learns nothing from it.
    """
    project = bake(tmp_path, name="weather", kind=kind, ci=ci)

    assert COMMON | EXTRA[kind] | (WORKFLOWS if ci == "yes" else set()) == files(project)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("licence", ["MIT", "Proprietary"])
def test_what_is_made_can_be_read(tmp_path: Path, kind: str, licence: str) -> None:
    """
    Every file, by what reads it; and nothing of the template is left in it.
    """
    project = bake(tmp_path, name="weather", kind=kind, licence=licence)
    body = tomllib.loads((project / "pyproject.toml").read_text())
    answers = json.loads((project / ".lash-template.json").read_text())["answers"]
    for path in project.rglob("*.py"):
        ast.parse(path.read_text())
    texts = {path: path.read_text() for path in project.rglob("*") if path.is_file()}

    assert [] == [path for path, text in texts.items() if "cookiecutter" in text]
    assert {"weather": f"{module(project)}.plugin:Weather"} == body["project"]["entry-points"][
        "lash"
    ]
    assert ("MIT" == licence) == ("MIT" == body["project"]["license"])
    assert (kind, licence) == (answers["kind"], answers["licence"])


def module(project: Path) -> str:
    return next((project / "src").iterdir()).name


def test_the_range_of_the_sdk_is_this_one() -> None:
    """
    A plugin that's made today must be found by the SDK that made it.
    """
    wanted = json.loads((TEMPLATE / "cookiecutter.json").read_text())["__sdk"]

    assert fits(SDK_VERSION, SpecifierSet(wanted))
    assert wanted.startswith(f">={SDK_VERSION},<")


def test_the_command_line_has_the_same_template() -> None:
    """
    There's one, and it comes with the package.
    """
    assert TEMPLATE == (ROOT / "plugins/lash-cli/src/lash_cli/template").resolve()


AWKWARD: Final = {
    "Weather": "weather",
    "lash-weather": "weather",
    "Lash_Weather": "weather",
    "north wind": "north-wind",
    "north__wind": "north-wind",
    "wind2": "wind2",
    "Ŵéather": "weather",
    "a": "a",
}


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_is_made_into_one_that_fits(tmp_path: Path, name: str) -> None:
    """
    Capitals, blanks, accents and the prefix are how people write names.
    """
    project = bake(tmp_path, name=name)

    assert f"lash-{AWKWARD[name]}" == project.name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sqlite", "lash-store-sqlite has it"),
        ("plugins", "configuration has a section"),
        ("2fast", "a letter first"),
        ("class", "a word of Python"),
        ("a" * 21, "at most 20 characters"),
        ("", "a letter first"),
        ("!!!", "a letter first"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_with_a_reason(
    tmp_path: Path, name: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Before anything is written.
    """
    with pytest.raises(FailedHookException):
        bake(tmp_path, name=name)

    assert why in capfd.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_words_of_people_stand_anywhere(tmp_path: Path) -> None:
    """
    Quotes, backslashes and accents in a description, a path with a blank in it.
    """
    folder = tmp_path / "my projects"
    folder.mkdir()
    description = 'It\'s "just" a \\ test: ÄÖ 😀, and ends in "quotes"'
    project = bake(folder, name="weather", description=description, author='Ada "A" Łovelace')
    body = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    source = (project / "src/lash_weather/__init__.py").read_text(encoding="utf-8")

    assert description == body["project"]["description"]
    assert 'Ada "A" Łovelace' == body["project"]["authors"][0]["name"]
    assert description == (ast.get_docstring(ast.parse(source)) or "").strip()


# --- first-party plugins have its shape ---------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("lash-*")), ids=lambda p: p.name)
def test_first_party_plugins_have_the_shape_of_the_template(path: Path, tmp_path: Path) -> None:
    """
    A template that we don't follow ourselves would soon be wrong.
    """
    theirs = tomllib.loads((bake(tmp_path, name="weather") / "pyproject.toml").read_text())
    ours: dict[str, Any] = tomllib.loads((path / "pyproject.toml").read_text())
    own = path.name.replace("-", "_")
    places = ("LICENSE", "README.md", f"src/{own}/__init__.py", f"src/{own}/py.typed", "tests")

    assert [] == [name for name in places if not (path / name).exists()]
    assert theirs["build-system"] == ours["build-system"]
    assert (
        theirs["tool"]["hatch"]["build"]["dev-mode-dirs"]
        == (ours["tool"]["hatch"]["build"]["dev-mode-dirs"])
    )
    assert [f"src/{own}"] == ours["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for key in ("requires-python", "license", "license-files", "readme"):
        assert theirs["project"][key] == ours["project"][key]
    assert set(theirs["project"]["keywords"]) == set(ours["project"]["keywords"])
    assert set(theirs["project"]["classifiers"]) <= set(ours["project"]["classifiers"])
    for value in ours["project"].get("entry-points", {}).get("lash", {}).values():
        assert value.startswith(f"{own}.plugin:")


PRIVATE: Final = re.compile(r"from lash_sdk[\w.]* import .*\b_\w+|import lash_sdk[\w.]*\._\w+")


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("lash-*")), ids=lambda p: p.name)
def test_first_party_plugins_use_public_names_alone(path: Path) -> None:
    """
    What we need and others can't have is missing for them.
    """
    sources = [each for each in (path / "src").rglob("*.py") if "template" not in each.parts]
    found = [each.name for each in sources if PRIVATE.search(each.read_text())]

    assert [] == found


# --- what's made works ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desk:
    """A project, installed where our own interpreter finds it."""

    project: Path
    site: Path

    def install(self) -> None:
        """Install the project as it is now."""
        shutil.rmtree(self.site, ignore_errors=True)
        options = ["--no-deps", "--no-build-isolation", "--target", str(self.site), "--quiet"]
        command = [str(BIN / "uv"), "pip", "install", "--python", sys.executable, *options]
        subprocess.run([*command, str(self.project)], check=True)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of the project's own instructions."""
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.project,
            env={**os.environ, "PYTHONPATH": str(self.site), "MYPYPATH": "src"},
            capture_output=True,
            text=True,
            check=False,
        )

    def tests(self) -> subprocess.CompletedProcess[str]:
        """Install it and run its own tests."""
        self.install()
        return self.run("pytest", "-q", "-x", "-p", "no:cacheprovider")


def desk(tmp_path: Path, kind: str) -> Desk:
    project = bake(tmp_path, name="north wind", kind=kind, description='It "blows".')
    return Desk(project, tmp_path / "site")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_passes_its_own_checks(tmp_path: Path, kind: str) -> None:
    """
    Tests, types, lint and form, as its README and its workflow run them.
    """
    made = desk(tmp_path, kind)
    ran = {
        "pytest": made.tests(),
        "mypy": made.run("mypy"),
        "ruff": made.run("ruff", "check"),
        "form": made.run("ruff", "format", "--check"),
    }

    assert dict.fromkeys(ran, 0) == {name: done.returncode for name, done in ran.items()}, [
        done.stdout + done.stderr for done in ran.values() if done.returncode
    ]


# --- and its tests fail when it breaks --------------------------------------------------------

Mutation = tuple[str, str, str, str]
"""Kind, file, what's there, and what somebody makes of it."""

MUTATIONS: Final[dict[str, Mutation]] = {
    "a misspelt hook": ("tools", "plugin.py", "hooks.provide_tools", "hooks.provide_tool"),
    "a hook that raises": (
        "hooks",
        "plugin.py",
        "        if ctx.call.name not",
        "        raise RuntimeError\n        if ctx.call.name not",
    ),
    "a hook that returns something else": (
        "tools",
        "plugin.py",
        "return [self.greet]",
        "return self.greet",
    ),
    "async left out": ("model", "model.py", "async def answer", "def answer"),
    "another entry point": ("tools", "pyproject.toml", ".plugin:", ".plugins:"),
    "a range without this SDK": (
        "store",
        "pyproject.toml",
        "lash-sdk>=0.1.0.dev0,<1",
        "lash-sdk>=7",
    ),
    "a setting renamed": ("hooks", "plugin.py", "denied: tuple", "forbidden: tuple"),
    "a state changed without a new version": (
        "tools",
        "plugin.py",
        "calls: int = 0",
        "calls: int = 0\n    failures: int = 0",
    ),
    "a heavy import at the top": (
        "store",
        "plugin.py",
        "from lash_sdk import",
        "import hypothesis  # noqa\nfrom lash_sdk import",
    ),
    "state of the module": (
        "tools",
        "plugin.py",
        "self.state = Kept(calls=self.state.calls + 1)",
        "SEEN.append(1)\n            self.state = Kept(calls=len(SEEN))",
    ),
    "a denial that allows": ("hooks", "plugin.py", "return Deny(", "Deny("),
    "a setting that the README doesn't have": (
        "model",
        "plugin.py",
        "    window: int",
        "    speed: int = 1\n    window: int",
    ),
    "no types for others": ("store", "py.typed", "", ""),
    "a tool without words": ("tools", "plugin.py", "                name: Whom.\n", ""),
}


def mutate(made: Desk, mutation: Mutation) -> None:
    _kind, name, old, new = mutation
    inside = made.project / "src" / module(made.project) / name
    path = made.project / name if name.endswith(".toml") else inside
    text = path.read_text()
    assert old in text
    if name == "py.typed":
        path.unlink()
        return
    text = text.replace(old, new)
    if "SEEN" in new:
        text = text.replace("class Settings", "SEEN: list[int] = []\n\n\nclass Settings")
    path.write_text(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_turns_its_own_tests_red(tmp_path: Path, name: str) -> None:
    """
    A test that passes whatever the plugin does gives its author no help.
    """
    mutation = MUTATIONS[name]
    made = desk(tmp_path, mutation[0])
    mutate(made, mutation)
    done = made.tests()

    assert 0 != done.returncode, done.stdout
    assert "failed" in done.stdout or "error" in done.stdout


def test_there_are_twelve_mutations_at_least_in_every_kind() -> None:
    """
    As the bar asks for.
    """
    assert 12 <= len(MUTATIONS)
    assert set(KINDS) == {kind for kind, *_rest in MUTATIONS.values()}


# --- from nothing to a wheel that's used elsewhere -------------------------------------------

BUDGET: Final = 120.0
"""Seconds on two cores, from `lash plugins new` to a turn in another environment."""

USE: Final = """
import asyncio
from lash_sdk import Lash
from lash_sdk.testing import ScriptedModel, call, reply

async def main():
    model = ScriptedModel([reply(calls=[call("weather_greet", name="Ada")]), "done"])
    async with Lash(model=model) as lash:
        turn = await (await lash.session("s")).run("Greet Ada.")
        print(turn.tool_calls[0].outcome.value)

asyncio.run(main())
"""


def wheels(folder: Path) -> Path:
    """Build what the plugin needs of us, as it would come from an index."""
    for project in (ROOT, ROOT / "plugins/lash-cli", ROOT / "plugins/lash-store-sqlite"):
        command = [str(BIN / "uv"), "build", "--quiet", "--wheel", "--no-build-isolation"]
        subprocess.run(
            [*command, "--python", sys.executable, "--out-dir", str(folder), str(project)],
            check=True,
        )
    return folder


@pytest.mark.slow
def test_two_minutes_lead_from_nothing_to_a_plugin_that_is_used(tmp_path: Path) -> None:
    """
    Made, installed, tested, checked, built, installed elsewhere, listed, used.
    """
    links = wheels(tmp_path / "wheels")

    def run(*command: object, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            [str(each) for each in command], cwd=cwd, capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, (command, done.stdout, done.stderr)
        return done.stdout

    uv, began = BIN / "uv", time.monotonic()
    needs = ("--quiet", "--prerelease", "allow", "--find-links", links)
    run(BIN / "lash", "plugins", "new", "weather", "--kind", "tools", "--no-input")
    project, python = tmp_path / "lash-weather", tmp_path / "lash-weather/.venv/bin/python"
    run(uv, "venv", "--quiet", "--python", sys.executable, project / ".venv")
    run(uv, "pip", "install", *needs, "--python", python, "-e", f"{project}[dev]")
    for tool in (("pytest", "-q"), ("mypy",), ("ruff", "check"), ("build",)):
        run(python, "-m", *tool, cwd=project)
    (wheel,) = (project / "dist").glob("*.whl")
    elsewhere = tmp_path / "elsewhere/bin/python"
    run(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "elsewhere")
    run(uv, "pip", "install", *needs, "--python", elsewhere, wheel, "lash-cli")
    listed = run(elsewhere.with_name("lash"), "plugins", "list", "--json")
    used = run(elsewhere, "-c", USE)
    seconds = time.monotonic() - began
    print(f"from nothing to a plugin that is used: {seconds:.1f} s")

    assert "weather" in {row["name"] for row in json.loads(listed)}
    assert "Hello, Ada!\n" == used
    assert seconds <= BUDGET
