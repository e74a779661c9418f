"""
A scripted server that speaks both forms of the API, over real HTTP on loopback.

It's told how to answer the next request, records what was asked, and sees when a
client hangs up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

Wire = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, as it came."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """
    How one request is answered.

    Attributes:
        pieces: The body, in pieces that are flushed one by one.
        pause: Seconds before each piece.
        end: "whole" ends the body properly, "cut" drops the connection after
            the last piece, "hang" keeps it open until the client goes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )
    pieces: Sequence[bytes] = ()
    pause: float = 0.0
    end: str = "whole"


class Peer:
    """Answers each request with the next reply, or with what `reply` makes of it."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: list[Reply] = []
        self.reply: Callable[[Asked], Reply] | None = None
        self.heard = asyncio.Event()
        self.gone = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await _read(reader)
        self.asked.append(asked)
        self.heard.set()
        reply = self.reply(asked) if self.reply else self.replies.pop(0)
        lines = [f"HTTP/1.1 {reply.status} Whatever", "transfer-encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write(("\r\n".join([*lines, "", ""])).encode())
        hung_up = asyncio.ensure_future(reader.read(1))
        try:
            for piece in reply.pieces:
                await asyncio.sleep(reply.pause)
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
            if reply.end == "hang":
                await hung_up
            elif reply.end == "cut":
                writer.transport.abort()
            else:
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                await asyncio.wait({hung_up}, timeout=1)
        finally:
            if hung_up.done():
                self.gone.set()
            hung_up.cancel()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in [line.partition(":") for line in head[1:] if line]
    }
    body = await reader.readexactly(int(headers["content-length"]))
    path = head[0].split(" ")[1]
    return Asked(path=path, headers=headers, body=json.loads(body))


def split(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Return *data* in pieces of these sizes, over and over."""
    pieces: list[bytes] = []
    while data:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def sse(*events: Wire, done: bool = True) -> bytes:
    """Return *events* as a server sends them, named by their type if they have one."""
    lines: list[str] = []
    for event in events:
        if "type" in event:
            lines.append(f"event: {event['type']}")
        lines += [f"data: {json.dumps(event, ensure_ascii=False)}", ""]
    if done:
        lines += ["data: [DONE]", ""]
    return "\n".join([*lines, ""]).encode()


def streamed(*events: Wire, sizes: Sequence[int] = (1_000_000,)) -> Reply:
    """Return a reply that streams *events*, cut into pieces of *sizes*."""
    return Reply(pieces=split(sse(*events), sizes))


def refused(status: int, error: object, **headers: str) -> Reply:
    """Return a reply that says no."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"error": error}).encode()
    return Reply(
        status=status, headers={"content-type": "application/json", **named}, pieces=[body]
    )


# --- chat -----------------------------------------------------------------------


def delta(finish: str | None = None, **fields: object) -> Wire:
    """Return one chunk of a chat completion."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "peer-1",
        "choices": [choice],
    }


def chat_usage(**fields: object) -> Wire:
    """Return the chunk that ends a chat completion with its usage."""
    return {**delta(), "choices": [], "usage": fields}


def said(*words: str) -> list[Wire]:
    """Return the chunks of a plain chat answer."""
    return [
        delta(role="assistant", content=""),
        *[delta(content=word) for word in words],
        delta("stop"),
        chat_usage(prompt_tokens=7, completion_tokens=3, total_tokens=10),
    ]


# --- responses ------------------------------------------------------------------


def added(place: int, item: Wire) -> Wire:
    """Return the event that announces an item."""
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(place: int, item: Wire) -> Wire:
    """Return the event that finishes an item."""
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def message(text: str) -> Wire:
    """Return a finished message item."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def completed(*output: Wire, status: str = "completed", **fields: object) -> Wire:
    """Return the event that ends a response."""
    usage = {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    }
    response = {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "model": "peer-1",
        "output": list(output),
        "usage": usage,
        **fields,
    }
    return {"type": f"response.{status}", "response": response}


def told(*words: str) -> list[Wire]:
    """Return the events of a plain answer in the responses form."""
    empty = {**message(""), "content": [], "status": "in_progress"}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    whole = message("".join(words))
    return [
        {"type": "response.created", "response": {"id": "resp_1", "output": []}},
        added(0, empty),
        *[{"type": "response.output_text.delta", **where, "delta": word} for word in words],
        done(0, whole),
        completed(whole),
    ]
