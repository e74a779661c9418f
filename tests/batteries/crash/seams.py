"""The three doors between a turn and the outside, with a gate in each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from lash_sdk.commits import Commit, Head, Receipt
from lash_sdk.errors import ModelError
from lash_sdk.graph import Node
from lash_sdk.messages import Message, Text, ToolCall, ToolResult
from lash_sdk.ports import (
    BASE,
    Chunk,
    Claim,
    Emit,
    InboxItem,
    JournalRow,
    ModelAnswer,
    ModelRequest,
    Page,
    SessionSummary,
    Store,
)
from lash_sdk.testing import call
from lash_sdk.tools import Tool, tool
from lash_sdk.usage import Usage

from .gate import Gate

T = TypeVar("T")

COST = Usage(input=7, output=3)
"""What each model call uses."""

SEND: Literal["report", "rerun"] = "report"
"""What becomes of `send` after a crash; a planted fault changes it."""


class GatedStore(Store):
    """
    A store behind the gate.

    Attributes:
        wrote: Told of each attempt to write journal rows once it's over.
    """

    capabilities: ClassVar[frozenset[str]] = BASE | {"observe", "vacuum"}

    def __init__(self, inner: Store, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate
        self.wrote: Callable[[Sequence[JournalRow]], None] = lambda rows: None

    async def _through(self, name: str, do: Callable[[], Awaitable[T]]) -> T:
        gate = self._gate
        operation = gate.begin(name)
        await gate.reach(operation)
        gate.amid(operation)
        found = await do()
        await gate.inside(operation)
        gate.after(operation)
        return found

    async def open(self) -> None:
        """Open what's behind."""
        await self._inner.open()

    async def close(self) -> None:
        """Close what's behind."""
        await self._inner.close()

    async def head(self, session: str) -> Head | None:
        """Ask what's behind."""
        return await self._inner.head(session)

    async def load(self, session: str, since: int = 0) -> AsyncIterator[Page]:
        """Ask what's behind."""
        async for page in self._inner.load(session, since):
            yield page

    async def node(self, id: str) -> Node | None:
        """Ask what's behind."""
        return await self._inner.node(id)

    async def blob(self, ref: str) -> bytes:
        """Ask what's behind."""
        return await self._inner.blob(ref)

    async def sessions(
        self, *, before: float | None = None, limit: int = 100, prefix: str = ""
    ) -> Sequence[SessionSummary]:
        """Ask what's behind."""
        return await self._inner.sessions(before=before, limit=limit, prefix=prefix)

    async def delete(self, session: str) -> bool:
        """Ask what's behind."""
        return await self._inner.delete(session)

    async def receipt(self, session: str, operation: str) -> Receipt | None:
        """Ask what's behind, through the gate."""
        return await self._through("receipt", lambda: self._inner.receipt(session, operation))

    async def commit(self, commit: Commit) -> Receipt:
        """Ask what's behind, through the gate."""
        return await self._through("commit", lambda: self._inner.commit(commit))

    async def claim(self, session: str) -> Claim:
        """Ask what's behind, through the gate."""
        return await self._through("claim", lambda: self._inner.claim(session))

    async def release(self, claim: Claim) -> None:
        """Ask what's behind, through the gate."""
        await self._through("release", lambda: self._inner.release(claim))

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        """Ask what's behind, through the gate."""
        try:
            await self._through("journal_put", lambda: self._inner.journal_put(claim, rows))
        finally:
            self.wrote(rows)

    async def journal(self, session: str) -> Sequence[JournalRow]:
        """Ask what's behind, through the gate."""
        return await self._through("journal", lambda: self._inner.journal(session))

    async def journal_drop(self, claim: Claim, turn: str) -> None:
        """Ask what's behind, through the gate."""
        await self._through("journal_drop", lambda: self._inner.journal_drop(claim, turn))

    async def enqueue(self, session: str, item: InboxItem) -> InboxItem:
        """Ask what's behind, through the gate."""
        return await self._through("enqueue", lambda: self._inner.enqueue(session, item))

    async def pending(self, session: str) -> Sequence[InboxItem]:
        """Ask what's behind, through the gate."""
        return await self._through("pending", lambda: self._inner.pending(session))

    async def withdraw(self, session: str, key: str) -> bool:
        """Ask what's behind, through the gate."""
        return await self._through("withdraw", lambda: self._inner.withdraw(session, key))


class StrictModel:
    """
    Answers by what it is asked, and refuses a history that a provider would refuse.

    "go" it answers with text and two calls, their results with "done"; anything else
    with "fine".

    Attributes:
        refused: What was wrong with histories, a sentence each.
        asked: How often it was.
        paced: Awaited before a call begins.
        meanwhile: Awaited while the calls are being streamed.
    """

    name = "strict"
    window = None

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.refused: list[str] = []
        self.asked = 0
        self.paced: Callable[[], Awaitable[None]] | None = None
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """
        Return the answer, past the gate at its first byte and before its end.

        Raises:
            ModelError: No provider would take the history.
        """
        gate = self._gate
        self.asked += 1
        if self.paced is not None:
            await self.paced()
        operation = gate.begin("model")
        await gate.reach(operation)
        history = list(request.history)
        if wrong := refusal(history):
            self.refused.append(wrong)
            raise ModelError(wrong, code="invalid_request")
        said = _answer(history)
        emit(Chunk(text=said.text[:1]))
        await gate.reach(operation, "first")
        if said.calls and self.meanwhile is not None:
            await self.meanwhile()
        emit(Chunk(text=said.text[1:]))
        await gate.reach(operation, "last")
        gate.after(operation)
        return ModelAnswer(
            parts=said.parts, usage=COST, finish="tool_use" if said.calls else "stop"
        )

    async def close(self) -> None:
        """Do nothing."""


def _answer(history: list[Message]) -> Message:
    """Return what the model says to *history*."""
    asked = max(at for at, message in enumerate(history) if message.role == "user")
    while asked > 0 and history[asked - 1].role == "user":
        asked -= 1
    texts = [message.text for message in history[asked:] if message.role == "user"]
    last = history[-1]
    if last.role == "tool" or texts == ["also"]:
        return Message(role="assistant", parts=(Text(text="done"),))
    if "go" in texts and last.role == "user" and "next" not in texts:
        calls = (call("note", text="a"), call("send", text="b"))
        return Message(role="assistant", parts=(Text(text="on it"), *calls))
    return Message(role="assistant", parts=(Text(text="fine"),))


def refusal(history: list[Message]) -> str | None:
    """Return why a provider would refuse *history*: pairing, order, ids, an open end."""
    open_calls: list[str] = []
    seen: set[str] = set()
    for at, message in enumerate(history):
        calls = [part.id for part in message.parts if isinstance(part, ToolCall)]
        results = [part.call for part in message.parts if isinstance(part, ToolResult)]
        if open_calls and results != open_calls:
            return f"message {at}: expected results of {open_calls!r}, found {results!r}"
        if results and not open_calls:
            return f"message {at}: results of calls that nobody made: {results!r}"
        if seen.intersection(calls) or len(set(calls)) < len(calls):
            return f"message {at}: a call id twice in {calls!r}"
        if message.role == "assistant" and not message.parts:
            return f"message {at}: an assistant that says nothing"
        seen.update(calls)
        open_calls = calls
    if not history or history[-1].role == "assistant":
        return "nobody asks for an answer"
    return f"calls without results: {open_calls!r}" if open_calls else None


class Ledger:
    """A file to which every tool appends a line when it takes effect."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str) -> None:
        """Take effect, for everybody to see, at once."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, f"{name}\n".encode())
        finally:
            os.close(file)

    def count(self, name: str) -> int:
        """Return how often a tool took effect."""
        return self._path.read_text().split().count(name) if self._path.exists() else 0


def tools(
    gate: Gate, ledger: Ledger, paced: Callable[[], Awaitable[None]] | None = None
) -> list[Tool]:
    """
    Return the two tools: `note`, which may run again, and `send`, which may not.

    *paced* is awaited before `send` begins, so that the trace has one order.
    """

    async def take_effect(name: str) -> str:
        operation = gate.begin(f"tool.{name}")
        await gate.reach(operation)
        ledger.add(name)
        await gate.reach(operation, "effect")
        gate.after(operation)
        return f"{name}: ok"

    @tool(on_recovery="rerun")
    async def note(text: str) -> str:
        """Note something down; again is fine."""
        return await take_effect("note")

    @tool(on_recovery=SEND)
    async def send(text: str) -> str:
        """Send something; twice is an accident."""
        if paced is not None:
            await paced()
        return await take_effect("send")

    return [note, send]
