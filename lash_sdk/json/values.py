"""
Values that are stored: frozen dataclasses with one JSON form, read back strictly.

The form follows from the class. A field with an empty default (None, False, 0,
"" or ()) is left out while it has it, every other field is written; fields that
don't take part in comparison aren't stored. A tagged class says its `kind`.
Reading refuses what writing would not have written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum
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

from ..errors import LashError, StoreCorrupt
from .canonical import Json, JsonObject, short

V = TypeVar("V", bound="Value")
Read: TypeAlias = Callable[[Json, str], Any]
"""Takes JSON and where it stands; returns the value or raises `StoreCorrupt`."""

_PLAIN: Final = frozenset((str, int, bool, NoneType))


class _Any:
    """Stands for `Json` while annotations are read."""


class _Object:
    """Stands for `JsonObject`."""


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

    def __init_subclass__(cls, title: str = "", tagged: bool = False) -> None:
        cls.title = title or cls.title or cls.__name__.lower()
        if tagged:
            cls.tag = vars(cls)["kind"]

    def check(self) -> Self:
        """Return the value itself once its fields fit each other."""
        return self

    def to_json(self) -> JsonObject:
        """Return the value as it's stored."""
        body: dict[str, Json] = {"kind": self.tag} if self.tag else {}
        for name, empty, _read, real in _form(type(self)):
            value = getattr(self, name)
            if empty is _WRITTEN or value != empty:
                body[name] = float(value) if real else _plain(value)
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
            raise StoreCorrupt(f"{where}: expected an object, found {short(body)}")
        left = set(body)
        if cls.tag:
            left.discard("kind")
            if "kind" not in body:
                raise StoreCorrupt(f"{where}.kind: missing")
            if body["kind"] != cls.tag:
                raise wrong(f"{where}.kind", repr(cls.tag), body["kind"])
        found: dict[str, Any] = {}
        for name, empty, read_field, _real in _form(cls):
            if name in left:
                left.discard(name)
                found[name] = value = read_field(body[name], f"{where}.{name}")
                if empty is not _WRITTEN and value == empty:
                    raise wrong(f"{where}.{name}", "nothing", value)
            elif empty is _WRITTEN:
                raise StoreCorrupt(f"{where}.{name}: missing")
        if left:
            raise StoreCorrupt(f"{where}: unknown fields {sorted(left)!r}")
        try:
            return cls(**found).check()
        except StoreCorrupt:
            raise
        except LashError as error:
            raise StoreCorrupt(f"{where}: {error}") from error


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
    if isinstance(body, dict) and "kind" not in body:
        raise StoreCorrupt(f"{where}.kind: missing")
    known = ", ".join(sorted(kind.tag or kind.title for kind in kinds))
    raise wrong(f"{where}.kind", f"one of {known}", said)


def wrong(where: str, expected: str, found: object) -> StoreCorrupt:
    """Return the error for a field that isn't what it should be."""
    return StoreCorrupt(f"{where}: expected {expected}, found {short(found)}")


_WRITTEN: Final = object()
"""Stands for "no empty default": the field is always written."""

_Form: TypeAlias = tuple[tuple[str, Any, Read, bool], ...]
_FORMS: Final[dict[type, _Form]] = {}


def _form(cls: type) -> _Form:
    """Return a class' fields: name, what's left out, its reader, if it's a float."""
    if (form := _FORMS.get(cls)) is None:
        hints = get_type_hints(cls, localns={"Json": _Any, "JsonObject": _Object})
        fields = [f for f in dataclasses.fields(cls) if f.compare]
        read_as = [(f, hints[f.name]) for f in fields]
        form = tuple(
            [(f.name, _empty(f), _reader(h), float in (h, *get_args(h))) for f, h in read_as]
        )
        _FORMS[cls] = form
    return form


def _empty(field: dataclasses.Field[Any]) -> Any:
    missing = field.default is dataclasses.MISSING
    return _WRITTEN if missing or field.default else field.default


def _plain(value: Any) -> Json:
    plain: Json
    if type(value) in _PLAIN:
        plain = value
        return plain
    if isinstance(value, Value):
        return value.to_json()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    plain = value.value if isinstance(value, Enum) else value
    return plain


def _reader(hint: Any) -> Read:
    if hint is _Any:
        return lambda body, where: body
    if hint is _Object:
        return _typed(dict, "object")
    if hint in (str, int, bool):
        return _typed(hint, hint.__name__)
    if hint is float:
        return _number
    if get_origin(hint) is Literal:
        return _one_of({word: word for word in get_args(hint)})
    if get_origin(hint) is tuple:
        return _many(_reader(get_args(hint)[0]))
    if get_origin(hint) in (Union, UnionType):
        return _either(get_args(hint))
    if issubclass(hint, Enum):
        return _one_of({member.value: member for member in hint})
    return lambda body, where: hint.from_json(body)


def _either(hints: tuple[Any, ...]) -> Read:
    kinds = tuple([hint for hint in hints if hint is not NoneType])
    one = _reader(kinds[0]) if len(kinds) == 1 else None
    if one is not None:  # None itself is never written
        return one
    return lambda body, where: read(kinds, body, where)


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
