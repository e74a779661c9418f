"""
Tools: the schema a model is shown, the arguments it may send, what comes back.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import uuid
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from lash_sdk.errors import InvalidInput
from lash_sdk.graph import chain
from lash_sdk.json import INNER, Json, decode, encode
from lash_sdk.messages import File, Image, Text
from lash_sdk.outcomes import Finish, Success, ToolRecord
from lash_sdk.tools import (
    OPEN,
    Tool,
    ToolDefinition,
    ToolRetry,
    as_json,
    as_tool,
    attachments,
    from_schema,
    parse_arguments,
    tool,
)


class ToolContext:
    """Stands for the kernel's own, which is known by its name."""


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Point(pydantic.BaseModel):
    x: int
    y: int = 0


class Shape(pydantic.BaseModel):
    name: str
    points: list[Point]


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int


@dataclass
class Pair:
    left: int
    right: Point | None = None


class Named(TypedDict):
    title: str


def properties(made: Tool) -> dict[str, Any]:
    shown: Any = made.definition.parameters["properties"]
    return dict(shown)


def refused(made: Tool, arguments: Any) -> str:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    with pytest.raises(InvalidInput) as caught:
        made.validate(text)
    return str(caught.value)


# --- what the model is shown -----------------------------------------------------


def test_a_schema_is_read_off_the_function() -> None:
    """
    The types and the docstring are written once, for people and models.
    """

    @tool
    async def search(query: str, limit: int = 10, exact: bool = False) -> list[str]:
        """
        Search the
        library.

        Only titles are searched.

        Args:
            query: What to look for,
                in a few words.
            limit (int): How many.

        Returns:
            exact: not a parameter's line.
        """
        return []

    assert ToolDefinition(
        name="search",
        description="Search the library.",
        parameters={
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "query": {"type": "string", "description": "What to look for, in a few words."},
                "limit": {"type": "integer", "description": "How many.", "default": 10},
                "exact": {"type": "boolean", "default": False},
            },
            "required": ["query"],
        },
    ) == (search.definition)
    assert search.awaits
    assert "search" == search.name


def test_a_function_without_parameters_takes_none() -> None:
    """
    Providers want an object all the same.
    """

    @tool
    def now() -> str:
        return ""

    assert {"type": "object", "properties": {}, "additionalProperties": False} == dict(
        now.definition.parameters
    )
    assert {} == now.validate("") == now.validate("{}")
    assert "" == now.definition.description
    assert not now.awaits


def test_annotations_say_what_is_allowed() -> None:
    """
    A model that is told the rule breaks it less often.
    """

    @tool
    def draw(
        colour: Colour,
        size: Annotated[int, pydantic.Field(ge=1, le=9, description="In points.")],
        style: Literal["thin", "bold"] = "thin",
        label: Optional[str] = None,  # noqa: UP045 - people write it
        at: Point | None = None,
    ) -> None:
        """Draw."""

    shown = properties(draw)
    defs: Any = draw.definition.parameters["$defs"]

    assert {"enum": ["red", "blue"], "type": "string"} == defs["Colour"]
    assert {"type": "integer", "minimum": 1, "maximum": 9, "description": "In points."} == shown[
        "size"
    ]
    assert ["thin", "bold"] == shown["style"]["enum"]
    assert [{"type": "string"}, {"type": "null"}] == shown["label"]["anyOf"]
    assert None is shown["label"]["default"]
    assert {"x", "y"} == set(defs["Point"]["properties"])
    assert ["colour", "size"] == draw.definition.parameters["required"]
    assert encode(draw.definition.parameters)


def test_pydantics_titles_are_left_out_and_ours_kept() -> None:
    """
    Titles that repeat a name cost tokens; a property may be called "title".
    """

    @tool
    def book(title: str, named: Named, shape: Shape) -> None: ...

    text = encode(book.definition.parameters).decode()

    assert '"title":"' not in text
    assert {"title", "named", "shape"} == set(properties(book))
    assert '"properties":{"title":{"type":"string"}}' in text


@pytest.mark.parametrize("default", [math.nan, math.inf, Colour.RED, [1], Point(x=1)])
def test_a_default_that_json_cannot_say_is_not_shown(default: Any) -> None:
    """
    The parameter is optional all the same.
    """

    @tool
    def f(x: Any = default) -> None: ...

    assert "default" not in properties(f)["x"]
    assert "required" not in f.definition.parameters
    assert {} == f.validate("{}")


def test_the_context_is_hidden_from_the_model() -> None:
    """
    It is filled in by the kernel, so a model must not be able to.
    """

    @tool
    def f(a: int, ctx: ToolContext, b: int = 2) -> None: ...

    assert "ctx" == f.context
    assert {"a", "b"} == set(properties(f))
    assert "arguments.ctx: Extra inputs" in refused(f, {"a": 1, "ctx": {}})


def test_options_reach_the_definition() -> None:
    """
    Each is a promise to the dispatcher.
    """

    @tool(
        name="other",
        description="Said otherwise.",
        on_recovery="rerun",
        timeout=1.5,
        serial=True,
        inline=True,
        hidden=True,
        retry=3,
        tags=("a",),
    )
    def f() -> None:
        """Said here."""

    assert ToolDefinition(
        name="other",
        description="Said otherwise.",
        parameters=f.definition.parameters,
        on_recovery="rerun",
        timeout=1.5,
        serial=True,
        inline=True,
        hidden=True,
        retry=ToolRetry(attempts=3),
        tags=("a",),
    ) == (f.definition)


def test_a_tool_is_still_its_function() -> None:
    """
    Authors test their functions, and call one from another.
    """

    @tool
    def add(a: int, b: int = 1) -> int:
        return a + b

    assert (3, 2) == (add(1, b=2), add(1))
    assert add is as_tool(add)
    assert "add" == as_tool(add.run).name


# --- what it can be made of ------------------------------------------------------


class Adder:
    """Adds."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __call__(self, a: int) -> int:
        return self.start + a

    async def slowly(self, a: int) -> int:
        """Add, but wait."""
        return self.start + a

    @classmethod
    def fresh(cls, a: int) -> int:
        """Add to nothing."""
        return a

    @staticmethod
    def pure(a: int) -> int:
        """Add without a self."""
        return a


class AsyncAdder:
    async def __call__(self, a: int) -> int:
        """Add on the loop."""
        return a


def scale(a: int, factor: int) -> int:
    """
    Scale.

    Args:
        a: What.
        factor: By how much.
    """
    return a * factor


async def scale_later(a: int, factor: int) -> int:
    return a * factor


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


@pytest.mark.parametrize(
    ("function", "name", "description", "awaits", "result"),
    [
        (Adder(1), "Adder", "Adds.", False, 3),
        (Adder(1).slowly, "slowly", "Add, but wait.", True, 3),
        (Adder.fresh, "fresh", "Add to nothing.", False, 2),
        (Adder.pure, "pure", "Add without a self.", False, 2),
        (AsyncAdder(), "AsyncAdder", "Add on the loop.", True, 2),
        (functools.partial(scale, factor=5), "scale", "Scale.", False, 10),
        (functools.partial(scale_later, factor=5), "scale_later", "", True, 10),
        (functools.partial(functools.partial(Adder(1)), a=2), "Adder", "Adds.", False, 3),
        (wrapped(scale), "scale", "Scale.", False, None),
        (lambda: 1, None, None, None, None),
    ],
)
def test_any_callable_with_types_is_a_tool(
    function: Any, name: str | None, description: str, awaits: bool, result: int | None
) -> None:
    """
    Objects, bound methods, partials and wrapped functions are common in real code.
    """
    if name is None:
        with pytest.raises(InvalidInput, match="tool name '<lambda>'"):
            tool(function)
        return
    made = tool(function)

    assert (name, description, awaits) == (made.name, made.definition.description, made.awaits)
    if result is None:
        return
    arguments = made.validate('{"a": 2}')
    got: Any = made.run(**arguments)
    assert result == (asyncio.run(got) if awaits else got)


def test_a_partial_shows_what_is_still_open() -> None:
    """
    What was filled in by position is gone, what by name is a default.
    """
    by_name = tool(functools.partial(scale, factor=5))
    by_place = tool(functools.partial(scale, 5))

    assert {
        "a": {"type": "integer", "description": "What."},
        "factor": {"type": "integer", "description": "By how much.", "default": 5},
    } == properties(by_name)
    assert {"factor"} == set(properties(by_place))


def unannotated(a) -> None: ...  # type: ignore[no-untyped-def]


def positional(a: int, /) -> None: ...


def many(*rest: int) -> None: ...


def named(**rest: int) -> None: ...


def unknown_type(a: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def no_json_type(a: object, b: Callable[[], int], c: asyncio.Task[int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (unannotated, "tool 'unannotated', parameter 'a': expected a type annotation"),
        (positional, "tool 'positional', parameter 'a': expected a named parameter"),
        (many, "tool 'many', parameter 'rest': expected a named parameter"),
        (named, "tool 'named', parameter 'rest': expected a named parameter"),
        (unknown_type, "tool 'unknown_type': annotation not found: name 'NoSuchType'"),
        (no_json_type, "tool 'no_json_type': "),
    ],
)
def test_what_a_model_could_not_fill_in_is_refused(
    function: Callable[..., Any], message: str
) -> None:
    """
    At the author's desk, with the parameter's name, rather than in a turn.
    """
    with pytest.raises(InvalidInput) as caught:
        tool(function)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "two words"}, "tool name 'two words': expected"),
        ({"name": "x" * 65}, "tool name 'xxx"),
        ({"on_recovery": "again"}, "on_recovery: expected one of .* found 'again'"),
        ({"timeout": 0}, "timeout: expected > 0, found 0"),
        ({"timeout": math.nan}, "timeout: expected > 0, found nan"),
        ({"retry": 0}, "retry.attempts: expected >= 1, found 0"),
        ({"times": 1}, "unknown option 'times'"),
    ],
)
def test_an_option_that_means_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    """
    A misspelt promise would silently not be kept.
    """
    with pytest.raises(InvalidInput, match=message):
        tool(**options)(scale)


def test_a_tool_cannot_be_changed() -> None:
    """
    Sessions share tools.
    """
    made = tool(scale)

    with pytest.raises(FrozenInstanceError):
        made.context = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        made.definition.name = "x"  # type: ignore[misc]


# --- what the model may send -----------------------------------------------------


@tool
def everything(
    count: int,
    ratio: float = 0.0,
    colour: Colour = Colour.RED,
    shape: Shape | None = None,
    pair: Pair | None = None,
    tags: dict[str, list[int]] | None = None,
    when: datetime | None = None,
    kinds: set[str] | None = None,
    one: Point | Pair | None = None,
) -> None:
    """Take one of each."""


def test_arguments_arrive_as_the_function_wants_them() -> None:
    """
    Models send JSON; functions want their own types.
    """
    text = """{"count": 3, "ratio": 2, "colour": "blue", "kinds": ["a", "a"],
        "shape": {"name": "s", "points": [{"x": 1}]}, "pair": {"left": 1},
        "tags": {"a": [1]}, "when": "2024-01-02T03:04:05Z", "one": {"x": 9}}"""

    assert {
        "count": 3,
        "ratio": 2.0,
        "colour": Colour.BLUE,
        "kinds": {"a"},
        "shape": Shape(name="s", points=[Point(x=1, y=0)]),
        "pair": Pair(left=1),
        "tags": {"a": [1]},
        "when": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        "one": Point(x=9),
    } == everything.validate(text)


@pytest.mark.parametrize("count", [True, False, 1.0, "1", None, [], {}, 1e3, "1.0"], ids=repr)
def test_only_an_integer_is_an_integer(count: Json) -> None:
    """
    Plugins invariant 38: neither True nor 1.0 is, whatever Python thinks.
    """
    assert refused(everything, {"count": count}).startswith("arguments.count: ")


def test_an_integer_may_be_large() -> None:
    """
    Ids are longer than a float is exact.
    """
    assert {"count": 10**30} == everything.validate(f'{{"count": {10**30}}}')


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, "arguments.count: Field required"),
        ({"count": 1, "ratio": "x"}, "arguments.ratio: "),
        ({"count": 1, "colour": "green"}, "arguments.colour: "),
        ({"count": 1, "tags": {"a": [1, "x"]}}, "arguments.tags.a[1]: "),
        (
            {"count": 1, "shape": {"name": "s", "points": [{"x": 1}, {"x": 1.0}]}},
            "arguments.shape.points[1].x: ",
        ),
        ({"count": 1, "extra": 2}, "arguments.extra: Extra inputs"),
        (
            {"count": 1, "shape": {"name": "s", "points": [{"x": 1, "z": 2}]}},
            "arguments.shape.points[0].z: ",
        ),
        ({"count": 1, "pair": {"left": 1, "up": 2}}, "arguments.pair.up: "),
        ({"count": 1, "pair": {"left": 1, "right": {"x": 1, "w": 2}}}, "arguments.pair."),
        ({"count": 1, "one": {"x": 9, "z": 1}}, "arguments.one."),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(arguments: Json, path: str) -> None:
    """
    Plugins invariants 36 and 37: bad and unknown arguments never reach the tool,
    however deep, and the model is told where to look.
    """
    assert path in refused(everything, arguments)


def test_every_problem_is_told_at_once() -> None:
    """
    One round trip mends them all.
    """
    message = refused(everything, {"ratio": "x", "extra": 1})

    assert ["arguments.count", "arguments.ratio", "arguments.extra"] == [
        part.split(":")[0] for part in message.split("; ")
    ]


def test_a_model_that_declares_more_takes_more() -> None:
    """
    The schema says so, and the schema is what was promised.
    """

    @tool
    def f(loose: Loose) -> None: ...

    taken = f.validate('{"loose": {"a": 1, "b": 2}}')["loose"]

    assert {"b": 2} == taken.model_extra
    assert "arguments.c: Extra inputs" in refused(f, {"loose": {"a": 1}, "c": 1})


NOT_JSON = [
    ("{", "arguments: not JSON: "),
    ("{'a': 1}", "arguments: not JSON: "),
    ("[1]", "arguments: expected an object, found [1]"),
    ('"x"', "arguments: expected an object, found 'x'"),
    ("null", "arguments: expected an object, found None"),
    ('{"a": NaN}', "arguments.a: nan is not JSON"),
    ('{"a": -Infinity}', "arguments.a: -inf is not JSON"),
    ('{"a": 1e999}', "arguments.a: inf is not JSON"),
    (f'{{"a": {"9" * 5000}}}', "arguments: not JSON: "),
    (f'{{"a": {"[" * 56}{"]" * 56}}}', "nested too deep"),
    (f'{{"a": {"[" * 100_000}', "arguments: not JSON: "),
    ('{"a": 1, "a": 2}', "arguments: not JSON: a key stands twice"),
    ('{"a": 1, "a" :2}', "arguments: not JSON: a key stands twice"),
    ('{"a": {"b": 1, "c": 2, "b": 1}}', "arguments: not JSON: a key stands twice"),
]


@tool
def anything(a: Any = None) -> None: ...


@pytest.mark.parametrize(("text", "message"), NOT_JSON)
def test_arguments_that_could_not_be_stored_are_refused(text: str, message: str) -> None:
    """
    They are recorded as they were executed: a NaN would make the turn impossible
    to commit.
    """
    opened = from_schema(ToolDefinition(name="o"), scale_later)

    for refuse in (parse_arguments, anything.validate, opened.validate):
        with pytest.raises(InvalidInput) as caught:
            refuse(text)
        assert message in str(caught.value)


def test_no_arguments_at_all_are_an_empty_object() -> None:
    """
    Some providers send an empty text for a call without arguments.
    """
    assert {} == parse_arguments("") == anything.validate("")


# --- tools described by a schema alone --------------------------------------------


def by_schema(**schema: Any) -> Tool:
    definition = ToolDefinition(name="f", parameters={"type": "object", **schema})
    return from_schema(definition, scale_later, context="ctx")


def test_a_schema_with_properties_is_closed() -> None:
    """
    Plugins invariant 37: stricter than the standard, on purpose.
    """
    made = by_schema(properties={"a": {}, "b": {}}, required=["a"])

    assert {"a": 1} == made.validate('{"a": 1}')
    assert "arguments.c: unknown" == refused(made, {"a": 1, "c": 1})
    assert "arguments.a: missing" == refused(made, {"b": 1})
    assert ("ctx", True) == (made.context, made.awaits)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": {}, "additionalProperties": True},
        {"properties": {"a": {}}, "additionalProperties": {}},
        {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
    ],
)
def test_a_schema_that_says_so_is_open(schema: dict[str, Any]) -> None:
    """
    Tools from elsewhere describe what they take as they like.
    """
    assert {"z": 1} == by_schema(**schema).validate('{"z": 1}')


def test_a_schema_closed_in_so_many_words_is_closed() -> None:
    """
    The usual way to say it.
    """
    made = by_schema(properties={}, additionalProperties=False)

    assert "arguments.z: unknown" == refused(made, {"z": 1})


def test_a_tool_without_a_schema_takes_any_object() -> None:
    """
    The default is an open object.
    """
    made = from_schema(ToolDefinition(name="f"), scale_later)

    assert OPEN == made.definition.parameters
    assert {"z": [1]} == made.validate('{"z": [1]}')


# --- what comes back -------------------------------------------------------------

PLAIN: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_json_already_is_returned_as_it_is(value: Json) -> None:
    """
    And as a copy: a tool that goes on changing it can't change the record.
    """
    made = as_json(value)

    assert value == made
    assert made is not value or not isinstance(value, (list, dict))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Point(x=1), {"x": 1, "y": 0}),
        (Pair(left=1, right=Point(x=2)), {"left": 1, "right": {"x": 2, "y": 0}}),
        ([Point(x=1), None], [{"x": 1, "y": 0}, None]),
        ((1, "a"), [1, "a"]),
        ({1, 2}, [1, 2]),
        (frozenset({"a"}), ["a"]),
        ({"a": (1,)}, {"a": [1]}),
        ({1: "a", 2: "b"}, {"1": "a", "2": "b"}),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02T03:04:05Z"),
        (date(2024, 1, 2), "2024-01-02"),
        (Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        ("é".encode(), "é"),
        ((n for n in (1, 2)), [1, 2]),
        (["\udcff\x00"], ["\udcff\x00"]),
        (None, None),
        (True, True),
        (2**70, 2**70),
    ],
)
def test_a_tool_may_return_what_python_has(value: object, said: Json) -> None:
    """
    Authors return models, dates and sets without a second thought.
    """
    made = as_json(value)

    assert said == made
    assert said == decode(encode(made))


def looped() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(57):
        value = [value]
    return value


class Broken(pydantic.BaseModel):
    x: int

    @pydantic.field_serializer("x")
    def _fail(self, x: int) -> int:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "object"),
        (math.nan, "float"),
        ([1, math.inf], "list"),
        (Pair(left=math.nan), "Pair"),  # type: ignore[arg-type]
        (b"\xff", "bytes"),
        (scale, "function"),
        (looped(), "list"),
        (deep(), "list"),
        ([10**5000], "list"),
        (Broken(x=1), "Broken"),
    ],
)
def test_what_json_cannot_say_is_refused_by_name(value: object, name: str) -> None:
    """
    The author has to learn which type it was; the turn goes on.
    """
    with pytest.raises(InvalidInput, match=f"^a value of type {name} is not JSON: "):
        as_json(value)


def test_the_deepest_value_can_be_stored_and_read_again() -> None:
    """
    As arguments and as a result, inside of a record.
    """
    deepest: Any = 1
    for _ in range(INNER - 1):
        deepest = {"a": deepest}
    arguments = parse_arguments(json.dumps({"x": deepest["a"]}))
    finish = Finish(value=as_json([deepest]))
    made = ToolRecord(
        call="c",
        name="n",
        arguments=arguments,
        outcome=Success(value=as_json([deepest]), control=finish),
    )
    (node,) = chain("t", None, [made])

    assert made == ToolRecord.from_json(decode(node.data))
    with pytest.raises(InvalidInput, match="nested too deep"):
        as_json([[deepest]])


def test_parts_are_said_as_parts() -> None:
    """
    Pictures and files go beside the value, by hash, alone or in a list.
    """
    picture, paper = Image.of(b"\x89png"), File.of("a.txt", b"a", "text/plain")

    assert picture.to_json() == as_json(picture)
    assert [picture.to_json(), paper.to_json(), "x", Text(text="y").to_json(), [1]] == (
        as_json([picture, paper, "x", Text(text="y"), (1,)])
    )
    assert (picture.blob,) == attachments(picture)
    assert (picture.blob, paper.blob) == attachments((picture, "x", paper))
    assert () == attachments("x")
    assert encode(as_json([picture, paper]))


def test_waits_between_attempts_double() -> None:
    """
    Up to the longest; none means no bound.
    """
    retry = ToolRetry(attempts=9, first=1, longest=4)

    assert [1, 2, 4, 4] == [retry.wait(attempt, None) for attempt in (1, 2, 3, 4)]
    assert [3, 4, 0] == [retry.wait(1, asked) for asked in (3, 9, -1)]
    assert 8 == ToolRetry(first=1, longest=0).wait(4, None)
    assert 2.0**60 == ToolRetry(first=1, longest=0).wait(9999, None)
