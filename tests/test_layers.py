"""
The law of the kernel's layers, and its limits of size.

A room is a module of `lash_sdk`, or a package once it has outgrown one. A module
imports from lower layers, and from rooms to the left of its own in its own layer.
Every import counts: at the top, inside a function, under `TYPE_CHECKING`. The table
below is the law, and changing it is a design decision.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
KERNEL: Final = "lash_sdk"

LAYERS: Final[tuple[tuple[str, ...], ...]] = (
    ("errors", "json", "usage", "policy", "messages"),  # 0 words
    ("outcomes", "graph", "commits", "events", "effects"),  # 1 facts
    ("tools", "prompt", "protocol", "turn"),  # 2 pure
    ("ports", "contexts", "hooks"),  # 3 contracts
    ("memory", "plugins", "journal", "dispatch", "runner"),  # 4 outward
    ("session", "app"),  # 5 whole
    ("testing", "__init__"),  # 6 edge
)
PLACES: Final[Mapping[str, tuple[int, int]]] = {
    room: (height, column)
    for height, layer in enumerate(LAYERS)
    for column, room in enumerate(layer)
}

# Layers 0 to 2 give one answer to one question: no I/O, loop, clock or chance.
PURE_LAYERS: Final = 3
PURE_IMPORTS: Final = frozenset(
    {
        "__future__",
        "base64",
        "collections",
        "dataclasses",
        "decimal",
        "enum",
        "functools",
        "hashlib",
        "inspect",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "textwrap",
        "types",
        "typing",
        "typing_extensions",
    }
)
PURE_LAZY_IMPORTS: Final[Mapping[str, frozenset[str]]] = {
    # schemas; loaded when the first one is made
    "tools": frozenset({"pydantic", "pydantic_core"})
}
IMPURE_CALLS: Final = frozenset(
    {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}
)

MAKES_CLASSES: Final = {("lash_sdk.json.values", "exec")}
"""What is called while a class is made, never later: see docs/decisions/values.md."""

# What is not in the standard library, and which rooms may import it.
EVERY_ROOM: Final = frozenset(PLACES)
THIRD_PARTIES: Final[Mapping[str, frozenset[str]]] = {
    "importlib_metadata": frozenset({"plugins"}),
    "packaging": frozenset({"plugins"}),
    "pluggy": frozenset({"hooks", "plugins"}),
    "pydantic": EVERY_ROOM,
    "pydantic_core": EVERY_ROOM,
    "pytest": frozenset({"testing"}),
    "typing_extensions": EVERY_ROOM,
}
PLUGGY_MANAGER: Final = "PluginManager"
MANAGER_ROOM: Final = "plugins"

# SQL, HTTP, command lines and pickles are for plugins.
OUTSIDE: Final = (
    "argparse",
    "cmd",
    "dbm",
    "ftplib",
    "getopt",
    "http",
    "imaplib",
    "optparse",
    "pickle",
    "poplib",
    "shelve",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "urllib.request",
    "xmlrpc",
)

MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 50
PARAMETERS: Final = 6
KERNEL_LINES: Final = 4_500
# What it has now: lower it with every change that makes the kernel smaller.
KERNEL_NOW: Final = 8391

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """
    One name that a module imports.

    Attributes:
        target: Dotted and absolute; `from a import b` has both, as `a.b`.
        deferred: Not run when the module is: in a function, or for types alone.
    """

    target: str
    line: int
    deferred: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A file of the kernel, read and parsed."""

    name: str  # "lash_sdk.plugins.index"; a package's own file has the package's name
    source: str
    tree: ast.Module
    package: bool

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"


Modules = Mapping[str, Module]


def read(root: Path) -> Modules:
    """
    Return every module of the kernel that lies in *root*, by dotted name.
    """
    modules: dict[str, Module] = {}
    for path in sorted((root / KERNEL).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        source = path.read_text(encoding="utf-8")
        modules[name] = Module(name=name, source=source, tree=ast.parse(source), package=package)
    return modules


def imports(module: Module) -> Iterator[Import]:
    """
    Yield each import of *module*, wherever it stands, with relative ones resolved.
    """
    waiting: list[tuple[ast.AST, bool]] = [(module.tree, False)]
    while waiting:
        node, deferred = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in _targets(module, node):
                yield Import(target=target, line=node.lineno, deferred=deferred)
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting.extend((child, True) for child in node.body)
            waiting.extend((child, deferred) for child in node.orelse)
            continue
        inside = deferred or isinstance(node, Function | ast.Lambda)
        waiting.extend((child, inside) for child in ast.iter_child_nodes(node))


def _targets(module: Module, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    origin = node.module or ""
    if node.level:
        here = module.name.split(".")
        up = node.level - (1 if module.package else 0)
        origin = ".".join([*here[: len(here) - up], *filter(None, [origin])])
    yield from (f"{origin}.{alias.name}" for alias in node.names)


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in {getattr(test, "id", None), getattr(test, "attr", None)}


def kernel_targets(module: Module, modules: Modules) -> Iterator[tuple[str, Import]]:
    """
    Yield the kernel's modules that *module* imports.

    `lash_sdk.a.b` is the module of that name, or the name `b` in `lash_sdk.a`.
    A room that is not written yet is a target as well.
    """
    for each in imports(module):
        parts = each.target.split(".")
        if parts[0] != KERNEL:
            continue
        while len(parts) > 1 and ".".join(parts) not in modules:
            if len(parts) == 2 and parts[1] in PLACES:
                break
            parts.pop()
        yield ".".join(parts), each


def misplaced(module: Module, modules: Modules) -> list[str]:
    """
    Return what *module* imports from above it, or from its right.
    """
    if module.room not in PLACES:
        return [f"{module.name} is in no layer: {module.room!r} is not a room"]
    faults: dict[str, None] = {}  # one for a statement, however many names it has
    for target, each in kernel_targets(module, modules):
        room = target.split(".")[1] if "." in target else "__init__"
        if room == module.room:
            continue
        if room not in PLACES or PLACES[room] > PLACES[module.room]:
            faults[f"{module.name}:{each.line} imports {target}, which is above"] = None
    return list(faults)


def impurities(module: Module, _: Modules) -> list[str]:
    """
    Return what *module*, if it is in a pure layer, imports or calls all the same.
    """
    height, _column = PLACES.get(module.room, (0, 0))
    if height >= PURE_LAYERS:
        return []
    lazy = PURE_LAZY_IMPORTS.get(module.room, frozenset())
    faults: list[str] = []
    for each in imports(module):
        name = each.target.split(".")[0]
        if name == KERNEL or name in PURE_IMPORTS or (each.deferred and name in lazy):
            continue
        faults.append(f"{module.name}:{each.line} imports {each.target}")
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if (
                name in IMPURE_CALLS and (module.name, name) not in MAKES_CLASSES
            ):
                faults.append(f"{module.name}:{node.lineno} calls {name}")
            case _:
                pass
    return faults


def strangers(module: Module, _: Modules) -> list[str]:
    """
    Return what *module* imports that the kernel, or its room, must not know.
    """
    faults: list[str] = []
    for each in imports(module):
        name = each.target.split(".")[0]
        outside = any(f"{each.target}.".startswith(f"{out}.") for out in OUTSIDE)
        known = name == KERNEL or name in sys.stdlib_module_names
        allowed = module.room in THIRD_PARTIES.get(name, ())
        if outside or not (known or allowed):
            faults.append(f"{module.name}:{each.line} imports {each.target}")
    if module.room != MANAGER_ROOM:
        faults.extend(_manager_uses(module))
    return faults


def _manager_uses(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.alias(name=name) | ast.Attribute(attr=name) | ast.Name(id=name) if (
                name == PLUGGY_MANAGER
            ):
                yield f"{module.name}:{node.lineno} uses {PLUGGY_MANAGER}"
            case _:
                pass


def eager(module: Module, _: Modules) -> list[str]:
    """
    Return what `import lash_sdk` itself would load.
    """
    if module.name != KERNEL:
        return []
    return [
        f"{module.name}:{each.line} imports {each.target} at once"
        for each in imports(module)
        if not each.deferred
        and each.target.split(".")[0] not in {"__future__", "importlib", "typing"}
    ]


def cycle(modules: Modules) -> list[str]:
    """
    Return one way around in the imports of *modules*, or nothing.
    """
    graph = {
        name: {target for target, _ in kernel_targets(module, modules)}
        for name, module in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def twofold(root: Path) -> list[str]:
    """
    Return the modules in *root* that have a package of their name beside them.
    """
    return [
        path.stem
        for path in sorted((root / KERNEL).rglob("*.py"))
        if (path.with_suffix("") / "__init__.py").exists()
    ]


def code_lines(module: Module) -> frozenset[int]:
    """
    Return the numbers of the lines that hold code.

    Blank lines, comments and docstrings do not; neither does any other string that
    stands alone, which is how an attribute is described.
    """
    silent = {
        tokenize.COMMENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.INDENT,
        tokenize.NEWLINE,
        tokenize.NL,
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(module.tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                lines.difference_update(_span(node))
            case _:
                pass
    blank = {
        number
        for number, text in enumerate(module.source.splitlines(), start=1)
        if not text.strip()
    }
    return frozenset(lines - blank)


def _span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def oversized(module: Module, _: Modules) -> list[str]:
    """
    Return the limits of size that *module* and its functions are beyond.
    """
    faults: list[str] = []
    total = len(module.source.splitlines())
    if total > MODULE_LINES:
        faults.append(f"{module.name} has {total} lines, {MODULE_LINES} at most")
    code = code_lines(module)
    for function, method in functions(module.tree):
        where = f"{module.name}:{function.lineno} {function.name}"
        length = len(code.intersection(_span(function)))
        if length > FUNCTION_LINES:
            faults.append(f"{where} has {length} lines, {FUNCTION_LINES} at most")
        count = parameters(function, method=method)
        if count > PARAMETERS:
            faults.append(f"{where} has {count} parameters, {PARAMETERS} at most")
    return faults


def functions(tree: ast.AST) -> Iterator[tuple[Function, bool]]:
    """
    Yield each function in *tree*, and whether it is a method.
    """
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            if isinstance(child, Function):
                yield child, isinstance(parent, ast.ClassDef)


def parameters(function: Function, *, method: bool) -> int:
    """
    Return how many parameters a caller of *function* sees; 0 for a constructor.
    """
    if method and function.name in {"__init__", "__new__"}:
        return 0
    given = function.args
    count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
    count += (given.vararg is not None) + (given.kwarg is not None)
    static = any(
        isinstance(decorator, ast.Name) and decorator.id == "staticmethod"
        for decorator in function.decorator_list
    )
    return count - (1 if method and not static else 0)


def kernel_lines(modules: Modules) -> int:
    """
    Return how many lines of code the kernel has, `testing` left out.
    """
    return sum(len(code_lines(module)) for module in modules.values() if module.room != "testing")


# The kernel as it is

MODULES: Final = read(ROOT)
every_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES.keys())


@every_module
def test_imports_point_down_or_left(module: Module) -> None:
    """
    The layer of a module says what it can break, and what can break it.
    """
    assert [] == misplaced(module, MODULES)


@every_module
def test_the_lower_layers_are_pure(module: Module) -> None:
    """
    A turn is replayed from values: nothing below the contracts may look outside.
    """
    assert [] == impurities(module, MODULES)


@every_module
def test_the_kernel_knows_no_vendor(module: Module) -> None:
    """
    Databases, servers and terminals are plugins, so that they can be changed.
    """
    assert [] == strangers(module, MODULES)


@every_module
def test_modules_and_functions_stay_small(module: Module) -> None:
    """
    What hurts at a limit is split by noun, or becomes a plugin.
    """
    assert [] == oversized(module, MODULES)


@every_module
def test_the_package_itself_imports_nothing(module: Module) -> None:
    """
    Importing the package costs nothing until a name of it is asked for.
    """
    assert [] == eager(module, MODULES)


def test_no_module_is_imported_by_what_it_imports() -> None:
    """
    In a cycle no module can be read, tested or moved alone.
    """
    assert [] == cycle(MODULES)


def test_a_room_is_a_module_or_a_package() -> None:
    """
    Of a module and a package of one name, Python silently takes the package.
    """
    assert [] == twofold(ROOT)


@pytest.mark.xfail(strict=True, reason="docs/decisions/size.md says how far it is")
def test_the_kernel_stays_small() -> None:
    """
    A newcomer reads the kernel in an afternoon.
    """
    assert kernel_lines(MODULES) < KERNEL_LINES


def test_the_kernel_does_not_grow() -> None:
    """
    On the way to the limit there's no way back: whoever adds takes out as much.
    """
    assert kernel_lines(MODULES) <= KERNEL_NOW


def test_importing_the_package_loads_no_other_package() -> None:
    """
    What a lazy export loads by accident, everybody pays for at start.
    """
    script = (
        "import sys; before = set(sys.modules); import lash_sdk;"
        "print(*sorted(set(sys.modules) - before - set(sys.stdlib_module_names)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = shown.stdout.split()

    foreign = {name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names}
    assert {KERNEL} == foreign


# Planted violations: each check can fail

Plant = Callable[..., Modules]
Check = Callable[[Module, Modules], list[str]]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Return a function that writes a kernel of the given files and reads it."""

    def written(**files: str) -> Modules:
        for name, source in {"__init__": "", **files}.items():
            path = tmp_path / KERNEL / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return read(tmp_path)

    return written


@pytest.mark.parametrize(
    ("check", "room", "source"),
    [
        (misplaced, "events", "from lash_sdk.effects import AskModel\n"),
        (misplaced, "events", "from lash_sdk import turn\n"),
        (misplaced, "events", "from lash_sdk.turn import Turn, advance\n"),
        (misplaced, "events", "import lash_sdk.turn\n"),
        (misplaced, "events", "from .turn import advance\n"),
        (misplaced, "events", "from . import turn\n"),
        (misplaced, "events", "def late() -> None:\n    from .turn import advance\n"),
        (misplaced, "events", "class Late:\n    import lash_sdk.session\n"),
        (misplaced, "events", "if TYPE_CHECKING:\n    from .app import Lash\n"),
        (misplaced, "events", "from lash_sdk import Lash\n"),
        (misplaced, "events", "from lash_sdk.nowhere import thing\n"),
        (misplaced, "runner", "from lash_sdk.session import Session\n"),
        (misplaced, "plugins__in__index", "from ..dispatch import batch\n"),
        (misplaced, "utils", ""),
        (impurities, "turn", "import asyncio\n"),
        (impurities, "turn", "def now() -> float:\n    import time\n"),
        (impurities, "errors", "from os import environ\n"),
        (impurities, "policy", "import random\n"),
        (impurities, "messages", "import pluggy\n"),
        (impurities, "tools", "import pydantic\n"),
        (impurities, "turn", "def schema() -> None:\n    import pydantic\n"),
        (impurities, "prompt", "text = open('prompt.txt').read()\n"),
        (strangers, "memory", "import sqlite3\n"),
        (strangers, "runner", "from http.client import HTTPConnection\n"),
        (strangers, "runner", "import urllib.request\n"),
        (strangers, "runner", "def ask() -> None:\n    import openai\n"),
        (strangers, "app", "from rich.console import Console\n"),
        (strangers, "session", "import lash_cli\n"),
        (strangers, "runner", "import pluggy\n"),
        (strangers, "hooks", "from pluggy import PluginManager\n"),
        (strangers, "hooks", "import pluggy\nmanager = pluggy.PluginManager('lash')\n"),
        (strangers, "app", "import pytest\n"),
        (eager, "__init__", "from lash_sdk.app import Lash\n"),
        (eager, "__init__", "import pydantic\n"),
        (oversized, "turn", "\n" * (MODULE_LINES + 1)),
        (oversized, "turn", "def f() -> None:\n" + "    x = 1\n" * FUNCTION_LINES),
        (oversized, "turn", "def f(a, b, c, d, *, e, f, g): ...\n"),
        (oversized, "turn", "def f(a, b, c, d, e, *f, **g): ...\n"),
        (oversized, "turn", "class C:\n    def f(self, a, b, c, d, e, f, g): ...\n"),
        (oversized, "turn", "class C:\n    @staticmethod\n    def f(a, b, c, d, e, f, g): ...\n"),
    ],
)
def test_a_planted_violation_is_found(plant: Plant, check: Check, room: str, source: str) -> None:
    """
    A law that nothing can break forbids nothing.
    """
    modules = plant(**{"turn": "", room: source})
    name = KERNEL if room == "__init__" else f"{KERNEL}.{room.replace('__in__', '.')}"

    faults = check(modules[name], modules)

    assert 1 == len(faults)


@pytest.mark.parametrize(
    ("check", "room", "source"),
    [
        (misplaced, "effects", "from lash_sdk.events import Event\n"),
        (misplaced, "turn", "from . import events, messages\n"),
        (misplaced, "plugins__in__index", "from .order import first\n"),
        (misplaced, "plugins__in__index", "from ..hooks import before_turn\n"),
        (misplaced, "__init__", "def load() -> None:\n    from .app import Lash\n"),
        (impurities, "json", "from __future__ import annotations\nimport json\n"),
        (impurities, "turn", "from collections.abc import Mapping\n"),
        (impurities, "tools", "def schema() -> None:\n    import pydantic\n"),
        (impurities, "runner", "import asyncio, time\n"),
        (strangers, "hooks", "import pluggy\n"),
        (strangers, "plugins", "from pluggy import PluginManager\n"),
        (strangers, "app", "from urllib.parse import urlsplit\n"),
        (strangers, "testing__in__pytest", "import pytest\n"),
        (eager, "__init__", "def load() -> None:\n    from .app import Lash\n"),
        (oversized, "turn", "\n" * MODULE_LINES),
        (oversized, "turn", "def f(a, b, c, d, e, f): ...\n"),
        (oversized, "turn", "class C:\n    def f(self, a, b, c, d, e, f): ...\n"),
        (oversized, "turn", "class C:\n    def __init__(self, a, b, c, d, e, f, g): ...\n"),
        (
            oversized,
            "turn",
            'def f() -> None:\n    """\n'
            + "    word\n" * 60
            + '    """\n'
            + "    # why\n\n" * 60
            + "    x = 1\n" * (FUNCTION_LINES - 1),
        ),
    ],
)
def test_what_is_lawful_passes(plant: Plant, check: Check, room: str, source: str) -> None:
    """
    A law that everything breaks is soon ignored.
    """
    modules = plant(**{room: source})
    name = KERNEL if room == "__init__" else f"{KERNEL}.{room.replace('__in__', '.')}"

    faults = check(modules[name], modules)

    assert [] == faults


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from . import order\n", "from . import index\n"),
        ("from .order import a\n", "def late() -> None:\n    from .index import b\n"),
        (
            "from lash_sdk.plugins.order import a\n",
            "if TYPE_CHECKING:\n    from lash_sdk.plugins import index\n",
        ),
    ],
)
def test_a_planted_cycle_inside_a_room_is_found(plant: Plant, first: str, second: str) -> None:
    """
    Layers keep rooms apart; within a package only this check looks.
    """
    modules = plant(plugins__in____init__="", plugins__in__index=first, plugins__in__order=second)

    assert {f"{KERNEL}.plugins.index", f"{KERNEL}.plugins.order"} == set(cycle(modules))


def test_a_package_and_its_own_module_can_form_a_cycle(plant: Plant) -> None:
    """
    A package that exports what its modules import is a cycle too.
    """
    modules = plant(
        plugins__in____init__="from .index import scan\n",
        plugins__in__index="from lash_sdk.plugins import scan\n",
    )

    assert cycle(modules)


def test_a_room_in_two_places_is_found(plant: Plant, tmp_path: Path) -> None:
    """
    The module beside the package would be dead code that looks alive.
    """
    plant(plugins="", plugins__in____init__="")

    assert ["plugins"] == twofold(tmp_path)


def test_lines_of_code_leave_out_words(plant: Plant) -> None:
    """
    Were docstrings counted, a full kernel would be made smaller by saying less.
    """
    source = (
        '"""Words."""\n\n# a comment\nX = 1  # counted\n"""What X is."""\n\n\n'
        'def f() -> str:\n    """\n    More words.\n    """\n'
        '    return """one\n\ntwo"""\n'
    )
    modules = plant(turn=source, testing="Y = 2\n")

    assert {4, 8, 12, 14} == code_lines(modules[f"{KERNEL}.turn"])
    assert 4 == kernel_lines(modules)
