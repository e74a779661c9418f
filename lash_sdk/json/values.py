"""
Values that are stored: frozen dataclasses, each with one JSON form.

A value's form follows from its class. A field with an empty default (None, False, 0,
"" or ()) is left out while it has it, every other field is written; fields that don't
take part in comparison aren't stored. A tagged class says its `kind`. Reading refuses
what writing would not have written.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, Literal, ParamSpec, Self, TypeAlias, TypeVar, Union

from ..errors import InvalidHistory, InvalidInput, StoreCorrupt
from .canonical import Json, JsonObject, short

C = TypeVar("C")
P = ParamSpec("P")


@typing.dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[C]) -> type[C]:
    """
    Return *cls* as a dataclass that is frozen, slotted, keyword-only and quick to make.

    A frozen dataclass sets its fields by their names; this one through their slots.
    """
    made: Any = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    known = {f"set_{each.name}": getattr(made, each.name).__set__ for each in fields(made)}
    takes, puts = _filling(made, "set_{0}(self, {1})", known)
    made.__init__ = _compiled("__init__", ["self", *takes], [*puts, *_after(made), "pass"], known)
    made.__init__.__qualname__ = f"{made.__qualname__}.__init__"
    return made  # type: ignore[no-any-return]


def maker(cls: Callable[P, C]) -> Callable[P, C]:
    """
    Return what makes objects of a slotted dataclass, at a third of what calling it costs.

    It's for what each turn makes. A call of a class packs its arguments twice, and a
    frozen value is set from outside; here an open twin of the class is filled, and then
    it's one of the class.
    """
    form: Any = cls
    own = {name: vars(object)[name] for name in ("__setattr__", "__delattr__")}
    twin = type(form.__name__, form.__bases__, {"__slots__": form.__slots__, **own})
    known = {"new": object.__new__, "twin": twin, "form": form}
    takes, puts = _filling(form, "self.{0} = {1}", known)
    lines = ["self = new(twin)", *puts, "self.__class__ = form", *_after(form), "return self"]
    return _compiled(form.__name__, takes, lines, known)  # type: ignore[no-any-return]


def _filling(cls: Any, put: str, known: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what a function takes for a class' fields, and what puts each in its place."""
    takes: dict[bool, list[str]] = {False: [], True: []}  # by whether they're given by name
    puts = []
    for each in fields(cls):
        name, found = each.name, each.name
        known[f"default_{name}"] = each.default
        if each.default_factory is not MISSING:
            known |= {"missing": MISSING, f"make_{name}": each.default_factory}
            found = f"make_{name}() if {name} is missing else {name}"
        given = each.default is MISSING and each.default_factory is MISSING
        if each.init:
            takes[each.kw_only is True].append(name if given else f"{name}=default_{name}")
        puts.append(put.format(name, found if each.init else f"default_{name}"))
    return [*takes[False], "*", *takes[True]] if takes[True] else takes[False], puts


def _after(cls: Any) -> list[str]:
    return ["self.__post_init__()"] if hasattr(cls, "__post_init__") else []


def _compiled(name: str, takes: list[str], lines: list[str], known: dict[str, Any]) -> Any:
    body = "\n    ".join(lines)
    exec(f"def {name}({', '.join(takes)}):\n    {body}", known)  # noqa: S102 - as dataclasses do
    return known[name]


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
        cls = type(self)
        write = _WRITERS.get(cls) or _WRITERS.setdefault(cls, _written(cls))
        return write(self)

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
        for name, empty, read_field in _form(cls):
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

_Form: TypeAlias = tuple[tuple[str, Any, Read], ...]
_FORMS: Final[dict[type, _Form]] = {}
_WRITERS: Final[dict[type, Callable[[Any], JsonObject]]] = {}


def _form(cls: type) -> _Form:
    """Return a class' fields: name, what's left out, and what reads it."""
    if (form := _FORMS.get(cls)) is None:
        kept = [(each, _hints(cls)[each.name]) for each in fields(cls) if each.compare]
        form = _FORMS[cls] = tuple([(f.name, _empty(f), _reader(hint)) for f, hint in kept])
    return form


def _written(cls: type[Value]) -> Callable[[Any], JsonObject]:
    """Return what writes values of a class: made for it, as a journal writes hundreds a turn."""
    hints = _hints(cls)
    known: dict[str, Any] = {"plain": plain}
    lines = [f"body = {{'kind': {cls.tag!r}}}" if cls.tag else "body = {}"]
    for name, empty, _read in _form(cls):
        known[f"empty_{name}"] = empty
        put = f"body[{name!r}] = {_said(hints[name])}"
        lines.append(f"value = self.{name}")
        lines.append(put if empty is _WRITTEN else f"if value != empty_{name}: {put}")
    return _compiled("write", ["self"], [*lines, "return body"], known)  # type: ignore[no-any-return]


def _said(hint: Any) -> str:
    """Return the expression for a field's value as JSON."""
    origin = typing.get_origin(hint)
    kinds = set(typing.get_args(hint) if origin in (Union, UnionType) else (hint,)) - {NoneType}
    if float in kinds:
        return "float(value)"
    return "value" if origin is Literal or kinds <= {str, int, bool, dict} else "plain(value)"


def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, localns={"Json": object, "JsonObject": dict})


def _empty(field: Field[Any]) -> Any:
    missing = field.default is MISSING
    return _WRITTEN if missing or field.default else field.default


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
    origin, args = typing.get_origin(hint), typing.get_args(hint)
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
