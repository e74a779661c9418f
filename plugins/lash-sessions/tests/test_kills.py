"""Processes with trees of sessions are killed, again and again, and nothing is wrong after it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "killed.py"
SESSIONS = 13
"""A root, three below it, three below each of those."""


def run(file: Path, milliseconds: int, *more: str) -> dict[str, Any] | None:
    """Return what a process said at its end; None if it was killed."""
    ran = subprocess.run(
        [sys.executable, SCRIPT, file.name, str(milliseconds), "2", *more],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode in (0, -9), ran.stderr
    said: dict[str, Any] | None = json.loads(ran.stdout) if ran.stdout else None
    return said


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("own",)], ids=["plain", "own"])
@pytest.mark.parametrize("seed", range(6))
def test_a_tree_that_is_killed_again_and_again_ends_as_if_it_never_was(
    seed: int, more: tuple[str, ...], tmp_path: Path
) -> None:
    """
    Each session has its one turn, no orphan is left, and the root's ledger is the sum.
    """
    chance = random.Random(seed)
    kills, said = 0, None
    for _ in range(12):
        said = run(tmp_path / "tree.db", chance.randint(400, 1400), *more)
        if said is not None:
            break
        kills += 1
    said = said or run(tmp_path / "tree.db", 0, *more)

    assert said == {
        "sessions": SESSIONS,
        "turns": [1],
        "own": 30 * SESSIONS,
        "total": 30 * SESSIONS,
        "wrong": [],
    }, f"after {kills} kills"
