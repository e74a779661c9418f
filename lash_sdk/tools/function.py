"""`@tool`: a tool made from a typed function and its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypedDict, Unpack, get_type_hints, overload

from ..errors import InvalidInput
from .definition import Function, OnRecovery, Tool, ToolDefinition, ToolRetry
from .schema import compile_arguments


class ToolOptions(TypedDict, total=False):
    """What `@tool(...)` takes; the fields of `ToolDefinition` say what each means."""

    name: str
    description: str
    on_recovery: OnRecovery
    timeout: float | None
    serial: bool
    inline: bool
    hidden: bool
    retry: ToolRetry | int
    tags: tuple[str, ...]


@overload
def tool(function: Function, /) -> Tool: ...
@overload
def tool(**options: Unpack[ToolOptions]) -> Callable[[Function], Tool]: ...
def tool(
    function: Function | None = None, /, **options: Unpack[ToolOptions]
) -> Tool | Callable[[Function], Tool]:
    """
    Make a tool from a typed function, sync or async.

    The schema comes from the type hints, the descriptions from the docstring
    (its first paragraph, and its `Args:` section). A parameter annotated with
    `ToolContext` gets the call's context and is hidden from the model. The
    function may return anything that JSON can say, a pydantic model, an
    `Image` or `File`, or an outcome of `lash_sdk.outcomes`.

    Raises:
        InvalidInput: A parameter has no type, or none that JSON can say.
    """
    if unknown := sorted(options.keys() - ToolOptions.__annotations__):
        raise InvalidInput(f"@tool: unknown option {unknown[0]!r}")

    def make(function: Function) -> Tool:
        summary, about = _docstring(_words(function))
        known: dict[str, Any] = {"name": _name(function), "description": summary, **options}
        if isinstance(attempts := known.get("retry"), int):
            known["retry"] = ToolRetry(attempts=attempts)
        return _from_function(function, ToolDefinition(**known), about)

    return make if function is None else make(function)


def as_tool(thing: Tool | Function) -> Tool:
    """Return *thing* as a tool: itself, or made from a plain function."""
    return thing if isinstance(thing, Tool) else tool(thing)


def _from_function(
    function: Function, definition: ToolDefinition, about: Mapping[str, str]
) -> Tool:
    written = _written(function)
    fields, context = _parameters(function, _hints(written, definition.name), definition)
    validate, schema = compile_arguments(definition.name, fields, about)
    return Tool(
        definition=replace(definition, parameters=schema),
        run=function,
        validate=validate,
        awaits=inspect.iscoroutinefunction(written),
        context=context,
    )


def _parameters(
    function: Function, hints: dict[str, Any], definition: ToolDefinition
) -> tuple[dict[str, inspect.Parameter], str | None]:
    """Return what the model fills in, and the parameter that takes the context."""
    fields: dict[str, inspect.Parameter] = {}
    context = None
    for name, parameter in inspect.signature(function).parameters.items():
        where = f"tool {definition.name!r}, parameter {name!r}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidInput(f"{where}: expected a named parameter")
        if name not in hints:
            raise InvalidInput(f"{where}: expected a type annotation")
        if getattr(hints[name], "__name__", "") == "ToolContext":
            context = name
        else:
            fields[name] = parameter.replace(annotation=hints[name])
    return fields, context


def _unbound(function: Function) -> Function:
    """Return the callable itself, without what a `partial` has filled in."""
    while isinstance(function, partial):
        function = function.func
    return function


def _written(function: Function) -> Function:
    """Return the function that somebody wrote: with hints, docstring and colour."""
    inner = _unbound(function)
    return inner if inspect.isroutine(inner) else type(inner).__call__


def _words(function: Function) -> str:
    """Return its docstring, or its class' where an object has none of its own."""
    inner = _unbound(function)
    own = _written(function).__doc__ or ""
    words = own if own or inspect.isroutine(inner) else type(inner).__doc__ or ""
    return inspect.cleandoc(words)


def _name(function: Function) -> str:
    inner = _unbound(function)
    return getattr(inner, "__name__", "") or type(inner).__name__


def _hints(written: Function, name: str) -> dict[str, Any]:
    try:
        return get_type_hints(written, include_extras=True)
    except NameError as error:
        raise InvalidInput(f"tool {name!r}: annotation not found: {error}") from error


_SECTION: Final = re.compile(r"^(Args|Arguments|Parameters):\s*$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^\s+(\w+)(?:\s*\([^)]*\))?:\s*(.+)$")


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return a docstring's first paragraph, and what it says of each parameter."""
    summary = " ".join(text.split("\n\n", 1)[0].split())
    about: dict[str, str] = {}
    last = ""
    if found := _SECTION.search(text):
        for line in text[found.end() :].lstrip("\n").splitlines():
            if line and not line[0].isspace():
                break
            if entry := _ENTRY.match(line):
                last = entry[1]
                about[last] = entry[2].strip()
            elif last and line.strip():
                about[last] += " " + line.strip()
    return summary, about
