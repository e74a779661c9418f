"""
Discovery: which plugins are installed, from metadata alone.

The answer is kept in an index, one JSON file per environment. A warm start
compares times and sizes of metadata files and imports nothing, not even
importlib_metadata.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..json import frozen

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

SDK_VERSION: Final = "0.1.0.dev0"
"""This SDK's version; the same as in its `pyproject.toml`, by a test."""

OWN_DIST: Final = "lash-sdk"
"""The distribution that this is, as others require it."""

GROUP: Final = "lash"
"""The entry-point group of plugins."""

LISTS: Final = (list, tuple, set, frozenset)
"""What names may be listed in; anything else is a mistake that `config` names."""


@frozen
class Found:
    """
    A plugin that's installed, as its distribution describes it.

    Attributes:
        value: "module:attribute", what the entry point says.
        requires: The range of lash-sdk that it asks for, such as ">=0.1,<1".
        fits: Whether this SDK is in that range.
        path: Where its metadata is.
    """

    name: str
    value: str
    dist: str
    version: str
    summary: str
    requires: str
    fits: bool
    path: str


def installed() -> tuple[Found, ...]:
    """
    Return every plugin that's installed, by name; nothing is imported.

    `LASH_NO_INDEX=1` reads the metadata each time.
    """
    stamp = _stamp()
    if os.environ.get("LASH_NO_INDEX", "") not in ("", "0"):
        return _read_metadata(stamp)
    try:
        path = _index_path()
    except RuntimeError:  # a user without a home has no place for it
        return _read_metadata(stamp)
    if (kept := _read_index(path, stamp)) is not None:
        return kept
    found = _read_metadata(stamp)
    _write_index(path, stamp, found)
    return found


def disabled(config: Any = None, names: Iterable[str] = ()) -> frozenset[str]:
    """
    Return the plugins that are turned off, by configuration or environment.

    Both may list names, as `disable` or `LASH_DISABLE_PLUGINS`, and both may allow
    some alone, as `only` or `LASH_ONLY_PLUGINS`: of *names* the others are off then.
    """
    own = config if isinstance(config, dict) else {}
    off = _listed("LASH_DISABLE_PLUGINS", own.get("disable"))
    only = _listed("LASH_ONLY_PLUGINS", own.get("only"))
    return frozenset(off.union(set(names) - only if only else ()))


def _listed(variable: str, names: Any) -> set[str]:
    found = {name.strip() for name in os.environ.get(variable, "").split(",")} - {""}
    return found.union(names) if isinstance(names, LISTS) else found


def cache_folder() -> Path:
    """Return the folder for what can be made again: `LASH_CACHE`, or the user's."""
    if own := os.environ.get("LASH_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lash"


def _stamp() -> list[list[Any]]:
    """Return what the index depends on: each metadata folder with its times."""
    stamp: list[list[Any]] = [[SDK_VERSION, sys.version, sys.prefix]]
    for entry in dict.fromkeys(sys.path):
        try:
            folders = sorted(os.scandir(entry or "."), key=lambda each: each.name)
        except OSError:
            continue
        for folder in folders:
            if folder.name.endswith((".dist-info", ".egg-info")):
                points = _age_and_size(folder.path, "entry_points.txt")
                if points is not None:
                    stamp.append([folder.path, points, _age_and_size(folder.path, "METADATA")])
    return stamp


def _age_and_size(folder: str, name: str) -> list[int] | None:
    try:
        seen = os.stat(os.path.join(folder, name))
    except OSError:
        return None
    return [seen.st_mtime_ns, seen.st_size]


def _index_path() -> Path:
    import hashlib

    key = "\n".join([sys.prefix, sys.version, *sys.path])
    name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return cache_folder() / f"plugins-{name}.json"


def _read_index(path: Path, stamp: Sequence[Any]) -> tuple[Found, ...] | None:
    try:
        body = json.loads(path.read_bytes())
        if body["stamp"] != stamp:
            return None
        return tuple([Found(**row) for row in body["plugins"]])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # missing, corrupt or of another form: it's made again


def _write_index(path: Path, stamp: Sequence[Any], found: Iterable[Found]) -> None:
    body = {"stamp": stamp, "plugins": [asdict(each) for each in found]}
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(body))
        beside.replace(path)
    except OSError:  # a cache that can't be kept is no error
        with suppress(OSError):
            beside.unlink()


def _read_metadata(stamp: Sequence[Sequence[Any]]) -> tuple[Found, ...]:
    found: dict[tuple[str, str], Found] = {}
    for folder in [str(row[0]) for row in stamp[1:]]:
        try:
            text = (Path(folder) / "entry_points.txt").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if f"[{GROUP}]" in text:
            for each in _read_distribution(folder):
                found.setdefault((each.dist, each.name), each)
    return tuple(sorted(found.values(), key=lambda each: (each.name, each.dist)))


def _read_distribution(folder: str) -> Iterable[Found]:
    from importlib_metadata import PathDistribution

    dist = PathDistribution(Path(folder))
    about = dist.metadata
    needed = need(dist.requires or ())
    for point in dist.entry_points.select(group=GROUP):
        yield Found(
            name=point.name,
            value=point.value,
            dist=about.get("Name") or "",
            version=about.get("Version") or "0",
            summary=about.get("Summary") or "",
            requires=str(needed),
            fits=fits(SDK_VERSION, needed),
            path=folder,
        )


def need(requirements: Iterable[str]) -> SpecifierSet:
    """Return the range of lash-sdk among *requirements*; an empty one has all versions."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name

    for text in requirements:
        with suppress(InvalidRequirement):
            each = Requirement(text)
            if canonicalize_name(each.name) == OWN_DIST and "extra" not in str(each.marker):
                return each.specifier
    return SpecifierSet()


def fits(version: str, needed: SpecifierSet) -> bool:
    """Return whether *version* is in a range; a pre-release is taken for its release too."""
    from packaging.version import Version

    release = Version(version).base_version
    return any(needed.contains(each, prereleases=True) for each in (version, release))
