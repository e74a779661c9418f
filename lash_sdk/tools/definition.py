"""What's known of a tool without running it, and the tool itself."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Any, Final, Literal, TypeAlias, get_args

from ..errors import InvalidInput
from ..json import JsonObject, frozen

OnRecovery: TypeAlias = Literal["rerun", "report", "resume"]

Arguments: TypeAlias = dict[str, Any]
"""A call's arguments after validation: what the function takes, by name."""

Function: TypeAlias = Callable[..., Any]
"""Any function that a tool can be made of; its types are read at run time."""

NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
"""What providers accept as a tool's name."""

OPEN: Final[JsonObject] = {"type": "object", "properties": {}, "additionalProperties": True}
"""The schema of a tool that takes any arguments."""


@frozen
class ToolRetry:
    """
    How a failing call is tried again; only failures marked safe are.

    Attributes:
        attempts: Calls in all, at least 1.
        first: Seconds before the second call; each later wait is twice as long.
        longest: No wait is longer (seconds); 0 means no bound.
        idempotent: The tool takes a key (`ctx.idempotency_key`) that makes a
            repeated call one call.
    """

    attempts: int = 1
    first: float = 0.5
    longest: float = 10.0
    idempotent: bool = False

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidInput(f"retry.attempts: expected >= 1, found {self.attempts!r}")

    def wait(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after failed call number *attempt* (from 1)."""
        wait = self.first * 2.0 ** min(attempt - 1, 60) if asked is None else asked
        return max(0.0, min(wait, self.longest) if self.longest else wait)


@frozen
class ToolDefinition:
    """
    What's known of a tool without running it.

    Attributes:
        parameters: JSON Schema of the arguments, an object.
        on_recovery: What a resumed turn does with a call that may have run:
            run it again, report that its outcome is unknown, or call it again
            with the same idempotency key.
        timeout: Seconds for one attempt; None means that the tool has its own.
        serial: It never runs beside another call of its batch.
        inline: A sync function runs on the event loop, not in a thread.
        hidden: It can't be called or seen until availability says so.
        tags: The author's words, for availability rules and catalogues.
    """

    name: str
    description: str = ""
    parameters: JsonObject = field(default_factory=lambda: dict(OPEN))
    on_recovery: OnRecovery = "report"
    timeout: float | None = None
    serial: bool = False
    inline: bool = False
    hidden: bool = False
    retry: ToolRetry = ToolRetry()
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InvalidInput(f"tool name {self.name!r}: expected {NAME.pattern}")
        if self.on_recovery not in (known := get_args(OnRecovery)):
            why = f"on_recovery: expected one of {known}, found {self.on_recovery!r}"
            raise InvalidInput(f"tool {self.name!r}: {why}")
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidInput(f"tool {self.name!r}: timeout: expected > 0, found {self.timeout!r}")


@frozen
class Tool:
    """
    A definition, and what runs.

    Attributes:
        run: Called with the validated arguments by name, and with the context
            under `context` if that isn't None.
        validate: Takes JSON text and returns the arguments, or raises
            `InvalidInput` with the path of what doesn't fit.
        awaits: Whether `run` returns an awaitable.
        context: The name of the parameter that takes the `ToolContext`.
    """

    definition: ToolDefinition
    run: Callable[..., Awaitable[object] | object]
    validate: Callable[[str], Arguments]
    awaits: bool = True
    context: str | None = None

    @property
    def name(self) -> str:
        """The name that a model calls it by."""
        return self.definition.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it had never become a tool."""
        return self.run(*args, **kwargs)
