"""
What a model and its user say to each other: messages and their parts.

All values are frozen. Binary parts are blobs: a message holds a reference by
content hash, the bytes travel beside it and are stored once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from .errors import InvalidHistory, InvalidInput, StoreCorrupt
from .json import Json, JsonObject, Tagged, Value, digest, frozen, maker, read

BLOB_LIMIT: Final = 20 * 1024 * 1024
"""The most bytes that one blob may hold."""
_SHA256: Final = re.compile("[0-9a-f]{64}")


@frozen
class Blob(Value):
    """
    A reference to bytes, by what they are.

    Attributes:
        sha256: The content's hash, in hexadecimal.
        size: Bytes.
        media_type: Such as "image/png".
        data: The bytes, where they're at hand; a store reads them lazily, so
            ask `request.blob(ref)` or `session.blob(ref)` when this is None.
    """

    sha256: str
    size: int
    media_type: str
    data: bytes | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Blob:
        """
        Return the blob that holds *data*.

        Raises:
            InvalidInput: It's empty or longer than `BLOB_LIMIT`.
        """
        if not 0 < len(data) <= BLOB_LIMIT:
            raise InvalidInput(f"blob of {len(data)} bytes: expected 1 to {BLOB_LIMIT} bytes")
        return cls(sha256=digest(data), size=len(data), media_type=media_type, data=data)

    def check(self) -> Blob:
        """
        Return the blob itself once it can be one.

        Raises:
            StoreCorrupt: Its hash or its size isn't one.
        """
        if not (_SHA256.fullmatch(self.sha256) and 0 < self.size <= BLOB_LIMIT):
            raise StoreCorrupt(f"blob: expected a sha256 and a size, found {self!r}")
        return self


@frozen
class Text(Tagged, title="part", kind="text"):
    """Plain text, as it was said."""

    text: str


@frozen
class Image(Tagged, title="part", kind="image"):
    """A picture; only a user or a tool shows one."""

    blob: Blob

    @classmethod
    def of(cls, data: bytes, media_type: str = "image/png") -> Image:
        """Return a picture that holds *data*."""
        return cls(blob=Blob.of(data, media_type))


@frozen
class File(Tagged, title="part", kind="file"):
    """A file by its name; only a user or a tool hands one over."""

    name: str
    blob: Blob

    @classmethod
    def of(cls, name: str, data: bytes, media_type: str) -> File:
        """Return a file that holds *data*."""
        return cls(name=name, blob=Blob.of(data, media_type))


@frozen
class Reasoning(Tagged, title="part", kind="reasoning"):
    """
    What the model thought before it spoke.

    Attributes:
        replay: The provider's own data, sent back as it came; reasoning
            without it is kept but never sent again.
    """

    text: str
    replay: JsonObject | None = None


@frozen
class ToolCall(Tagged, title="part", kind="tool_call"):
    """
    The model asks for a tool.

    Attributes:
        id: Ours: unique in the store and the same on every replay. A
            provider's own id is replaced when its answer is taken in.
        arguments: JSON text, exactly as the provider sent it.
    """

    id: str
    name: str
    arguments: str = "{}"


ToolStatus: TypeAlias = Literal["ok", "failed", "cancelled"]


@frozen
class ToolResult(Tagged, title="part", kind="tool_result"):
    """
    What the model is shown of a call's outcome; the tool record has it raw.

    Attributes:
        call: The id of the call it answers.
        parts: Text, and pictures or files where the tool gave them.
    """

    call: str
    name: str
    status: ToolStatus = "ok"
    parts: tuple[Text | Image | File, ...] = ()

    @property
    def text(self) -> str:
        """Its text parts, joined by line breaks."""
        return "\n".join([part.text for part in self.parts if isinstance(part, Text)])


Part: TypeAlias = Text | Image | File | Reasoning | ToolCall | ToolResult
UserPart: TypeAlias = Text | Image | File
Role: TypeAlias = Literal["user", "assistant", "tool", "system"]

_ALLOWED: Final[dict[str, frozenset[type]]] = {
    "user": frozenset((Text, Image, File)),
    "assistant": frozenset((Text, Reasoning, ToolCall)),
    "tool": frozenset((ToolResult,)),
    "system": frozenset((Text,)),
}


@frozen
class Message(Value):
    """
    One message of a conversation.

    Attributes:
        role: A tool message answers all calls of the assistant message before
            it, in their order. A system message in mid-history is a note of
            the runtime or of a plugin.
        origin: The plugin that put it there; None for user and model.
    """

    kind: ClassVar[str] = "message"
    role: Role
    parts: tuple[Part, ...]
    origin: str | None = None

    @property
    def text(self) -> str:
        """Its text parts, joined by a blank line."""
        return "\n\n".join([part.text for part in self.parts if type(part) is Text])

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools it asks for, in order."""
        return tuple([part for part in self.parts if type(part) is ToolCall])

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The calls it answers, in order."""
        return tuple([part for part in self.parts if type(part) is ToolResult])

    def check(self) -> Message:
        """
        Return the message itself once its parts fit its role.

        Raises:
            InvalidHistory: They don't, or a required id is empty.
        """
        allowed = _ALLOWED.get(self.role)
        if allowed is None:
            raise InvalidHistory(f"no such role: {self.role!r}")
        for part in self.parts:
            if type(part) not in allowed:
                raise InvalidHistory(f"a {self.role} message can't hold {part.kind}")
            if type(part) is ToolCall and not (part.id and part.name):
                raise InvalidHistory(f"a tool call without id or name: {part!r}")
            if type(part) is ToolResult and not part.call:
                raise InvalidHistory(f"a tool result without a call's id: {part!r}")
        return self


new_text: Final = maker(Text)
new_result: Final = maker(ToolResult)
new_message: Final = maker(Message)


def user(content: str | Sequence[UserPart]) -> Message:
    """
    Return *content* as a user's message.

    Neighbouring texts are merged and empty ones dropped.

    Raises:
        InvalidInput: Nothing is left, or a part isn't text, image or file.
    """
    if isinstance(content, str) and content.strip():
        return new_message(role="user", parts=(new_text(text=content),))
    parts: list[Part] = []
    for part in () if isinstance(content, str) else content:
        if not isinstance(part, (Text, Image, File)):
            raise InvalidInput(f"expected text, image or file, found {part!r}")
        if parts and isinstance(part, Text) and isinstance(last := parts[-1], Text):
            parts[-1] = Text(text=last.text + part.text)
        elif not isinstance(part, Text) or part.text:
            parts.append(part)
    if not any(not isinstance(part, Text) or part.text.strip() for part in parts):
        raise InvalidInput("the prompt is empty: expected text, an image or a file")
    return Message(role="user", parts=tuple(parts))


def assistant(text: str) -> Message:
    """Return *text* as a model's message."""
    return Message(role="assistant", parts=(Text(text=text),))


def note(text: str, *, origin: str | None = None) -> Message:
    """Return *text* as a note of the runtime, or of the plugin *origin*."""
    return Message(role="system", parts=(Text(text=text),), origin=origin)


def blobs(messages: Sequence[Message]) -> list[Blob]:
    """Return the blobs of *messages*, each once, with its bytes if they're at hand."""
    found: dict[str, Blob] = {}
    for message in messages:
        pieces: Sequence[Part] = message.parts
        if message.role == "tool":
            pieces = [piece for result in message.results for piece in result.parts]
        for piece in pieces:
            if isinstance(piece, (Image, File)) and (
                piece.blob.data is not None or piece.blob.sha256 not in found
            ):
                found[piece.blob.sha256] = piece.blob
    return list(found.values())


def part_from_json(body: Json) -> Part:
    """
    Return the part that its `to_json` wrote.

    Raises:
        StoreCorrupt: It isn't one.
    """
    return read(get_args(Part), body, "part")  # type: ignore[no-any-return]
