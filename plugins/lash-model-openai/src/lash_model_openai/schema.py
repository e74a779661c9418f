"""Whether a server can be held to a JSON schema to the letter ("strict")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lash_sdk.json import Json, JsonObject

_WORDS: Final = frozenset(
    (
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    )
)
_FORMATS: Final = frozenset(
    ("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid")
)
_DEPTH: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """
    A schema as it's sent.

    Attributes:
        strict: Whether the server is told to keep to it to the letter.
    """

    name: str
    schema: JsonObject
    strict: bool


def output(schema: JsonObject) -> Output:
    """
    Return *schema* ready to send, strict wherever OpenAI's rules allow it.

    A strict schema's objects are closed: that's said for those which don't say
    anything. Where the rules don't fit, the schema is sent as it is.
    """
    title = schema.get("title")
    name = re.sub(r"[^A-Za-z0-9_-]", "_", title if isinstance(title, str) else "")[:64]
    name = name or "answer"
    if schema.get("type") == "object" and "anyOf" not in schema:
        closed = _close(schema, _DEPTH)
        if closed is not None:
            return Output(name=name, schema=closed, strict=True)
    return Output(name=name, schema=schema, strict=False)


def _close(schema: Json, left: int) -> dict[str, Json] | None:
    """Return *schema* with its objects closed, or None if it breaks the rules."""
    if not isinstance(schema, Mapping) or not left or not _WORDS.issuperset(schema):
        return None
    if "$ref" in schema and len(schema) > 1:
        return None
    if schema.get("format", "date") not in _FORMATS:
        return None
    closed: dict[str, Json] = dict(schema)
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, (list, tuple)):
            return None
        if set(properties) != set(required):
            return None
        if schema.get("additionalProperties", False) is not False:
            return None
        closed["additionalProperties"] = False
        closed["properties"] = properties
        closed["required"] = required
    return _close_inner(closed, left - 1)


def _close_inner(closed: dict[str, Json], left: int) -> dict[str, Json] | None:
    for word in ("properties", "$defs"):
        named = closed.get(word, {})
        if not isinstance(named, Mapping):
            return None
        inner = {name: _close(value, left) for name, value in named.items()}
        if None in inner.values():
            return None
        if inner:
            closed[word] = inner
    if "items" in closed:
        closed["items"] = items = _close(closed["items"], left)
        if items is None:
            return None
    if "anyOf" in closed:
        choices = closed["anyOf"]
        if not isinstance(choices, (list, tuple)):
            return None
        either = [_close(choice, left) for choice in choices]
        if None in either:
            return None
        closed["anyOf"] = either
    return closed
