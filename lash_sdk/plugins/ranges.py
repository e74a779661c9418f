"""Version ranges such as ">=0.1,<1", as far as a plugin's need of the SDK goes."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Final

SDK_VERSION: Final = "0.1.0.dev0"
"""This SDK's version; the same as in its `pyproject.toml`, by a test."""

_TERM: Final = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*([0-9][0-9A-Za-z.*+!-]*)")
_COMPARE: Final[dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def fits(version: str, wanted: str) -> bool:
    """
    Return whether *version* is in the range *wanted*; an empty range has all.

    Only release numbers count: a pre-release is taken for its release.
    """
    have = _release(version)
    for mark, text in _TERM.findall(wanted):
        if text.endswith(".*"):
            prefix = _release(text[:-2])
            if (have[: len(prefix)] == prefix) is (mark == "!="):
                return False
        elif mark == "~=":
            floor = _release(text)
            if have < floor or have[: len(floor) - 1] != floor[:-1]:
                return False
        else:
            least = _release(text)
            size = max(len(have), len(least))
            if not _COMPARE[mark](_padded(have, size), _padded(least, size)):
                return False
    return True


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version.strip())
    return tuple([int(part) for part in found[0].split(".")]) if found else (0,)


def _padded(release: tuple[int, ...], size: int) -> tuple[int, ...]:
    return release + (0,) * (size - len(release))
