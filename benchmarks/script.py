"""
What is said and called in every scenario: the same words for every system.

Only the standard library is used here: each system's own environment loads it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, Final

ASK: Final = "What do these four sums come to?"
ANSWER: Final = "The four sums come to 1, 3, 5 and 7."
LONG_ASK: Final = (ASK + " ") * 31
"""1 KB, for a session that's meant to grow."""
LONG_ANSWER: Final = (ANSWER + " ") * 27

SUMS: Final = tuple({"a": a, "b": a + 1} for a in range(4))
"""The arguments of the four calls that one answer asks for."""
SUMS_AS_JSON: Final = tuple(json.dumps(each) for each in SUMS)

WARM_UP: Final = 3
"""Turns that each new session runs before any is measured."""

WITH_TOOLS: Final = frozenset(("S2", "S3", "S3 effect", "S4", "S4 durable", "S9"))
DURABLE: Final = frozenset(("S3", "S3 effect", "S4 durable", "S6 durable", "S11"))
ON_POSTGRES: Final = "S9"
"""A turn of S2 that's kept on the server whose URL the folder's file "postgres" says."""
FORKED: Final = "S11"
"""A durable session is forked, again and again; after a slash stand how, and its turns."""
GROWING: Final = frozenset(("S4", "S4 durable"))
"""2 KB of text a turn, and the whole conversation goes to the model: no system drops any."""


def server_of(folder: Path) -> str:
    """Return the URL of the database that a session of S9 has for itself."""
    return (folder / "postgres").read_text()


def ask(scenario: str) -> str:
    """Return what the user says each turn."""
    return LONG_ASK if scenario in GROWING else ASK


def answer(scenario: str) -> str:
    """Return what the model says at the end of each turn."""
    return LONG_ANSWER if scenario in GROWING else ANSWER


class Script:
    """
    What a scripted model goes by: tools first and then words, turn after turn.

    Attributes:
        asked: How often the model was asked.
        sums: How often the tool was called.
    """

    def __init__(self, scenario: str) -> None:
        self.answer = answer(scenario)
        self._tools = scenario.partition("/")[0] in WITH_TOOLS
        self.asked = 0
        self.sums = 0

    async def wants_tools(self) -> bool:
        """
        Return whether this answer of the model asks for the four sums.

        One trip round the event loop stands for the wait for a real model.
        """
        self.asked += 1
        await asyncio.sleep(0)
        return self._tools and self.asked % 2 == 1

    def add(self, a: int, b: int) -> int:
        """Return the sum: the body of every system's tool."""
        self.sums += 1
        return a + b

    def check(self, turns: int) -> None:
        """
        Accept that *turns* turns asked the model and the tool as often as they must.

        Raises:
            AssertionError: They didn't: the system ran something else.
        """
        asked, sums = (2, 4) if self._tools else (1, 0)
        found = (self.asked, self.sums)
        if found != (turns * asked, turns * sums):
            raise AssertionError(
                f"{turns} turns: expected {(turns * asked, turns * sums)} model and tool calls,"
                f" found {found}"
            )


def load(path: Path) -> Any:
    """Return the system that a file is, under a name that hides nobody's package."""
    spec = importlib.util.spec_from_file_location(f"benchmarked_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # type hints of tools are looked up there
    spec.loader.exec_module(module)
    return module
