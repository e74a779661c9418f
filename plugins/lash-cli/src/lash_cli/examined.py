"""What was learnt of plugins by importing them, kept until one of them changes."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, Final

from lash_sdk.plugins.discovery import SDK_VERSION, cache_folder

from .probe import Examined, examine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lash_sdk.plugins.discovery import Found

FILES: Final = 1000
"""Files of one package that are looked at, at most."""


def learnt(found: Sequence[Found], sections: Mapping[str, Any]) -> list[Examined]:
    """
    Return what's to be said of each of *found*.

    Those that changed, or whose section of the configuration did, are imported, by a
    process of its own.
    """
    stamps = [_stamp(each, sections) for each in found]
    kept = _read()
    new = [
        at for at, each in enumerate(found) if kept.get(_key(each), {}).get("stamp") != stamps[at]
    ]
    if new:
        rows = examine([found[at] for at in new], sections)
        for at, row in zip(new, rows, strict=True):
            kept[_key(found[at])] = {"stamp": stamps[at], **asdict(row)}
        _write({_key(each): kept[_key(each)] for each in found})
    return [_known(kept[_key(each)]) for each in found]


def known_hooks(found: Found) -> list[str] | None:
    """Return the hooks of a plugin that was examined since it changed; None if it wasn't."""
    kept = _read().get(_key(found), {})
    files = kept.get("stamp", [None])[0]
    return kept.get("hooks") if files == _files(found) else None


def _known(row: Mapping[str, Any]) -> Examined:
    return Examined(findings=row["findings"], hooks=row["hooks"])


def _key(found: Found) -> str:
    return f"{found.path} {found.name}"


def _stamp(found: Found, sections: Mapping[str, Any]) -> list[Any]:
    return [_files(found), sections.get(found.name), found.value, found.version, SDK_VERSION]


def _files(found: Found) -> list[list[Any]]:
    """Return the files that importing *found* may read, of its own package, with their times."""
    spec = PathFinder.find_spec(found.value.partition(":")[0].partition(".")[0], sys.path)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    single = [spec.origin] if spec and spec.origin and not folders else []
    paths = [*single, *[path for folder in folders for path in _sources(folder)]]
    return [[path, *_age(path)] for path in sorted(paths)[:FILES]]


def _sources(folder: str) -> Iterator[str]:
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.endswith(".py") or entry.name == "py.typed":
                yield entry.path
            elif entry.is_dir() and entry.name.isidentifier():
                yield from _sources(entry.path)


def _age(path: str) -> list[int]:
    try:
        seen = os.stat(path)
    except OSError:
        return []
    return [seen.st_mtime_ns, seen.st_size]


def _path() -> Path | None:
    import hashlib

    key = hashlib.sha256("\n".join([sys.prefix, sys.version]).encode("utf-8", "surrogatepass"))
    try:
        return cache_folder() / f"examined-{key.hexdigest()[:16]}.json"
    except RuntimeError:  # a user without a home has no place for it
        return None


def _read() -> dict[str, Any]:
    path = _path()
    try:
        body = json.loads(path.read_bytes()) if path is not None else {}
        return body if isinstance(body, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}  # missing or corrupt: it's made again


def _write(rows: Mapping[str, Any]) -> None:
    path = _path()
    if path is None:
        return
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(rows))
        beside.replace(path)
    except OSError:  # a cache that can't be kept is no error
        with suppress(OSError):
            beside.unlink()
