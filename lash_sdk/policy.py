"""What a session may spend and how it talks: limits, retries, model, instructions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from .errors import InvalidInput, StoreCorrupt
from .json import Fields, Json, JsonObject

OnBusy: TypeAlias = Literal["reject", "queue", "fork"]
OnInterrupted: TypeAlias = Literal["refuse", "resume"]
Durability: TypeAlias = Literal["effect", "turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
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
        for name in ("iterations", "seconds", "tokens"):
            value = getattr(self, name)
            if value is None:
                continue
            kinds = (int, float) if name == "seconds" else (int,)
            number = isinstance(value, kinds) and not isinstance(value, bool)
            if not number or not 0 < value < float("inf"):
                raise InvalidInput(f"limits.{name}: expected > 0 or None, found {value!r}")

    def to_json(self) -> JsonObject:
        """Return the limits that are set."""
        body: dict[str, Json] = {}
        if self.iterations is not None:
            body["iterations"] = self.iterations
        if self.seconds is not None:
            body["seconds"] = float(self.seconds)
        if self.tokens is not None:
            body["tokens"] = self.tokens
        return body

    @classmethod
    def from_json(cls, body: Json) -> Limits:
        """
        Return the limits that `to_json` wrote.

        Raises:
            StoreCorrupt: They aren't limits.
        """
        fields = Fields(body, "limits")
        try:
            limits = cls(
                iterations=fields.maybe_whole("iterations"),
                seconds=fields.maybe_number("seconds"),
                tokens=fields.maybe_whole("tokens"),
            )
        except InvalidInput as error:
            raise StoreCorrupt(str(error)) from error
        fields.done()
        return limits


@dataclass(frozen=True, slots=True, kw_only=True)
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
        wait: float = self.first * 2.0 ** min(attempt - 1, 60)
        return min(wait, self.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    What every turn of a session goes by until it's configured anew.

    Attributes:
        model: "<scheme>:<name>", or the name of the model object in use.
        instructions: The application's part of the prompt.
    """

    model: str = ""
    instructions: str = ""
    limits: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry)

    def with_overrides(
        self,
        *,
        model: str | None = None,
        instructions: str | None = None,
        limits: Limits | None = None,
    ) -> Policy:
        """Return the policy with what isn't None put in place."""
        return replace(
            self,
            model=self.model if model is None else model,
            instructions=self.instructions if instructions is None else instructions,
            limits=self.limits if limits is None else limits,
        )

    def to_json(self) -> JsonObject:
        """Return what outlives the process; retries belong to the process."""
        return {
            "model": self.model,
            "instructions": self.instructions,
            "limits": self.limits.to_json(),
        }

    @classmethod
    def from_json(cls, body: Json, *, retry: Retry) -> Policy:
        """Return the policy that `to_json` wrote, with this process' *retry*."""
        fields = Fields(body, "policy")
        policy = cls(
            model=fields.text("model"),
            instructions=fields.text("instructions"),
            limits=Limits.from_json(fields.mapping("limits")),
            retry=retry,
        )
        fields.done()
        return policy


GRACE: Final = 5.0
"""Seconds that a cancelled turn may take to settle and commit."""
