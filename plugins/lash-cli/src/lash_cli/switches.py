"""`lash plugins enable|disable`: one line of lash.toml, the rest of it as it was."""

from __future__ import annotations

import os
from pathlib import Path

import tomlkit

from .failures import CommandError
from .plugins import named
from .settings import PROJECT_FILE, project_file, user_file


def disable(name: str, *, user: bool) -> int:
    """
    Leave plugin *name* out from now on.

    Raises:
        CommandError: There's no such plugin, or the file can't be changed.
    """
    named(name)
    path = _file(user=user)
    listed = _change(path, name, there=True)
    print(f"disabled {name!r} in {path}" if listed else f"{name!r} was disabled in {path}")
    return 0


def enable(name: str, *, user: bool) -> int:
    """
    Let plugin *name* take part from now on.

    Raises:
        CommandError: There's no such plugin, or the file can't be changed.
    """
    named(name)
    path = _file(user=user)
    gone = _change(path, name, there=False)
    print(f"enabled {name!r} in {path}" if gone else f"{name!r} wasn't disabled in {path}")
    off = os.environ.get("LASH_DISABLE_PLUGINS", "").split(",")
    if name in [each.strip() for each in off]:
        print(f"LASH_DISABLE_PLUGINS still leaves {name!r} out")
    return 0


def _file(*, user: bool) -> Path:
    return user_file() if user else project_file() or Path.cwd() / PROJECT_FILE


def _change(path: Path, name: str, *, there: bool) -> bool:
    """Put *name* into the list of *path*, or take it out; return whether that changed it."""
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
        section = document.setdefault("plugins", tomlkit.table())
        names = list(section.get("disable", []))
        if (name in names) is there:
            return False
        section["disable"] = [*names, name] if there else [each for each in names if each != name]
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(tomlkit.dumps(document), encoding="utf-8")
        beside.replace(path)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        way_out = f'[plugins] disable = ["{name}"], by hand'
        raise CommandError(f"{path}: {error}", way_out=way_out) from error
    return True
