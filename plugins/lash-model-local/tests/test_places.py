"""Paths are offered as they exist, and as the user spells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash_model_local.places import MOST, existing, kind, offered


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a small working folder."""
    for path in ("notes.md", "data/report.txt", "a/b/c/deep.txt", ".git/config"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_exists_is_found_near_first_and_hidden_left_out() -> None:
    """What's far down is seldom meant, and each path makes the choice harder."""
    assert ("notes.md", "data/report.txt") == existing("file")
    assert (".", "a", "data", "a/b", "a/b/c") == existing("folder")


def test_a_huge_folder_offers_a_bounded_choice(folder: Path) -> None:
    """A grammar of thousands of paths would take longer than the answer."""
    for number in range(MOST + 50):
        (folder / f"{number}.txt").write_text("x")

    assert MOST == len(existing("file"))


def test_a_spelt_path_is_the_only_one_offered() -> None:
    """The user said it; there's nothing to choose."""
    assert ("notes.md",) == offered("file", "Open notes.md.")
    assert ("data/report.txt",) == offered("file", "What is in report.txt?")
    assert ("gone.txt",) == offered("file", "Read gone.txt!")
    assert existing("file") == offered("file", "Read something.")
    assert ("a/b",) == offered("folder", "List a/b.")


@pytest.mark.parametrize(
    ("name", "schema", "about", "expected"),
    [
        ("path", {"type": "string"}, "read_file Read a file.", "file"),
        ("path", {"type": "string"}, "list_folder List the files.", "folder"),
        ("path", {"type": "string"}, "delete Remove what is there.", "any"),
        ("at", {"type": "string", "format": "directory-path"}, "tidy", "folder"),
        ("at", {"type": "string", "format": "path"}, "tidy", "any"),
        ("city", {"type": "string"}, "weather In a city.", None),
        ("path", {"enum": ["a"], "type": "string"}, "read_file", None),
        ("path", {"type": "integer"}, "read_file", None),
        (
            "path",
            {"type": "string", "description": "Below the working folder."},
            "read_file Read a file.",
            "file",
        ),
    ],
)
def test_a_parameter_says_what_sort_of_path_it_takes(
    name: str, schema: dict[str, object], about: str, expected: str | None
) -> None:
    """By its format, its name, or the words around it."""
    assert expected == kind(name, schema, about)  # type: ignore[arg-type]
