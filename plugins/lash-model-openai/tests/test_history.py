"""Any history that the kernel accepts can be sent, its calls and results paired."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lash_model_openai import chat, responses
from lash_model_openai.wire import CALL_ID_LIMIT, Target, blobs_of
from lash_sdk.graph import check_pairs
from lash_sdk.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult, note

PLAIN = re.compile(rf"[A-Za-z0-9_-]{{1,{CALL_ID_LIMIT}}}")
OTHER = Target(name="m", host="127.0.0.1", official=False, store=False, body={})

words = st.text(max_size=12)
ids = st.sampled_from(["c", "t-1_2", "t/3", "x" * 60, "ü", "\ud800"])
images = st.builds(Image.of, st.binary(min_size=1, max_size=8))
files = st.builds(
    File.of,
    words,
    st.binary(min_size=1, max_size=8),
    st.sampled_from(["text/plain", "application/json", "application/pdf", ""]),
)
plain = st.builds(Text, text=words)
replays = st.none() | st.fixed_dictionaries(
    {
        "from": st.sampled_from(["openai:127.0.0.1", "x"]),
        "item": st.just({"type": "reasoning", "id": "rs"}),
    }
)
thoughts = st.builds(Reasoning, text=words, replay=replays)
seen = st.lists(plain | images | files, max_size=3)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Message]:
    """Return what a model said, and the results of what it asked for."""
    spoken = draw(st.lists(plain | thoughts, max_size=3))
    names = draw(st.lists(st.tuples(ids, words), max_size=3))
    calls = [ToolCall(id=id, name=name or "f", arguments=draw(words)) for id, name in names]
    parts = [*spoken, *calls]
    if not calls:
        return [Message(role="assistant", parts=tuple(parts))]
    results = [
        ToolResult(
            call=call.id,
            name=call.name,
            status=draw(st.sampled_from(["ok", "failed", "cancelled"])),
            parts=tuple(draw(seen)),
        )
        for call in calls
    ]
    return [
        Message(role="assistant", parts=tuple(parts)),
        Message(role="tool", parts=tuple(results)),
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Return a legal history, ids made unique over all of it."""
    others = st.builds(lambda parts: Message(role="user", parts=tuple(parts)), seen)
    steps = st.lists(
        others.map(lambda m: [m]) | words.map(lambda w: [note(w)]) | exchanges(), max_size=6
    )
    messages: list[Message] = []
    for at, step in enumerate(draw(steps)):
        messages.extend([_numbered(message, at) for message in step])
    check_pairs(messages)
    return messages


def _numbered(message: Message, at: int) -> Message:
    parts: list[Any] = []
    for place, part in enumerate(p for p in message.parts if not isinstance(p, (Text, Reasoning))):
        if isinstance(part, ToolCall):
            part = ToolCall(id=f"{part.id}/{at}/{place}", name=part.name, arguments=part.arguments)
        elif isinstance(part, ToolResult):
            part = ToolResult(
                call=f"{part.call}/{at}/{place}",
                name=part.name,
                status=part.status,
                parts=part.parts,
            )
        parts.append(part)
    kept = [p for p in message.parts if isinstance(p, (Text, Reasoning))]
    return Message(role=message.role, parts=(*kept, *parts))


def at_hand(messages: Sequence[Message]) -> dict[str, bytes]:
    return {sha: blob.data or b"" for sha, blob in blobs_of(messages).items()}


def sendable(body: object) -> None:
    """Accept *body* only if it can be sent: as JSON, with plain names and ids."""
    json.dumps(body).encode("ascii")


@settings(max_examples=150, deadline=None)
@given(histories())
def test_every_call_has_its_result_right_after_it_in_chat(messages: list[Message]) -> None:
    """A server refuses a history in which one is missing or out of place."""
    wire: list[Any] = chat.messages("", messages, at_hand(messages))

    sendable(wire)
    open_ids: list[str] = []
    seen_ids: set[str] = set()
    for message in wire:
        if message["role"] == "tool":
            assert message["tool_call_id"] == open_ids.pop(0)
            assert message["content"]
            continue
        assert not open_ids
        for call in message.get("tool_calls", ()):
            assert PLAIN.fullmatch(call["id"])
            assert PLAIN.fullmatch(call["function"]["name"])
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
            open_ids.append(call["id"])
        assert len(set(open_ids)) == len(open_ids)
        assert seen_ids.isdisjoint(open_ids)
        seen_ids.update(open_ids)
    assert not open_ids
    assert sum(len(message.calls) for message in messages) == len(seen_ids)


@settings(max_examples=150, deadline=None)
@given(histories())
def test_every_call_has_its_result_in_responses(messages: list[Message]) -> None:
    """The same promise in the other form, and only our own reasoning is sent."""
    wire: list[Any] = responses.items(messages, OTHER, at_hand(messages))

    sendable(wire)
    kinds = [item.get("type") for item in wire]
    calls = [i["call_id"] for i in wire if i.get("type") == "function_call"]
    results = [i["call_id"] for i in wire if i.get("type") == "function_call_output"]
    ours = [
        part
        for message in messages
        for part in message.parts
        if isinstance(part, Reasoning)
        and part.replay is not None
        and part.replay["from"] == OTHER.replay
    ]
    assert calls == results
    assert len(set(calls)) == len(calls)
    assert sum(len(message.calls) for message in messages) == len(calls)
    assert len(ours) == kinds.count("reasoning")
