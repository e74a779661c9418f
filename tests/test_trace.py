"""
What is on record of a session has one context, from the session to the attempt.
"""

from __future__ import annotations

from typing import Any

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import EventContext, ModelContext, SessionContext, ToolContext, TurnContext
from lash_sdk.events import ModelStarted, PluginEmitted, RetryWaiting, SessionEvent, ToolEnded
from lash_sdk.hooks import Directive, EmitEvents, EmitTrace
from lash_sdk.outcomes import Failure
from lash_sdk.ports import ModelRequest
from lash_sdk.testing import call, failure, reply
from lash_sdk.tools import tool

from .hooking import opened

Place = tuple[str | None, str | None, str | None, int | None]
"""Turn, effect key, call, attempt."""


def place(event: PluginEmitted) -> Place:
    return event.turn, event.key, event.call, event.attempt


class Sink(Plugin):
    """Keeps every event that it's shown, with the session that it's of."""

    kept: list[tuple[str, SessionEvent]]

    @hooks.on_event
    def event(self, ctx: EventContext) -> None:
        self.kept.append((ctx.session_id, ctx.event))


class Writes(Plugin):
    """Says something in a hook of each kind, by each way there is."""

    @hooks.on_session_opened
    async def open(self, ctx: SessionContext) -> None:
        ctx.emit(self, "open")

    @hooks.before_turn
    async def begin(self, ctx: TurnContext) -> list[Directive]:
        return [EmitTrace(name="begin")]

    @hooks.transform_request
    async def ask(self, ctx: ModelContext, value: ModelRequest) -> None:
        ctx.emit(self, "ask")

    @hooks.before_tool
    async def look(self, ctx: ToolContext) -> list[Directive]:
        return [EmitEvents(events=(("look", None),))]

    @hooks.after_tool
    async def trace(self, ctx: ToolContext) -> None:
        ctx.role("trace").emit_trace_event("after")


@tool(retry=2)
async def shaky(ctx: ToolContext) -> Any:
    """Fail once."""
    ctx.emit("shaky", "inside")
    failed = Failure(reason="execution", code="x", message="not yet", retry="safe")
    return "done" if ctx.attempt == 2 else failed


async def test_what_plugins_say_has_the_place_it_is_about() -> None:
    """
    Turn, call and attempt are there by themselves, whichever way it's said.
    """
    kept: list[tuple[str, SessionEvent]] = []
    Sink.kept = kept
    busy = failure("busy", code="rate_limit", retryable=True, after=0.0)
    script = [busy, reply(calls=[call("shaky")]), "done"]
    async with opened(Sink, Writes, script=script, tools=[shaky]) as session:
        turn = await session.run("go")

    id, used = turn.id, turn.tool_calls[0].call
    model, again, made = f"{id}/2", f"{id}/6", f"{id}/3/0"
    assert {"s"} == {session for session, _event in kept}
    said = [(e.name, place(e)) for _session, e in kept if isinstance(e, PluginEmitted)]
    assert [
        ("open", (None, None, None, None)),
        ("plugin.writes.begin", (id, None, None, None)),
        ("ask", (id, model, None, 1)),
        ("ask", (id, model, None, 2)),
        ("look", (id, made, used, 1)),
        ("inside", (id, made, used, 1)),
        ("inside", (id, made, used, 2)),
        ("after", (id, made, used, 2)),
        ("ask", (id, again, None, 1)),
    ] == said


async def test_an_attempt_of_a_model_or_a_tool_is_told_by_its_key() -> None:
    """
    Whoever reads the record sees each attempt, and what failed in the one before.
    """
    kept: list[tuple[str, SessionEvent]] = []
    Sink.kept = kept
    busy = failure("busy", code="rate_limit", retryable=True, after=0.0)
    script = [busy, reply(calls=[call("shaky")]), "done"]
    async with opened(Sink, script=script, tools=[shaky]) as session:
        turn = await session.run("go")

    events = [event for _session, event in kept]
    id = turn.id
    asked = [(e.key, e.attempt) for e in events if isinstance(e, ModelStarted)]
    assert [(f"{id}/2", 1), (f"{id}/2", 2), (f"{id}/6", 1)] == asked
    waits = [e for e in events if isinstance(e, RetryWaiting)]
    assert [(f"{id}/2", 1), (f"{id}/3/0", 1)] == [(wait.key, wait.attempt) for wait in waits]
    assert ["busy", "not yet"] == [wait.reason for wait in waits]
    (ended,) = [e for e in events if isinstance(e, ToolEnded)]
    assert id == ended.turn


async def test_what_is_said_outside_a_turn_is_of_no_turn() -> None:
    """
    A context that isn't of a turn says which turn runs, if one does.
    """
    said: list[PluginEmitted] = []
    seen: list[str] = []
    names = iter(("idle", "busy"))

    @tool
    async def poke(ctx: ToolContext) -> str:
        """Let the session say something."""
        kept_ctx[0].emit("other", next(names))
        seen.append(ctx.turn_id)
        return "ok"

    kept_ctx: list[SessionContext] = []

    class Keeps(Plugin):
        @hooks.on_session_opened
        async def open(self, ctx: SessionContext) -> None:
            kept_ctx.append(ctx)
            ctx.listen(
                lambda event: said.append(event) if isinstance(event, PluginEmitted) else None
            )
            ctx.emit(self, next(names))

    async with opened(Keeps, script=[reply(calls=[call("poke")]), "done"], tools=[poke]) as it:
        await it.run("go")

    assert [("idle", None), ("busy", seen[0])] == [(each.name, each.turn) for each in said]


async def test_a_plugin_listens_only_while_it_wants_to() -> None:
    """
    One that's installed and has nothing to do makes no event be made.
    """
    heard: list[SessionEvent] = []
    stops: list[Any] = []

    class Listens(Plugin):
        @hooks.on_session_opened
        async def open(self, ctx: SessionContext) -> None:
            stops.append(ctx.listen(heard.append))

    async with opened(Listens, script=["a", "b"]) as session:
        await session.run("go")
        first = len(heard)
        stops[0]()
        stops[0]()  # again is fine
        await session.run("go")

    assert 0 < first == len(heard)
