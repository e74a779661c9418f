"""What a tool returned, as JSON and as attachments."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidInput
from ..json import Json, check, decode, encode
from ..messages import Blob, File, Image, Text

_PARTS: Final = (Text, Image, File)


def as_json(value: object) -> Json:
    """
    Return what a tool returned as JSON, a copy that nobody else holds.

    Models, dataclasses, enums, dates and the like are said as pydantic says
    them; a set is a list, and bytes are text if they're UTF-8.

    Raises:
        InvalidInput: It can't be said in JSON; the message names its type.
    """
    if value is None or type(value) in (str, bool, int):
        return check(value)
    if isinstance(value, _PARTS):
        return value.to_json()
    if isinstance(value, (list, tuple)) and any(isinstance(item, _PARTS) for item in value):
        return [as_json(item) for item in value]
    try:
        return check(decode(encode(value)))  # type: ignore[arg-type]
    except InvalidInput:
        return _model_as_json(value)


def attachments(value: object) -> tuple[Blob, ...]:
    """Return the blobs that a tool returned, alone or in a list."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple([item.blob for item in items if isinstance(item, (Image, File))])


def _model_as_json(value: object) -> Json:
    import pydantic_core

    try:
        plain: Json = pydantic_core.to_jsonable_python(value, inf_nan_mode="constants")
        encode(check(plain))
    except (ValueError, InvalidInput) as error:
        why = f"a value of type {type(value).__name__} is not JSON: {error}"
        raise InvalidInput(why) from error
    return plain
