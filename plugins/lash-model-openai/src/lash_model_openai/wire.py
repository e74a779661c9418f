"""
What both forms of the API share: how we read a server's JSON, and name things to it.

A server's JSON is read leniently: a field of another type counts as missing.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from lash_sdk.messages import Blob, File, Image, ToolResult
from lash_sdk.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lash_sdk.json import Json, JsonObject
    from lash_sdk.messages import Message

Blobs: TypeAlias = "Mapping[str, bytes]"
"""The bytes of a history's blobs, by sha256."""

CALL_ID_LIMIT: Final = 40
"""The longest call id that every server of this API has been seen to accept."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    Where a request goes, as far as its form depends on that.

    Attributes:
        name: The model's.
        host: The server's.
        official: Whether that's OpenAI itself, which takes fields that others
            refuse.
        store: Whether it may keep the answer.
        body: Fields that win over ours.
    """

    name: str
    host: str
    official: bool
    store: bool
    body: JsonObject

    @property
    def replay(self) -> str:
        """Whose reasoning can be sent back to it: its own."""
        return f"openai:{self.host}"


class StreamFailed(Exception):
    """
    Raised by a reader when the stream brought an error, or ended too early.

    Attributes:
        body: The server's error; None if the stream just ended.
    """

    def __init__(self, body: JsonObject | None = None) -> None:
        super().__init__("the stream failed" if body else "the stream ended too early")
        self.body = body


# --- reading --------------------------------------------------------------------


def text(body: JsonObject, key: str) -> str:
    """Return a text field, or nothing."""
    value = body.get(key)
    return value if isinstance(value, str) else ""


def whole(body: JsonObject, key: str) -> int:
    """Return a count, or 0."""
    value = body.get(key)
    return value if type(value) is int and value > 0 else 0


def index(body: JsonObject, key: str) -> int | None:
    """Return a position, or None."""
    value = body.get(key)
    return value if type(value) is int else None


def inner(body: JsonObject, key: str) -> JsonObject:
    """Return an object field, or an empty one."""
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}


def objects(body: JsonObject, key: str) -> Sequence[JsonObject]:
    """Return the objects of a list field."""
    value = body.get(key)
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def count(*, prompt: int, answer: int, prompt_details: JsonObject, reasoning: int) -> Usage:
    """Return the usage of one answer; what's cached is counted once."""
    cached = min(whole(prompt_details, "cached_tokens"), prompt)
    written = min(whole(prompt_details, "cache_write_tokens"), prompt - cached)
    return Usage(
        input=prompt - cached - written,
        output=answer,
        cache_read=cached,
        cache_write=written,
        reasoning=min(reasoning, answer),
    )


# --- writing --------------------------------------------------------------------


def call_id(id: str) -> str:
    """Return *id* itself if a server would take it, else a short hash of it."""
    if len(id) <= CALL_ID_LIMIT and _PLAIN.fullmatch(id):
        return id
    return "call_" + hashlib.sha256(_bytes(id)).hexdigest()[:32]


def tool_name(name: str) -> str:
    """Return a name that a server takes; a model may have made this one up."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "_"


def arguments(given: str) -> str:
    """Return arguments that a server takes: *given*, or an object that quotes it."""
    try:
        value = json.loads(given or "{}")
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return given or "{}"
    return json.dumps({"not_an_object": given})


def cache_key(session: str) -> str:
    """Return *session*, or its hash where it's longer than a cache key may be."""
    if len(session) <= 64:
        return session
    return hashlib.sha256(_bytes(session)).hexdigest()


def blobs_of(history: Iterable[Message]) -> dict[str, Blob]:
    """Return every blob that stands in *history*, by sha256."""
    found: dict[str, Blob] = {}
    for message in history:
        for part in message.parts:
            for piece in part.parts if isinstance(part, ToolResult) else (part,):
                if isinstance(piece, (Image, File)):
                    found[piece.blob.sha256] = piece.blob
    return found


def data_url(blob: Blob, blobs: Blobs) -> str:
    """Return the bytes of *blob* as a data URL."""
    data = b64encode(blobs[blob.sha256]).decode("ascii")
    return f"data:{blob.media_type};base64,{data}"


def file_text(file: File, blobs: Blobs) -> str | None:
    """Return a text file as text with its name around it; None if it isn't one."""
    media_type = file.blob.media_type.partition(";")[0].strip().lower()
    if not media_type.startswith("text/") and media_type != "application/json":
        return None
    said = blobs[file.blob.sha256].decode("utf-8", "replace")
    return f"<file name={json.dumps(file.name)}>\n{said}\n</file>"


def result_text(result: ToolResult) -> str:
    """Return a result's text; never nothing, which some servers refuse."""
    if said := result.text:
        return said
    if result.parts:
        return "(attached)"
    return "(empty)" if result.status == "ok" else f"({result.status})"


def well_formed(value: Json) -> Json:
    """Return *value* with a sign for each half character, which UTF-8 can't say."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {key: well_formed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [well_formed(item) for item in value]
    return value


def put(body: dict[str, Json], target: Target) -> dict[str, Json]:
    """Return *body* with the fields of *target* put over it."""
    body.update(target.body)
    return body


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
