"""What a turn is asked for with, and the rules that it meets."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from ..errors import InvalidInput, expect
from ..events import SessionEvent
from ..json import frozen, maker
from ..messages import Message, UserPart, user
from ..policy import Durability, OnBusy, OnInterrupted
from ..ports import Model
from .output import Output

TURN: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
"""What a turn's id may be; the kernel's own words in its place have other characters."""


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


def asked(
    desk: Desk,
    input: str | Sequence[UserPart],
    *,
    output: Any,
    model: str | Model | None,
    instructions: str | None,
    turn: str | None,
) -> Ask:
    """
    Return what a caller asks for, checked.

    Raises:
        InvalidInput: The input can't be used, or the model isn't known.
    """
    if type(input) is not str:
        expect(str | list | tuple, input=input)
    if instructions is not None:
        expect(str, instructions=instructions)
    if turn is not None:
        expect(str, turn=turn)
        if not TURN.fullmatch(turn):
            raise InvalidInput(f"turn: expected 1 to 128 of A-Z a-z 0-9 _ . ~ -, found {turn!r}")
    return _ask(
        message=user(input),
        turn=turn,
        model=None if model is None else desk.model(model),
        spec=model if isinstance(model, str) else None,
        instructions=instructions,
        output=None if output is None else Output(output),
    )


_ask: Final = maker(Ask)


def mint() -> str:
    """Return a fresh id for a turn or an operation: 24 hexadecimal digits."""
    return os.urandom(12).hex()
