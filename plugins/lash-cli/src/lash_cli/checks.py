"""
What can be wrong with one plugin, found by importing it: run in a process of its own.

An error keeps the plugin from working; a warning is what `check --strict` minds.
"""

from __future__ import annotations

import ast
import inspect
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pydantic  # noqa: F401 - loaded first: what a plugin is charged with is its own

from lash_sdk import contexts
from lash_sdk.errors import ConfigError, LashError
from lash_sdk.hooks import HOOKS
from lash_sdk.plugins.config import configured
from lash_sdk.plugins.discovery import OWN_DIST
from lash_sdk.plugins.loading import load
from lash_sdk.plugins.registry import Registry

from .settings import guess

if TYPE_CHECKING:
    from lash_sdk.plugins.discovery import Found
    from lash_sdk.plugins.impls import Impl
    from lash_sdk.plugins.registered import Registered

SLOW: Final = 1.0
"""Seconds of the processor that importing one may take; everybody waits for it, each time."""

LIGHT: Final = frozenset(
    (
        "annotated_types",
        "importlib_metadata",
        "lash_sdk",
        "packaging",
        "pluggy",
        "pydantic",
        "pydantic_core",
        "typing_extensions",
        "typing_inspection",
        "zipp",
    )
)
"""Packages that are loaded in any case, the SDK's own needs."""

MUTABLE: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MAKERS: Final = frozenset(("list", "dict", "set", "defaultdict", "deque", "Counter"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One thing that's wrong.

    Attributes:
        level: "error" or "warning".
        problem: What kind it is, in two or three words.
    """

    level: str
    problem: str
    cause: str
    fix: str


@dataclass(slots=True)
class Checked:
    """What came of importing a plugin: it, its hooks, and what's wrong."""

    findings: list[Finding]
    plugin: Registered | None = None
    hooks: tuple[str, ...] = ()


def check(found: Found, sections: Mapping[str, Any]) -> Checked:
    """Import *found* and return what's wrong with it; *sections* is the configuration."""
    before, began = set(sys.modules), time.process_time()
    try:
        plugin = load(found)
    except (Exception, SystemExit) as error:
        return Checked([_import_failed(found, error)])
    seconds = time.process_time() - began
    checked = Checked([*_slow(found, seconds), *_heavy(found, before)], plugin)
    try:
        registry = Registry([plugin])
    except LashError as error:
        checked.findings.append(_unfit(found, str(error)))
        return checked
    impls = [(name, each) for name, impls in registry.impls.items() for each in impls]
    checked.hooks = tuple([name for name, _impl in impls])
    for name, impl in impls:
        checked.findings += _types(name, impl)
    checked.findings += _settings(plugin, sections)
    checked.findings += _migrations(found, plugin)
    checked.findings += _names(plugin)
    if found.dist != OWN_DIST:
        checked.findings += _package(found)
    return checked


def _error(problem: str, cause: str, fix: str) -> Finding:
    return Finding(level="error", problem=problem, cause=cause, fix=fix)


def _warning(problem: str, cause: str, fix: str) -> Finding:
    return Finding(level="warning", problem=problem, cause=cause, fix=fix)


def _import_failed(found: Found, error: BaseException) -> Finding:
    own = found.value.partition(":")[0].partition(".")[0]
    leave_out = f"pip install --upgrade {found.dist}, or lash plugins disable {found.name}"
    cause = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return _error("syntax error", f"{error.filename}:{error.lineno}: {error.msg}", leave_out)
    if isinstance(error, ModuleNotFoundError):
        top = (error.name or "").partition(".")[0]
        if top and top != own:
            fix = f"pip install {top} (or the package that brings it), or reinstall {found.dist}"
            return _error("missing dependency", str(error), fix)
        fix = f"reinstall {found.dist}, or have its entry point name a module that's there"
        return _error("bad entry point", f"{found.value!r}: {error}", fix)
    if isinstance(error, AttributeError) and "lash_sdk.hooks" in str(error):
        name = str(getattr(error, "name", ""))
        fix = f"take a hook that this SDK has{guess(name, HOOKS)}; lash_sdk.hooks lists them"
        return _error("misspelt hook", f"there is no hook {name!r}", fix)
    name = found.value.partition(":")[2]
    if isinstance(error, AttributeError) and f"attribute {name.partition('.')[0]!r}" in str(error):
        fix = f"have the entry point {found.name!r} name a Plugin class of that module"
        return _error("bad entry point", f"{found.value!r}: {error}", fix)
    if isinstance(error, LashError):
        fix = f"have the entry point {found.name!r} name a Plugin class"
        return _error("bad entry point", f"{found.value!r}: {error}", fix)
    return _error("import failure", cause, leave_out)


def _unfit(found: Found, text: str) -> Finding:
    if "unknown hook" in text:
        wrong = text.split("unknown hook ", 1)[1].split("'")[1]
        fix = f"take a hook that this SDK has{guess(wrong, HOOKS)}"
        return _error("misspelt hook", f"there is no hook {wrong!r}", fix)
    fix = f"change the method as the hook's spec says, or upgrade {found.dist}"
    return _error("wrong types", text, fix)


def _slow(found: Found, seconds: float) -> Iterator[Finding]:
    if seconds > SLOW:
        fix = "import what takes long inside the function that needs it"
        yield _error("slow import", f"importing {found.value!r} took {seconds:.1f} s", fix)


def _heavy(found: Found, before: set[str]) -> Iterator[Finding]:
    own = found.value.partition(":")[0].partition(".")[0]
    tops = {name.partition(".")[0] for name in set(sys.modules) - before}
    for top in sorted(tops - LIGHT - {own} - sys.stdlib_module_names):
        file = str(getattr(sys.modules.get(top), "__file__", None) or "")
        if "site-packages" in file and not top.startswith("_"):
            fix = "import it inside the function that needs it"
            yield _warning("heavy import", f"importing the plugin loads {top!r}", fix)


def _types(hook: str, impl: Impl) -> Iterator[Finding]:
    """Find a context that the hook doesn't give, and what isn't annotated."""
    function = inspect.unwrap(impl.function)
    where = f"{hook} ({getattr(function, '__qualname__', function)})"
    said = getattr(function, "__annotations__", {})
    if "ctx" not in said or "return" not in said:
        fix = "annotate the context and what it returns: checkers can see no mistake without"
        yield _warning("not typed", f"{where} has no types", fix)
    name = str(getattr(said.get("ctx"), "__name__", said.get("ctx", ""))).rpartition(".")[2]
    wanted, given = HOOKS.get(hook), getattr(contexts, name, None)
    if wanted is None or given is None:
        return
    own = getattr(contexts, wanted.context, None)
    if isinstance(own, type) and isinstance(given, type) and not issubclass(own, given):
        fix = f"annotate it as {wanted.context}"
        yield _error("wrong types", f"{where}: expected {wanted.context}, found {name}", fix)


def _settings(plugin: Registered, sections: Mapping[str, Any]) -> Iterator[Finding]:
    own = {name: value for name, value in sections.items() if name == plugin.name}
    try:
        configured([plugin], own)
    except ConfigError as error:
        for problem in error.problems:
            fix = f"mend [plugins.{plugin.name}] in lash.toml; lash plugins config {plugin.name}"
            yield _error("bad config", problem, fix)


def _migrations(found: Found, plugin: Registered) -> Iterator[Finding]:
    thing: Any = plugin.thing
    known = getattr(thing, "migrations", {})
    missing = [each for each in range(1, getattr(thing, "state_version", 1)) if each not in known]
    if missing:
        cause = f"no migration from state version {missing[0]}"
        fix = f"upgrade {found.dist}; its author adds migrations[{missing[0]}]"
        yield _error("failing migration", cause, fix)


def _names(plugin: Registered) -> Iterator[Finding]:
    """Find methods that are called like a hook and aren't one."""
    for name, value in vars(plugin.thing).items():
        marked = hasattr(getattr(value, "__func__", value), "lash_impl")
        if name in HOOKS and inspect.isroutine(value) and not marked:
            fix = f"decorate it with @hooks.{name}, or give it another name"
            yield _warning("unmarked hook", f"{name} isn't marked and is never called", fix)


def _package(found: Found) -> Iterator[Finding]:
    if not any(mark in found.requires for mark in (">=", "~=", "==")):
        fix = f'dependencies = ["lash-sdk>=…"] in the pyproject.toml of {found.dist}'
        yield _warning("no range", f"{found.dist} takes any lash-sdk, also too old ones", fix)
    own = found.value.partition(":")[0].partition(".")[0]
    spec = find_spec(own)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if folders and not any((Path(folder) / "py.typed").is_file() for folder in folders):
        fix = f"put an empty file py.typed into {own}"
        yield _warning("no py.typed", f"the types of {own} are ignored elsewhere", fix)
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    if spec and spec.origin and not folders:
        paths = [Path(spec.origin)]
    for path in paths:
        yield from _globals(path)


def _globals(path: Path) -> Iterator[Finding]:
    """Find state of a module, which every session and every app of a process shares."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return
    fix = "keep it in the plugin's State, or on the instance"
    for name in _changing(tree.body):
        yield _warning("global state", f"{path.name}: {name} can be changed by every session", fix)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            cause = f"{path.name}:{node.lineno}: global {', '.join(node.names)}"
            yield _warning("global state", cause, fix)


def _changing(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        value = getattr(node, "value", None)
        made = isinstance(value, MUTABLE) or (
            isinstance(value, ast.Call) and getattr(value.func, "id", "") in MAKERS
        )
        final = "Final" in ast.dump(node.annotation) if isinstance(node, ast.AnnAssign) else False
        for target in targets if made and not final else ():
            if isinstance(target, ast.Name) and not target.id.startswith("__"):
                yield target.id
