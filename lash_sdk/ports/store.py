"""What the kernel asks of a store."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from typing import ClassVar, Final, TypeAlias

from ..commits import Commit, Head, Receipt
from ..errors import Unavailable
from ..graph import Node
from ..json import Json, Value, encode_known, frozen, plain
from ..messages import Blob, Message
from ..usage import UsageRow


@frozen
class Page:
    """
    A piece of a session, in the order it was committed.

    Nodes and usage may be read, and made sure of, only once somebody looks at them.

    Attributes:
        revision: The revision up to which the session is told.
        nodes: Of a fork's first revision also those it shares with its origin.
        head: Where the session stood after that revision, on the last page of each.
    """

    revision: int
    nodes: tuple[Node, ...] = ()
    usage: Sequence[UsageRow] = ()
    head: Head | None = None


@frozen
class SessionSummary:
    """
    One line of a list of sessions.

    Attributes:
        updated: Seconds since 1970, UTC: of the head, or of the journal without one.
        unfinished: Whether its journal has rows, as while a turn runs or was cut short.
    """

    id: str
    revision: int
    turns: int
    updated: float
    parent: str | None = None
    unfinished: bool = False


@frozen
class Claim:
    """
    The right to run a session's turn, held until it's released or its holder dies.

    Attributes:
        generation: Grows with each holder; a stale one's journal is refused.
        revision: The head's when the claim was taken; 0 without one.
        unfinished: Whether the session's journal has rows.
        waiting: Whether its inbox has rows that wait.
    """

    session: str
    holder: str
    generation: int
    revision: int = 0
    unfinished: bool = False
    waiting: bool = False


@frozen
class JournalRow:
    """
    One fact of an unfinished turn.

    Attributes:
        key: Of the effect or the call that it answers.
        kind: What the kernel calls it; with turn and key unique in a session.
        body: A value on its way in, always JSON on its way out of a file.
        blobs: Bytes that the body refers to; they're kept with it.
    """

    turn: str
    key: str
    kind: str
    body: Json | Value
    blobs: tuple[Blob, ...] = ()

    @property
    def data(self) -> bytes:
        """The canonical bytes of the body."""
        return encode_known(plain(self.body))


@frozen
class InboxItem:
    """
    Input that waits for a turn.

    Attributes:
        key: Its sender's, unique in the session.
        body: A message; with the id of a turn, if that turn alone is to have it.
    """

    key: str
    body: Json

    @property
    def turn(self) -> str | None:
        """The turn that waits for its time to come with this; None if it's for any."""
        found = self.body.get("turn") if isinstance(self.body, dict) else None
        return found if isinstance(found, str) else None

    @property
    def message(self) -> Message:
        """What was said."""
        inner = isinstance(self.body, dict) and self.body.get("message")
        return Message.from_json(inner or self.body)


LOOK: Final = 0.25
"""Seconds between two looks at a head, by a store that isn't told when it moves."""

BASE: Final = frozenset(("commit", "journal", "inbox", "fork"))


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
    """Of "commit", "journal" (claims too), "inbox", "fork", "observe", "vacuum"."""

    limit: ClassVar[int | None] = None
    """Bytes that a commit's parts may have together; None if nothing is limited."""

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
        Return where *session* stands, or None if nothing made it yet.

        An inbox makes a session, at revision 0; claim and journal don't.

        Raises:
            SessionDeleted: The id was used by a session that's gone.
        """

    @abstractmethod
    def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """
        Yield what was committed after revision *since*, oldest first.

        Parents come before children; branches are included, but for those that
        a fork's origin has beside the path to where it was forked.

        Raises:
            StoreCorrupt: A commit isn't chained to the one before it, or a part is
                missing. A part that isn't what its hash says may raise it later,
                when it's read: see `Node`.
        """

    @abstractmethod
    async def node(self, id: str) -> Node | None:
        """Return a node by its id, whatever its session."""

    @abstractmethod
    async def commit(self, commit: Commit) -> Receipt:
        """
        Make *commit* the session's head, or change nothing.

        The same operation id with the same body, compared as canonical JSON,
        returns the first receipt, whatever `expected` says. With it go the inbox
        rows it consumed and the journal of its turn; its session's children of
        that turn that it doesn't name are removed. Those that it names are seen from
        now on, or wait for what its session waits for.

        Raises:
            RevisionConflict: The head isn't at `commit.expected`.
            OperationMismatch: The operation id was used with another body.
            InvalidInput: It's over the limit, refers to a blob that isn't there, or
                consumes or names what doesn't wait for it.
            InvalidHistory: A node is there already or its parent isn't, or
                `restore` names no end of a commit.
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
        """
        Return at most *limit* sessions updated before then, newest first.

        Without a head, revision 0, a session is told of while its journal has rows.
        One that waits for its parent's commit isn't.
        """

    @abstractmethod
    async def delete(self, session: str) -> bool:
        """
        Delete *session* and its pending children for good; return if there was one.

        Nodes and blobs that another session reaches stay. The id is never used
        again, but an id that never was one stays free.
        """

    async def moved(self, session: str, revision: int) -> None:
        """
        Return once the head of *session* is past *revision*, whoever moved it.

        A store that's told of commits waits for that. One that isn't looks at the
        head again and again, as here, `LOOK` seconds apart.

        Raises:
            SessionDeleted: The session is gone.
        """
        while (head := await self.head(session)) is None or head.revision <= revision:  # noqa: ASYNC110
            await asyncio.sleep(LOOK)

    def may_wait(self, session: str) -> bool:
        """
        Return whether input may wait in the inbox of *session*: False is sure, True isn't.

        Never waits itself: a store that others share can only say that it keeps inboxes.
        """
        return "inbox" in self.capabilities

    # What follows a store may lack; the kernel then does without.

    async def claim(self, session: str) -> Claim:
        """
        Take the right to run a turn of *session*; `release` gives it back.

        Whether its holder lives is known from the operating system or the
        server, never from a clock; nothing is flushed.

        Raises:
            SessionBusy: Somebody who lives holds it, in this process or another.
            SessionDeleted: The id was used by a session that's gone.
        """
        raise self._lacks("journal")

    async def release(self, claim: Claim) -> None:
        """Give *claim* back; a second call, or one for a stale claim, does nothing."""
        raise self._lacks("journal")

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        """
        Make *rows* durable, all or none, and *claim* the newest that wrote any.

        A row that's there already, by its turn, key and kind, stays as it was. As
        with `commit`, the outcome is certain on return, also if cancelled.

        Raises:
            SessionBusy: A newer claim wrote already, or *claim* was released.
            SessionDeleted: The session is gone.
        """
        raise self._lacks("journal")

    async def journal(self, session: str) -> Sequence[JournalRow]:
        """Return the rows of the session's unfinished turns, in their order."""
        raise self._lacks("journal")

    async def journal_drop(self, claim: Claim, turn: str) -> None:
        """
        Remove the rows of a turn that will never be committed, and its children.

        Raises:
            SessionBusy: As for `journal_put`.
        """
        raise self._lacks("journal")

    async def enqueue(self, session: str, item: InboxItem) -> InboxItem:
        """
        Keep *item* until a turn uses it; durable on return.

        The same key and body return the first, also once a turn has used it.

        Raises:
            OperationMismatch: The key was used with another body.
            SessionDeleted: The id was used by a session that's gone.
        """
        raise self._lacks("inbox")

    async def pending(self, session: str) -> Sequence[InboxItem]:
        """Return what waits in the session's inbox, oldest first."""
        raise self._lacks("inbox")

    async def withdraw(self, session: str, key: str) -> bool:
        """Take a waiting item back, key and all; return whether it still waited."""
        raise self._lacks("inbox")

    async def fork(self, session: str, id: str, *, at: str | None = None) -> Head:
        """
        Make session *id* on the nodes of *session*, in constant time.

        It starts at revision 1 with the manifest that belongs to node *at*, the
        head's without one; with no usage, inbox, journal or children.

        Raises:
            SessionExists: There's a session *id*.
            SessionDeleted: One of the two ids was used by a session that's gone.
            InvalidHistory: The session has no commit, or *at* ends none.
        """
        raise self._lacks("fork")

    async def tombstone(self, session: str, nodes: Sequence[str]) -> int:
        """
        Hide *nodes* from every read; return how many were visible.

        Raises:
            InvalidHistory: A head stands on one, or a node that stays visible.
        """
        raise self._lacks("vacuum")

    async def vacuum(self) -> int:
        """Remove tombstoned nodes, leaving their hashes; return how many."""
        raise self._lacks("vacuum")

    async def gc(self, *, dry_run: bool = False) -> int:
        """
        Remove blobs that no head and no journal reaches; return how many bytes.

        *dry_run* only counts them.
        """
        raise self._lacks("vacuum")

    def changes(self, cursor: int = 0) -> AsyncIterator[Receipt]:
        """
        Yield the receipts of commits after *cursor*, of any session, and end.

        `Receipt.cursor` is where to go on; no commit is ever missed by that.
        """
        raise self._lacks("observe")

    def _lacks(self, capability: str) -> Unavailable:
        return Unavailable(capability, why=f"{type(self).__name__} has no {capability}")


StoreFactory: TypeAlias = Callable[[str], Store]
"""Takes the whole store URL."""
