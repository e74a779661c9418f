"""What a session is made from, and what its maker is handed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from lash_sdk.errors import InvalidInput, StoreCorrupt
from lash_sdk.graph import Content, check_pairs
from lash_sdk.json import Json, Tagged, Value
from lash_sdk.messages import Message, UserPart, user
from lash_sdk.policy import Limits, Policy
from lash_sdk.ports import Access, Model
from lash_sdk.prompt import PromptPart
from lash_sdk.session import Snapshot
from lash_sdk.tools import Tool

CHILD: Final = "child"
"""The source that a child's usage has unless its maker says another."""

# --- how it stands to its maker ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Root(Tagged, title="relation", kind="root"):
    """Its own: it stays whatever becomes of the turn that made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child(Tagged, title="relation", kind="child"):
    """Its maker's: it never changes where the maker's turns run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff(Tagged, title="relation", kind="handoff"):
    """Its maker's successor: later turns on the maker run there."""

    reason: str = ""
    metadata: Json = None


Relation: TypeAlias = Root | Child | Handoff

# --- where it starts -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty(Tagged, title="start", kind="empty"):
    """Without a history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Current(Tagged, title="start", kind="current"):
    """With its maker's history, up to the last commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing(Tagged, title="start", kind="existing"):
    """With the history of a session, up to its last commit."""

    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FromSnapshot(Tagged, title="start", kind="snapshot"):
    """With the history of a snapshot; it isn't said in JSON."""

    snapshot: Snapshot = field(compare=False)


Start: TypeAlias = Empty | Current | Existing | FromSnapshot

# --- the request ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority(Value, title="authority"):
    """
    What a sub-agent may do in turn; kept with its session.

    Attributes:
        agent: What its maker calls it.
        capability: What it was made for.
        depth: 1 for a root's child.
        max_depth: No deeper session may be made.
    """

    agent: str
    capability: str = ""
    depth: int = 1
    max_depth: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest(Value, title="session request"):
    """
    A session to be made.

    What has no JSON form (a policy object, nodes, tools, parts of a prompt, a
    model object) is for those who ask in Python.

    Attributes:
        id: None: derived from the effect that asks, so that asking again finds
            it, or random outside a turn.
        plugins: Whether plugins and tools begin as its maker's are, or anew.
        model: In place of the policy's; so are instructions and limits.
        access: What it may ever see of the tools; never more than its maker.
        source: What its usage is called in its maker's ledger.
        first_turn: Kept for whoever runs its first turn; handed out once.
        policy: By default its maker's, or that of the snapshot it starts from.
        nodes: Added to the history that it starts with.
        tools: Beside the app's, or in their place, by `base_tools`.
        parts: Said in its prompt.
    """

    id: str | None = None
    relation: Relation = field(default_factory=Child)
    start: Start = field(default_factory=Empty)
    plugins: Literal["fresh", "inherit"] = "inherit"
    model: str | None = None
    instructions: str | None = None
    limits: Limits | None = None
    access: Access = field(default_factory=Access)
    authority: Authority | None = None
    source: str = CHILD
    first_turn: str | None = None
    base_tools: Literal["kept", "left out"] = "kept"
    policy: Policy | None = field(default=None, compare=False)
    model_object: Model | None = field(default=None, compare=False)
    nodes: tuple[Content, ...] = field(default=(), compare=False)
    tools: tuple[Tool, ...] = field(default=(), compare=False)
    parts: tuple[PromptPart, ...] = field(default=(), compare=False)

    @property
    def portable(self) -> bool:
        """Whether another process could run it from what's stored alone."""
        return not (self.tools or self.parts or self.model_object or self.base_tools != "kept")


def child(**fields: Any) -> SessionRequest:
    """Return a request for a child with plugins of its own."""
    return SessionRequest(**{"plugins": "fresh", **fields})


def handoff(*, reason: str = "", metadata: Json = None, **fields: Any) -> SessionRequest:
    """Return a request for a successor with plugins of its own."""
    relation = Handoff(reason=reason, metadata=metadata)
    return SessionRequest(**{"plugins": "fresh", "relation": relation, **fields})


def as_request(request: object) -> SessionRequest:
    """
    Return what was asked for: a request, its JSON form, or None for a plain child.

    Raises:
        InvalidInput: It's none of these.
    """
    if isinstance(request, SessionRequest):
        return _checked(request)
    body: Any = {} if request is None else request
    defaults: dict[str, Json] = {
        "relation": {"kind": "child"},
        "start": {"kind": "empty"},
        "plugins": "inherit",
        "access": {},
        "source": CHILD,
        "base_tools": "kept",
    }
    try:
        return _checked(SessionRequest.from_json({**defaults, **body}))
    except (StoreCorrupt, TypeError) as error:
        raise InvalidInput(f"session request: {error}") from error


def _checked(request: SessionRequest) -> SessionRequest:
    if not request.source:
        raise InvalidInput(f"session request: source: expected a word, found {request.source!r}")
    if request.id == "":
        return replace(request, id=None)
    check_pairs([value for value in request.nodes if isinstance(value, Message)])
    return request


def as_message(input: str | Sequence[UserPart] | Message) -> Message:
    """Return input as the message it becomes."""
    return input if isinstance(input, Message) else user(input)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHandle:
    """What the maker of a session is handed: its name, and what it goes by."""

    id: str
    parent: str | None
    policy: Policy

    def to_json(self) -> Json:
        """Return the handle for a machine to read."""
        return {"id": self.id, "parent": self.parent}
