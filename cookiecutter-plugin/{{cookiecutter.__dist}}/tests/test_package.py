"""The package: found, compatible, typed, checked and described."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from lash_sdk.plugins.discovery import installed

from {{ cookiecutter.__module }}.plugin import {{ cookiecutter.__class }}

NAME = "{{ cookiecutter.__name }}"
README = Path(__file__).parent.parent / "README.md"


def test_it_is_found_by_its_entry_point() -> None:
    """
    Whoever installs the package has the plugin, and nothing else to do.
    """
    (found,) = [each for each in installed() if each.name == NAME]

    assert found.value == "{{ cookiecutter.__module }}.plugin:{{ cookiecutter.__class }}"
    assert found.fits, f"needs lash-sdk {found.requires}"


def test_the_check_finds_nothing() -> None:
    """
    Hooks, types, settings and imports are as the SDK wants them.
    """
    command = [sys.executable, "-m", "lash_cli", "plugins", "check", NAME, "--strict"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_its_types_are_there_for_others() -> None:
    """
    Without the marker type checkers ignore every annotation.
    """
    assert files("{{ cookiecutter.__module }}").joinpath("py.typed").is_file()


def test_the_readme_names_every_setting() -> None:
    """
    A setting that nobody finds isn't one.
    """
    text = README.read_text(encoding="utf-8")

    for name, field in {{ cookiecutter.__class }}.Config.model_fields.items():
        assert f"| `{name}` | `{field.default!r}` |" in text
