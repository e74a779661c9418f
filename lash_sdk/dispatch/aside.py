"""What a running turn does beside its effects, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from ..graph import Content
from ..hooks.answers import Visibility
from ..messages import Message
from ..usage import NOTHING, Usage, UsageRow


@dataclass(slots=True)
class Aside:
    """
    What a running turn did beside its effects so far; its commit has all of it.

    Attributes:
        turn: The turn's id.
        children: The sessions that it made, in their order.
        away: Whether it did anything in another session.
        values: Nodes that it adds to its own session, by operation.
        before: What the session hid and showed before the turn changed that.
        rows: What others spent for it.
        usage: Their sum.
    """

    turn: str
    children: dict[str, None] = field(default_factory=dict)
    away: bool = False
    values: dict[str, tuple[Content, ...]] = field(default_factory=dict)
    before: Mapping[str, Visibility] | None = None
    rows: dict[str, UsageRow] = field(default_factory=dict)
    usage: Usage = NOTHING

    @property
    def nodes(self) -> tuple[Content, ...]:
        """The values of the nodes that it adds, in their order."""
        return tuple(chain.from_iterable(self.values.values()))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages among them."""
        return tuple([value for value in self.nodes if isinstance(value, Message)])
