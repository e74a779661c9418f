"""The cases of the stores' contract: their ids, what each needs, whether it applies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from ..ports import BASE

if TYPE_CHECKING:
    from ..ports import Store
    from .store_place import Place

F = TypeVar("F", bound=Callable[..., object])

CAPABILITIES: Final = ("commit", "journal", "inbox", "fork", "observe", "vacuum")

ABSENT: Final[Mapping[str, str]] = {
    "process": "it lives in this process alone",
    "file": "it's in no file",
    "rows": "its rows can't be counted from outside",
    "lock": "nobody else can lock it",
    "newer": "its place has no version",
    "limit": "its commits aren't limited",
}
"""Why a case doesn't apply, by what of the place or the store it would need."""

_ID: Final = re.compile(r"test_c(\d+)_")


def needs(*words: str) -> Callable[[F], F]:
    """Mark a case as one for stores with these capabilities and such a place."""

    def marked(test: F) -> F:
        test.__dict__["needs"] = frozenset(words)
        return test

    return marked


def needed(test: object) -> frozenset[str]:
    """Return what a case was marked with."""
    words: Iterable[str] = getattr(test, "needs", ())
    return frozenset(words)


def id_of(name: str) -> str:
    """Return the id of a case, such as "C17", from its function's name; "" for no case."""
    found = _ID.match(name)
    return f"C{found[1]}" if found else ""


def number(id: str) -> int:
    """Return the number in a case's id, to sort by."""
    return int(id[1:])


def capability_of(test: object) -> str:
    """Return the capability that a case is about."""
    found = [word for word in CAPABILITIES if word in needed(test)]
    return found[-1] if found else "commit"


def missing(test: object, store: Store, place: Place) -> list[str]:
    """Return the reasons why a case doesn't apply; what's in `BASE` is never one."""
    has = BASE | store.capabilities | place.facilities
    if store.limit is not None:
        has |= {"limit"}
    return [ABSENT.get(word) or f"no {word!r}" for word in sorted(needed(test) - has)]


def cases(contract: type) -> dict[str, object]:
    """Return the test functions of a contract, by name, in the order of their ids."""
    found = [name for name in dir(contract) if id_of(name)]
    found.sort(key=lambda name: (number(id_of(name)), name))
    return {name: getattr(contract, name) for name in found}


def changed(contract: type, theirs: type) -> list[str]:
    """Return the ids of the cases that the class *theirs* put something else in place of."""
    every = cases(contract)
    found = {id_of(name) for name, test in every.items() if getattr(theirs, name, None) is not test}
    return sorted(found, key=number)
