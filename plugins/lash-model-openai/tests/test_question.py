"""What a request becomes on the wire, recorded where it arrives."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from lash_model_openai import chat, responses
from lash_model_openai.wire import Target
from lash_sdk.json import JsonObject
from lash_sdk.messages import (
    Blob,
    File,
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    note,
    user,
)
from lash_sdk.tools import ToolDefinition

from .asking import Blobs, asking, model_at
from .peer import Peer, said, streamed, told

PICTURE = b"\x89PNG not really"
PDF = b"%PDF-1.4 not really"
ADD = ToolDefinition(
    name="add",
    description="Add two integers.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}},
)
OUTPUT = {
    "title": "The Sum",
    "type": "object",
    "properties": {"sum": {"type": "integer", "title": "Sum"}},
    "required": ["sum"],
}
CLOSED = {**OUTPUT, "additionalProperties": False}
OFFICIAL = Target(name="gpt-5.2", host="api.openai.com", official=True, store=False, body={})
OTHER = Target(name="m", host="127.0.0.1", official=False, store=False, body={})


def lazily(data: bytes, media_type: str) -> Blob:
    """Return a blob as a store gives it: without its bytes."""
    blob = Blob.of(data, media_type)
    return Blob(sha256=blob.sha256, size=blob.size, media_type=media_type)


def url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"}
MANY = [
    user(
        [
            Text(text="Look:"),
            Image(blob=lazily(PICTURE, "image/png")),
            File(name="a.pdf", blob=lazily(PDF, "application/pdf")),
            File(name="b.txt", blob=lazily(b"plain", "text/plain; charset=utf-8")),
        ]
    ),
    note("Be quick.", origin="clock"),
    Message(
        role="assistant",
        parts=(
            Reasoning(text="Hm", replay={"from": "openai:api.openai.com", "item": THOUGHT}),
            Reasoning(text="Not ours", replay={"from": "elsewhere", "item": {}}),
            Reasoning(text="No replay"),
            Text(text="I'll "),
            Text(text="look."),
            ToolCall(id="t1/1/0", name="shot", arguments='{"x": 1}'),
            ToolCall(id="t1/1/1", name="made up!", arguments="{nonsense"),
        ),
    ),
    Message(
        role="tool",
        parts=(
            ToolResult(
                call="t1/1/0",
                name="shot",
                parts=(Text(text="Here."), Image(blob=lazily(PICTURE, "image/png"))),
            ),
            ToolResult(call="t1/1/1", name="made up!", status="cancelled"),
        ),
    ),
    assistant("Nice."),
    user("Thanks"),
]


async def sent(peer: Peer, api: str, **request: Any) -> dict[str, Any]:
    """Return the body that *peer* got for a request, blobs being at hand."""
    peer.replies = [streamed(*(said("ok") if api == "chat" else told("ok")))]
    blobs = Blobs()
    for data in (PICTURE, PDF, b"plain"):
        blobs.by_hash[Blob.of(data, "x/y").sha256] = data
    model = model_at(peer, api)
    try:
        await model.answer(asking(blobs=blobs, **request), lambda _: None)
    finally:
        await model.close()
    assert len(blobs.read) == len(set(blobs.read))
    return peer.asked[0].body


async def test_chat_form(peer: Peer) -> None:
    """The golden form of a chat request with everything in it."""
    body = await sent(peer, "chat", messages=MANY, system="Terse.", tools=(ADD,), output=OUTPUT)
    ids = [call["id"] for call in body["messages"][3]["tool_calls"]]

    assert "/v1/chat/completions" == peer.asked[0].path
    assert {
        "model": "gpt-5.2",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Terse."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": url(PICTURE, "image/png")}},
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": url(PDF, "application/pdf")},
                    },
                    {"type": "text", "text": '<file name="b.txt">\nplain\n</file>'},
                ],
            },
            {"role": "system", "content": "Be quick."},
            {
                "role": "assistant",
                "content": "I'll look.",
                "tool_calls": [
                    {
                        "id": ids[0],
                        "type": "function",
                        "function": {"name": "shot", "arguments": '{"x": 1}'},
                    },
                    {
                        "id": ids[1],
                        "type": "function",
                        "function": {
                            "name": "made_up_",
                            "arguments": '{"not_an_object": "{nonsense"}',
                        },
                    },
                ],
            },
            {"role": "tool", "tool_call_id": ids[0], "content": "Here."},
            {"role": "tool", "tool_call_id": ids[1], "content": "(cancelled)"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Attached by the tool shot:"},
                    {"type": "image_url", "image_url": {"url": url(PICTURE, "image/png")}},
                ],
            },
            {"role": "assistant", "content": "Nice."},
            {"role": "user", "content": "Thanks"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Add two integers.",
                    "parameters": ADD.parameters,
                },
            }
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "The_Sum", "schema": CLOSED, "strict": True},
        },
    } == body


def spoken(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


async def test_responses_form(peer: Peer) -> None:
    """The golden form of a responses request with everything in it."""
    body = await sent(
        peer, "responses", messages=MANY, system="Terse.", tools=(ADD,), output=OUTPUT
    )
    ids = [item["call_id"] for item in body["input"] if "call_id" in item]

    assert "/v1/responses" == peer.asked[0].path
    assert ids[:2] == ids[2:]
    assert {
        "model": "gpt-5.2",
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "instructions": "Terse.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look:"},
                    {
                        "type": "input_image",
                        "image_url": url(PICTURE, "image/png"),
                        "detail": "auto",
                    },
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": url(PDF, "application/pdf"),
                    },
                    {"type": "input_text", "text": '<file name="b.txt">\nplain\n</file>'},
                ],
            },
            {"role": "developer", "content": "Be quick."},
            spoken("I'll "),
            spoken("look."),
            {"type": "function_call", "call_id": ids[0], "name": "shot", "arguments": '{"x": 1}'},
            {
                "type": "function_call",
                "call_id": ids[1],
                "name": "made_up_",
                "arguments": '{"not_an_object": "{nonsense"}',
            },
            {
                "type": "function_call_output",
                "call_id": ids[0],
                "output": [
                    {"type": "input_text", "text": "Here."},
                    {
                        "type": "input_image",
                        "image_url": url(PICTURE, "image/png"),
                        "detail": "auto",
                    },
                ],
            },
            {"type": "function_call_output", "call_id": ids[1], "output": "(cancelled)"},
            spoken("Nice."),
            {"role": "user", "content": "Thanks"},
        ],
        "tools": [
            {
                "type": "function",
                "name": "add",
                "description": "Add two integers.",
                "parameters": ADD.parameters,
                "strict": False,
            }
        ],
        "text": {
            "format": {"type": "json_schema", "name": "The_Sum", "schema": CLOSED, "strict": True}
        },
    } == body


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_least_request_holds_nothing_else(peer: Peer, api: str) -> None:
    """A field that a small server doesn't know may be an error to it."""
    body = await sent(peer, api)

    least = {
        "chat": {"model", "messages", "stream", "stream_options"},
        "responses": {"model", "input", "stream", "store", "include"},
    }
    assert least[api] == set(body)


def test_our_own_reasoning_goes_back_in_its_place() -> None:
    """A reasoning model that isn't shown its thoughts thinks them again."""
    data = {PICTURE, PDF, b"plain"}
    blobs = {Blob.of(each, "x/y").sha256: each for each in data}

    mine = responses.items(MANY, OFFICIAL, blobs)
    theirs = responses.items(MANY, OTHER, blobs)

    assert THOUGHT == mine[2]
    assert theirs == [item for item in mine if item is not mine[2]]


def test_openai_is_told_of_the_cache_and_the_store() -> None:
    """Its cache is kept by session; what may not be stored is said each time."""
    request = asking(session="s" * 300)

    chatted = chat.question(OFFICIAL, request, {})
    responded = responses.question(OFFICIAL, asking(session="s1"), {})

    assert chatted["store"] is False
    assert 64 == len(str(chatted["prompt_cache_key"]))
    assert "s1" == responded["prompt_cache_key"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("gpt-5.2", True),
        ("o4-mini", True),
        ("ft:gpt-5-mini:acme", True),
        ("gpt-4o", False),
        ("ft:gpt-4.1:acme", False),
        ("gpt-5-chat-latest", False),
        ("chatgpt-4o-latest", False),
    ],
)
def test_models_without_reasoning_are_not_asked_for_it(name: str, asked: bool) -> None:
    """They refuse the whole request."""
    target = Target(name=name, host="api.openai.com", official=True, store=False, body={})

    assert asked == ("include" in responses.question(target, asking(), {}))


async def test_the_configuration_has_the_last_word(peer: Peer) -> None:
    """Whatever this plugin doesn't know of, its user can still send."""
    peer.replies = [streamed(*said("ok"))]
    model = model_at(peer, body={"temperature": 0, "stream_options": {}}, store=True)

    await model.answer(asking(), lambda _: None)
    await model.close()

    body = peer.asked[0].body
    assert (0, {}, True) == (body["temperature"], body["stream_options"], body["store"])


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (OUTPUT, True),
        ({**OUTPUT, "required": []}, False),
        ({**OUTPUT, "additionalProperties": True}, False),
        ({"type": "array", "items": {"type": "string"}}, False),
        ({**OUTPUT, "properties": {"sum": {"type": "string", "default": ""}}}, False),
        ({**OUTPUT, "properties": {"sum": {"$ref": "#/$defs/S", "title": "x"}}}, False),
        (
            {
                **OUTPUT,
                "$defs": {"S": {"type": "object", "properties": {}}},
                "properties": {"sum": {"anyOf": [{"$ref": "#/$defs/S"}, {"type": "null"}]}},
            },
            True,
        ),
    ],
)
def test_a_schema_is_strict_where_the_rules_allow_it(schema: JsonObject, strict: bool) -> None:
    """A strict schema that breaks a rule is refused with the whole request."""
    body = chat.question(OTHER, asking(output=schema), {})

    form: Any = body["response_format"]
    assert strict == form["json_schema"]["strict"]
    assert strict or schema == form["json_schema"]["schema"]
