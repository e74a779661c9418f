"""
First-party plugins are made from what everybody has: the kernel's public names.
"""

from __future__ import annotations

import ast
from importlib import import_module, util
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
FILES: Final = sorted(ROOT.glob("plugins/*/src/**/*.py"))
OWN: Final = frozenset(("self", "cls"))
FOREIGN: Final = frozenset(("os._exit", "_make", "_replace"))
"""Underscored and documented all the same: by `os`, and by named tuples."""


def hidden(name: str) -> bool:
    """Return whether a name says that it's nobody else's."""
    return name.startswith("_") and not name.startswith("__")


def imports(tree: ast.AST) -> list[tuple[str, str]]:
    """Return what's imported from the kernel or from another plugin: module and name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return [each for each in found if each[0].startswith("lash_")]


def exists(module: str, name: str) -> bool:
    """Return whether a module has a name, or a module of that name is in it."""
    room = import_module(module)
    if not name or hasattr(room, name):
        return True
    return hasattr(room, "__path__") and util.find_spec(f"{module}.{name}") is not None


def faults(source: str) -> list[str]:
    """Return what a plugin's source reaches for that isn't for plugins."""
    tree = ast.parse(source)
    found = []
    for module, name in imports(tree):
        if any(map(hidden, (*module.split("."), name))):
            found.append(f"imports {module}.{name}")
        elif module.split(".")[0] == "lash_sdk" and not exists(module, name):
            found.append(f"imports {module}.{name}, which isn't there")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        text = ast.unparse(node)
        if node.attr == "scope":
            found.append(f"line {node.lineno}: {text}")
        mine = isinstance(node.value, ast.Name) and node.value.id in OWN
        if hidden(node.attr) and not mine and not FOREIGN & {text, node.attr}:
            found.append(f"line {node.lineno}: {text}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-4]}/{file.stem}")
def test_a_plugin_reaches_for_public_names_alone(file: Path) -> None:
    """
    What ours need, others need: it has to be a hook, a role or a name.
    """
    assert [] == faults(file.read_text())


@pytest.mark.parametrize(
    "source",
    [
        "from lash_sdk.session.lane import _hidden",
        "from lash_sdk._inside import Thing",
        "import lash_sdk._inside",
        "from lash_sdk.contexts import NoSuchThing",
        "def hook(self, ctx): ctx.scope.listen(print)",
        "def hook(self, session): session._lane.live",
    ],
)
def test_what_is_not_for_plugins_is_found(source: str) -> None:
    """
    A check that finds nothing says nothing.
    """
    assert 1 == len(faults(source))
