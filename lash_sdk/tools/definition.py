"""A tool: what's known of it without running it, and how it's made of a function."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field, replace
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypedDict, Unpack

from ..errors import InvalidInput, expect
from ..json import JsonObject, frozen
from .schema import Arguments, compile_arguments, parse_arguments

OnRecovery: TypeAlias = Literal["rerun", "report", "resume"]

Function: TypeAlias = Callable[..., Any]
"""Any function that a tool can be made of; its types are read at run time."""

NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
"""What providers accept as a tool's name."""

OPEN: Final[JsonObject] = {"type": "object", "properties": {}, "additionalProperties": True}
"""The schema of a tool that takes any arguments."""


@frozen
class ToolRetry:
    """
    How a failing call is tried again; only failures marked safe are.

    Attributes:
        attempts: Calls in all, at least 1.
        first: Seconds before the second call; each later wait is twice as long.
        longest: No wait is longer (seconds); 0 means no bound.
        idempotent: The tool takes a key (`ctx.idempotency_key`) that makes a
            repeated call one call.
    """

    attempts: int = 1
    first: float = 0.5
    longest: float = 10.0
    idempotent: bool = False

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidInput(f"retry.attempts: expected >= 1, found {self.attempts!r}")

    def wait(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after failed call number *attempt* (from 1)."""
        wait = self.first * 2.0 ** min(attempt - 1, 60) if asked is None else asked
        return max(0.0, min(wait, self.longest) if self.longest else wait)


@frozen
class ToolDefinition:
    """
    What's known of a tool without running it.

    Attributes:
        parameters: JSON Schema of the arguments, an object.
        on_recovery: What a resumed turn does with a call that may have run:
            run it again, report that its outcome is unknown, or call it again
            with the same idempotency key.
        timeout: Seconds for one attempt; None means that the tool has its own.
        serial: It never runs beside another call of its batch.
        inline: A sync function runs on the event loop, not in a thread.
        hidden: It can't be called or seen until availability says so.
        tags: The author's words, for availability rules and catalogues.
    """

    name: str
    description: str = ""
    parameters: JsonObject = field(default_factory=lambda: dict(OPEN))
    on_recovery: OnRecovery = "report"
    timeout: float | None = None
    serial: bool = False
    inline: bool = False
    hidden: bool = False
    retry: ToolRetry = ToolRetry()
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InvalidInput(f"tool name {self.name!r}: expected {NAME.pattern}")
        if self.on_recovery not in (known := typing.get_args(OnRecovery)):
            why = f"on_recovery: expected one of {known}, found {self.on_recovery!r}"
            raise InvalidInput(f"tool {self.name!r}: {why}")
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidInput(f"tool {self.name!r}: timeout: expected > 0, found {self.timeout!r}")


@frozen
class Tool:
    """
    A definition, and what runs.

    Attributes:
        run: Called with the validated arguments by name, and with the context
            under `context` if that isn't None.
        validate: Takes JSON text and returns the arguments, or raises
            `InvalidInput` with the path of what doesn't fit.
        awaits: Whether `run` returns an awaitable.
        context: The name of the parameter that takes the `ToolContext`.
    """

    definition: ToolDefinition
    run: Callable[..., Awaitable[object] | object]
    validate: Callable[[str], Arguments]
    awaits: bool = True
    context: str | None = None

    @property
    def name(self) -> str:
        """The name that a model calls it by."""
        return self.definition.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it had never become a tool."""
        return self.run(*args, **kwargs)


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


@typing.overload
def tool(function: Function, /) -> Tool: ...
@typing.overload
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
    """
    Return *thing* as a tool: itself, or made from a plain function.

    Raises:
        InvalidInput: It's neither.
    """
    expect(Tool | Callable, tool=thing)
    return thing if isinstance(thing, Tool) else tool(thing)


def from_schema(
    definition: ToolDefinition, run: Callable[..., Awaitable[object]], *, context: str | None = None
) -> Tool:
    """
    Return a tool whose arguments are described by a schema alone.

    The kernel checks that they are an object with no unknown and no missing
    keys; the rest of the schema is for the one who runs it.
    """
    schema: Mapping[str, Any] = definition.parameters
    closed = "properties" in schema and schema.get("additionalProperties") in (None, False)
    names, required = schema.get("properties") or (), schema.get("required") or ()

    def validate(text: str) -> Arguments:
        arguments = parse_arguments(text)
        if closed and (unknown := sorted(arguments.keys() - names)):
            raise InvalidInput(f"arguments.{unknown[0]}: unknown")
        if missing := [name for name in required if name not in arguments]:
            raise InvalidInput(f"arguments.{missing[0]}: missing")
        return arguments

    return Tool(definition=definition, run=run, validate=validate, context=context)


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
        return typing.get_type_hints(written, include_extras=True)
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
