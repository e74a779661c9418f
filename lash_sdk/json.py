"""
JSON: its one canonical form, and values that are stored in it.

The canonical form is one sequence of bytes per JSON value. Keys are sorted, the
text is ASCII, there is no space, no NaN and no infinity, and nothing nests deeper
than `DEPTH`. Reading is as strict as writing: bytes that this module would not
have written are refused. A tuple is read back as a list, and two surrogates that
make a pair as the character they stand for.

A stored value is a frozen dataclass whose form follows from its class. A field
with an empty default (None, False, 0, "" or ()) is left out while it has it, every
other field is written; fields that don't take part in comparison aren't stored. A
tagged class says its `kind`. Reading refuses what writing would not have written.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Final,
    Literal,
    Self,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from .errors import InvalidHistory, InvalidInput, StoreCorrupt

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


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
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


_decoder = JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
_TOO_LONG: Final = 10**DIGITS
_NESTS: Final = (dict, list, tuple)

# --- values that are stored ----------------------------------------------------

V = TypeVar("V", bound="Value")
Read: TypeAlias = Callable[[Json, str], Any]
"""Takes JSON and where it stands; returns the value or raises `StoreCorrupt`."""


class Value:
    """
    A frozen dataclass with one JSON form.

    Attributes:
        title: What messages call it.
        tag: The kind that a tagged class says in JSON; empty if it says none.
    """

    __slots__ = ()
    title: ClassVar[str] = ""
    tag: ClassVar[str] = ""

    def __init_subclass__(cls, title: str = "") -> None:
        cls.title = title or vars(cls).get("title") or cls.__name__.lower()

    def check(self) -> Self:
        """Return the value itself once its fields fit each other."""
        return self

    def to_json(self) -> JsonObject:
        """Return the value as it's stored."""
        body: dict[str, Json] = {"kind": self.tag} if self.tag else {}
        for name, empty, _read, write in _form(type(self)):
            value = getattr(self, name)
            if empty is _WRITTEN or value != empty:
                body[name] = write(value)
        return body

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """
        Return the value that `to_json` wrote.

        Raises:
            StoreCorrupt: It isn't one; the message names the field.
        """
        where = cls.title
        if not isinstance(body, dict):
            raise wrong(where, "an object", body)
        left = dict(body)
        if cls.tag and (said := left.pop("kind", None)) != cls.tag:
            raise wrong(f"{where}.kind", repr(cls.tag), said)
        found: dict[str, Any] = {}
        for name, empty, read_field, _write in _form(cls):
            if name in left:
                found[name] = value = read_field(left.pop(name), f"{where}.{name}")
                if empty is not _WRITTEN and value == empty:
                    raise wrong(f"{where}.{name}", "nothing", value)
            elif empty is _WRITTEN:
                raise StoreCorrupt(f"{where}.{name}: missing")
        if left:
            raise StoreCorrupt(f"{where}: unknown fields {sorted(left)!r}")
        try:
            return cls(**found).check()
        except (InvalidHistory, InvalidInput) as error:
            raise StoreCorrupt(f"{where}: {error}") from error


class Tagged(Value):
    """A value that says its kind, by which it's told from others in its place."""

    __slots__ = ()
    kind: ClassVar[str]

    def __init_subclass__(cls, title: str = "", kind: str = "") -> None:
        super().__init_subclass__(title)
        if kind:  # a slotted dataclass is made twice, the second time without it
            cls.kind = cls.tag = kind


def read(kinds: tuple[type[V], ...], body: Json, where: str) -> V:
    """
    Return the value that one of *kinds* wrote, by the kind it says.

    Raises:
        StoreCorrupt: It's none of them.
    """
    said = body.get("kind") if isinstance(body, dict) else None
    for kind in kinds:
        if kind.tag == (said or ""):
            return kind.from_json(body)
    known = ", ".join(sorted(kind.tag or kind.title for kind in kinds))
    raise wrong(f"{where}.kind", f"one of {known}", said)


def wrong(where: str, expected: str, found: object) -> StoreCorrupt:
    """Return the error for a field that isn't what it should be."""
    return StoreCorrupt(f"{where}: expected {expected}, found {short(found)}")


_WRITTEN: Final = object()
"""Stands for "no empty default": the field is always written."""

_Form: TypeAlias = tuple[tuple[str, Any, Read, Callable[[Any], Json]], ...]
_FORMS: Final[dict[type, _Form]] = {}


def _form(cls: type) -> _Form:
    """Return a class' fields: name, what's left out, what reads and what writes it."""
    if (form := _FORMS.get(cls)) is None:
        hints = get_type_hints(cls, localns={"Json": object, "JsonObject": dict})
        fields = [(f, hints[f.name]) for f in dataclasses.fields(cls) if f.compare]
        form = _FORMS[cls] = tuple([(f.name, _empty(f), _reader(h), _writer(h)) for f, h in fields])
    return form


def _empty(field: dataclasses.Field[Any]) -> Any:
    missing = field.default is dataclasses.MISSING
    return _WRITTEN if missing or field.default else field.default


def _writer(hint: Any) -> Callable[[Any], Json]:
    return float if float in (hint, *get_args(hint)) else plain


def plain(value: Any) -> Any:
    """Return a field's value as JSON."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Value):
        return value.to_json()
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _reader(hint: Any) -> Read:
    origin, args = get_origin(hint), get_args(hint)
    if hint in _READERS:
        return _READERS[hint]
    if origin is Literal:
        return _one_of({word: word for word in args})
    if origin is tuple:
        return _many(_reader(args[0]))
    if origin in (Union, UnionType):
        kinds = tuple([kind for kind in args if kind is not NoneType])  # None is never written
        return _reader(kinds[0]) if len(kinds) == 1 else lambda body, at: read(kinds, body, at)
    if issubclass(hint, Enum):
        return _one_of({member.value: member for member in hint})
    return lambda body, where: hint.from_json(body)


def _typed(kind: type, name: str) -> Read:
    def typed(body: Json, where: str) -> Any:
        if type(body) is not kind:
            raise wrong(where, name, body)
        return body

    return typed


def _number(body: Json, where: str) -> float:
    if isinstance(body, bool) or not isinstance(body, (int, float)):
        raise wrong(where, "number", body)
    try:
        return float(body)
    except OverflowError:
        raise wrong(where, "number", body) from None


def _one_of(choices: Mapping[str, Any]) -> Read:
    def one_of(body: Json, where: str) -> Any:
        if not isinstance(body, str) or body not in choices:
            raise wrong(where, "one of " + ", ".join(sorted(choices)), body)
        return choices[body]

    return one_of


def _many(read_item: Read) -> Read:
    def many(body: Json, where: str) -> Any:
        if not isinstance(body, list):
            raise wrong(where, "list", body)
        return tuple([read_item(item, where) for item in body])

    return many


_READERS: Final[dict[Any, Read]] = {
    object: lambda body, where: body,
    float: _number,
    dict: _typed(dict, "object"),
    **{kind: _typed(kind, kind.__name__) for kind in (str, int, bool)},
}
_PLAIN: Final = frozenset((str, int, bool, NoneType))
