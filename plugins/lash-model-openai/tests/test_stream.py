"""What a stream becomes: parts, pieces, usage, the reason it ended."""

from __future__ import annotations

import asyncio

import pytest

from lash_model_openai import OpenAIModel
from lash_sdk.errors import ModelError
from lash_sdk.messages import Reasoning, Text, ToolCall
from lash_sdk.ports import Chunk, ModelAnswer
from lash_sdk.usage import Usage

from .asking import asking, model_at, texts
from .peer import (
    Peer,
    Reply,
    Wire,
    added,
    chat_usage,
    completed,
    delta,
    done,
    said,
    split,
    sse,
    streamed,
    told,
)

WORDS = ("Grüß", " dich", ", Wörld 🌍", "!\n\ndata: [no]")


async def ask(model: OpenAIModel) -> tuple[ModelAnswer, list[Chunk]]:
    """Return the answer of *model* and its pieces; then close it."""
    chunks: list[Chunk] = []
    try:
        answer = await model.answer(asking(), chunks.append)
    finally:
        await model.close()
    return answer, chunks


def tool_delta(
    at: int, id: str | None = None, name: str | None = None, arguments: str = ""
) -> Wire:
    """Return a chunk with a piece of a tool call."""
    function: dict[str, object] = {"arguments": arguments}
    if name:
        function["name"] = name
    call: dict[str, object] = {"index": at, "function": function}
    if id:
        call |= {"id": id, "type": "function"}
    return delta(tool_calls=[call])


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (7, 1, 1), (64,), (100_000,)])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_where_a_stream_is_cut_does_not_matter(
    peer: Peer, api: str, sizes: tuple[int, ...]
) -> None:
    """A network cuts a stream within a line, within a character, anywhere."""
    events = said(*WORDS) if api == "chat" else told(*WORDS)
    peer.replies = [streamed(*events, sizes=sizes)]

    answer, chunks = await ask(model_at(peer, api))

    assert (Text(text="".join(WORDS)),) == answer.parts
    assert list(WORDS) == texts(chunks)
    assert "stop" == answer.finish
    assert "peer-1" == answer.model
    assert Usage(input=7, output=3) == answer.usage


async def test_chat_collects_parallel_calls(peer: Peer) -> None:
    """Pieces of several calls come mixed, and belong together by their number."""
    peer.replies = [
        streamed(
            delta(role="assistant", content=None, reasoning_content="Two "),
            delta(reasoning_content="tools."),
            delta(content="Looking."),
            tool_delta(0, "call_a", "add"),
            tool_delta(1, "call_b", "now", ""),
            tool_delta(0, arguments='{"a": 1,'),
            tool_delta(0, arguments=' "b": 2}'),
            delta("tool_calls"),
            chat_usage(
                prompt_tokens=100,
                completion_tokens=20,
                prompt_tokens_details={"cached_tokens": 64},
                completion_tokens_details={"reasoning_tokens": 12},
            ),
        )
    ]

    answer, chunks = await ask(model_at(peer))

    assert (
        Reasoning(text="Two tools."),
        Text(text="Looking."),
        ToolCall(id="call_a", name="add", arguments='{"a": 1, "b": 2}'),
        ToolCall(id="call_b", name="now", arguments="{}"),
    ) == answer.parts
    assert "tool_use" == answer.finish
    assert ["Two ", "tools."] == texts(chunks, reasoning=True)
    assert Usage(input=36, output=20, cache_read=64, reasoning=12) == answer.usage


async def test_chat_takes_calls_that_are_not_numbered(peer: Peer) -> None:
    """Some servers send whole calls without an index, and end with "stop"."""
    first = {"id": "a", "function": {"name": "f", "arguments": '{"x":'}}
    more = {"function": {"arguments": "1}"}}
    second = {"id": "b", "function": {"name": "g", "arguments": {"y": 2}}}
    peer.replies = [
        streamed(
            delta(tool_calls=[first]),
            delta(tool_calls=[more]),
            delta(tool_calls=[second]),
            delta("stop"),
        )
    ]

    answer, _ = await ask(model_at(peer))

    assert ('{"x":1}', '{"y": 2}') == tuple(
        part.arguments for part in answer.parts if isinstance(part, ToolCall)
    )
    assert "tool_use" == answer.finish
    assert answer.usage is None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("length", "output_limit"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_use"),
        ("insufficient_system_resource", "unknown"),
    ],
)
async def test_chat_says_why_it_ended(peer: Peer, reason: str, finish: str) -> None:
    """A cut-off answer must not be taken for a finished one."""
    peer.replies = [streamed(delta(content="Hm"), delta(reason))]

    answer, _ = await ask(model_at(peer))

    assert finish == answer.finish


async def test_responses_keep_the_order_of_items(peer: Peer) -> None:
    """Reasoning is replayed in its place; encrypted, it goes back as it came."""
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "status": None,
        "summary": [
            {"type": "summary_text", "text": "First."},
            {"type": "summary_text", "text": "Then."},
        ],
        "encrypted_content": "gAAA==",
    }
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_a",
        "name": "add",
        "arguments": '{"a":1}',
        "status": "completed",
    }
    summary = "response.reasoning_summary_text.delta"
    place = {"item_id": "rs_1", "output_index": 0}
    peer.replies = [
        streamed(
            added(0, {"type": "reasoning", "id": "rs_1", "summary": []}),
            {"type": summary, **place, "summary_index": 0, "delta": "First."},
            {"type": summary, **place, "summary_index": 1, "delta": "Then."},
            done(0, thought),
            added(1, {**call, "arguments": "", "status": "in_progress"}),
            {
                "type": "response.function_call_arguments.delta",
                "output_index": 1,
                "delta": '{"a":1}',
            },
            done(1, call),
            {"type": "response.something.of.tomorrow", "output_index": 9},
            completed(thought, call),
        )
    ]

    answer, chunks = await ask(model_at(peer, "responses"))

    kept = {key: thought[key] for key in ("type", "id", "summary", "encrypted_content")}
    assert (
        Reasoning(text="First.\n\nThen.", replay={"from": "openai:127.0.0.1", "item": kept}),
        ToolCall(id="call_a", name="add", arguments='{"a":1}'),
    ) == answer.parts
    assert "First.\n\nThen." == "".join(texts(chunks, reasoning=True))
    assert "tool_use" == answer.finish


async def test_responses_without_finished_items_are_pieced_together(peer: Peer) -> None:
    """A server that never says an item whole has said it in pieces."""
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f"}
    peer.replies = [
        streamed(
            {"type": "response.output_text.delta", "item_id": "m", "delta": "Hel"},
            {"type": "response.refusal.delta", "item_id": "m", "delta": "lo"},
            {"type": "response.output_item.added", "item": call},
            {"type": "response.function_call_arguments.delta", "item_id": "fc", "delta": "{}"},
            completed(),
        )
    ]

    answer, _ = await ask(model_at(peer, "responses"))

    assert (Text(text="Hello"), ToolCall(id="c", name="f")) == answer.parts


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("max_output_tokens", "output_limit"),
        ("content_filter", "content_filter"),
        ("whim", "output_limit"),
    ],
)
async def test_responses_say_why_they_ended(peer: Peer, reason: str, finish: str) -> None:
    """An incomplete response has its reason in its details."""
    details = {"reason": reason}
    end = completed(status="incomplete", incomplete_details=details)
    peer.replies = [streamed(*told("Hm")[:-1], end)]

    answer, _ = await ask(model_at(peer, "responses"))

    assert finish == answer.finish


async def test_what_follows_the_end_of_a_chat_is_none_of_it(peer: Peer) -> None:
    """A call that came after the answer was whole would run; its usage does come then."""
    peer.replies = [
        streamed(
            delta(content="Hi"),
            delta("length"),
            delta("stop", content="more"),
            tool_delta(0, "call_a", "add", "{}"),
            chat_usage(prompt_tokens=7, completion_tokens=3),
        )
    ]

    answer, chunks = await ask(model_at(peer))

    assert (Text(text="Hi"),) == answer.parts
    assert ["Hi"] == texts(chunks)
    assert "output_limit" == answer.finish
    assert Usage(input=7, output=3) == answer.usage


async def test_what_follows_the_end_of_a_response_is_none_of_it(peer: Peer) -> None:
    """The first end counts; a later one can't make a whole answer of a cut one."""
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}
    cut = completed(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    peer.replies = [streamed(*told("Hi")[:-1], cut, added(1, call), done(1, call), completed())]

    answer, _ = await ask(model_at(peer, "responses"))

    assert (Text(text="Hi"),) == answer.parts
    assert "output_limit" == answer.finish


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("end", ["cut", "whole"])
async def test_a_stream_that_breaks_off_is_no_answer(peer: Peer, api: str, end: str) -> None:
    """Half an answer looks like a whole one to whoever doesn't check its end."""
    events = said("One", "two") if api == "chat" else told("One", "two")
    broken = sse(*events[:3], done=False)
    peer.replies = [Reply(pieces=[broken], end=end)]
    chunks: list[Chunk] = []
    model = model_at(peer, api)

    with pytest.raises(ModelError) as caught:
        await model.answer(asking(), chunks.append)

    await model.close()
    assert ("connection", True) == (caught.value.code, caught.value.retryable)
    assert "One" == "".join(texts(chunks))[:3]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_an_answer_that_was_whole_survives_a_broken_connection(peer: Peer, api: str) -> None:
    """It was paid for; asking again would pay twice."""
    events = said("Hi")[:-1] if api == "chat" else told("Hi")
    peer.replies = [Reply(pieces=[sse(*events, done=False)], end="cut")]

    answer, _ = await ask(model_at(peer, api))

    assert (Text(text="Hi"),) == answer.parts


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_cancelling_hangs_up(peer: Peer, api: str) -> None:
    """A provider goes on, and charges, until the connection is closed."""
    events = said("One", "two") if api == "chat" else told("One", "two")
    peer.replies = [Reply(pieces=[sse(*events[:3], done=False)], end="hang"), streamed(*events)]
    model = model_at(peer, api)
    first = asyncio.Event()
    asked = asyncio.create_task(model.answer(asking(), lambda _: first.set()))
    await asyncio.wait_for(first.wait(), 5)

    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked

    await asyncio.wait_for(peer.gone.wait(), 5)
    answer, _ = await ask(model)
    assert (Text(text="Onetwo"),) == answer.parts


async def test_cancelling_before_the_first_piece_hangs_up(peer: Peer) -> None:
    """The long wait is the one for the first token."""
    peer.replies = [Reply(end="hang")]
    model = model_at(peer)
    asked = asyncio.create_task(model.answer(asking(), lambda _: None))
    await asyncio.wait_for(peer.heard.wait(), 5)

    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked

    await asyncio.wait_for(peer.gone.wait(), 5)
    await model.close()


async def test_pieces_come_while_the_answer_is_made(peer: Peer) -> None:
    """Streaming that waits for the end is none."""
    pieces = split(sse(*said("a", "b", "c")), (200,))
    peer.replies = [Reply(pieces=pieces[:3], end="hang")]
    model = model_at(peer)
    first = asyncio.Event()
    asked = asyncio.create_task(model.answer(asking(), lambda _: first.set()))

    await asyncio.wait_for(first.wait(), 5)

    assert not asked.done()
    asked.cancel()
    await asyncio.wait({asked})
    await model.close()


@pytest.mark.parametrize(
    "junk",
    [
        {"choices": None},
        {"choices": [None, 3]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 5, "tool_calls": "x"}}]},
        {"usage": {"prompt_tokens": -1, "completion_tokens": 2.5}},
        [1, 2],
    ],
)
async def test_chat_steps_over_what_makes_no_sense(peer: Peer, junk: Wire) -> None:
    """Compatible servers are compatible more or less."""
    peer.replies = [streamed(junk, delta(content="ok"), delta("stop"))]

    answer, _ = await ask(model_at(peer))

    assert (Text(text="ok"),) == answer.parts
