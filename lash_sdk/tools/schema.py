"""A call's arguments: read from JSON, checked against what the tool takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from inspect import Parameter
from json import JSONDecoder
from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ..errors import InvalidInput
from ..json import DIGITS, INNER, JsonObject, check, unique

Arguments: TypeAlias = dict[str, Any]
"""A call's arguments after validation: what the function takes, by name."""

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_decoder = JSONDecoder(object_pairs_hook=unique)


def parse_arguments(text: str) -> Arguments:
    """
    Return the object that *text* is; no text at all is an empty one.

    Raises:
        InvalidInput: It isn't JSON that can be stored, a key stands twice in it, or
            it's not an object.
    """
    try:
        arguments = _decoder.decode(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"arguments: not JSON: {error}") from error
    check(arguments, where="arguments")
    if not isinstance(arguments, dict):
        raise InvalidInput(f"arguments: expected an object, found {arguments!r}")
    return arguments


def compile_arguments(
    name: str, fields: Mapping[str, Parameter], about: Mapping[str, str]
) -> tuple[Callable[[str], Arguments], JsonObject]:
    """Return the validator and the schema of a tool's arguments, made by pydantic."""
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    try:
        adapter: TypeAdapter[Arguments] = TypeAdapter(_shape(name, fields, about))
        schema = adapter.json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise InvalidInput(f"tool {name!r}: {error}") from error
    parse = adapter.validator.validate_json
    # a model inside says nothing of unknown fields unless its author did
    extra: Literal["forbid"] | None = None if _takes_more(schema) else "forbid"

    def validate(text: str) -> Arguments:
        if _is_odd(text):
            parse_arguments(text)
        try:
            arguments: Arguments = parse(text or "{}", strict=True, extra=extra)
        except ValidationError as error:
            parse_arguments(text)  # says so if it isn't JSON at all
            problems = "; ".join([_problem(p) for p in error.errors(include_url=False)])
            raise InvalidInput(problems) from None
        if text.count(":") != len(arguments):  # else each key stands once, and nothing nests
            parse_arguments(text)
        return arguments

    return validate, _trim(schema)


_NO_NUMBER: Final = re.compile(r"[0-9][eE]|NaN|Infinity")
"""What may stand for a number that isn't one, or is too large to be one."""


def _is_odd(text: str) -> bool:
    """Return whether *text* may hold what pydantic takes and we can't store."""
    nested = text.count("[") + text.count("{") > INNER
    return nested or len(text) > DIGITS or _NO_NUMBER.search(text) is not None


def _shape(name: str, fields: Mapping[str, Parameter], about: Mapping[str, str]) -> Any:
    from typing import Annotated, NotRequired

    from pydantic import ConfigDict, with_config
    from pydantic import Field as Notes
    from typing_extensions import TypedDict as Shape  # what pydantic asks for

    keys: dict[str, Any] = {}
    for key, field in fields.items():
        shown = {"default": field.default} if _is_plain(field.default) else None
        notes = Notes(description=about.get(key), json_schema_extra=shown)
        typed = Annotated[field.annotation, notes] if key in about or shown else field.annotation
        keys[key] = typed if field.default is field.empty else NotRequired[typed]
    make: Any = Shape  # its fields are known only now
    shape = make(f"{name}_arguments", keys)
    with_config(ConfigDict(extra="forbid"))(shape)
    return shape


def _takes_more(schema: Mapping[str, Any]) -> bool:
    inner = schema.get("$defs", {}).values()
    return any("properties" in d and d.get("additionalProperties") for d in inner)


def _problem(problem: ErrorDetails) -> str:
    path = "".join([f"[{at}]" if isinstance(at, int) else f".{at}" for at in problem["loc"]])
    return f"arguments{path}: {problem['msg']}"


def _is_plain(value: object) -> bool:
    return type(value) in (NoneType, str, int, bool) or (type(value) is float and isfinite(value))


_DATA: Final = frozenset(("default", "const", "enum", "examples"))


def _trim(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes up."""
    if isinstance(schema, list):
        return [_trim(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    trimmed: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            trimmed[key] = {name: _trim(inner) for name, inner in value.items()}
        elif key != "title":
            trimmed[key] = value if key in _DATA else _trim(value)
    if trimmed.get("type") == "object":
        trimmed.setdefault("properties", {})
    return trimmed
