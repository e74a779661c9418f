"""
Needs: which SDK a plugin says it works with.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lash_sdk.plugins.discovery import SDK_VERSION, fits, need


@pytest.mark.parametrize(
    ("wanted", "versions"),
    [
        ("", {"0.1.0": True, "9": True}),
        (">=0.1,<1", {"0.1.0": True, "0.9.9": True, "1.0.0": False, "0.0.9": False}),
        (">=0.1", {"0.1.0.dev0": True, "0.1": True, "0.0.1": False}),
        ("<1", {"0.9": True, "1.0": False}),
        ("<=1.0", {"1": True, "1.0.0": True, "1.0.1": False}),
        (">1.0", {"1.0.0": False, "1.0.1": True}),
        ("==1.0", {"1": True, "1.0.0": True, "1.0.1": False}),
        ("==0.1.*", {"0.1.7": True, "0.1": True, "0.2.0": False, "1.1": False}),
        ("!=0.1.*", {"0.1.7": False, "0.2.0": True}),
        ("!=0.1.3", {"0.1.3": False, "0.1.4": True}),
        ("~=0.1", {"0.1.0": True, "0.9": True, "1.0": False, "0.0.9": False}),
        ("~=0.1.2", {"0.1.2": True, "0.1.9": True, "0.2.0": False, "0.1.1": False}),
        (" >= 0.1 , < 0.3 ", {"0.2": True, "0.3": False}),
        (">=0.9,<0.10", {"0.9.5": True, "0.10.0": False}),
        ("[testing]>=0.2", {"0.1.0": False, "0.2.0": True}),
        ("==0.1.0.dev0", {"0.1.0.dev0": True, "0.1.1.dev0": False}),
        ("=1", {"0.1.0": True}),  # a range that nobody can read keeps nobody out
    ],
)
def test_a_range_holds_what_it_says(wanted: str, versions: dict[str, bool]) -> None:
    """
    A plugin of another age is refused before it's imported, on this alone.
    """
    needed = need([f"lash-sdk{wanted}"])

    assert versions == {version: fits(version, needed) for version in versions}


def test_the_version_is_the_one_of_the_distribution() -> None:
    """
    It's written down twice so that reading it imports nothing.
    """
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())

    assert project["project"]["version"] == SDK_VERSION
