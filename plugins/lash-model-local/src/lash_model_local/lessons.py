"""
What the known small model is shown before it's asked: examples, as data.

A lesson is one whole exchange, from question to answer. The order of `FIRST_STEPS`
is part of what was measured: what stands near the end weighs most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lash_sdk.json import JsonObject

NO_TOOL: Final = "chat"
"""The label of a question that needs no tool. Like every label, one token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A question, the call it needs, what that returned, and the answer."""

    ask: str
    arguments: JsonObject
    result: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """
    What the model is taught of one tool.

    Attributes:
        label: What it says to choose the tool; a common word of one token.
        patterns: By parameter, where the tool's own schema has none.
    """

    label: str
    lessons: tuple[Lesson, ...] = ()
    patterns: Mapping[str, str]


def _sum(ask: str, expression: str, result: str) -> Lesson:
    arguments = {"expression": expression}
    answer = f"{expression} is {result}."
    return Lesson(ask=ask, arguments=arguments, result=result, answer=answer)


def _path(ask: str, path: str, result: str, answer: str) -> Lesson:
    return Lesson(ask=ask, arguments={"path": path}, result=result, answer=answer)


def _time(ask: str, result: str) -> Lesson:
    return Lesson(ask=ask, arguments={}, result=result, answer=f"It is now {result}.")


COURSES: Final[Mapping[str, Course]] = {
    "calculate": Course(
        label="math",
        patterns={"expression": r"^[0-9(][0-9.()+*/ -]{0,60}$"},
        lessons=(
            _sum("How much is 6 times 7?", "6 * 7", "42"),
            _sum("Add 2, 9 and 4.", "2 + 9 + 4", "15"),
            _sum("What is 81 divided by 9?", "81 / 9", "9"),
            _sum("Compute (8 - 3) * 4.", "(8 - 3) * 4", "20"),
            _sum("What is 70 minus 25?", "70 - 25", "45"),
            _sum("I have 5 bags of 11 apples. How many apples?", "5 * 11", "55"),
            _sum("Subtract 3 from 20.", "20 - 3", "17"),
            _sum("What is 40 plus 13?", "40 + 13", "53"),
        ),
    ),
    "read_file": Course(
        label="file",
        patterns={},
        lessons=(
            _path(
                "Open letters/anna.txt and tell me what it says.",
                "letters/anna.txt",
                "Dear Anna, see you in May.",
                "The file letters/anna.txt says: Dear Anna, see you in May.",
            ),
            _path(
                "Show me recipe.md.",
                "recipe.md",
                "Mix flour and water.",
                "The file recipe.md says: Mix flour and water.",
            ),
            _path(
                "What does src/setup.py say?",
                "src/setup.py",
                "import sys",
                "The file src/setup.py says: import sys",
            ),
        ),
    ),
    "list_folder": Course(
        label="folder",
        patterns={},
        lessons=(
            _path(
                "What files are in the images folder?",
                "images",
                "cat.png, dog.png",
                "The images folder has: cat.png, dog.png.",
            ),
            _path(
                "List the backup directory.",
                "backup",
                "june.zip, july.zip",
                "The backup folder has: june.zip, july.zip.",
            ),
            _path(
                "Which files are in the music directory?",
                "music",
                "song.mp3",
                "The music folder has: song.mp3.",
            ),
        ),
    ),
    "current_time": Course(
        label="time",
        patterns={},
        lessons=(
            _time("What time is it?", "2021-05-04T09:15:00"),
            _time("What is the date today?", "2019-12-24T18:40:13"),
        ),
    ),
}
"""What is taught of tools by these names, if they take these parameters."""

FIRST_STEPS: Final[tuple[tuple[str, str], ...]] = (
    ("How much is 6 times 7?", "calculate"),
    ("What files are in the images folder?", "list_folder"),
    ("Open letters/anna.txt and tell me what it says.", "read_file"),
    ("What time is it?", "current_time"),
    ("Hello!", NO_TOOL),
    ("Add 2, 9 and 4.", "calculate"),
    ("Show me recipe.md.", "read_file"),
    ("Which files are in the music directory?", "list_folder"),
    ("What is the capital of Spain?", NO_TOOL),
    ("What is 81 divided by 9?", "calculate"),
    ("What is the date today?", "current_time"),
    ("What does src/setup.py say?", "read_file"),
    ("What is inside the photos folder?", "list_folder"),
    ("Write a song about rain.", NO_TOOL),
    ("Compute (8 - 3) * 4.", "calculate"),
    ("Read the file plan.txt.", "read_file"),
    ("I have 5 bags of 11 apples. How many apples?", "calculate"),
    ("List the backup directory.", "list_folder"),
    ("Who are you?", NO_TOOL),
    ("Do you know the hour?", "current_time"),
    ("Print settings.json.", "read_file"),
    ("What is 70 minus 25?", "calculate"),
    ("Why is grass green?", NO_TOOL),
)
"""Questions and the tool they need, for the step that chooses."""
