"""
What a model and its user say to each other: messages and their parts.

All values are frozen. Binary parts are blobs: a message holds a reference by
content hash, the bytes travel beside it and are stored once.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from .errors import InvalidHistory, InvalidInput, StoreCorrupt
from .json import Fields, Json, JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BLOB_LIMIT: Final = 20 * 1024 * 1024
"""The most bytes that one blob may hold."""
_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
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
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(sha256=sha256, size=len(data), media_type=media_type, data=data)

    def to_json(self) -> JsonObject:
        """Return the reference without the bytes."""
        return {"media_type": self.media_type, "sha256": self.sha256, "size": self.size}

    @classmethod
    def from_json(cls, body: Json) -> Blob:
        """
        Return the reference that `to_json` wrote.

        Raises:
            StoreCorrupt: It isn't one.
        """
        fields = Fields(body, "blob")
        blob = cls(
            sha256=fields.text("sha256"),
            size=fields.whole("size"),
            media_type=fields.text("media_type"),
        )
        fields.done()
        if not (_SHA256.fullmatch(blob.sha256) and 0 < blob.size <= BLOB_LIMIT):
            raise StoreCorrupt(f"blob: expected a sha256 and a size, found {blob!r}")
        return blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Plain text, as it was said."""

    kind: ClassVar[str] = "text"
    text: str

    def to_json(self) -> JsonObject:
        """Return the part as it's stored."""
        return {"kind": "text", "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture; only a user or a tool shows one."""

    kind: ClassVar[str] = "image"
    blob: Blob

    @classmethod
    def of(cls, data: bytes, media_type: str = "image/png") -> Image:
        """Return a picture that holds *data*."""
        return cls(blob=Blob.of(data, media_type))

    def to_json(self) -> JsonObject:
        """Return the part as it's stored."""
        return {"kind": "image", "blob": self.blob.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file by its name; only a user or a tool hands one over."""

    kind: ClassVar[str] = "file"
    name: str
    blob: Blob

    @classmethod
    def of(cls, name: str, data: bytes, media_type: str) -> File:
        """Return a file that holds *data*."""
        return cls(name=name, blob=Blob.of(data, media_type))

    def to_json(self) -> JsonObject:
        """Return the part as it's stored."""
        return {"kind": "file", "name": self.name, "blob": self.blob.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """
    What the model thought before it spoke.

    Attributes:
        replay: The provider's own data, sent back as it came; reasoning
            without it is kept but never sent again.
    """

    kind: ClassVar[str] = "reasoning"
    text: str
    replay: JsonObject | None = None

    def to_json(self) -> JsonObject:
        """Return the part as it's stored."""
        body: dict[str, Json] = {"kind": "reasoning", "text": self.text}
        if self.replay is not None:
            body["replay"] = self.replay
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """
    The model asks for a tool.

    Attributes:
        id: Ours: unique in the store and the same on every replay. A
            provider's own id is replaced when its answer is taken in.
        arguments: JSON text, exactly as the provider sent it.
    """

    kind: ClassVar[str] = "tool_call"
    id: str
    name: str
    arguments: str = "{}"

    def to_json(self) -> JsonObject:
        """Return the part as it's stored."""
        return {"kind": "tool_call", "id": self.id, "name": self.name, "arguments": self.arguments}


ToolStatus: TypeAlias = Literal["ok", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """
    What the model is shown of a call's outcome; the tool record has it raw.

    Attributes:
        call: The id of the call it answers.
        parts: Text, and pictures or files where the tool gave them.
    """

    kind: ClassVar[str] = "tool_result"
    call: str
    name: str
    status: ToolStatus = "ok"
    parts: tuple[Text | Image | File, ...] = ()

    @property
    def text(self) -> str:
        """Its text parts, joined by line breaks."""
        return "\n".join([part.text for part in self.parts if isinstance(part, Text)])

    def to_json(self) -> JsonObject:
        """Return the part as it's stored."""
        return {
            "kind": "tool_result",
            "call": self.call,
            "name": self.name,
            "status": self.status,
            "parts": [part.to_json() for part in self.parts],
        }


Part: TypeAlias = Text | Image | File | Reasoning | ToolCall | ToolResult
UserPart: TypeAlias = Text | Image | File
Role: TypeAlias = Literal["user", "assistant", "tool", "system"]

_ALLOWED: Final[dict[str, tuple[type, ...]]] = {
    "user": (Text, Image, File),
    "assistant": (Text, Reasoning, ToolCall),
    "tool": (ToolResult,),
    "system": (Text,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One message of a conversation.

    Attributes:
        role: A tool message answers all calls of the assistant message before
            it, in their order. A system message in mid-history is a note of
            the runtime or of a plugin.
        origin: The plugin that put it there; None for user and model.
    """

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
            if not isinstance(part, allowed):
                raise InvalidHistory(f"a {self.role} message can't hold {part.kind}")
            if isinstance(part, ToolCall) and not (part.id and part.name):
                raise InvalidHistory(f"a tool call without id or name: {part!r}")
            if isinstance(part, ToolResult) and not part.call:
                raise InvalidHistory(f"a tool result without a call's id: {part!r}")
        return self

    def to_json(self) -> JsonObject:
        """Return the message as it's stored."""
        body: dict[str, Json] = {
            "role": self.role,
            "parts": [part.to_json() for part in self.parts],
        }
        if self.origin is not None:
            body["origin"] = self.origin
        return body

    @classmethod
    def from_json(cls, body: Json) -> Message:
        """
        Return the message that `to_json` wrote; `check` says if it's sound.

        Raises:
            StoreCorrupt: It isn't one, or has a field we don't know.
        """
        fields = Fields(body, "message")
        message = cls(
            role=fields.one_of("role", frozenset(_ALLOWED)),  # type: ignore[arg-type]
            parts=tuple([part_from_json(part) for part in fields.list("parts")]),
            origin=fields.maybe_text("origin"),
        )
        fields.done()
        return message


def user(content: str | Sequence[UserPart]) -> Message:
    """
    Return *content* as a user's message.

    Neighbouring texts are merged and empty ones dropped.

    Raises:
        InvalidInput: Nothing is left, or a part isn't text, image or file.
    """
    parts: list[Part] = []
    for part in [Text(text=content)] if isinstance(content, str) else content:
        if not isinstance(part, (Text, Image, File)):
            raise InvalidInput(f"expected text, image or file, found {part!r}")
        if isinstance(part, Text):
            if not part.text:
                continue
            if parts and isinstance(last := parts[-1], Text):
                parts[-1] = Text(text=last.text + part.text)
                continue
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
    """Return the blobs of *messages* whose bytes are at hand, each once."""
    found: dict[str, Blob] = {}
    for message in messages:
        for part in message.parts:
            inner = part.parts if isinstance(part, ToolResult) else (part,)
            for piece in inner:
                if isinstance(piece, (Image, File)) and piece.blob.data is not None:
                    found[piece.blob.sha256] = piece.blob
    return list(found.values())


def part_from_json(body: Json) -> Part:
    """
    Return the part that its `to_json` wrote.

    Raises:
        StoreCorrupt: It isn't one.
    """
    fields = Fields(body, "part")
    kind = fields.text("kind")
    read = _READERS.get(kind)
    if read is None:
        raise StoreCorrupt(f"unknown part: {kind!r}")
    part = read(fields)
    fields.done()
    return part


def _read_result(fields: Fields) -> ToolResult:
    parts = [part_from_json(part) for part in fields.list("parts")]
    if not all(isinstance(part, (Text, Image, File)) for part in parts):
        raise StoreCorrupt("a tool result can't hold calls, results or reasoning")
    return ToolResult(
        call=fields.text("call"),
        name=fields.text("name"),
        status=fields.one_of("status", _STATUSES),  # type: ignore[arg-type]
        parts=tuple(parts),  # type: ignore[arg-type]
    )


def _read_reasoning(fields: Fields) -> Reasoning:
    replay = fields.any("replay")
    return Reasoning(
        text=fields.text("text"), replay=fields.mapping("replay") if replay is not None else None
    )


_STATUSES: Final = frozenset(("ok", "failed", "cancelled"))
_READERS: Final[dict[str, Callable[[Fields], Part]]] = {
    "text": lambda f: Text(text=f.text("text")),
    "image": lambda f: Image(blob=Blob.from_json(f.mapping("blob"))),
    "file": lambda f: File(name=f.text("name"), blob=Blob.from_json(f.mapping("blob"))),
    "reasoning": _read_reasoning,
    "tool_call": lambda f: ToolCall(
        id=f.text("id"), name=f.text("name"), arguments=f.text("arguments")
    ),
    "tool_result": _read_result,
}
