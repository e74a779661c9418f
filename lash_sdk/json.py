"""
The canonical form: one sequence of bytes per JSON value.

Keys are sorted, the text is ASCII, there is no space, no NaN and no infinity,
and nothing nests deeper than `DEPTH`. Reading is as strict as writing: bytes
that this module would not have written are refused. A tuple is read back as a
list, and two surrogates that make a pair as the character they stand for.
"""

from __future__ import annotations

import hashlib
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, overload

from .errors import InvalidInput, StoreCorrupt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""What JSON can say. Mappings have text keys; sequences are lists or tuples."""

JsonObject: TypeAlias = "Mapping[str, Json]"

DEPTH: Final = 64
"""How many lists and objects may nest."""

DIGITS: Final = 4300
"""How long an integer may be: no longer can be read back by default."""

_encode = JSONEncoder(
    sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":")
).encode


def encode(value: Json) -> bytes:
    """
    Return the canonical bytes of *value*.

    Raises:
        InvalidInput: It holds NaN, an infinity, a key that isn't text, a value
            that JSON can't say, or it nests too deep.
    """
    try:
        text = _encode(value)
        if isinstance(value, _NESTS):
            _check_keys(value)
        if "\\ud" in text and _encode(_decoder.decode(text)) != text:
            raise InvalidInput("value: a key holds two surrogates that make a pair")
    except (TypeError, ValueError, RecursionError) as error:
        check(value)  # says where, if it knows
        raise InvalidInput(f"value: not JSON: {error}") from error
    if text.count("[") + text.count("{") > DEPTH:
        check(value)
    return text.encode("ascii")


def decode(data: bytes) -> Json:
    """
    Return the value whose canonical bytes are *data*.

    Raises:
        StoreCorrupt: The bytes aren't the canonical form of any value.
    """
    try:
        value: Json = _decoder.decode(data.decode("ascii"))
        if encode(value) != data:
            raise StoreCorrupt(f"not canonical JSON: {_short(data)}")
    except (ValueError, RecursionError, InvalidInput) as error:
        raise StoreCorrupt(f"not canonical JSON: {_short(data)} ({error})") from error
    return value


def check(value: object, *, where: str = "value") -> Json:
    """
    Return *value* itself once it's known to be JSON that nests at most `DEPTH`.

    Raises:
        InvalidInput: It isn't; the message has the path of the first culprit.
    """
    return _check(value, where, DEPTH)


def digest(data: bytes) -> str:
    """Return the sha256 of *data*, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class Fields:
    """
    Reads one JSON object field by field and refuses what it didn't ask for.

    Every decoder of stored data is written with it, so that each says the same
    thing in the same words when a field is missing, unknown or of another type.
    """

    __slots__ = ("_body", "_left", "_where")

    def __init__(self, body: Json, where: str) -> None:
        if not isinstance(body, dict):
            raise StoreCorrupt(f"{where}: expected an object, found {_short(body)}")
        self._body = body
        self._left = set(body)
        self._where = where

    def any(self, name: str) -> Json:
        """Return the field, or None if it's missing."""
        self._left.discard(name)
        value: Json = self._body.get(name)
        return value

    def value(self, name: str) -> Json:
        """Return a field of any type."""
        if name not in self._body:
            raise StoreCorrupt(f"{self._where}.{name}: missing")
        return self.any(name)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text field."""
        return self._typed(name, str, default)

    def maybe_text(self, name: str) -> str | None:
        """Return a text field, or None if it's missing."""
        return self._typed(name, str, None) if name in self._body else None

    def whole(self, name: str, default: int | None = None) -> int:
        """Return an integer field; a bool isn't one."""
        return self._typed(name, int, default)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number field as a float."""
        if default is not None and name not in self._body:
            return default
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(name, "number", value)
        try:
            return float(value)
        except OverflowError:
            raise self._wrong(name, "number", value) from None

    def maybe_whole(self, name: str) -> int | None:
        """Return an integer field, or None if it's missing."""
        return self.whole(name) if name in self._body else None

    def maybe_number(self, name: str) -> float | None:
        """Return a number field as a float, or None if it's missing."""
        return self.number(name) if name in self._body else None

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return a boolean field."""
        return self._typed(name, bool, default)

    def list(self, name: str) -> Sequence[Json]:
        """Return a list field."""
        value = self.value(name)
        if not isinstance(value, list):
            raise self._wrong(name, "list", value)
        return value

    def mapping(self, name: str) -> JsonObject:
        """Return an object field."""
        value = self.value(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "object", value)
        return value

    def one_of(self, name: str, choices: frozenset[str]) -> str:
        """Return a text field that is one of *choices*."""
        value = self.text(name)
        if value not in choices:
            raise self._wrong(name, "one of " + ", ".join(sorted(choices)), value)
        return value

    def done(self) -> None:
        """
        Say that every field was asked for.

        Raises:
            StoreCorrupt: The object has more.
        """
        if self._left:
            raise StoreCorrupt(f"{self._where}: unknown fields {sorted(self._left)!r}")

    @overload
    def _typed(self, name: str, kind: type[str], default: str | None) -> str: ...
    @overload
    def _typed(self, name: str, kind: type[bool], default: bool | None) -> bool: ...
    @overload
    def _typed(self, name: str, kind: type[int], default: int | None) -> int: ...
    def _typed(
        self, name: str, kind: type[str | int | bool], default: str | int | bool | None
    ) -> str | int | bool:
        if default is not None and name not in self._body:
            return default
        value = self.value(name)
        if type(value) is not kind:
            raise self._wrong(name, kind.__name__, value)
        assert isinstance(value, (str, int))  # noqa: S101 - for the type checker
        return value

    def _wrong(self, name: str, expected: str, value: object) -> StoreCorrupt:
        return StoreCorrupt(f"{self._where}.{name}: expected {expected}, found {_short(value)}")


def _check_keys(value: Any) -> None:  # the encoder would turn them into text
    if isinstance(value, dict):
        "".join(value)  # the quickest TypeError for a key that isn't text
        value = value.values()
    for item in value:
        if isinstance(item, _NESTS):
            _check_keys(item)


def _check(value: object, where: str, left: int) -> Json:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if not -_TOO_LONG < value < _TOO_LONG:
            raise InvalidInput(f"{where}: an integer of over {DIGITS} digits")
        return value
    if isinstance(value, float):
        if value - value != 0.0:
            raise InvalidInput(f"{where}: {value!r} is not JSON")
        return value
    if left == 0:
        raise InvalidInput(f"{where}: nested deeper than {DEPTH}")
    if isinstance(value, (list, tuple)):
        for at, item in enumerate(value):
            _check(item, f"{where}[{at}]", left - 1)
        return value
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"{where}: key {key!r} is not text")
            _check(item, f"{where}.{key}", left - 1)
        return value
    raise InvalidInput(f"{where}: {type(value).__name__} is not JSON: {_short(value)}")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise JSONDecodeError("a key stands twice", "", 0)
    return body


def _refuse(constant: Literal["NaN", "Infinity", "-Infinity"] | str) -> Json:
    raise JSONDecodeError(f"{constant} is not JSON", "", 0)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_decoder = JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
_TOO_LONG: Final = 10**DIGITS
_NESTS: Final = (dict, list, tuple)
