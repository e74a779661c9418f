"""
Messages and parts: frozen, stored in one form, read back strictly.
"""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_sdk.errors import InvalidHistory, InvalidInput, StoreCorrupt
from lash_sdk.json import Json, decode, encode
from lash_sdk.messages import (
    BLOB_LIMIT,
    Blob,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    UserPart,
    assistant,
    blobs,
    note,
    part_from_json,
    user,
)

ANY_TEXT = st.text(max_size=8)
NAMES = st.text(min_size=1, max_size=8)
BLOBS = st.builds(Blob.of, st.binary(min_size=1, max_size=8), st.just("image/png"))
TEXTS = st.builds(Text, text=ANY_TEXT)
IMAGES = st.builds(Image, blob=BLOBS)
FILES = st.builds(File, name=ANY_TEXT, blob=BLOBS)
REPLAY = st.none() | st.dictionaries(ANY_TEXT, st.integers() | ANY_TEXT, max_size=2)
REASONING = st.builds(Reasoning, text=ANY_TEXT, replay=REPLAY)
CALLS = st.builds(ToolCall, id=NAMES, name=NAMES, arguments=ANY_TEXT)
RESULTS = st.builds(
    ToolResult,
    call=NAMES,
    name=ANY_TEXT,
    status=st.sampled_from(["ok", "failed", "cancelled"]),
    parts=st.lists(TEXTS | IMAGES | FILES, max_size=3).map(tuple),
)
PARTS: dict[Role, st.SearchStrategy[Any]] = {
    "user": TEXTS | IMAGES | FILES,
    "assistant": TEXTS | REASONING | CALLS,
    "tool": RESULTS,
    "system": TEXTS,
}
MESSAGES = st.sampled_from(list(PARTS)).flatmap(
    lambda role: st.builds(
        Message,
        role=st.just(role),
        parts=st.lists(PARTS[role], max_size=4).map(tuple),
        origin=st.none() | NAMES,
    )
)
PIXEL = Image.of(b"\x89PNG")
SAMPLES: dict[str, Part] = {
    "text": Text(text="hi"),
    "image": PIXEL,
    "file": File.of("a.txt", b"abc", "text/plain"),
    "reasoning": Reasoning(text="hm", replay={"id": "r"}),
    "tool_call": ToolCall(id="c", name="add"),
    "tool_result": ToolResult(call="c", name="add", parts=(Text(text="3"), PIXEL)),
}


@given(MESSAGES)
def test_a_message_is_read_back_as_it_was(message: Message) -> None:
    """
    History is read more often than it is written.
    """
    data = encode(message.to_json())
    again = Message.from_json(decode(data))

    assert message == again
    assert data == encode(again.to_json())


def test_there_is_a_sample_of_every_part() -> None:
    """
    The tests below go through all kinds.
    """
    assert {kind.kind for kind in get_args(Part)} == set(SAMPLES)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_part_is_read_back_as_it_was(kind: str) -> None:
    """
    One sample each that can be checked by eye.
    """
    part = SAMPLES[kind]

    assert part == part_from_json(decode(encode(part.to_json())))
    assert kind == part.kind == part.to_json()["kind"]


OPTIONAL = {("reasoning", "replay"), ("message", "origin"), ("tool_result", "parts")}


def bodies() -> list[tuple[str, dict[str, Json]]]:
    found = [(kind, dict(part.to_json())) for kind, part in SAMPLES.items()]
    return [*found, ("message", dict(user("hi").to_json()))]


def read(kind: str, body: Json) -> object:
    return Message.from_json(body) if kind == "message" else part_from_json(body)


@pytest.mark.parametrize(("kind", "body"), bodies())
def test_a_missing_field_is_damage(kind: str, body: dict[str, Json]) -> None:
    """
    Nothing is made up for what a file no longer holds.
    """
    for name in body:
        rest = {key: value for key, value in body.items() if key != name}
        if (kind, name) not in OPTIONAL:
            with pytest.raises(StoreCorrupt, match=rf"\.{name}: (missing|expected .* found None)"):
                read(kind, rest)


@pytest.mark.parametrize(("kind", "body"), bodies())
def test_an_unknown_field_is_damage(kind: str, body: dict[str, Json]) -> None:
    """
    It may be what a later version could not do without.
    """
    with pytest.raises(StoreCorrupt, match=r"unknown fields \['later'\]"):
        read(kind, {**body, "later": 1})


@pytest.mark.parametrize(("kind", "body"), bodies())
@pytest.mark.parametrize("wrong", [True, 7, 1.5])
def test_a_field_of_another_type_is_damage(kind: str, body: dict[str, Json], wrong: Json) -> None:
    """
    No field of a message is a bool or a bare number.
    """
    for name in body:
        with pytest.raises(StoreCorrupt, match=r"expected|found|unknown"):
            read(kind, {**body, name: wrong})


@pytest.mark.parametrize("body", [None, "text", [], 1])
def test_what_is_no_object_is_no_message(body: Json) -> None:
    """
    Decoders start from nothing.
    """
    with pytest.raises(StoreCorrupt, match="message: expected an object"):
        Message.from_json(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "video"}, "part.kind: expected one of .*, found 'video'"),
        (
            {"kind": "tool_result", "call": "c", "name": "n", "status": "lost", "parts": []},
            "part.status: expected one of",
        ),
        (
            {
                "kind": "tool_result",
                "call": "c",
                "name": "n",
                "status": "ok",
                "parts": [{"kind": "reasoning", "text": ""}],
            },
            "expected one of file, image, text, found 'reasoning'",
        ),
    ],
)
def test_what_is_no_part_is_damage(body: Json, message: str) -> None:
    """
    Unknown words are reported, not guessed.
    """
    with pytest.raises(StoreCorrupt, match=message):
        part_from_json(body)


@pytest.mark.parametrize("role", PARTS)
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_role_holds_only_its_parts(role: Role, kind: str) -> None:
    """
    A provider refuses a request with a picture said by a model.
    """
    message = Message(role=role, parts=(SAMPLES[kind],))
    allowed = {
        "user": {"text", "image", "file"},
        "assistant": {"text", "reasoning", "tool_call"},
        "tool": {"tool_result"},
        "system": {"text"},
    }

    if kind in allowed[role]:
        assert message is message.check()
    else:
        with pytest.raises(InvalidHistory, match=f"a {role} message can't hold {kind}"):
            message.check()


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (Message(role="judge", parts=()), "no such role: 'judge'"),  # type: ignore[arg-type]
        (
            Message(role="assistant", parts=(ToolCall(id="", name="a"),)),
            "a tool call without id or name",
        ),
        (
            Message(role="assistant", parts=(ToolCall(id="c", name=""),)),
            "a tool call without id or name",
        ),
        (
            Message(role="tool", parts=(ToolResult(call="", name="a"),)),
            "a tool result without a call's id",
        ),
    ],
)
def test_what_no_provider_takes_is_refused(message: Message, why: str) -> None:
    """
    Found here, it costs nothing; found by the provider, it costs the session.
    """
    with pytest.raises(InvalidHistory, match=why):
        message.check()


def test_texts_calls_and_results_are_found_in_order() -> None:
    """
    Providers interleave reasoning, text and calls; their order carries meaning.
    """
    one, two = ToolCall(id="1", name="a"), ToolCall(id="2", name="b")
    answer = Message(
        role="assistant",
        parts=(Reasoning(text="r"), Text(text="a"), one, Reasoning(text="s"), two, Text(text="b")),
    )
    results = Message(
        role="tool", parts=(ToolResult(call="1", name="a"), ToolResult(call="2", name="b"))
    )

    assert "a\n\nb" == answer.text
    assert (one, two) == answer.calls
    assert ["1", "2"] == [result.call for result in results.results]


def test_a_results_text_leaves_its_pictures_out() -> None:
    """
    It is what a terminal shows.
    """
    result = ToolResult(call="c", name="n", parts=(Text(text="a"), PIXEL, Text(text="b")))

    assert "a\nb" == result.text


def test_parts_and_messages_cannot_be_changed() -> None:
    """
    History is shared by everyone who looks at it.
    """
    values: list[Any] = [*SAMPLES.values(), user("hi"), PIXEL.blob]

    for value in values:
        for field in fields(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, None)


# --- blobs -----------------------------------------------------------------------


def test_a_blob_is_known_by_its_content() -> None:
    """
    The same picture shown twice is stored once.
    """
    one, two = Blob.of(b"abc", "text/plain"), Blob.of(b"abc", "text/plain")

    assert one == two
    assert hashlib.sha256(b"abc").hexdigest() == one.sha256
    assert (3, b"abc") == (one.size, one.data)


def test_a_stored_blob_is_a_reference() -> None:
    """
    Reading history must not read its pictures.
    """
    blob = Blob.of(b"abc", "text/plain")
    again = Blob.from_json(decode(encode(blob.to_json())))

    assert blob == again
    assert again.data is None
    assert "abc" not in repr(blob)


@pytest.mark.parametrize("size", [0, BLOB_LIMIT + 1])
def test_a_blob_has_a_limit(size: int) -> None:
    """
    A commit is one transaction: it can't carry a film.
    """
    with pytest.raises(InvalidInput, match=f"blob of {size} bytes: expected 1 to"):
        Blob.of(bytes(size), "video/mp4")


def test_a_blob_may_be_as_large_as_the_limit() -> None:
    """
    The limit itself is allowed.
    """
    assert BLOB_LIMIT == Blob.of(bytes(BLOB_LIMIT), "video/mp4").size


@pytest.mark.parametrize(
    "change", [{"sha256": "ab"}, {"sha256": "Z" * 64}, {"size": 0}, {"size": BLOB_LIMIT + 1}]
)
def test_a_reference_that_can_lead_nowhere_is_damage(change: dict[str, Json]) -> None:
    """
    A reference is looked up much later, where nobody can tell what went wrong.
    """
    body = {**Blob.of(b"abc", "text/plain").to_json(), **change}

    with pytest.raises(StoreCorrupt, match="blob: expected a sha256 and a size"):
        Blob.from_json(body)


def test_blobs_are_collected_once_and_from_results_too() -> None:
    """
    What is collected is what a commit stores.
    """
    known = Image(blob=Blob.from_json(Blob.of(b"old", "image/png").to_json()))
    paper = File.of("a", b"paper", "text/plain")
    messages = (
        Message(role="user", parts=(PIXEL, Text(text="x"), known)),
        Message(role="tool", parts=(ToolResult(call="c", name="n", parts=(PIXEL, paper)),)),
    )

    assert [PIXEL.blob, known.blob, paper.blob] == blobs(messages)


# --- making messages -------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["", " \n\t", [], [Text(text="")], [Text(text=" "), Text(text="\n")]]
)
def test_an_empty_prompt_is_refused(content: str | list[UserPart]) -> None:
    """
    A provider would refuse it, after a turn was begun.
    """
    with pytest.raises(InvalidInput, match="the prompt is empty"):
        user(content)


def test_what_a_user_said_is_kept_to_the_letter() -> None:
    """
    White space may be what it is about.
    """
    assert "  a\n" == user("  a\n").text


def test_neighbouring_texts_become_one() -> None:
    """
    One form per message, however a front end cuts its input.
    """
    a, b, c = (Text(text=text) for text in "abc")

    assert (Text(text="ab"), PIXEL, c) == user([a, Text(text=""), b, PIXEL, c]).parts


def test_a_picture_alone_is_a_prompt() -> None:
    """
    It says more than nothing.
    """
    assert (PIXEL,) == user([PIXEL]).parts


@pytest.mark.parametrize("part", ["text", b"x", ToolCall(id="c", name="n"), None])
def test_a_user_says_text_images_and_files(part: Any) -> None:
    """
    Nobody puts calls or results into a user's mouth.
    """
    with pytest.raises(InvalidInput, match="expected text, image or file, found"):
        user([part])


def test_the_makers_say_who_spoke() -> None:
    """
    They are what tests and plugins write history with.
    """
    assert ("user", "assistant", "system") == (user("a").role, assistant("a").role, note("a").role)
    assert "plan" == note("a", origin="plan").origin
