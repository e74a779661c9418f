"""What a session may spend and how it talks: limits, retries, model, instructions."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any, Final, Literal, TypeAlias

from .errors import InvalidInput, expect
from .json import Value, frozen

OnBusy: TypeAlias = Literal["reject", "queue", "fork"]
OnInterrupted: TypeAlias = Literal["refuse", "resume"]
Durability: TypeAlias = Literal["effect", "turn"]


@frozen
class Limits(Value):
    """
    How far one turn may go; None means no limit.

    Attributes:
        iterations: Model calls. When the tools of the last one are done, the
            turn stops with the reason "max_turns".
        seconds: Wall time. The turn then stops with the reason "max_seconds".
        tokens: Own tokens of the turn, checked before each model call. The
            turn then stops with the reason "max_tokens".
    """

    iterations: int | None = None
    seconds: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name, kinds in (("iterations", int), ("seconds", (int, float)), ("tokens", int)):
            value = getattr(self, name)
            number = isinstance(value, kinds) and not isinstance(value, bool)
            if value is not None and not (number and 0 < value < float("inf")):
                raise InvalidInput(f"limits.{name}: expected > 0 or None, found {value!r}")


@frozen
class Retry:
    """
    How often a model is asked again after a failure that may pass.

    Attributes:
        attempts: Calls in all, at least 1.
        first: Seconds before the second call; each later wait is twice as long.
        longest: No wait that we chose ourselves is longer (seconds).
        longest_asked: Nor one that the provider asked for (seconds).
    """

    attempts: int = 4
    first: float = 2.0
    longest: float = 10.0
    longest_asked: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidInput(f"retry.attempts: expected >= 1, found {self.attempts!r}")

    def wait(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after failed call number *attempt* (from 1)."""
        if asked is not None:
            return max(0.0, min(asked, self.longest_asked))
        return min(self.first * float(2 ** min(attempt - 1, 60)), self.longest)


@frozen
class Policy(Value):
    """
    What every turn of a session goes by until it's configured anew.

    Attributes:
        model: "<scheme>:<name>", or the name of the model object in use.
        instructions: The application's part of the prompt.
        retry: Belongs to the process; it isn't stored.
    """

    model: str = ""
    instructions: str = ""
    limits: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry, compare=False)

    def with_overrides(
        self,
        *,
        model: str | None = None,
        instructions: str | None = None,
        limits: Limits | None = None,
    ) -> Policy:
        """
        Return the policy with what isn't None put in place.

        Raises:
            InvalidInput: Something is of another type, and couldn't be read back.
        """
        all_of_it = {"model": model, "instructions": instructions, "limits": limits}
        given: dict[str, Any] = {name: it for name, it in all_of_it.items() if it is not None}
        for name, value in given.items():
            expect(type(getattr(self, name)), **{name: value})
        return replace(self, **given)


GRACE: Final = 5.0
"""Seconds that a cancelled turn may take to settle and commit."""
