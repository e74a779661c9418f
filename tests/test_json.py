"""
The canonical form: what it keeps, what it refuses, and how it says so.
"""

from __future__ import annotations

import math
import re
import string
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_sdk.errors import InvalidInput, StoreCorrupt
from lash_sdk.json import DEPTH, DIGITS, INNER, Json, check, decode, digest, encode, encode_known

# every character there is, lone surrogates and NUL among them
CHARACTERS = st.characters(exclude_categories=())
TEXTS = st.text(CHARACTERS, max_size=8).map(
    lambda text: re.sub("[\ud800-\udbff][\udc00-\udfff]", "", text)
)
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30, max_value=10**31)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES: st.SearchStrategy[Json] = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> Json:
    value: Json = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def same(first: object, second: object) -> bool:
    """Return whether two values are equal and of equal types, all the way down."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = first.keys() == second.keys()
        return keys and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        long = len(first) == len(second)
        return long and all(map(same, first, second))
    return type(first) is type(second) and first == second


@given(VALUES)
def test_what_is_encoded_is_read_back_the_same(value: Json) -> None:
    """
    A session that is loaded must be the session that was saved, to the type.
    """
    data = encode(value)

    assert same(value, decode(data))


@given(VALUES)
def test_there_is_one_form_per_value(value: Json) -> None:
    """
    Hashes are over these bytes: a second form would be a second commit.
    """
    data = encode(value)

    assert data == encode(decode(data))
    assert data.isascii()


@given(st.dictionaries(TEXTS, ATOMS, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(body: dict[str, Json], random: Random) -> None:
    """
    Two processes may build one object in two orders.
    """
    keys = list(body)
    random.shuffle(keys)

    assert encode(body) == encode({key: body[key] for key in keys})


@given(st.binary(max_size=12) | st.text(string.printable, max_size=12).map(str.encode))
def test_bytes_that_we_did_not_write_are_refused(data: bytes) -> None:
    """
    Whatever stands in a file: it is canonical, or it is reported as damaged.
    """
    try:
        value = decode(data)
    except StoreCorrupt:
        return

    assert data == encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"1.50",
        b"1E5",
        b"01",
        b'"\xc3\xa9"',
        '"é"'.encode("latin-1"),
        b'"\\u0041"',
        b'"\\/"',
        b"[1,]",
        b"'a'",
        b"tru",
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
        b"1" * (DIGITS + 1),
    ],
)
def test_another_form_is_damage(data: bytes) -> None:
    """
    A reader that mends what it reads hides what happened to the file.
    """
    with pytest.raises(StoreCorrupt, match="not canonical JSON"):
        decode(data)


def test_values_nest_up_to_the_limit_and_no_deeper() -> None:
    """
    Every store and every reader can rely on one depth.
    """
    deepest = nested(DEPTH)

    assert 64 == DEPTH
    assert deepest == decode(encode(deepest)) == decode(encode_known(deepest))
    for refuse in (encode, encode_known):
        with pytest.raises(InvalidInput, match="nested too deep"):
            refuse(nested(DEPTH + 1))


def test_what_comes_in_leaves_room_for_what_it_is_put_in() -> None:
    """
    A result as deep as the limit would be written inside its record, and the
    record could not be read again.
    """
    deepest = nested(INNER)

    assert deepest is check(deepest)
    with pytest.raises(InvalidInput, match="nested too deep"):
        check(nested(INNER + 1))


@given(VALUES)
def test_a_known_value_is_encoded_the_same(value: Json) -> None:
    """
    The quick way and the careful way write the same bytes.
    """
    assert encode(value) == encode_known(value)


def test_text_full_of_brackets_is_not_deep() -> None:
    """
    The quick count of brackets must not refuse what merely looks nested.
    """
    text = "[{" * 100

    assert text == decode(encode(text))
    assert [[]] * 100 == decode(encode([[]] * 100))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shape", ["{}", "[{}]", '{{"a":{}}}'])
def test_numbers_that_are_none_are_refused(number: float, shape: str) -> None:
    """
    JSON has no NaN; the first strict reader would call the file damaged.
    """
    value = {"{}": number, "[{}]": [number], '{{"a":{}}}': {"a": number}}[shape]

    for refuse in (encode, check):
        with pytest.raises(InvalidInput, match=r"^value(\[0\]|\.a)?: -?(nan|inf)"):
            refuse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [1, None, True, 1.5, ("a",), b"a"])
def test_keys_are_text(key: object) -> None:
    """
    The standard encoder makes "1" of 1 in silence: another object comes back.
    """
    bodies: list[Any] = [{key: 1}, {"a": [{"b": {key: 1}}]}, [({key: 1},)]]

    for body in bodies:
        for refuse in (encode, check):
            with pytest.raises(InvalidInput, match=r"key .* is not text"):
                refuse(body)


@pytest.mark.parametrize("value", [b"a", {1, 2}, object(), 1j, [object()], {"a": b""}])
def test_what_json_cannot_say_is_refused_with_its_path(value: Any) -> None:
    """
    Whoever handed it over has to find it.
    """
    for refuse in (encode, check):
        with pytest.raises(InvalidInput, match=r"^value(\[0\]|\.a)?: \w+ is not JSON"):
            refuse(value)


def test_the_path_leads_to_the_culprit() -> None:
    """
    In a large result, "not JSON" alone helps nobody.
    """
    value = {"rows": [{"id": 1}, {"id": {"x": [0, math.nan]}}]}

    with pytest.raises(InvalidInput, match=r"^result\.rows\[1\]\.id\.x\[1\]: nan"):
        check(value, where="result")


def test_a_value_that_holds_itself_is_refused() -> None:
    """
    A tool may return a graph of objects.
    """
    value: list[Any] = []
    value.append(value)

    for refuse in (encode, check):
        with pytest.raises(InvalidInput):
            refuse(value)


def test_an_integer_is_as_long_as_can_be_read_back() -> None:
    """
    Python writes no longer one by default, and reads no longer one.
    """
    longest = 10**DIGITS - 1

    assert longest == decode(encode(longest))
    assert -longest == check(-longest)
    for refuse in (encode, check):
        with pytest.raises(InvalidInput, match="an integer of over 4300 digits"):
            refuse([longest + 1])


def test_loose_surrogates_and_nul_survive() -> None:
    """
    File names and broken streams hold them; losing one renames the file.
    """
    value = {"\x00": "a\x00b", "\udcff": "\ud800", "z": "\udc00\ud800"}

    assert value == decode(encode(value))


def test_a_pair_of_surrogates_is_the_character_it_stands_for() -> None:
    """
    A stream may cut an emoji in half; joined again it is the emoji.
    """
    torn = "\ud83d" + "\ude00"

    assert encode("😀") == encode(torn)
    assert "😀" == decode(encode(torn))


@pytest.mark.parametrize("body", [{"\ud83d\ude00": 1, "\uffff": 2}, {"\ud83d\ude00": 1, "😀": 2}])
def test_what_could_not_be_read_back_is_not_written(body: dict[str, Json]) -> None:
    """
    Joined, such keys sort elsewhere or fall together: `decode` would refuse them.
    """
    with pytest.raises(InvalidInput):
        encode(body)


def test_true_and_1_and_1_0_are_three_values() -> None:
    """
    Python calls them equal; a schema does not.
    """
    assert [b"true", b"1", b"1.0"] == [encode(True), encode(1), encode(1.0)]


def test_a_tuple_is_written_as_a_list() -> None:
    """
    Frozen values hold tuples.
    """
    assert encode([1, [2]]) == encode((1, (2,)))


def test_the_digest_is_sha256() -> None:
    """
    Other tools can check a store.
    """
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    assert empty == digest(b"")


def test_a_long_value_is_cut_in_the_message() -> None:
    """
    A damaged megabyte is not worth a megabyte of log.
    """
    with pytest.raises(StoreCorrupt) as caught:
        decode(b"x" * 100_000)

    assert len(str(caught.value)) < 300
