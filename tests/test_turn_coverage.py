"""
Every branch of the turn machine is taken by its own tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_branch_of_the_machine_is_tested(tmp_path: Path) -> None:
    """
    By `tests/test_turn.py` alone: the random schedules come on top.
    """
    data = tmp_path / "coverage"
    environment = {key: value for key, value in os.environ.items() if "COV" not in key}
    coverage = [sys.executable, "-m", "coverage"]
    measured = [*coverage, "run", "--branch", "--source=lash_sdk.turn", f"--data-file={data}"]
    tested = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_turn.py"]
    report = tmp_path / "report.json"

    for command in (
        [*measured, *tested],
        [*coverage, "json", "-q", f"--data-file={data}", "-o", str(report)],
    ):
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert 0 == ran.returncode, ran.stdout + ran.stderr
    files = json.loads(report.read_text(encoding="utf-8"))["files"]

    rooms = {name: body for name, body in files.items() if "turn" in Path(name).parts}
    assert {"__init__.py", "machine.py", "state.py"} == {Path(name).name for name in rooms}
    for name, body in rooms.items():
        assert ([], []) == (body["missing_lines"], body["missing_branches"]), name
