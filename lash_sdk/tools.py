"""
A tool: what the model is told of it, how its arguments are checked, what runs.

`@tool` makes one from a typed function. Nothing here calls a tool; that's
`lash_sdk.dispatch`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    TypeAlias,
    get_type_hints,
    overload,
)

from .errors import InvalidInput
from .json import Json, JsonObject, encode
from .messages import Blob, File, Image, Text

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

OnRecovery: TypeAlias = Literal["rerun", "report", "resume"]

Arguments: TypeAlias = dict[str, Any]
"""A call's arguments after validation: what the function takes, by name."""

Function: TypeAlias = Callable[..., Any]
"""Any function that a tool can be made of; its types are read at run time."""

NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
"""What providers accept as a tool's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def wait(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after failed call number *attempt* (from 1)."""
        wait: float = self.first * 2.0 ** (attempt - 1) if asked is None else asked
        return min(wait, self.longest) if self.longest else wait


@dataclass(frozen=True, slots=True, kw_only=True)
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
    retry: ToolRetry = ToolRetry()  # noqa: RUF009 - a frozen value
    tags: tuple[str, ...] = ()


OPEN: Final[JsonObject] = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
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


@overload
def tool(function: Function, /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    on_recovery: OnRecovery = "report",
    timeout: float | None = None,
    serial: bool = False,
    inline: bool = False,
    hidden: bool = False,
    retry: ToolRetry | int | None = None,
    tags: tuple[str, ...] = (),
) -> Callable[[Function], Tool]: ...
def tool(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    retry: ToolRetry | int | None = None,
    **options: Any,
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
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise InvalidInput(f"@tool: unknown option {unknown[0]!r}")

    def make(function: Function) -> Tool:
        policy = ToolRetry(attempts=retry) if isinstance(retry, int) else retry
        definition = ToolDefinition(
            name=name or getattr(function, "__name__", ""),
            retry=policy or ToolRetry(),
            **options,
        )
        return _from_function(function, definition, description)

    return make if function is None else make(function)


_OPTIONS: Final = frozenset(
    ("on_recovery", "timeout", "serial", "inline", "hidden", "tags")
)


def as_tool(thing: Tool | Function) -> Tool:
    """Return *thing* as a tool: itself, or made from a plain function."""
    return thing if isinstance(thing, Tool) else tool(thing)


def from_schema(
    definition: ToolDefinition,
    run: Callable[..., Awaitable[object]],
    *,
    context: str | None = None,
) -> Tool:
    """
    Return a tool whose arguments are described by a schema alone.

    The kernel checks that they are an object with no unknown and no missing
    keys; the rest of the schema is for the one who runs it.
    """
    properties = definition.parameters.get("properties", {})
    required = definition.parameters.get("required", ())
    closed = "properties" in definition.parameters and not definition.parameters.get(
        "additionalProperties"
    )

    def validate(text: str) -> Arguments:
        arguments = parse_arguments(text)
        names = properties if isinstance(properties, Mapping) else {}
        if closed and (unknown := sorted(set(arguments) - set(names))):
            raise InvalidInput(f"arguments.{unknown[0]}: unknown")
        for name in required if isinstance(required, (list, tuple)) else ():
            if name not in arguments:
                raise InvalidInput(f"arguments.{name}: missing")
        return arguments

    return Tool(definition=definition, run=run, validate=validate, context=context)


def parse_arguments(text: str) -> Arguments:
    """
    Return the object that *text* is.

    Raises:
        InvalidInput: It isn't JSON, or not an object.
    """
    import json

    try:
        arguments = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidInput(f"arguments: not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise InvalidInput(f"arguments: expected an object, found {arguments!r}")
    return arguments


def as_json(value: object) -> Json:
    """
    Return what a tool returned as JSON.

    Raises:
        InvalidInput: It can't be said in JSON; the message names its type.
    """
    if value is None or type(value) in (str, int, bool):
        return value  # type: ignore[return-value]
    if isinstance(value, (Text, Image, File)):
        return value.to_json()
    import pydantic_core

    try:
        plain: Json = pydantic_core.to_jsonable_python(value, inf_nan_mode="constants")
        encode(plain)
    except (pydantic_core.PydanticSerializationError, InvalidInput) as error:
        name = type(value).__name__
        raise InvalidInput(f"a value of type {name} is not JSON: {error}") from error
    return plain


def attachments(value: object) -> tuple[Blob, ...]:
    """Return the blobs that a tool returned, alone or in a list."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple([item.blob for item in items if isinstance(item, (Image, File))])


def _from_function(
    function: Function, definition: ToolDefinition, description: str | None
) -> Tool:
    if not NAME.fullmatch(definition.name):
        raise InvalidInput(f"tool name {definition.name!r}: expected {NAME.pattern}")
    summary, about = _docstring(inspect.getdoc(function) or "")
    hints = _hints(function, definition.name)
    context = None
    fields: dict[str, tuple[Any, bool, Any]] = {}
    for parameter in inspect.signature(function).parameters.values():
        where = f"tool {definition.name!r}, parameter {parameter.name!r}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InvalidInput(f"{where}: expected a named parameter")
        if parameter.name not in hints:
            raise InvalidInput(f"{where}: expected a type annotation")
        hint = hints[parameter.name]
        if getattr(hint, "__name__", "") == "ToolContext":
            context = parameter.name
            continue
        optional = parameter.default is not parameter.empty
        fields[parameter.name] = (hint, optional, parameter.default)
    validate, schema = _compile(definition.name, fields, about)
    call = getattr(function, "__call__", function)  # noqa: B004 - its colour
    return Tool(
        definition=replace(
            definition,
            description=summary if description is None else description,
            parameters=schema,
        ),
        run=function,
        validate=validate,
        awaits=inspect.iscoroutinefunction(function)
        or inspect.iscoroutinefunction(call),
        context=context,
    )


def _hints(function: Function, name: str) -> dict[str, Any]:
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except NameError as error:
        raise InvalidInput(f"tool {name!r}: annotation not found: {error}") from error


def _compile(
    name: str, fields: dict[str, tuple[Any, bool, Any]], about: dict[str, str]
) -> tuple[Callable[[str], Arguments], JsonObject]:
    """Return the validator and the schema of a tool's arguments, made by pydantic."""
    from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
    from typing_extensions import Annotated, NotRequired, TypedDict

    keys: dict[str, Any] = {}
    for key, (hint, optional, default) in fields.items():
        notes: dict[str, Any] = {}
        if key in about:
            notes["description"] = about[key]
        if optional and _is_plain(default):
            notes["json_schema_extra"] = {"default": default}
        typed = Annotated[hint, Field(**notes)] if notes else hint
        keys[key] = NotRequired[typed] if optional else typed
    shape = with_config(ConfigDict(extra="forbid"))(TypedDict(f"{name}_arguments", keys))  # type: ignore[operator]
    try:
        adapter: TypeAdapter[Arguments] = TypeAdapter(shape)
        schema = adapter.json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise InvalidInput(f"tool {name!r}: {error}") from error
    parse = adapter.validator.validate_json

    def validate(text: str) -> Arguments:
        try:
            arguments: Arguments = parse(text or "{}", strict=True)
        except ValidationError as error:
            problems = "; ".join([_problem(p) for p in error.errors(include_url=False)])
            raise InvalidInput(problems) from None
        return arguments

    return validate, _trim(schema)


def _problem(problem: ErrorDetails) -> str:
    path = "".join(
        [f"[{at}]" if isinstance(at, int) else f".{at}" for at in problem["loc"]]
    )
    return f"arguments{path}: {problem['msg']}"


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _trim(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without the titles that pydantic makes up."""
    trimmed: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "$defs") and isinstance(value, dict):
            trimmed[key] = {name: _trim(inner) for name, inner in value.items()}
        elif isinstance(value, dict):
            trimmed[key] = _trim(value)
        elif isinstance(value, list):
            trimmed[key] = [_trim(v) if isinstance(v, dict) else v for v in value]
        else:
            trimmed[key] = value
    trimmed.setdefault("properties", {}) if trimmed.get("type") == "object" else None
    return trimmed


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
