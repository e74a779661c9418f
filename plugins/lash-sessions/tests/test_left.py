"""What was left running goes on after the process has ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "left.py"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["resume", "run"])
def test_a_turn_that_was_left_running_goes_on_with_its_maker(how: str, tmp_path: Path) -> None:
    """
    Its maker's turn is committed, so there's nothing there to resume; a killed process
    takes along what a child's child was doing, and whoever opens the root finds it.
    """

    def play(what: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, SCRIPT, "left.db", what]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    killed = play("begin")
    assert -9 == killed.returncode, killed.stderr
    ran = play(how)
    assert 0 == ran.returncode, ran.stderr

    more = how == "run"
    assert {
        "resumed": more,
        "texts": ["grandkid is done"],
        "turns": {"root": 1 + more, "kid": 1, "grandkid": 1},
        "total": 15 * (6 + more),
    } == json.loads(ran.stdout)
