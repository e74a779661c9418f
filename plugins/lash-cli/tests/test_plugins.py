"""`lash plugins list|show|doctor`, and commands that plugins bring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lash_sdk.plugins.discovery import SDK_VERSION

from .running import Machine

FORBIDDEN = ("pydantic", "importlib.metadata", "importlib_metadata", "typer", "rich", "asyncio")


def install(site: Path, name: str, source: str, *, needs: str = ">=0.1", point: str = "") -> None:
    """Lay down a plugin as an installer would: a module, and its metadata."""
    module = f"lash_{name}"
    (site / f"{module}.py").write_text(source)
    about = site / f"lash_{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: lash-{name}\nVersion: 1.0\n"
        f"Summary: About {name}.\nRequires-Dist: lash-sdk{needs}\n"
    )
    (about / "entry_points.txt").write_text(f"[lash]\n{point or name} = {module}:Plug\n")


GOOD = """\
from lash_sdk import Plugin, hooks

class Plug(Plugin):
    @hooks.provide_commands
    def commands(cls, ctx):
        @ctx.app.command("greet")
        def greet(name: str) -> None:
            print(f"hello, {name}")
"""


@pytest.fixture
def site(machine: Machine) -> Path:
    """Return a folder of installed packages, for `PYTHONPATH`."""
    site = machine.home / "site"
    site.mkdir()
    return site


def test_list_and_show_read_metadata(machine: Machine) -> None:
    """Name, version, package, state, what it is."""
    rows = machine.lash("plugins", "list", "--json").body
    shown = machine.lash("plugins", "show", "sqlite").out

    names = {row["name"]: row["state"] for row in rows}
    assert {"standard": "on", "scripted": "on", "sqlite": "on"}.items() <= names.items()
    assert "lash-store-sqlite" in shown
    assert "lash_store_sqlite.plugin:SqlitePlugin" in shown


def test_a_disabled_plugin_is_listed_as_such(machine: Machine) -> None:
    """By file or by environment."""
    machine.write("lash.toml", "[plugins]", 'disable = ["openai"]')

    rows = machine.lash("plugins", "list", "--json", LASH_DISABLE_PLUGINS="local").body

    off = {row["name"] for row in rows if row["state"] == "disabled"}
    assert {"openai", "local"} == off


@pytest.mark.parametrize("words", [("list",), ("show", "sqlite"), ("doctor",)])
def test_on_a_warm_index_hardly_anything_is_imported(
    machine: Machine, words: tuple[str, ...]
) -> None:
    """No plugin, no pydantic, no metadata reader, not even typer."""
    code = (
        "import sys; from lash_cli.main import main; code = main(sys.argv[1:]);"
        "print(sorted(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-P", "-c", code, "plugins", *words]
    said = ""
    for _ in range(2):  # the first one makes the index
        done = subprocess.run(
            command,
            cwd=machine.work,
            env=machine.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        said = done.stderr

    for name in (*FORBIDDEN, "lash_store_sqlite", "lash_model_local", "lash_sdk.app"):
        assert f"'{name}'" not in said


def test_help_imports_no_plugin_and_no_pydantic(machine: Machine) -> None:
    """The list of commands is there at once."""
    code = (
        "import sys; from lash_cli.main import main; main(['--help']);"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=machine.work,
        env=machine.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    for command in ("run", "chat", "sessions", "usage", "models", "plugins"):
        assert f"\n  {command}  " in done.stdout
    for name in ("pydantic", "importlib.metadata", "importlib_metadata", "rich", "asyncio"):
        assert f"'{name}'" not in done.stderr


def test_the_version_is_the_sdks(machine: Machine) -> None:
    """It's what a bug report begins with."""
    assert f"lash {SDK_VERSION}\n" == machine.lash("--version").out
    assert "lash --version" in machine.lash("--help").out.replace("\n", " ")


@pytest.mark.parametrize(
    "command",
    ["run", "chat", "resume", "usage", "models pull"]
    + [f"sessions {each}" for each in ("list", "show", "tree", "fork", "export", "import")]
    + ["sessions verify", "sessions delete"],
)
def test_each_command_has_help_with_examples(machine: Machine, command: str) -> None:
    """One can be copied and changed."""
    said = machine.lash(*command.split(), "--help").out

    assert f"\n    lash {command}" in said


def test_doctor_finds_nothing_where_nothing_is(machine: Machine) -> None:
    """Exit code 0."""
    ran = machine.lash("plugins", "doctor")

    assert ran.code == 0
    assert "no problem" in ran.out


def test_doctor_has_a_row_for_each_problem(machine: Machine, site: Path) -> None:
    """With cause and fix; one broken plugin hides no other, and harms nobody."""
    install(site, "good", GOOD)
    install(site, "broken", "1 / 0")
    install(site, "fatal", "import os\nos._exit(7)")
    install(site, "lacking", "import no_such_package")
    install(site, "old", GOOD, needs="<0.1")
    install(site, "twin", GOOD, point="good")
    install(site, "wrong", GOOD.replace("def commands", "async def commands"))
    words = {"PYTHONPATH": str(site), "LASH_DISABLE_PLUGINS": "openai"}

    ran = machine.shell("plugins", "doctor", "--json", **words)
    text = machine.shell("plugins", "doctor", **words)

    assert (ran.code, text.code) == (1, 1)
    found = {row["package"]: row["problem"] for row in ran.body}
    assert {
        "lash-broken": "import failure",
        "lash-fatal": "import failure",
        "lash-good": "name clash",
        "lash-lacking": "missing dependency",
        "lash-model-openai": "disabled",
        "lash-old": "incompatible",
        "lash-twin": "name clash",
        "lash-wrong": "wrong types",
    } == found
    causes = {row["package"]: row["cause"] + row["fix"] for row in ran.body}
    assert "ZeroDivisionError" in causes["lash-broken"]
    assert "code 7" in causes["lash-fatal"]
    assert "pip install no_such_package" in causes["lash-lacking"]
    assert "pip install --upgrade lash-old" in causes["lash-old"]
    for piece in ("cause:", "fix:", "lash-wrong 1.0"):
        assert piece in text.out


def test_doctor_reads_the_configuration_too(machine: Machine) -> None:
    """A file that doesn't fit is a problem like any other."""
    machine.write("lash.toml", "modle = 'x'")

    ran = machine.lash("plugins", "doctor", "--json")

    assert ran.code == 1
    assert "did you mean 'model'?" in ran.body[0]["cause"]


def test_a_broken_plugin_is_left_out_of_a_turn_with_a_warning(machine: Machine, site: Path) -> None:
    """The turn runs without it."""
    install(site, "broken", "1 / 0")

    ran = machine.shell("run", "Hi", "-m", machine.script("Ho"), PYTHONPATH=str(site))

    assert (ran.code, ran.out) == (0, "Ho\n")
    assert "warning: plugin 'broken' was left out: ZeroDivisionError" in ran.err
    assert "Traceback" not in ran.err


def test_a_plugin_brings_a_command(machine: Machine, site: Path) -> None:
    """`provide_commands` is asked once a command isn't ours."""
    install(site, "good", GOOD)

    ran = machine.shell("greet", "you", PYTHONPATH=str(site))

    assert (ran.code, ran.out) == (0, "hello, you\n")
