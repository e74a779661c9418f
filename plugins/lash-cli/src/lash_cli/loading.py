"""Things by name: "package.module:NAME", or "path/to/file.py:NAME"."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lash_sdk.errors import LashError

from .failures import CommandError
from .settings import guess

if TYPE_CHECKING:
    from lash_sdk.tools import Tool

FORM = "MODULE:NAME or path/to/file.py:NAME"


def load_tool(spec: str) -> Tool:
    """
    Return the tool that *spec* names; a plain function is made into one.

    Raises:
        CommandError: There's no such thing, or its module doesn't import.
        InvalidInput: It can't be a tool; the message says why.
    """
    from lash_sdk.tools import Tool, as_tool

    found = load_thing("--tool", spec)
    if isinstance(found, Tool):
        return found
    if isinstance(found, type) or not callable(found):
        raise CommandError(
            f"--tool {spec!r}: expected a function or what @tool made of one, found {found!r}",
            way_out="the name of a function in that module",
        )
    return as_tool(found)


def load_plugin(spec: str) -> object:
    """
    Return the plugin that *spec* names: a class or a module.

    A file alone means the Plugin class that's in it, or its plain functions.

    Raises:
        CommandError: There's no such thing, or its module doesn't import.
    """
    if spec.endswith(".py"):
        return _only_plugin(spec, _load_module("--plugin", spec, spec))
    found = load_thing("--plugin", spec)
    if not isinstance(found, (type, ModuleType)):
        raise CommandError(
            f"--plugin {spec!r}: expected a Plugin class or a module,"
            f" found a {type(found).__name__}",
            way_out="the name of a Plugin class in that module",
        )
    return found


def _only_plugin(spec: str, module: ModuleType) -> object:
    from lash_sdk import Plugin

    classes = [each for each in vars(module).values() if isinstance(each, type)]
    found = [
        each for each in classes if issubclass(each, Plugin) and each.__module__ == module.__name__
    ]
    if len(found) > 1:
        names = ", ".join([each.__name__ for each in found])
        raise CommandError(
            f"--plugin {spec!r}: expected one Plugin class, found {names}",
            way_out=f"{spec}:{found[0].__name__}",
        )
    return found[0] if found else module


def load_thing(option: str, spec: str) -> object:
    """
    Return what *spec* names; *option* is for messages.

    Raises:
        CommandError: There's no such thing, or its module doesn't import.
    """
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        raise CommandError(
            f"{option} {spec!r}: expected {FORM}",
            way_out=f"{option} lash_cli.tools:calculate, for one",
        )
    module = _load_module(option, spec, where)
    thing: object = module
    for part in name.split("."):
        if not hasattr(thing, part):
            close = guess(part, vars(module))
            raise CommandError(
                f"{option} {spec!r}: no {part!r} in {where!r}{close}",
                way_out="a name that the module has",
            )
        thing = getattr(thing, part)
    return thing


def _load_module(option: str, spec: str, where: str) -> ModuleType:
    try:
        return _from_file(Path(where)) if where.endswith(".py") else _from_name(where)
    except LashError:
        raise
    except FileNotFoundError as error:
        raise CommandError(
            f"{option} {spec!r}: no file {where!r}", way_out="a path from the working folder"
        ) from error
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{option} {spec!r}: {error}",
            way_out="pip install what's missing, or path/to/file.py:NAME",
        ) from error
    except Exception as error:
        raise CommandError(
            f"{option} {spec!r}: importing {where!r} failed: {type(error).__name__}: {error}",
            way_out="LASH_DEBUG=1 shows where",
        ) from error


def _from_name(name: str) -> ModuleType:
    """Import as `python -m` would: the working folder counts."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return import_module(name)


def _from_file(path: Path) -> ModuleType:
    path = path.expanduser().absolute()
    if not path.is_file():
        raise FileNotFoundError(path)
    name = f"lash_file_{path.stem}_{abs(hash(path)):x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {str(path)!r}")
    module = module_from_spec(spec)
    sys.modules[name] = module  # annotations are looked up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
