"""What the kernel asks of a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeAlias

from ..graph import History
from ..json import JsonObject, frozen
from ..messages import Blob, Part
from ..tools import ToolDefinition
from ..usage import Usage

Finish: TypeAlias = Literal[
    "stop", "tool_use", "output_limit", "content_filter", "cancelled", "unknown"
]


@frozen
class Chunk:
    """
    A piece of an answer while it's being made.

    Attributes:
        text: Or reasoning text, if `reasoning`.
    """

    text: str
    reasoning: bool = False


@frozen
class ModelRequest:
    """
    One question to a model.

    Attributes:
        key: The effect's key: the same on every replay.
        session: The session's id, for providers that cache by it.
        system: The whole prompt; empty means none.
        history: Every message so far, oldest first; never copy it.
        tools: What the model may call, in a stable order.
        output: A JSON schema that the final text must fit, or None.
        blob: Reads the bytes of a blob that stands in the history.
    """

    key: str
    session: str
    system: str
    history: History
    tools: tuple[ToolDefinition, ...] = ()
    output: JsonObject | None = None
    blob: Callable[[Blob], Awaitable[bytes]]


@frozen
class ModelAnswer:
    """
    One finished answer.

    Attributes:
        parts: Text, reasoning and tool calls, in the order they came. A call's
            id may be anything; the kernel replaces it.
        usage: Tokens of this call; None if the provider doesn't say, then the
            kernel estimates.
        finish: Why the model ended. Anything but "stop", "tool_use" and
            "unknown" keeps the answer out of the history.
        model: The model that really answered, if the provider says.
    """

    parts: tuple[Part, ...]
    usage: Usage | None = None
    finish: Finish = "stop"
    model: str | None = None


Emit: TypeAlias = Callable[[Chunk], None]


class Model(Protocol):
    """
    A provider of completions.

    Retries belong to the kernel: `answer` tries once. Being cancelled stops
    the provider's work.
    """

    @property
    def name(self) -> str:
        """What ledger rows and traces call it, such as "openai:gpt-5.2"."""
        ...

    @property
    def window(self) -> int | None:
        """Tokens that a request may hold, or None if that isn't known."""
        ...

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """
        Return the answer to *request*, handing each piece to *emit* as it comes.

        *emit* returns at once. Pieces may be left out; the answer is whole.

        Raises:
            ModelError: There's none; `retryable` says whether to ask again.
            ContextOverflow: The request is longer than the window.
        """
        ...

    async def close(self) -> None:
        """Release what the model holds; called once, when the app closes."""
        ...


ModelFactory: TypeAlias = Callable[[str], Model]
"""Takes what stands after "<scheme>:"."""
