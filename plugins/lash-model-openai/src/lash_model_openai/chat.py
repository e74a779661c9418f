"""
The chat completions form: a request's history to its messages, its stream to parts.

Nothing here does I/O. Reasoning can't be sent back in this form. A tool's pictures
and files follow its results in a user message, for a tool message holds text alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from lash_sdk.messages import File, Image, Part, Reasoning, Text, ToolCall
from lash_sdk.ports import Chunk, Finish, ModelAnswer
from lash_sdk.usage import Usage

from . import wire
from .schema import output
from .wire import Blobs, StreamFailed, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lash_sdk.json import Json, JsonObject
    from lash_sdk.messages import Message, UserPart
    from lash_sdk.ports import ModelRequest
    from lash_sdk.tools import ToolDefinition

PATH: Final = "/chat/completions"

_FINISHES: Final[Mapping[str, Finish]] = {
    "stop": "stop",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "output_limit",
    "content_filter": "content_filter",
}


def question(target: Target, request: ModelRequest, blobs: Blobs) -> dict[str, Json]:
    """Return the body of the HTTP request that asks *request*."""
    body: dict[str, Json] = {
        "model": target.name,
        "messages": messages(request.system, request.history, blobs),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.output is not None:
        wanted = output(request.output)
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": wanted.name, "schema": wanted.schema, "strict": wanted.strict},
        }
    if target.official:
        body["prompt_cache_key"] = wire.cache_key(request.session)
    if target.official or target.store:
        body["store"] = target.store
    return wire.put(body, target)


def messages(system: str, history: Iterable[Message], blobs: Blobs) -> list[JsonObject]:
    """Return *history* as messages on the wire, after the *system* prompt."""
    sent: list[JsonObject] = []
    if system:
        sent.append({"role": "system", "content": system})
    for message in history:
        match message.role:
            case "user":
                parts = [part for part in message.parts if _is_shown(part)]
                sent.append({"role": "user", "content": _content(parts, blobs)})
            case "system":
                sent.append({"role": "system", "content": message.text})
            case "assistant":
                sent.extend(_assistant(message))
            case "tool":
                sent.extend(_results(message, blobs))
    return sent


def _assistant(message: Message) -> Iterable[JsonObject]:
    said = "".join([part.text for part in message.parts if isinstance(part, Text)])
    calls: list[Json] = [
        {
            "id": wire.call_id(call.id),
            "type": "function",
            "function": {
                "name": wire.tool_name(call.name),
                "arguments": wire.arguments(call.arguments),
            },
        }
        for call in message.calls
    ]
    if calls:
        yield {"role": "assistant", "content": said or None, "tool_calls": calls}
    elif said:  # reasoning alone leaves nothing that could be sent
        yield {"role": "assistant", "content": said}


def _results(message: Message, blobs: Blobs) -> Iterable[JsonObject]:
    attached: list[UserPart] = []
    for result in message.results:
        yield {
            "role": "tool",
            "tool_call_id": wire.call_id(result.call),
            "content": wire.result_text(result),
        }
        shown = [part for part in result.parts if not isinstance(part, Text)]
        if shown:
            attached.append(Text(text=f"Attached by the tool {result.name}:"))
            attached.extend(shown)
    if attached:
        yield {"role": "user", "content": _content(attached, blobs)}


def _is_shown(part: Part) -> bool:
    return isinstance(part, (Text, Image, File))


def _content(parts: Sequence[Part], blobs: Blobs) -> Json:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    content: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Image):
            url = wire.data_url(part.blob, blobs)
            content.append({"type": "image_url", "image_url": {"url": url}})
        elif isinstance(part, File):
            content.append(_file(part, blobs))
    return content


def _file(file: File, blobs: Blobs) -> JsonObject:
    if (said := wire.file_text(file, blobs)) is not None:
        return {"type": "text", "text": said}
    data = wire.data_url(file.blob, blobs)
    return {"type": "file", "file": {"filename": file.name, "file_data": data}}


def _tool(tool: ToolDefinition) -> JsonObject:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


class ChatReader:
    """Takes the events of one stream, and makes the answer of them."""

    def __init__(self, target: Target) -> None:
        self._model: str | None = None
        self._said: list[str] = []
        self._thought: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._finish = ""
        self._usage: Usage | None = None

    @property
    def finished(self) -> bool:
        """Whether the answer is whole; its usage may still come."""
        return bool(self._finish)

    def take(self, event: JsonObject) -> Iterable[Chunk]:
        """
        Take in one event; return what it added to text and reasoning.

        Of what follows the answer's end only its usage counts.

        Raises:
            StreamFailed: It's an error.
        """
        if error := event.get("error"):
            raise StreamFailed(wire.inner(event, "error") or {"message": str(error)})
        self._model = wire.text(event, "model") or self._model
        if usage := wire.inner(event, "usage"):
            self._usage = _usage(usage)
        chunks: list[Chunk] = []
        for choice in () if self._finish else wire.objects(event, "choices")[:1]:
            delta = wire.inner(choice, "delta")
            # two names are in use for the same thing
            thought = wire.text(delta, "reasoning_content") or wire.text(delta, "reasoning")
            if thought:
                self._thought.append(thought)
                chunks.append(Chunk(text=thought, reasoning=True))
            if said := wire.text(delta, "content") + wire.text(delta, "refusal"):
                self._said.append(said)
                chunks.append(Chunk(text=said))
            for call in wire.objects(delta, "tool_calls"):
                self._take_call(call)
            self._finish = wire.text(choice, "finish_reason")
        return chunks

    def answer(self) -> ModelAnswer:
        """
        Return the whole answer.

        Raises:
            StreamFailed: It isn't whole: the stream ended too early.
        """
        if not self._finish:
            raise StreamFailed
        parts: list[Part] = []
        if self._thought:
            parts.append(Reasoning(text="".join(self._thought)))
        if self._said:
            parts.append(Text(text="".join(self._said)))
        parts.extend([call.part() for call in self._calls.values()])
        finish: Finish = _FINISHES.get(self._finish, "unknown")
        if self._calls and finish in ("stop", "unknown"):
            finish = "tool_use"
        return ModelAnswer(parts=tuple(parts), usage=self._usage, finish=finish, model=self._model)

    def _take_call(self, delta: JsonObject) -> None:
        at = wire.index(delta, "index")
        if at is None:  # a server that doesn't number them: an id starts a new one
            new = bool(wire.text(delta, "id")) or not self._calls
            at = len(self._calls) if new else max(self._calls)
        call = self._calls.setdefault(at, _Call())
        call.id = call.id or wire.text(delta, "id")
        function = wire.inner(delta, "function")
        call.name = call.name or wire.text(function, "name")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call.arguments.append(arguments)
        elif arguments is not None:  # already decoded
            call.arguments.append(json.dumps(arguments))


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def part(self) -> ToolCall:
        arguments = "".join(self.arguments)
        return ToolCall(id=self.id, name=self.name, arguments=arguments or "{}")


def _usage(body: JsonObject) -> Usage:
    return wire.count(
        prompt=wire.whole(body, "prompt_tokens"),
        answer=wire.whole(body, "completion_tokens"),
        prompt_details=wire.inner(body, "prompt_tokens_details"),
        reasoning=wire.whole(wire.inner(body, "completion_tokens_details"), "reasoning_tokens"),
    )
