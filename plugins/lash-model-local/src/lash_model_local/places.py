"""The paths that exist below the working folder, for parameters that take one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal, TypeAlias

from lash_sdk.json import JsonObject

Kind: TypeAlias = Literal["file", "folder", "any"]

MOST: Final = 200
"""Paths that are offered; a longer grammar is slow, and a longer choice a bad one."""

DEPTH: Final = 3

_SPELT: Final = re.compile(r"(?:[\w.-]+/)+[\w.-]*\w|[\w-]+\.[a-z]\w{0,5}\b")


def kind(name: str, schema: JsonObject, about: str) -> Kind | None:
    """
    Return what sort of path the parameter *name* takes, or None if it's no path.

    Its format says so ("path", "file-path", "directory-path", as pydantic writes
    them), or its name. *about* is what else is known: the tool's name and words.
    """
    form = schema.get("format")
    if schema.get("type") != "string" or "enum" in schema:
        return None
    if form == "file-path":
        return "file"
    if form == "directory-path":
        return "folder"
    if form != "path" and name not in ("path", "file", "folder", "directory"):
        return None
    words = f"{name} {about} {schema.get('description', '')}".lower()
    if "folder" in words or "directory" in words:
        # "The file, below the working folder" speaks of both: the name decides.
        return "file" if "file" in f"{name} {about.split(' ')[0]}".lower() else "folder"
    return "file" if "file" in words else "any"


def offered(wanted: Kind, question: str) -> tuple[str, ...]:
    """
    Return the paths to choose from: those that *question* spells, or all there are.

    A path that's spelt but doesn't exist stays in: the tool will say so.
    """
    here = existing(wanted)
    spelt = [path for path in _SPELT.findall(question) if _fits(path, wanted)]
    meant = [
        path
        for said in spelt
        for path in [p for p in here if f"/{p}".endswith(f"/{said}")] or [said]
    ]
    return tuple(dict.fromkeys(meant)) or here


def existing(wanted: Kind) -> tuple[str, ...]:
    """Return at most `MOST` paths below the working folder, the nearest first."""
    found: list[str] = [] if wanted == "file" else ["."]
    level = [Path()]
    for _ in range(DEPTH):
        below: list[Path] = []
        for folder in level:
            for path, is_folder in _inside(folder):
                if is_folder:
                    below.append(path)
                if wanted == "any" or is_folder == (wanted == "folder"):
                    found.append(path.as_posix())
        level = below[:MOST]
    return tuple(found[:MOST])


def _inside(folder: Path) -> list[tuple[Path, bool]]:
    try:
        with os.scandir(Path.cwd() / folder) as entries:
            shown = [(e.name, e.is_dir()) for e in entries if e.name[0] not in "._"]
    except OSError:  # not ours to read: then not ours to offer
        return []
    return [(folder / name, is_folder) for name, is_folder in sorted(shown)]


def _fits(path: str, wanted: Kind) -> bool:
    if wanted == "folder":
        return "/" in path and "." not in path.rsplit("/", 1)[1]
    return True
