"""What's stored is data: loading it runs no code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .batteries.inert import HARMLESS, PAYLOADS, PLANTED, ROOT, fill
from .batteries.report import Report


def found(folder: Path, fault: str = "") -> tuple[int, list[str]]:
    """Return how much was done with a copy of the hostile store, and what's wrong."""
    copy = folder / (fault or "sound")
    shutil.copytree(folder / "hostile", copy)
    shutil.copytree(folder / "harmless", folder / f"warm {fault}")
    words = [str(folder / f"warm {fault}"), str(copy), fault]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.batteries.inert", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(ran.stdout)
    return said["done"], [*said["heard"], *said["made"]]


async def test_no_stored_data_runs_any_code(tmp_path: Path) -> None:
    """
    Whatever another library would revive from it is text and numbers here.
    """
    started = time.perf_counter()
    for name, payloads in (("harmless", HARMLESS), ("hostile", PAYLOADS)):
        (tmp_path / name).mkdir()
        await fill(tmp_path / name, payloads)
    done, wrong = found(tmp_path)
    Report(
        battery="stored data",
        cases=len(PAYLOADS),
        planned=len(PAYLOADS),
        operations=done,
        floor=20 * len(PAYLOADS),
        faults=len(PAYLOADS),
        violations=tuple(wrong),
        caught=sum([bool(found(tmp_path, fault)[1]) for fault in PLANTED]),
        planted=len(PLANTED),
        seconds=round(time.perf_counter() - started, 1),
    ).publish()
