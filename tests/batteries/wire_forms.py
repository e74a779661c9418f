"""The two forms of the OpenAI API, as a server sends them: pieces of a stream, in bytes."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

DONE: Final = b"data: [DONE]\n\n"
"""What a stream's last line is, where a server sends one."""


def event(body: Mapping[str, Any], name: str = "") -> bytes:
    """Return one event of a stream."""
    first = f"event: {name}\n" if name else ""
    return f"{first}data: {json.dumps(body)}\n\n".encode()


class Form(ABC):
    """One of the two."""

    name: str

    @abstractmethod
    def text(self, said: str) -> bytes:
        """Return a piece of the answer's text."""

    @abstractmethod
    def call(self, arguments: str, *, name: str = "note", id: str = "c1", at: int = 1) -> bytes:
        """Return a tool call, its arguments in two pieces."""

    @abstractmethod
    def end(self, reason: str = "stop", usage: object = None) -> bytes:
        """Return what says that the answer is whole, or why it isn't."""

    @abstractmethod
    def error(self, code: str) -> bytes:
        """Return an error in the midst of a stream."""

    def answer(self, said: str) -> bytes:
        """Return the stream of an answer."""
        return self.text(said) + self.end() + DONE


class Chat(Form):
    name = "chat"

    def text(self, said: str) -> bytes:
        return _delta({"content": said})

    def call(self, arguments: str, *, name: str = "note", id: str = "c1", at: int = 1) -> bytes:
        half = len(arguments) // 2
        first = {"index": at, "id": id, "function": {"name": name, "arguments": arguments[:half]}}
        more = {"index": at, "function": {"arguments": arguments[half:]}}
        return _delta({"tool_calls": [first]}) + _delta({"tool_calls": [more]})

    def end(self, reason: str = "stop", usage: object = None) -> bytes:
        counts = usage or {"prompt_tokens": 7, "completion_tokens": 3}
        return _delta({}, reason) + event({"choices": [], "usage": counts})

    def error(self, code: str) -> bytes:
        return event({"error": {"code": code, "message": "broke off"}})


def _delta(delta: Mapping[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return event({"id": "1", "model": "wire", "choices": [choice]})


class Responses(Form):
    name = "responses"

    def text(self, said: str) -> bytes:
        return _named("output_text.delta", item_id="m", output_index=0, delta=said)

    def call(self, arguments: str, *, name: str = "note", id: str = "c1", at: int = 1) -> bytes:
        half = len(arguments) // 2
        item = {"type": "function_call", "id": f"f{at}", "call_id": id, "name": name}
        where = {"item_id": f"f{at}", "output_index": at}
        return (
            _named("output_item.added", output_index=at, item={**item, "arguments": ""})
            + _named("function_call_arguments.delta", **where, delta=arguments[:half])
            + _named("function_call_arguments.delta", **where, delta=arguments[half:])
        )

    def end(self, reason: str = "stop", usage: object = None) -> bytes:
        counts = usage or {"input_tokens": 7, "output_tokens": 3}
        response: dict[str, Any] = {"model": "wire", "usage": counts, "output": []}
        if reason in ("stop", "tool_calls"):
            return _named("completed", response=response | {"status": "completed"})
        why = {"reason": {"length": "max_output_tokens"}.get(reason, reason)}
        response |= {"status": "incomplete", "incomplete_details": why}
        return _named("incomplete", response=response)

    def error(self, code: str) -> bytes:
        return _named("failed", response={"error": {"code": code, "message": "broke off"}})


def _named(kind: str, **fields: Any) -> bytes:
    kind = f"response.{kind}"
    return event({"type": kind, **fields}, kind)


FORMS: Final[tuple[Form, ...]] = (Chat(), Responses())
