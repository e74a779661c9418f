"""
Stored values: one form each, and nothing is read that would not have been written.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, field, replace
from enum import Enum
from typing import Literal

import pytest

from lash_sdk.errors import InvalidInput, StoreCorrupt
from lash_sdk.json import Json, JsonObject, Tagged, Value, frozen, read


class Hue(Enum):
    RED = "red"


@frozen
class Leaf(Tagged, kind="leaf"):
    name: str


@frozen
class Branch(Tagged, kind="branch"):
    leaves: tuple[Leaf, ...] = ()


@frozen
class Tree(Value):
    text: str
    whole: int = 3
    number: float = 0.0
    flag: bool = False
    word: Literal["a", "b"] = "a"
    hue: Hue = Hue.RED
    object: JsonObject | None = None
    value: Json = None
    parts: tuple[Leaf | Branch, ...] = ()
    cache: str = field(default="", compare=False)

    def check(self) -> Tree:
        if self.text == "bad":
            raise InvalidInput("bad text")
        return self


FULL: dict[str, Json] = {
    "text": "t",
    "whole": 1,
    "number": 1.5,
    "flag": True,
    "word": "b",
    "hue": "red",
    "object": {"k": 1},
    "value": [1],
    "parts": [{"kind": "leaf", "name": "n"}, {"kind": "branch"}],
}


def test_what_is_written_is_read_back() -> None:
    """
    Every kind of field that a stored value may have.
    """
    tree = Tree.from_json(FULL)

    assert FULL == tree.to_json()
    assert (Leaf(name="n"), Branch()) == tree.parts


def test_an_empty_default_is_left_out_and_no_other() -> None:
    """
    One form per value: what may be left out always is.
    """
    assert {"text": "", "whole": 3, "word": "a", "hue": "red"} == Tree(text="").to_json()


def test_a_cache_is_not_stored() -> None:
    """
    What doesn't take part in comparison isn't a part of the value.
    """
    assert "cache" not in Tree(text="t", cache="c").to_json()


def test_a_whole_number_in_a_number_field_is_written_as_one() -> None:
    """
    1 and 1.0 are two texts of one number.
    """
    assert "1.0" == str(Tree(text="t", number=1).to_json()["number"])


@pytest.mark.parametrize("name", ["text", "whole", "word", "hue"])
def test_a_missing_field_is_named(name: str) -> None:
    """
    Nothing is made up for what a file no longer holds.
    """
    body = {key: value for key, value in FULL.items() if key != name}

    with pytest.raises(StoreCorrupt, match=rf"^tree\.{name}: missing"):
        Tree.from_json(body)


@pytest.mark.parametrize("name", [name for name in FULL if name != "value"])
def test_a_field_of_another_type_is_named(name: str) -> None:
    """
    A bool is no integer, null is no value left out, and 10**400 is no float.
    """
    fits = {"number": (int,)}.get(name, ())
    samples: tuple[Json, ...] = (None, True, 7, 1.5, "c", [1], {"a": 1}, 10**400)
    for sample in samples:
        if type(sample) in (type(FULL[name]), *fits) and sample not in ("c", 10**400, [1]):
            continue
        if name in ("text", "whole") and type(sample) is type(FULL[name]):
            continue
        with pytest.raises(StoreCorrupt, match=rf"tree\.{name}|leaf|branch"):
            Tree.from_json({**FULL, name: sample})


@pytest.mark.parametrize(
    ("name", "empty"), [("number", 0.0), ("flag", False), ("value", None), ("parts", [])]
)
def test_an_empty_default_that_was_written_is_damage(name: str, empty: Json) -> None:
    """
    We would have left it out: two forms of one value have two hashes.
    """
    with pytest.raises(StoreCorrupt, match=rf"tree\.{name}: expected"):
        Tree.from_json({**FULL, name: empty})


def test_a_field_that_nobody_asked_for_is_named() -> None:
    """
    It was written by a later version: dropping it would lose it.
    """
    with pytest.raises(StoreCorrupt, match=r"tree: unknown fields \['later'\]"):
        Tree.from_json({**FULL, "later": 1})


@pytest.mark.parametrize("body", [None, 1, "a", [], True])
def test_what_is_no_object_has_no_fields(body: Json) -> None:
    """
    The first thing a decoder finds out.
    """
    with pytest.raises(StoreCorrupt, match="tree: expected an object, found"):
        Tree.from_json(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"name": "n"}, r"part\.kind: expected one of branch, leaf, found None"),
        ({"kind": "twig"}, r"part\.kind: expected one of branch, leaf, found 'twig'"),
        (3, r"part\.kind: expected one of"),
    ],
)
def test_a_kind_that_is_not_known_is_not_guessed(body: Json, why: str) -> None:
    """
    What it is decides what it means.
    """
    with pytest.raises(StoreCorrupt, match=why):
        read((Leaf, Branch), body, "part")


def test_a_value_is_not_read_as_one_of_another_kind() -> None:
    """
    Each tagged class looks at its tag itself.
    """
    with pytest.raises(StoreCorrupt, match=r"leaf\.kind: expected 'leaf', found 'branch'"):
        Leaf.from_json({"kind": "branch", "name": "n"})
    with pytest.raises(StoreCorrupt, match=r"leaf\.kind: expected 'leaf', found None"):
        Leaf.from_json({"name": "n"})


def test_fields_that_do_not_fit_each_other_are_damage() -> None:
    """
    The value's own rule speaks last.
    """
    with pytest.raises(StoreCorrupt, match="tree: bad text"):
        Tree.from_json({**FULL, "text": "bad"})


# --- how a value is made -----------------------------------------------------------


@frozen
class Made:
    name: str
    at: int = 3
    many: list[int] = field(default_factory=list)
    hidden: int = field(default=7, init=False)

    def __post_init__(self) -> None:
        if self.at < 0:
            raise InvalidInput("at: expected >= 0")


@frozen
class More(Made):
    last: str = "z"


def test_a_value_has_its_fields_and_its_defaults() -> None:
    """
    It's a dataclass like any other, whatever sets its fields.
    """
    one, two = Made(name="a"), Made(name="a")

    assert ("a", 3, [], 7) == (one.name, one.at, one.many, one.hidden)
    assert one == two
    assert one.many is not two.many
    assert "Made(name='a', at=3, many=[], hidden=7)" == repr(one)
    assert 5 == replace(one, at=5).at
    assert ("b", "z", 7) == (More(name="b").name, More(name="b").last, More(name="b").hidden)


def test_a_value_never_changes() -> None:
    """
    What one plugin was shown, no other can change.
    """
    made = Made(name="a")

    with pytest.raises(FrozenInstanceError):
        made.at = 4  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del made.at  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises((AttributeError, TypeError)):
        made.other = 4  # type: ignore[attr-defined]


def test_a_value_that_cannot_be_is_not_made() -> None:
    """
    A wrong argument is told by its name.
    """
    with pytest.raises(TypeError, match=r"Made\.__init__\(\) missing .* 'name'"):
        Made()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'nmae'"):
        Made(name="a", nmae="b")  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="at: expected >= 0"):
        Made(name="a", at=-1)


def test_a_plain_subclass_stays_what_it_is() -> None:
    """
    A plugin's protocol derives from ours without a word of dataclasses.
    """

    class Own(Made):
        pass

    assert Own is type(Own(name="a"))
    assert "a" == Own(name="a").name
