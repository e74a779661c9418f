"""
A few safe tools for a first try: `lash run --tool lash_cli.tools:calculate …`.

Files are those of the working folder; nothing is written.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lash_sdk import tool
from lash_sdk.errors import ToolDenied

LONGEST: Final = 20_000
"""Characters of a file that the model is shown."""

_OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
MOST: Final = 1e15
"""Beyond this a number isn't what it says any more."""

MOST_POWER: Final = 64


@tool(on_recovery="rerun", timeout=10)
def read_file(path: str) -> str:
    """Read a text file.

    Args:
        path: The file, below the working folder.
    """
    file = _inside(path)
    if not file.is_file():
        raise FileNotFoundError(f"no file {path!r}")
    with file.open(encoding="utf-8", errors="replace") as lines:
        text = lines.read(LONGEST + 1)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


@tool(on_recovery="rerun", timeout=10)
def list_folder(path: str = ".") -> list[str]:
    """List the files in a folder.

    Args:
        path: The folder, below the working folder.
    """
    folder = _inside(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {path!r}")
    return sorted([f"{each.name}/" if each.is_dir() else each.name for each in folder.iterdir()])


@tool(on_recovery="rerun", inline=True)
def calculate(expression: str) -> str:
    """Calculate with numbers, such as (2 + 3) * 4.

    Args:
        expression: Numbers, parentheses and + - * / // % **.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"not an arithmetic expression: {expression!r}") from None
    try:
        result = _value(tree.body)
    except ZeroDivisionError:
        raise ValueError(f"division by zero in {expression!r}") from None
    return str(int(result)) if result == int(result) else f"{result:.12g}"


@tool(on_recovery="rerun", inline=True)
def current_time() -> str:
    """Tell the date and the time of day."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _inside(path: str) -> Path:
    """Return the real place of *path*; links that lead out count as outside."""
    here = Path.cwd().resolve()
    place = (here / path).resolve()
    if not place.is_relative_to(here):
        raise ToolDenied(f"{path!r} is outside the working folder")
    return place


def _value(node: ast.AST) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            result: float = number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            result = -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            result = _value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second = _value(left), _value(right)
            if isinstance(op, ast.Pow) and abs(second) > MOST_POWER:
                raise ValueError(f"exponent {second!r}: expected at most {MOST_POWER}")
            result = _OPERATORS[type(op)](first, second)
        case _:
            raise ValueError(f"only numbers can be calculated, found {ast.unparse(node)!r}")
    if isinstance(result, complex) or not abs(result) <= MOST:
        raise ValueError(f"the result is beyond {MOST:g}")
    return result
