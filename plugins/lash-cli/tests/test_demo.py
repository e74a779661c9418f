"""`make demo`: it works, or it fails loudly; it never pretends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lash_cli.demo import FILES

from .running import Machine


def demo(machine: Machine, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the demo as `make demo` does."""
    return subprocess.run(
        [sys.executable, "-m", "lash_cli.demo"],
        cwd=machine.work,
        env={**machine.environment, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_without_weights_it_fails(machine: Machine, tmp_path: Path) -> None:
    """No network and nothing fetched: no other model stands in."""
    ran = demo(machine, LASH_CACHE=str(tmp_path / "empty"), PIP_NO_INDEX="1")

    assert ran.returncode == 1
    assert "demo failed: lash models ended with exit code 1" in ran.stderr
    assert "really happened" not in ran.stdout


def test_no_other_plugin_takes_part(machine: Machine) -> None:
    """With another's tools beside its own, so small a model calls the wrong one."""
    for name, text in FILES.items():
        path = machine.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    listed = machine.lash("plugins", "list", "--json").body

    assert {"local", "sqlite", "standard"} == {r["name"] for r in listed if r["state"] == "on"}


@pytest.mark.slow
def test_it_runs_from_start_to_end(machine: Machine) -> None:
    """With weights in the cache of whoever runs the tests, or fetched anew."""
    ran = demo(machine, LASH_CACHE=str(Path.home() / ".cache" / "lash"))

    assert ran.returncode == 0, ran.stderr
    for piece in ("135 million parameters", "391", "costs.csv", "12 percent", "really happened"):
        assert piece in ran.stdout
    after = ran.stdout.partition("(killed by signal 9)")[2]
    assert "$ lash resume killed" in after
    assert "391" in after
    assert 2 == after.count("called in process")
