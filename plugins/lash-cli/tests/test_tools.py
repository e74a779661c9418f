"""The tools for a first try: what they answer, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lash_cli.tools import LONGEST, calculate, current_time, list_folder, read_file
from lash_sdk.errors import ToolDenied


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("17 * 23", "391"),
        ("(2 + 3) * -4", "-20"),
        ("7 / 2", "3.5"),
        ("7 // 2 + 7 % 4", "6"),
        ("2 ** 10", "1024"),
        ("0.1 + 0.2", "0.3"),
        (" 1 ", "1"),
    ],
)
def test_calculate(expression: str, expected: str) -> None:
    """Whole results stand without a point."""
    assert expected == calculate(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "x", "__import__('os')", "1 if 1 else 2", "9 ** 9 ** 9", "1e300 * 1e300", "1 / 0",
     "'a' * 3", "(-8) ** 0.5", "True + 1", "1,2", "((((", "0 ** -1", "10 ** 60 * 10 ** 60"],
)  # fmt: skip
def test_calculate_takes_numbers_alone(expression: str) -> None:
    """No names, no calls, nothing that runs for hours: an error that says so."""
    with pytest.raises(ValueError):
        calculate(expression)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with files in it and a secret beside it."""
    here = tmp_path / "here"
    (here / "data").mkdir(parents=True)
    (here / "data" / "report.txt").write_text("Fine.\n")
    (here / "long.txt").write_text("x" * (LONGEST + 10))
    (tmp_path / "secret.txt").write_text("no")
    (here / "link").symlink_to(tmp_path)
    monkeypatch.chdir(here)
    return here


def test_files_of_the_working_folder(folder: Path) -> None:
    """Folders end with a slash; long files are cut."""
    assert "Fine.\n" == read_file("data/report.txt")
    assert "Fine.\n" == read_file(str(folder / "data" / "report.txt"))
    assert ["data/", "link/", "long.txt"] == list_folder(".")
    assert ["report.txt"] == list_folder("data")
    assert LONGEST + 1 == len(read_file("long.txt"))


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "link/secret.txt", "data/../.."])
@pytest.mark.parametrize("tool", [read_file, list_folder])
def test_nothing_outside_is_shown(folder: Path, tool: Any, path: str) -> None:
    """Not by dots, not by an absolute path, not by a link."""
    with pytest.raises(ToolDenied, match="outside the working folder"):
        tool(path)


@pytest.mark.parametrize(("tool", "path"), [(read_file, "data"), (list_folder, "long.txt")])
def test_what_is_not_there_is_named(folder: Path, tool: Any, path: str) -> None:
    """A folder is no file and the other way round."""
    with pytest.raises(FileNotFoundError, match=path):
        tool(path)


def test_current_time() -> None:
    """In ISO form, with its zone."""
    assert "T" in current_time()
