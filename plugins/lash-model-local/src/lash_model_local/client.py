"""
Talks with the server: one streamed completion, or one action on its only slot.

Connections aren't kept: the server closes them under a stream now and then.
Proxies of the environment are for the outside, so they're not read either.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import httpx

from lash_sdk.errors import ContextOverflow, LashError, ModelError
from lash_sdk.json import Json, JsonObject
from lash_sdk.usage import Usage

Body: TypeAlias = dict[str, Any]
"""JSON as the server sent it; read with care."""

TIMEOUT: Final = httpx.Timeout(10.0, read=600.0)
"""A prompt may wait for the slot and be read for minutes before its first word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """
    What the server is asked to say.

    Attributes:
        messages: As the chat completions endpoint takes them.
        grammar: A GBNF grammar that the text must follow, or "".
        schema: A JSON schema that the text must fit, or None.
        tools: As the endpoint takes them; the server parses calls itself.
        limit: Tokens at most; None leaves it to the window.
    """

    messages: tuple[JsonObject, ...]
    grammar: str = ""
    schema: JsonObject | None = None
    tools: tuple[JsonObject, ...] = ()
    limit: int | None = None

    def to_json(self) -> JsonObject:
        """Return the body of the request."""
        body: dict[str, Json] = {
            "messages": self.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
        }
        if self.limit is not None:
            body["max_tokens"] = self.limit
        if self.grammar:
            body["grammar"] = self.grammar
        if self.schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": self.schema},
            }
        if self.tools:
            body["tools"] = self.tools
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """
    What the server said.

    Attributes:
        calls: (name, arguments as JSON text), if the server parsed any.
        finish: The server's word: "stop", "length" or "tool_calls".
    """

    text: str
    calls: tuple[tuple[str, str], ...] = ()
    usage: Usage = Usage()  # noqa: RUF009 - a frozen value
    finish: str = "stop"


@dataclass(slots=True)
class _Hearing:
    """Gathers one stream."""

    emit: Callable[[str], None]
    text: list[str] = field(default_factory=list[str])
    calls: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    usage: Usage = field(default_factory=Usage)
    finish: str = ""

    def take(self, event: Body) -> None:
        """Take in one event of the stream."""
        if "error" in event:
            raise _refusal(event)
        if counts := event.get("usage"):
            self.usage = _usage(counts)
        for choice in event.get("choices", ()):
            self.finish = choice.get("finish_reason") or self.finish
            delta = choice.get("delta", {})
            if piece := delta.get("content"):
                self.text.append(piece)
                self.emit(piece)
            for call in delta.get("tool_calls") or ():
                said = call.get("function", {})
                name, arguments = self.calls.get(call["index"], ("", ""))
                self.calls[call["index"]] = (
                    name + (said.get("name") or ""),
                    arguments + (said.get("arguments") or ""),
                )

    def said(self) -> Said:
        """Return the whole of it."""
        return Said(
            text="".join(self.text),
            calls=tuple([self.calls[at] for at in sorted(self.calls)]),
            usage=self.usage,
            finish=self.finish,
        )


class Client:
    """A client of local servers; it may be used by many at once."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def complete(
        self, address: str, completion: Completion, emit: Callable[[str], None]
    ) -> Said:
        """
        Return what the server says, handing each piece to *emit* as it comes.

        Being cancelled closes the stream, which ends the server's work.

        Raises:
            ContextOverflow: The prompt is longer than the window.
            ModelError: The server refused, or was lost; the latter is retryable.
        """
        hearing = _Hearing(emit=emit)
        url = f"{address}/v1/chat/completions"
        with_body = self._http.stream("POST", url, json=completion.to_json())
        async with _faults(), with_body as response:
            if response.status_code != 200:
                raise _refusal(_body(await response.aread()))
            async for line in response.aiter_lines():
                if line == "data: [DONE]":
                    return hearing.said()
                if line.startswith(("data: ", "error: ")):
                    hearing.take(_body(line.split(": ", 1)[1]))
        raise _lost("the stream ended early")

    async def slot(self, address: str, action: str, file: str) -> Body:
        """
        Return the server's report of having saved or restored its slot.

        Raises:
            ModelError: It couldn't, or was lost.
        """
        async with _faults():
            response = await self._http.post(
                f"{address}/slots/0", params={"action": action}, json={"filename": file}
            )
        body = _body(response.content)
        if response.status_code != 200:
            raise _refusal(body)
        return body

    async def slots(self, address: str) -> tuple[bool, ...]:
        """Return for each slot whether it's at work."""
        async with _faults():
            response = await self._http.get(f"{address}/slots")
        return tuple([bool(slot["is_processing"]) for slot in response.json()])

    async def aclose(self) -> None:
        """Close what's open."""
        await self._http.aclose()


@asynccontextmanager
async def _faults() -> AsyncGenerator[None]:
    """Turn the client's faults into ours."""
    try:
        yield
    except LashError:
        raise
    except httpx.TimeoutException as error:
        raise ModelError(
            f"the local server was silent too long: {type(error).__name__}",
            code="timeout",
            retryable=True,
        ) from error
    except httpx.TransportError as error:
        raise _lost(str(error) or type(error).__name__) from error


def _body(text: str | bytes) -> Body:
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ModelError(f"expected JSON of the local server, found {text[:80]!r}")
    return body


def _lost(why: str) -> ModelError:
    return ModelError(f"the local server was lost: {why}", code="connection_lost", retryable=True)


def _refusal(body: Body) -> ModelError:
    error = body.get("error")
    if not isinstance(error, Mapping):
        return ModelError(f"the local server refused: {body!r}", code="refused")
    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflow(message)
    return ModelError(f"the local server refused: {message}", code="refused")


def _usage(counts: Body) -> Usage:
    cached = int((counts.get("prompt_tokens_details") or {}).get("cached_tokens", 0))
    return Usage(
        input=int(counts["prompt_tokens"]) - cached,
        output=int(counts["completion_tokens"]),
        cache_read=cached,
    )
