"""What one turn is run with."""

from __future__ import annotations

from collections.abc import Callable

from ..json import Json, JsonObject, frozen
from ..policy import Policy
from ..ports import Model


@frozen
class Options:
    """
    What one turn is run with.

    Attributes:
        instructions: Said in this turn alone.
        schema: The JSON schema that the answer must fit.
        fit: Takes the answer's text; returns (why it doesn't fit, the value).
    """

    model: Model
    policy: Policy
    instructions: str | None = None
    schema: JsonObject | None = None
    fit: Callable[[str], tuple[str | None, Json]] | None = None
