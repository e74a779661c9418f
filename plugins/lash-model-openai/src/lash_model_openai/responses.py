"""
The responses form: a request's history to its input items, its stream to parts.

Nothing here does I/O. Nothing is kept at the server, so its encrypted reasoning is
sent back with the history, in the place where it came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lash_sdk.messages import File, Image, Part, Reasoning, Text, ToolCall, ToolResult
from lash_sdk.ports import Chunk, Finish, ModelAnswer

from . import wire
from .schema import output
from .wire import Blobs, StreamFailed, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lash_sdk.json import Json, JsonObject
    from lash_sdk.messages import Message
    from lash_sdk.ports import ModelRequest
    from lash_sdk.tools import ToolDefinition
    from lash_sdk.usage import Usage

PATH: Final = "/responses"
ENCRYPTED: Final = "reasoning.encrypted_content"

# These refuse a request that asks for encrypted reasoning: they have none.
_NO_REASONING: Final = re.compile(r"(ft:)?(gpt-3|gpt-4|chatgpt-)|.*-chat\b")

_INCOMPLETE: Final[Mapping[str, Finish]] = {
    "max_output_tokens": "output_limit",
    "max_tokens": "output_limit",
    "content_filter": "content_filter",
}
_DELTAS: Final[Mapping[str, bool]] = {
    "response.output_text.delta": False,
    "response.refusal.delta": False,
    "response.reasoning_summary_text.delta": True,
    "response.reasoning_text.delta": True,
}
_ENDS: Final = frozenset(("response.completed", "response.incomplete"))
_FAILURES: Final = frozenset(("error", "response.failed", "response.cancelled"))


def question(target: Target, request: ModelRequest, blobs: Blobs) -> dict[str, Json]:
    """Return the body of the HTTP request that asks *request*."""
    body: dict[str, Json] = {
        "model": target.name,
        "input": items(request.history, target, blobs),
        "stream": True,
        "store": target.store,
    }
    if request.system:
        body["instructions"] = request.system
    if not _NO_REASONING.match(target.name):
        body["include"] = [ENCRYPTED]
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.output is not None:
        wanted = output(request.output)
        body["text"] = {
            "format": {
                "type": "json_schema",
                "name": wanted.name,
                "schema": wanted.schema,
                "strict": wanted.strict,
            }
        }
    if target.official:
        body["prompt_cache_key"] = wire.cache_key(request.session)
    return wire.put(body, target)


def items(history: Iterable[Message], target: Target, blobs: Blobs) -> list[JsonObject]:
    """Return *history* as input items on the wire."""
    sent: list[JsonObject] = []
    for message in history:
        match message.role:
            case "user":
                sent.append({"role": "user", "content": _content(message.parts, blobs)})
            case "system":
                sent.append({"role": "developer", "content": message.text})
            case "assistant" | "tool":
                for part in message.parts:
                    sent.extend(_item(part, target, blobs))
    return sent


def _item(part: Part, target: Target, blobs: Blobs) -> Iterable[JsonObject]:
    match part:
        case Text() if part.text:
            # the long form: llama.cpp's server takes no other
            said: JsonObject = {"type": "output_text", "text": part.text}
            yield {"type": "message", "role": "assistant", "content": [said]}
        case Reasoning(replay=replay) if replay is not None:
            if replay.get("from") == target.replay:
                yield wire.inner(replay, "item")
        case ToolCall():
            yield {
                "type": "function_call",
                "call_id": wire.call_id(part.id),
                "name": wire.tool_name(part.name),
                "arguments": wire.arguments(part.arguments),
            }
        case ToolResult():
            yield _result(part, blobs)
        case _:
            pass


def _result(result: ToolResult, blobs: Blobs) -> JsonObject:
    plain = all(isinstance(part, Text) for part in result.parts)
    shown = wire.result_text(result) if plain else _content(result.parts, blobs)
    return {"type": "function_call_output", "call_id": wire.call_id(result.call), "output": shown}


def _content(parts: Sequence[Part], blobs: Blobs) -> Json:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    content: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"type": "input_text", "text": part.text})
        elif isinstance(part, Image):
            url = wire.data_url(part.blob, blobs)
            content.append({"type": "input_image", "image_url": url, "detail": "auto"})
        elif isinstance(part, File):
            content.append(_file(part, blobs))
    return content


def _file(file: File, blobs: Blobs) -> JsonObject:
    if (said := wire.file_text(file, blobs)) is not None:
        return {"type": "input_text", "text": said}
    data = wire.data_url(file.blob, blobs)
    return {"type": "input_file", "filename": file.name, "file_data": data}


def _tool(tool: ToolDefinition) -> JsonObject:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,  # said, for here it'd be the default
    }


class ResponsesReader:
    """Takes the events of one stream, and makes the answer of them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._drafts: dict[int | str, _Draft] = {}  # by place, or by id
        self._done: dict[int | str, JsonObject] = {}
        self._end: JsonObject | None = None

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self._end is not None

    def take(self, event: JsonObject) -> Iterable[Chunk]:
        """
        Take in one event; return what it added to text and reasoning.

        What follows the answer's end is none of it, errors apart.

        Raises:
            StreamFailed: It's an error.
        """
        kind = wire.text(event, "type")
        if self._end is not None and kind not in _FAILURES:
            return ()
        if kind in _DELTAS:
            return self._take_delta(event, reasoning=_DELTAS[kind])
        if kind == "response.output_item.added":
            self._drafts[_place(event)] = _Draft(wire.inner(event, "item"))
        elif kind == "response.function_call_arguments.delta":
            self._draft(event).pieces.append(wire.text(event, "delta"))
        elif kind == "response.output_item.done":
            self._done[_place(event)] = wire.inner(event, "item")
        elif kind in _ENDS:
            self._end = wire.inner(event, "response")
        elif kind in _FAILURES:
            response = wire.inner(event, "response")
            raise StreamFailed(wire.inner(response, "error") or wire.inner(event, "error") or event)
        return ()

    def answer(self) -> ModelAnswer:
        """
        Return the whole answer.

        Raises:
            StreamFailed: It isn't whole: the stream ended too early.
        """
        if self._end is None:
            raise StreamFailed
        parts: list[Part] = []
        for item in self._items(self._end):
            parts.extend(_parts(item, self._target))
        finish: Finish = "stop"
        if any(isinstance(part, ToolCall) for part in parts):
            finish = "tool_use"
        if wire.text(self._end, "status") == "incomplete":
            reason = wire.text(wire.inner(self._end, "incomplete_details"), "reason")
            finish = _INCOMPLETE.get(reason, "output_limit")  # cut off, whatever for
        usage = wire.inner(self._end, "usage")
        return ModelAnswer(
            parts=tuple(parts),
            usage=_usage(usage) if usage else None,
            finish=finish,
            model=wire.text(self._end, "model") or None,
        )

    def _items(self, end: JsonObject) -> Sequence[JsonObject]:
        """Return the answer's items: as they were finished, or the best there is."""
        if self._done:
            places = [place for place in self._drafts if place in self._done]
            places += [place for place in self._done if place not in self._drafts]
            return [self._done[place] for place in places]
        whole = wire.objects(end, "output")
        return whole or [draft.item() for draft in self._drafts.values()]

    def _take_delta(self, event: JsonObject, *, reasoning: bool) -> Iterable[Chunk]:
        draft = self._draft(event)
        delta = wire.text(event, "delta")
        if not delta:
            return ()
        at = wire.index(event, "summary_index") or 0
        if reasoning and at != draft.paragraph:
            draft.paragraph = at
            delta = PARAGRAPH + delta
        draft.pieces.append(delta)
        return (Chunk(text=delta, reasoning=reasoning),)

    def _draft(self, event: JsonObject) -> _Draft:
        return self._drafts.setdefault(_place(event), _Draft({"type": "message"}))


PARAGRAPH: Final = "\n\n"
"""Stands between the paragraphs of a reasoning summary."""


class _Draft:
    """An item that's being made: what it was announced as, and its text so far."""

    __slots__ = ("announced", "paragraph", "pieces")

    def __init__(self, announced: JsonObject) -> None:
        self.announced = announced
        self.pieces: list[str] = []
        self.paragraph = 0

    def item(self) -> JsonObject:
        made = "".join(self.pieces)
        match wire.text(self.announced, "type"):
            case "message":
                return {"type": "message", "content": [{"text": made}]}
            case "reasoning":
                return {"type": "reasoning", "summary": [{"text": made}]}
            case _:
                return {**self.announced, "arguments": made}


def _place(event: JsonObject) -> int | str:
    """Return where an item stands in the answer; some servers only say its id."""
    at = wire.index(event, "output_index")
    if at is not None:
        return at
    return wire.text(event, "item_id") or wire.text(wire.inner(event, "item"), "id")


def _parts(item: JsonObject, target: Target) -> Iterable[Part]:
    match wire.text(item, "type"):
        case "message":
            content = wire.objects(item, "content")
            said = [wire.text(c, "text") or wire.text(c, "refusal") for c in content]
            if text := "".join(said):
                yield Text(text=text)
        case "reasoning":
            yield from _reasoning(item, target)
        case "function_call":
            yield ToolCall(
                id=wire.text(item, "call_id"),
                name=wire.text(item, "name"),
                arguments=wire.text(item, "arguments") or "{}",
            )
        case _:
            pass


def _reasoning(item: JsonObject, target: Target) -> Iterable[Part]:
    paragraphs = wire.objects(item, "summary") or wire.objects(item, "content")
    text = PARAGRAPH.join([wire.text(each, "text") for each in paragraphs])
    replay: JsonObject | None = None
    if wire.text(item, "encrypted_content"):
        kept = {key: value for key, value in item.items() if value is not None and key != "status"}
        replay = {"from": target.replay, "item": kept}
    if text or replay is not None:
        yield Reasoning(text=text, replay=replay)


def _usage(body: JsonObject) -> Usage:
    return wire.count(
        prompt=wire.whole(body, "input_tokens"),
        answer=wire.whole(body, "output_tokens"),
        prompt_details=wire.inner(body, "input_tokens_details"),
        reasoning=wire.whole(wire.inner(body, "output_tokens_details"), "reasoning_tokens"),
    )
