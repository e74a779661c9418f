"""
The canonical form of JSON: one sequence of bytes per value.

Keys are sorted, the text is ASCII, there is no space, no NaN and no infinity, and
nothing nests deeper than `DEPTH`. Reading is as strict as writing: bytes that this module would not
have written are refused. A tuple is read back as a list, and two surrogates that
make a pair as the character they stand for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Any, Final, Literal, TypeAlias

from ..errors import InvalidInput, StoreCorrupt

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""What JSON can say. Mappings have text keys; sequences are lists or tuples."""

JsonObject: TypeAlias = "Mapping[str, Json]"

DEPTH: Final = 64
"""How many lists and objects may nest."""

INNER: Final = 56
"""How many of them in a value from outside, which is stored inside of others."""

DIGITS: Final = 4300
"""How long an integer may be: no longer can be read back by default."""

_encoder = JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"))
# what `_encoder.encode` makes anew each time, which takes longer than most values
_pieces: Callable[[Any, int], tuple[str, ...]] = c_make_encoder(
    None, _encoder.default, encode_basestring_ascii, None, ":", ",", True, False, False
)


def _encode(value: object) -> str:
    return "".join(_pieces(value, 0))


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
        _check(value, "value", DEPTH)  # says where, if it knows
        raise InvalidInput(f"value: not JSON: {error}") from error
    if text.count("[") + text.count("{") > DEPTH:
        _check(value, "value", DEPTH)
    return text.encode("ascii")


def encode_known(value: Json) -> bytes:
    """
    Return the canonical bytes of a *value* that was checked where it came in.

    Raises:
        InvalidInput: It can't be encoded after all.
    """
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        return encode(value)  # says what's wrong
    if "\\ud" in text or text.count("[") + text.count("{") > DEPTH:
        return encode(value)
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
            raise StoreCorrupt(f"not canonical JSON: {short(data)}")
    except (ValueError, RecursionError, InvalidInput) as error:
        raise StoreCorrupt(f"not canonical JSON: {short(data)} ({error})") from error
    return value


def check(value: object, *, where: str = "value") -> Json:
    """
    Return *value* itself once it's known to be JSON that can be stored.

    Whatever comes from outside goes through here where it enters: a tool's
    arguments and result, a plugin's body, a model's replay data.

    Raises:
        InvalidInput: It isn't JSON, or nests deeper than `INNER`; the message
            has the path of the first culprit.
    """
    return _check(value, where, INNER)


def digest(data: bytes) -> str:
    """Return the sha256 of *data*, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


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
    if isinstance(value, int) and -_TOO_LONG < value < _TOO_LONG:
        return value
    if isinstance(value, float) and value - value == 0.0:
        return value
    if isinstance(value, (list, tuple)) and left:
        for at, item in enumerate(value):
            _check(item, f"{where}[{at}]", left - 1)
        return value
    if isinstance(value, dict) and left:
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"{where}: key {key!r} is not text")
            _check(item, f"{where}.{key}", left - 1)
        return value
    raise InvalidInput(f"{where}: {_fault(value)}")


def _fault(value: object) -> str:
    if isinstance(value, _NESTS):
        return "nested too deep"
    if isinstance(value, int):
        return f"an integer of over {DIGITS} digits"
    if isinstance(value, float):
        return f"{value!r} is not JSON"
    return f"{type(value).__name__} is not JSON: {short(value)}"


def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """
    Return *pairs* as an object, for a JSON decoder.

    Raises:
        JSONDecodeError: A key stands twice.
    """
    body = dict(pairs)
    if len(body) != len(pairs):
        raise JSONDecodeError("a key stands twice", "", 0)
    return body


def _refuse(constant: Literal["NaN", "Infinity", "-Infinity"] | str) -> Json:
    raise JSONDecodeError(f"{constant} is not JSON", "", 0)


def short(value: object) -> str:
    """Return *value* as it's shown in a message: cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_decoder = JSONDecoder(object_pairs_hook=unique, parse_constant=_refuse)
_TOO_LONG: Final = 10**DIGITS
_NESTS: Final = (dict, list, tuple)
