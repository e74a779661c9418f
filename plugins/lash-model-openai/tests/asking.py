"""Requests and the model that's asked, as the tests need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lash_model_openai import OpenAIConfig, OpenAIModel
from lash_sdk.graph import History
from lash_sdk.json import JsonObject
from lash_sdk.messages import Blob, Message, user
from lash_sdk.ports import Chunk, ModelRequest
from lash_sdk.tools import ToolDefinition

from .peer import Peer

KEY = "sk-not-a-real-key-0123456789"


@dataclass
class Blobs:
    """Holds bytes by hash, and remembers which were read."""

    by_hash: dict[str, bytes] = field(default_factory=dict[str, bytes])
    read: list[str] = field(default_factory=list[str])

    async def __call__(self, blob: Blob) -> bytes:
        self.read.append(blob.sha256)
        return self.by_hash[blob.sha256]


def asking(
    messages: Sequence[Message] = (user("Hi"),),
    *,
    system: str = "",
    tools: tuple[ToolDefinition, ...] = (),
    output: JsonObject | None = None,
    blobs: Blobs | None = None,
    session: str = "s1",
) -> ModelRequest:
    """Return a request with what's given, and the least of everything else."""
    return ModelRequest(
        key="t/1",
        session=session,
        system=system,
        history=History(list(messages)),
        tools=tools,
        output=output,
        blob=blobs or Blobs(),
    )


def model_at(peer: Peer, api: str = "chat", **settings: object) -> OpenAIModel:
    """Return a model that asks *peer*."""
    config = OpenAIConfig.model_validate(
        {"base_url": peer.url, "api": api, "timeout": 5.0, **settings}
    )
    return OpenAIModel("gpt-5.2", api_key=KEY, config=config)


def texts(chunks: Sequence[Chunk], *, reasoning: bool = False) -> list[str]:
    """Return the texts of *chunks* of one kind."""
    return [chunk.text for chunk in chunks if chunk.reasoning == reasoning]
