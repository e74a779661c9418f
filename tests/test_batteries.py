"""The report of a battery can fail: on a violation, a missed floor, a fault that got through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from .batteries import report
from .batteries.report import Report

GOOD = Report(
    battery="some/lane", cases=3, planned=3, operations=9, floor=9, caught=2, planted=2, seconds=1.0
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the figures of this test out of the published ones."""
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    return tmp_path


def test_a_report_is_printed_and_saved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Figures that nobody can look up again are no evidence.
    """
    GOOD.publish()

    assert f"{GOOD.line}\n" == capsys.readouterr().out
    assert '"operations": 9' in (folder / "some-lane.json").read_text()


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, violations=("a commit was lost",)),
        replace(GOOD, cases=2),
        replace(GOOD, operations=8),
        replace(GOOD, caught=1),
    ],
)
def test_a_battery_that_failed_in_any_way_fails(bad: Report) -> None:
    """
    A battery that did nothing, or that misses its planted faults, proves nothing.
    """
    with pytest.raises(AssertionError):
        bad.publish()
