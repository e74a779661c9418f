"""
What the kernel asks of the outside: a store, a model, a host of sessions.

A port is a promise, not code. `lash_sdk.testing` has a contract for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

from .commits import Commit, Head, Receipt
from .errors import Unavailable
from .graph import History, Node
from .json import Json, JsonObject
from .messages import Blob, Part
from .tools import ToolDefinition
from .usage import Usage, UsageRow

# --- model ---------------------------------------------------------------------

Finish: TypeAlias = Literal[
    "stop", "tool_use", "output_limit", "content_filter", "cancelled", "unknown"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """
    A piece of an answer while it's being made.

    Attributes:
        text: Or reasoning text, if `reasoning`.
    """

    text: str
    reasoning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


# --- store ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    A piece of a session, in the order it was committed.

    Attributes:
        revision: The revision up to which the session is told.
    """

    revision: int
    nodes: tuple[Node, ...] = ()
    usage: tuple[UsageRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """One line of a list of sessions; `updated` is seconds since 1970, UTC."""

    id: str
    revision: int
    turns: int
    updated: float
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    The right to run a session's turn.

    Attributes:
        generation: Grows with each holder; a stale one's journal is refused.
    """

    session: str
    holder: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One event of an unfinished turn; `key` is its effect's."""

    turn: str
    key: str
    kind: str
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxItem:
    """Input that waits for a turn; `key` is its sender's, unique in the session."""

    key: str
    body: Json


BASE: Final = frozenset(("commit",))


class Store(ABC):
    """
    Where sessions live.

    A commit is all or nothing, and known: `commit` returns or raises only once
    its outcome is certain, also when its caller is cancelled. What a store
    can't do it doesn't name in `capabilities`, and its methods raise
    `Unavailable`.

    Any method may raise `StoreError` or one of its kinds.
    """

    capabilities: ClassVar[frozenset[str]] = BASE
    """Of "commit", "journal", "inbox", "fork", "observe", "vacuum"."""

    @abstractmethod
    async def open(self) -> None:
        """
        Make the store ready; called once, before anything else.

        Raises:
            StoreCorrupt: What's there isn't a store of this kind.
            SchemaTooNew: A newer version wrote it; it's left untouched.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish what was accepted and release everything."""

    @abstractmethod
    async def head(self, session: str) -> Head | None:
        """
        Return where *session* stands, or None if it was never committed.

        Raises:
            SessionDeleted: The id was used by a session that's gone.
        """

    @abstractmethod
    def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """
        Yield what was committed after revision *since*, oldest first.

        Parents come before children; branches are included.

        Raises:
            StoreCorrupt: A stored part isn't what its hash says.
        """

    @abstractmethod
    async def node(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""

    @abstractmethod
    async def commit(self, commit: Commit) -> Receipt:
        """
        Make *commit* the session's head, or change nothing.

        The same operation id with the same body returns the first receipt.

        Raises:
            RevisionConflict: The head isn't at `commit.expected`.
            OperationMismatch: The operation id was used with another body.
            SessionDeleted: The id was used by a session that's gone.
        """

    @abstractmethod
    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Return the receipt of an operation, or None if it never landed."""

    @abstractmethod
    async def blob(self, ref: str) -> bytes:
        """
        Return the bytes behind a ref of a manifest or of a message's `Blob`.

        Raises:
            StoreCorrupt: There's none, or its hash is another.
        """

    @abstractmethod
    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        """Return at most *limit* sessions updated before then, newest first."""

    @abstractmethod
    async def delete(self, session: str) -> bool:
        """Delete *session* for good; return whether there was one."""

    # The rest is declared here and arrives with the effect journal.

    async def claim(self, session: str) -> Claim:
        """Take the right to run a turn of *session*."""
        raise self._lacks("claim")

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        """Make *rows* durable, unless *claim* is stale."""
        raise self._lacks("journal")

    async def journal(self, session: str) -> Sequence[JournalRow]:
        """Return the rows of the session's unfinished turn."""
        raise self._lacks("journal")

    async def enqueue(self, session: str, item: InboxItem) -> InboxItem:
        """Keep *item* until a turn uses it; the same key returns the first."""
        raise self._lacks("inbox")

    async def pending(self, session: str) -> Sequence[InboxItem]:
        """Return what waits in the session's inbox, oldest first."""
        raise self._lacks("inbox")

    async def withdraw(self, session: str, key: str) -> bool:
        """Take a waiting item back; return whether it still waited."""
        raise self._lacks("inbox")

    async def fork(self, session: str, id: str, *, at: str | None = None) -> Head:
        """Make session *id* on the nodes of *session*, in constant time."""
        raise self._lacks("fork")

    async def tombstone(self, session: str, nodes: Sequence[str]) -> int:
        """Hide *nodes* from every read; return how many were visible."""
        raise self._lacks("vacuum")

    async def vacuum(self) -> int:
        """Remove tombstoned nodes; return how many."""
        raise self._lacks("vacuum")

    async def gc(self, *, dry_run: bool = False) -> int:
        """Remove blobs that nothing reaches; return how many bytes."""
        raise self._lacks("vacuum")

    def changes(self, cursor: int = 0) -> AsyncIterator[Receipt]:
        """Yield each commit after *cursor* as it lands."""
        raise self._lacks("observe")

    def _lacks(self, capability: str) -> Unavailable:
        return Unavailable(capability, why=f"{type(self).__name__} has no {capability}")


# --- factories and hosts -------------------------------------------------------

StoreFactory: TypeAlias = Callable[[str], Store]
"""Takes the whole store URL."""

ModelFactory: TypeAlias = Callable[[str], Model]
"""Takes what stands after "<scheme>:"."""

_OURS: Final[dict[str, str]] = dict.fromkeys(
    ("snapshot", "catalogue", "tool_state", "graph", "trace"), ""
)
_THEIRS: Final[dict[str, str]] = dict.fromkeys(
    ("lifecycle", "turns", "tasks", "monitors", "direct"), "lash-sessions"
)
ROLES: Final[Mapping[str, str]] = _OURS | _THEIRS
"""The ten session roles, and the package that brings those the kernel lacks."""


class SessionManager(Protocol):
    """Supplies the five session roles that concern several sessions."""

    def role(self, name: str, session: str) -> Any:
        """Return the role's object for *session*."""
        ...
