"""`lash plugins doctor`: one cause and one fix for each of twelve broken plugins."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from .running import Machine
from .test_plugins import install

FINE: Final = """\
from pydantic import BaseModel, ConfigDict
from lash_sdk import Plugin, hooks
from lash_sdk.contexts import TurnContext

class Settings(BaseModel):
    units: str = "C"

class Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    turns: int = 0

class Plug(Plugin):
    Config = Settings
    State = Kept

    @hooks.before_turn
    def count(self, ctx: TurnContext) -> None:
        self.state = Kept(turns=self.state.turns + 1)
"""


BUSY: Final = """\
import time
end = time.process_time() + 1.2
while time.process_time() < end:
    pass
"""


@dataclass(frozen=True, slots=True)
class Broken:
    """
    A broken plugin.

    Attributes:
        source: Its module.
        prepare: What has to happen first.
        cause: Words of the one cause that's given.
        fix: Words of the one fix.
    """

    source: str
    cause: str
    fix: str
    prepare: Callable[[Machine, Path], None] = lambda machine, site: None
    needs: str = ">=0.1"
    rows: int = 1


def turned(machine: Machine, site: Path, debug: str = "") -> None:
    """Run a turn with everything that's installed."""
    machine.shell(
        "run",
        "Hi",
        "-m",
        machine.script("Ho"),
        "-s",
        "kept",
        PYTHONPATH=str(site),
        LASH_DEBUG=debug,
        PYTHONWARNINGS="default",
    )


def with_twin(machine: Machine, site: Path) -> None:
    install(site, "other", FINE, point="sick")


def with_bad_setting(machine: Machine, site: Path) -> None:
    machine.write("lash.toml", "[plugins.sick]", "unit = 'K'")


def with_old_state(machine: Machine, site: Path) -> None:
    """A session was saved with a state that the installed version can't read."""
    turned(machine, site)
    source = FINE.replace("turns: int = 0", "turns: list[int] = []").replace(
        "turns=self.state.turns + 1", "turns=[1]"
    )
    (site / "lash_sick.py").write_text(source)
    turned(machine, site)


def with_blocked_loop(machine: Machine, site: Path) -> None:
    turned(machine, site, debug="1")


def with_stale_index(machine: Machine, site: Path) -> None:
    """The metadata changed, and its times were put back."""
    machine.shell("plugins", "list", PYTHONPATH=str(site))
    path = site / "lash_sick-1.0.dist-info" / "entry_points.txt"
    before = path.stat()
    path.write_text(path.read_text().replace("lash_sick:Plug", "lash_sick:Plag"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


TWELVE: Final = {
    "missing dependency": Broken(
        "import no_such_package\n", "no_such_package", "pip install no_such_package"
    ),
    "syntax error": Broken("class Plug(:\n", "lash_sick.py:1", "pip install --upgrade lash-sick"),
    "bad entry point": Broken("Other = 3\n", "lash_sick:Plug", "name a Plugin class"),
    "incompatible": Broken(
        FINE, "needs lash-sdk >=7", "pip install --upgrade lash-sick", needs=">=7"
    ),
    "name clash": Broken(FINE, "both bring 'sick'", "pip uninstall", with_twin, rows=2),
    "misspelt hook": Broken(
        FINE.replace("@hooks.before_turn", "@hooks.befor_turn"),
        "there is no hook 'befor_turn'",
        "did you mean 'before_turn'?",
    ),
    "wrong types": Broken(
        FINE.replace("TurnContext", "ToolContext"),
        "expected TurnContext, found ToolContext",
        "annotate it as TurnContext",
    ),
    "bad config": Broken(
        FINE, "did you mean 'units'?", "[plugins.sick] in lash.toml", with_bad_setting
    ),
    "failing migration": Broken(
        FINE, "failed in state", "go back to the version that saved the state", with_old_state
    ),
    "slow import": Broken(BUSY + FINE, "took ", "inside the function that needs it"),
    "blocked loop": Broken(
        FINE.replace(
            "        self.state", "        __import__('time').sleep(0.2)\n        self.state"
        ),
        "blocked the loop for 0.",
        "make before_turn async",
        with_blocked_loop,
    ),
    "stale index": Broken(
        FINE, "the index says 'lash_sick:Plug'", "entry_points.txt", with_stale_index
    ),
}


@pytest.fixture
def site(machine: Machine) -> Path:
    """Return a folder of installed packages, for `PYTHONPATH`."""
    site = machine.home / "site"
    site.mkdir()
    return site


@pytest.mark.slow
@pytest.mark.parametrize("problem", TWELVE)
def test_each_broken_plugin_has_one_cause_and_one_fix(
    machine: Machine, site: Path, problem: str
) -> None:
    """What's wrong, and what to do: not a traceback, and not five guesses."""
    broken = TWELVE[problem]
    install(site, "sick", broken.source, needs=broken.needs)
    broken.prepare(machine, site)
    ran = machine.shell("plugins", "doctor", "--json", PYTHONPATH=str(site))
    again = machine.shell("plugins", "doctor", "--json", PYTHONPATH=str(site))
    rows = [row for row in ran.body if row["plugin"] == "sick"]

    assert (1, broken.rows) == (ran.code, len(rows)), ran.body
    assert {problem} == {row["problem"] for row in rows}
    assert broken.cause in rows[0]["cause"]
    assert broken.fix in rows[0]["fix"]
    assert "" == ran.err
    assert ran.body == again.body  # from what was kept


def test_there_are_twelve_of_them() -> None:
    """As the bar asks for."""
    assert 12 == len(TWELVE)


@pytest.mark.slow
def test_faults_of_sessions_are_counted_until_another_version_is_there(
    machine: Machine, site: Path
) -> None:
    """Who was switched off in a session shows, and what it said."""
    install(site, "sick", FINE.replace("        self.state", "        1 / 0\n        self.state"))
    turned(machine, site)
    turned(machine, site)
    ran = machine.shell("plugins", "doctor", "--json", PYTHONPATH=str(site))
    (row,) = ran.body
    about = site / "lash_sick-1.0.dist-info" / "METADATA"
    about.write_text(about.read_text().replace("Version: 1.0", "Version: 1.1"))
    after = machine.shell("plugins", "doctor", PYTHONPATH=str(site))

    assert "faults" == row["problem"]
    assert "ZeroDivisionError" in row["cause"] and "(4 times)" in row["cause"]
    assert "lash plugins disable sick" in row["fix"]
    assert 0 == after.code, after.out


def test_a_plugin_is_examined_again_once_it_changes(machine: Machine, site: Path) -> None:
    """What was learnt is kept, and never longer than it's true."""
    install(site, "sick", FINE)
    well = machine.shell("plugins", "doctor", PYTHONPATH=str(site))
    (site / "lash_sick.py").write_text("1 / 0\n")
    sick = machine.shell("plugins", "doctor", PYTHONPATH=str(site))
    for path in (machine.cache).glob("examined-*.json"):
        path.write_text("not JSON")
    still = machine.shell("plugins", "doctor", PYTHONPATH=str(site))

    assert [0, 1, 1] == [well.code, sick.code, still.code]
    assert "ZeroDivisionError" in sick.out
