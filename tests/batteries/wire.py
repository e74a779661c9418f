"""
A model's server that answers badly, and what has to come of it.

The server is a socket on loopback that sends the bytes it's told to; the client, the
kernel and the session are the real ones. Whatever it sends: no tool runs but where the
answer was whole and its call fits; no half answer gets into the history; what was shown
of a failed attempt is taken back; a failure is tried again as often as was said, and no
more; and the session's next turn is an ordinary one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lash_model_openai import OpenAIModel
from lash_sdk import Lash
from lash_sdk.errors import LashError, ModelError
from lash_sdk.events import AnswerRetracted, ModelStarted, RetryWaiting, SessionEvent, TextDelta
from lash_sdk.graph import check_pairs
from lash_sdk.outcomes import Finished
from lash_sdk.policy import Retry
from lash_sdk.session.record import TurnRecord
from lash_sdk.tools import tool

from .wire_forms import Form

KEY: Final = "sk-wire-0123456789abcdef"
RETRY: Final = Retry(attempts=3, first=0.0, longest=0.0, longest_asked=0.02)
PATIENCE: Final = 10.0
"""Seconds after which a case is said to hang; most take a hundredth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """
    What one connection gets.

    Attributes:
        end: "close" ends it in good order, "reset" breaks it, "hold" leaves it open.
    """

    data: bytes
    end: str = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What has to come of it.

    Attributes:
        text: The turn's answer; None if it has to fail.
        code: What it has to fail with.
        asked: How often the model has to be asked.
        ran: What the tool has to be called with, in order.
        told: How many calls have to be answered as failed.
        wait: Seconds that have to pass before each further try.
    """

    text: str | None = "fine"
    code: str = ""
    asked: int = 1
    ran: tuple[str, ...] = ()
    told: int = 0
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    A way to answer badly.

    Attributes:
        sends: What each connection in turn gets, in a form of the API; the last one
            again if there are more.
        only: The one form that it can be said in, or "" for both.
    """

    name: str
    sends: Callable[[Form], Sequence[Sent]]
    wanted: Wanted
    only: str = ""


NOTHING: Final = Case(name="nothing", sends=lambda form: (), wanted=Wanted())
"""The case of a socket that nobody is meant to ask yet."""


@dataclass(slots=True)
class Seen:
    """What came of a case: what was asked and shown, and what's wrong with it."""

    case: Case
    form: str
    bodies: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    events: list[SessionEvent] = field(default_factory=list[SessionEvent])
    ran: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])

    def check(self, good: object, what: str) -> None:
        """Note *what* is wrong, unless it's good."""
        if not good:
            self.wrong.append(f"{self.form}, {self.case.name}: {what}")


class Socket:
    """
    Listens on loopback, and gives each connection its bytes.

    Attributes:
        url: Where the API is, for a client.
        seen: Whose turn it is.
        sends: What the next connections get; the last one again if there are more.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen = Seen(NOTHING, "")
        self.sends: list[Sent] = []
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Socket:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_raised: object) -> None:
        self._server.close()

    async def idle(self) -> bool:
        """Return whether every connection comes to its end."""
        if self._open:
            await asyncio.wait(self._open, timeout=2)
        return not self._open

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went first
        finally:
            writer.close()
            self._open.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        self.seen.bodies.append(json.loads(await reader.readexactly(length)))
        sent = self.sends.pop(0) if len(self.sends) > 1 else self.sends[0]
        writer.write(sent.data)
        await writer.drain()
        if sent.end == "reset":
            await asyncio.sleep(0.005)  # what was sent has arrived by now
            writer.transport.abort()
        elif sent.end == "hold":
            await reader.read(1)


def stream(body: bytes, *, end: str = "close", whole: bool = True) -> Sent:
    """Return an event stream in one chunk; *whole* says whether the chunks' end is sent."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return Sent(data=head + chunk + (b"0\r\n\r\n" if whole else b""), end=end)


def page(status: str, body: bytes, *headers: str, kind: str = "application/json") -> Sent:
    """Return an answer of known length."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}"]
    return Sent(data="\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body)


async def run(case: Case, form: Form, model: OpenAIModel, socket: Socket) -> Seen:
    """Return what came of a case, in a form of the API, of a model that asks the socket."""
    before = asyncio.all_tasks()
    seen = socket.seen = Seen(case, form.name)
    socket.sends = list(case.sends(form))

    @tool
    async def note(text: str, more: int = 0) -> str:
        """Keep a text."""
        seen.ran.append(text)
        return "noted"

    @tool
    async def bell() -> str:
        """Ring."""
        seen.ran.append("rung")
        return "rung"

    app = Lash(model=model, tools=[note, bell], retry=RETRY, autoload=False)
    try:
        async with asyncio.timeout(PATIENCE), app as lash:
            await _turn(lash, seen)
            await _next_turn(lash, seen, socket, form)
    except TimeoutError:
        seen.check(False, "it hangs")
    seen.check(await socket.idle(), "a connection is left open")
    left = asyncio.all_tasks() - before
    seen.check(not left, f"tasks are left: {left!r}")
    return seen


async def _turn(lash: Lash, seen: Seen) -> None:
    wanted = seen.case.wanted
    session = await lash.session("s")
    watched = session.stream("go")
    record: TurnRecord | None = None
    code = ""
    try:
        async for event in watched:
            seen.events.append(event)
        record = await watched.result()
    except ModelError as error:
        code = error.code
        record = error.turn if isinstance(error.turn, TurnRecord) else None
        seen.check(KEY not in f"{error!r} {error}", "the key is in its error")
    except LashError as error:
        seen.check(False, f"raised {error!r}")
    if record is None:
        seen.check(False, "no record")
        return
    outcome = record.outcome
    code = code or getattr(outcome, "code", "")
    text = outcome.text if isinstance(outcome, Finished) else None
    seen.check((wanted.text, wanted.code) == (text, code), f"ended with {text!r}, {code!r}")
    seen.check(wanted.asked == len(seen.bodies), f"asked {len(seen.bodies)} times")
    seen.check(list(wanted.ran) == seen.ran, f"ran {seen.ran!r}")
    failed = [r for message in record.messages for r in message.results if r.status != "ok"]
    seen.check(wanted.told == len(failed), f"told of {len(failed)} failed calls")
    said = [m.text for m in session.messages if m.role == "assistant" and not m.calls]
    seen.check([text] * (text is not None) == said, f"kept {said!r}")
    check_pairs(session.messages)
    _check_tries(seen)


def _check_tries(seen: Seen) -> None:
    """What was shown of an attempt is taken back before the next; the wait is as asked."""
    shown = False
    for event in seen.events:
        if isinstance(event, ModelStarted):
            seen.check(event.attempt == 1 or not shown, "shown text was never taken back")
            shown = False
        elif isinstance(event, AnswerRetracted):
            shown = False
        elif isinstance(event, TextDelta):
            shown = True
        elif isinstance(event, RetryWaiting):
            seen.check(seen.case.wanted.wait == event.seconds, f"waits {event.seconds} s")
    pieces: list[str] = []
    for event in seen.events:
        if isinstance(event, (ModelStarted, AnswerRetracted)):
            pieces = []
        elif isinstance(event, TextDelta):
            pieces.append(event.text)
    wanted = seen.case.wanted.text
    seen.check(wanted in (None, "".join(pieces)), f"showed {''.join(pieces)!r}")


async def _next_turn(lash: Lash, seen: Seen, socket: Socket, form: Form) -> None:
    """Whatever came of the turn, the next one is asked with a history that's in order."""
    socket.sends = [stream(form.answer("after"))]
    session = await lash.session("s")
    try:
        after = await session.run("on")
    except LashError as error:
        seen.check(False, f"the next turn raised {error!r}")
        return
    seen.check(after.text == "after", f"the next turn said {after.text!r}")
    given, answered = _ids(seen.bodies[-1])
    seen.check(given == answered and len(set(given)) == len(given), f"sent {given} {answered}")


def _ids(body: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the ids of the calls and of the results in a request, in either form."""
    calls: list[str] = []
    results: list[str] = []
    for item in body.get("messages") or body.get("input") or ():
        calls += [call["id"] for call in item.get("tool_calls") or ()]
        if item.get("type") == "function_call":
            calls.append(item["call_id"])
        if item.get("role") == "tool":
            results.append(item["tool_call_id"])
        elif item.get("type") == "function_call_output":
            results.append(item["call_id"])
    return calls, results
