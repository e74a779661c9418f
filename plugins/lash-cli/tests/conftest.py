"""What the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from .running import Machine


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one plugin index for all tests: what's installed doesn't change."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def machine(tmp_path: Path, cache: Path) -> Machine:
    """Return a machine that nobody has used yet."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    return Machine(home=home, work=work, cache=cache)
