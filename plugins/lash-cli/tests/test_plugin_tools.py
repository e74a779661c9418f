"""`lash plugins check|order|trace|config|enable|disable|new`, and plugins of one file."""

from __future__ import annotations

import compileall
import json
import shutil
from pathlib import Path
from typing import Final

import pytest

from lash_cli import scaffold

from .running import Machine, asking
from .test_doctor import FINE
from .test_plugins import install

TIDY: Final = """\
from lash_sdk import Plugin, hooks
from lash_sdk.contexts import TurnContext

class Plug(Plugin):
    phase = "early"

    @hooks.before_turn
    def hear(self, ctx: TurnContext) -> None: ...
"""


@pytest.fixture
def site(machine: Machine) -> Path:
    """Return a folder of installed packages, for `PYTHONPATH`."""
    site = machine.home / "site"
    site.mkdir()
    return site


# --- check ---------------------------------------------------------------------------------


def test_a_sound_plugin_passes_and_its_hooks_are_known(machine: Machine, site: Path) -> None:
    """`show` has them from then on, without importing it."""
    install(site, "tidy", TIDY)
    before = machine.shell("plugins", "show", "tidy", PYTHONPATH=str(site))
    ran = machine.shell("plugins", "check", "tidy", PYTHONPATH=str(site))
    shown = machine.shell("plugins", "show", "tidy", "--json", PYTHONPATH=str(site))

    assert "not known yet" in before.out
    assert (0, "1 checked, 0 errors, 0 warnings\n") == (ran.code, ran.err)
    assert ["before_turn"] == shown.body[0]["hooks"]


WARNED: Final = {
    "not typed": TIDY.replace("ctx: TurnContext) -> None", "ctx)"),
    "heavy import": "import rich.console\n" + TIDY,
    "global state": TIDY + "\nSEEN: dict[str, int] = {}\n",
    "unmarked hook": TIDY + "\n    def after_turn(self, ctx: TurnContext) -> None: ...\n",
    "no range": TIDY,
}


@pytest.mark.parametrize("problem", WARNED)
def test_a_warning_counts_if_it_is_strict(machine: Machine, site: Path, problem: str) -> None:
    """An author minds them, a user needn't."""
    install(site, "loose", WARNED[problem], needs="" if problem == "no range" else ">=0.1")
    ran = machine.shell("plugins", "check", "loose", "--json", PYTHONPATH=str(site))
    strict = machine.shell("plugins", "check", "loose", "--strict", PYTHONPATH=str(site))

    assert [("warning", problem)] == [(row["level"], row["problem"]) for row in ran.body]
    assert [0, 1] == [ran.code, strict.code]


def test_first_party_plugins_pass_the_strict_check(machine: Machine) -> None:
    """What's asked of others is asked of ours."""
    ran = machine.shell("plugins", "check", "--strict")

    assert 0 == ran.code, ran.out


def test_a_plugin_that_is_not_there_cannot_be_checked(machine: Machine) -> None:
    """With a guess, where one is close."""
    ran = machine.lash("plugins", "check", "sqlit")

    assert 2 == ran.code
    assert "did you mean 'sqlite'?" in ran.err


# --- order ---------------------------------------------------------------------------------


def test_the_order_of_a_hook_is_told_with_its_reasons(machine: Machine, site: Path) -> None:
    """Phase, wishes, name: whatever was installed first."""
    plain = TIDY.replace('    phase = "early"\n', "")
    install(site, "a_late", plain.replace("Plug(Plugin):", 'Plug(Plugin):\n    after = ("z",)'))
    install(site, "z", plain)
    install(site, "early", TIDY)
    ran = machine.shell("plugins", "order", "before_turn", "--json", PYTHONPATH=str(site))
    text = machine.shell("plugins", "order", "before_turn", PYTHONPATH=str(site))

    assert [
        ("early", "phase early, by name"),
        ("z", "phase normal, a_late wants to be after it"),
        ("a_late", "phase normal, after z"),
    ] == [(row["plugin"], row["why"]) for row in ran.body]
    assert text.out.index("early") < text.out.index("a_late")


def test_a_hook_that_nobody_has_or_that_is_none(machine: Machine) -> None:
    """Nobody is an answer, a misspelt hook isn't."""
    nobody = machine.lash("plugins", "order", "before_turn")
    wrong = machine.lash("plugins", "order", "befor_turn")

    assert (0, "nobody implements before_turn\n") == (nobody.code, nobody.out)
    assert 2 == wrong.code and "did you mean 'before_turn'?" in wrong.err


# --- trace ---------------------------------------------------------------------------------


def test_a_trace_has_each_hook_call_of_a_turn(machine: Machine, site: Path) -> None:
    """Who did what, and how long it took."""
    install(site, "fine", FINE)
    words = ("plugins", "trace", "Hi", "-m", machine.script("Ho", name="a.jsonl"))
    ran = machine.shell(*words, PYTHONPATH=str(site))
    again = ("plugins", "trace", "Hi", "-m", machine.script("Ho", name="b.jsonl"), "--json")
    lines = machine.shell(*again, PYTHONPATH=str(site)).lines

    assert 0 == ran.code, ran.err
    shown = [line.split()[:4] for line in ran.out.splitlines()]
    assert ["before_turn", "directives", "fine", "1.0"] in shown
    (call,) = [line for line in lines if line["plugin"] == "fine"]
    assert ("before_turn", "nothing", "trace") == (call["hook"], call["did"], call["session"])


# --- config --------------------------------------------------------------------------------


def test_each_setting_says_where_it_comes_from(machine: Machine) -> None:
    """The project's file stands before the user's, and both before the default."""
    user = machine.home / ".config/lash"
    user.mkdir(parents=True)
    (user / "config.toml").write_text("[plugins.openai]\nwindow = 10\ntimeout = 5.0\n")
    machine.write("lash.toml", "[plugins.openai]", "window = 20")
    ran = machine.lash("plugins", "config", "openai", "--explain", "--json")
    rows = {row["setting"]: (row["value"], row["source"]) for row in ran.body}

    assert (20, str(machine.work / "lash.toml")) == rows["window"]
    assert (5.0, str(user / "config.toml")) == rows["timeout"]
    assert ("auto", "default") == rows["api"]


def test_a_variable_stands_between_the_files_and_the_default(machine: Machine) -> None:
    """In TOML's form, or as plain text; files are more deliberate."""
    machine.write("lash.toml", "[plugins.openai]", "window = 20")
    said = {
        "LASH_PLUGIN__OPENAI__WINDOW": "10",
        "LASH_PLUGIN__OPENAI__TIMEOUT": "5.0",
        "LASH_PLUGIN__OPENAI__API": "chat",
    }
    ran = machine.lash("plugins", "config", "openai", "--explain", "--json", **said)
    rows = {row["setting"]: (row["value"], row["source"]) for row in ran.body}

    assert (20, str(machine.work / "lash.toml")) == rows["window"]
    assert (5.0, "LASH_PLUGIN__OPENAI__TIMEOUT") == rows["timeout"]
    assert ("chat", "LASH_PLUGIN__OPENAI__API") == rows["api"]


def test_a_variable_that_does_not_fit_is_refused_by_its_setting(machine: Machine) -> None:
    """As what a file says is."""
    ran = machine.lash("plugins", "config", "openai", LASH_PLUGIN__OPENAI__TIMEOUT="soon")

    assert 2 == ran.code
    assert "plugins.openai.timeout" in ran.err


SECRETIVE: Final = FINE.replace('units: str = "C"', 'api_key: str = ""\n    token_env: str = "X"')


def test_a_secret_is_never_printed(machine: Machine, site: Path) -> None:
    """Not even by the command that shows settings."""
    install(site, "shy", SECRETIVE)
    machine.write("lash.toml", "[plugins.shy]", 'api_key = "sesame"')
    ran = machine.shell("plugins", "config", "shy", "--explain", PYTHONPATH=str(site))

    assert 0 == ran.code, ran.err
    assert "sesame" not in ran.out and "***" in ran.out and "X" in ran.out


def test_settings_have_a_schema_for_editors(machine: Machine) -> None:
    """It's pydantic's own."""
    schema = json.loads(machine.lash("plugins", "config", "openai", "--schema").out)

    assert "window" in schema["properties"]
    assert schema["additionalProperties"] is False


def test_a_plugin_without_settings_says_so(machine: Machine) -> None:
    """An empty table would look like a mistake."""
    ran = machine.lash("plugins", "config", "sqlite")

    assert 2 == ran.code and "has no settings" in ran.err


# --- enable and disable --------------------------------------------------------------------


def test_a_plugin_is_switched_off_and_on_and_the_file_is_otherwise_the_same(
    machine: Machine,
) -> None:
    """Comments and order are the user's own."""
    text = '# mine\nmodel = "a:b"\n\n[plugins]\nonly = []  # all\n'
    (machine.work / "lash.toml").write_text(text)
    off = machine.lash("plugins", "disable", "openai")
    twice = machine.lash("plugins", "disable", "openai")
    rows = {row["name"]: row["state"] for row in machine.lash("plugins", "list", "--json").body}
    on = machine.lash("plugins", "enable", "openai", LASH_DISABLE_PLUGINS="openai")

    assert "disabled 'openai'" in off.out and "was disabled" in twice.out
    assert "disabled" == rows["openai"]
    assert "enabled 'openai'" in on.out and "LASH_DISABLE_PLUGINS" in on.out
    assert text + "disable = []\n" == (machine.work / "lash.toml").read_text()


def test_the_users_own_file_is_made_if_it_is_not_there(machine: Machine) -> None:
    """And the project's is left alone."""
    ran = machine.lash("plugins", "disable", "local", "--user")

    assert 0 == ran.code
    assert 'disable = ["local"]' in (machine.home / ".config/lash/config.toml").read_text()
    assert not (machine.work / "lash.toml").exists()


def test_a_file_that_cannot_be_read_is_left_as_it_is(machine: Machine) -> None:
    """Its author knows better what it was meant to say."""
    machine.write("lash.toml", "model = ")
    ran = machine.lash("plugins", "disable", "openai")

    assert 2 == ran.code and "lash.toml" in ran.err
    assert "model = \n" == (machine.work / "lash.toml").read_text()


# --- new ------------------------------------------------------------------------------------


def test_a_plugin_is_begun_from_the_template(machine: Machine) -> None:
    """One command, and the path to go on with."""
    words = ("plugins", "new", "frost", "--kind", "hooks", "--author", "Ada", "--no-input")
    ran = machine.lash(*words, "-o", str(machine.work))

    assert 0 == ran.code, ran.err
    assert str(machine.work / "lash-frost") in ran.out
    assert "Ada" in (machine.work / "lash-frost/pyproject.toml").read_text()


def test_what_an_installer_compiled_is_no_part_of_a_project(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install` compiles the template too, and its copies lay in each new project."""
    template = machine.home / "template"
    shutil.copytree(scaffold.TEMPLATE.resolve(), template)
    compileall.compile_dir(template, quiet=2)
    monkeypatch.setattr(scaffold, "TEMPLATE", template)
    ran = machine.lash("plugins", "new", "frost", "--no-input", "-o", str(machine.work))

    assert 0 == ran.code, ran.err
    assert [] == list(machine.work.rglob("__pycache__"))


@pytest.mark.parametrize("name", ["sqlite", "2fast"])
def test_a_name_that_cannot_be_used_makes_nothing(machine: Machine, name: str) -> None:
    """With the reason, and no half-made project."""
    ran = machine.shell("plugins", "new", name, "--no-input", PYTHONWARNINGS="default")

    assert 2 == ran.code
    assert "error: " in ran.err
    assert [] == list(machine.work.iterdir())


# --- a plugin of one file --------------------------------------------------------------------

SHOUT: Final = '''\
from lash_sdk import Plugin, hooks, tool

@tool
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()

class Shout(Plugin):
    @hooks.provide_tools
    def tools(self, ctx):
        return [shout]
'''


@pytest.mark.parametrize("how", ["project file", "option"])
def test_one_file_is_a_plugin(machine: Machine, how: str) -> None:
    """`add = ["shout.py"]`, beside the file that says so, or `--plugin shout.py`."""
    machine.write("shout.py", SHOUT)
    words = ["run", "Go", "-m", machine.script(asking("shout", text="hey"), "done")]
    if how == "project file":
        machine.write("lash.toml", "[plugins]", 'add = ["shout.py"]')
    else:
        words += ["--plugin", "shout.py"]
    ran = machine.lash(*words)

    assert 0 == ran.code, ran.err
    assert "HEY" in ran.err


def test_a_file_with_two_plugins_wants_to_know_which(machine: Machine) -> None:
    """With the words to say it in."""
    machine.write("two.py", SHOUT, "class Other(Plugin): ...")
    ran = machine.lash("run", "Go", "-m", machine.script("a"), "--plugin", "two.py")

    assert 2 == ran.code
    assert "expected one Plugin class, found Shout, Other" in ran.err
    assert "two.py:Shout" in ran.err
