"""What a turn is asked for with, and the rules that it meets."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from ..events import SessionEvent
from ..json import frozen
from ..messages import Message
from ..policy import Durability, OnBusy, OnInterrupted
from ..ports import Model
from .output import Output


@frozen
class Ask:
    """
    One turn that's asked for.

    Attributes:
        turn: Its id, if it has one already.
        spec: The model's, if it was named.
        watch: Shown every event of this turn, and of no other.
    """

    message: Message
    turn: str | None = None
    model: Model | None = None
    spec: str | None = None
    instructions: str | None = None
    output: Output | None = None
    watch: Callable[[SessionEvent], None] | None = None


@frozen
class Rules:
    """
    What the application chose for all of its sessions.

    Attributes:
        kept: Parts of the policy that whoever opened this one chose.
    """

    on_busy: OnBusy = "reject"
    on_interrupted: OnInterrupted = "refuse"
    durability: Durability = "effect"
    kept: frozenset[str] = frozenset()


@frozen
class Desk:
    """
    What a handle asks of the app that gave it out.

    Attributes:
        model: Returns a model object for a spec.
        open: Returns another session, when awaited.
        release: Takes a handle back.
    """

    model: Callable[[str | Model], Model]
    open: Callable[[str], Awaitable[Any]]
    release: Callable[[Any], Awaitable[None]]


def mint() -> str:
    """Return a fresh id for a turn or an operation: 24 hexadecimal digits."""
    return os.urandom(12).hex()
