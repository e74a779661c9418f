"""
Plain chat, for models that call tools by themselves: history in, answer out.

The request is put as the chat completions endpoint takes it; the server finds the
calls in what the model says.
"""

from __future__ import annotations

from collections.abc import Iterator

from lash_sdk.errors import ModelError
from lash_sdk.json import Json, JsonObject
from lash_sdk.messages import File, Image, Message, Part, Text, ToolCall, ToolResult
from lash_sdk.ports import Finish, ModelAnswer, ModelRequest

from .client import Completion, Said


def question(request: ModelRequest) -> Completion:
    """
    Return what the server is asked for *request*.

    Raises:
        ModelError: A message holds a picture or a file.
    """
    lines: list[JsonObject] = []
    if request.system:
        lines.append({"role": "system", "content": request.system})
    for message in request.history:
        lines += _lines(message)
    tools: list[JsonObject] = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in request.tools
    ]
    return Completion(
        messages=tuple(lines),
        tools=tuple(tools),
        # The endpoint takes tools or a schema: with tools left, they come first.
        schema=None if tools else request.output,
    )


def answer(said: Said, model: str) -> ModelAnswer:
    """Return what was said, as an answer of *model*."""
    parts: list[Part] = [Text(text=said.text)] if said.text else []
    parts += [
        ToolCall(id=f"call-{at}", name=name, arguments=arguments)
        for at, (name, arguments) in enumerate(said.calls)
    ]
    finish: Finish = "tool_use" if said.calls else "stop"
    if said.finish == "length":
        finish = "output_limit"
    return ModelAnswer(parts=tuple(parts), usage=said.usage, finish=finish, model=model)


def readable(message: Message) -> str:
    """
    Return the text of *message*.

    Raises:
        ModelError: It holds a picture or a file, which this model can't see.
    """
    for part in message.parts:
        inner = part.parts if isinstance(part, ToolResult) else (part,)
        for piece in inner:
            if isinstance(piece, (Image, File)):
                raise ModelError(
                    f"local models take text only, found a part of kind {piece.kind!r}",
                    code="unsupported",
                )
    return message.text


def _lines(message: Message) -> Iterator[JsonObject]:
    text = readable(message)
    for result in message.results:
        yield {"role": "tool", "tool_call_id": result.call, "content": result.text}
    if message.results:
        return
    line: dict[str, Json] = {"role": message.role, "content": text}
    if message.calls:
        line["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    yield line
