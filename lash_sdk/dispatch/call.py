"""
One tool call: found, prepared by hooks, checked, allowed, made, looked at again.

It always ends in a record. Whatever a tool or a plugin does wrong becomes the
call's outcome; only being cancelled goes further.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Final, Protocol

from ..contexts import ALL_ROLES, Scope, ToolContext
from ..errors import InvalidInput, PluginFault, ToolDenied
from ..hooks.answers import Abort, Allow, Ask, Decision, Deny
from ..json import Json, encode
from ..messages import Blob, Message, ToolCall
from ..outcomes import Cancelled, Failure, FailureClass, Issue, Success, ToolOutcome, ToolRecord
from ..plugins.registry import Plans
from ..tools import Arguments, Tool, as_json, attachments, parse_arguments
from . import candidate
from .threads import in_thread
from .toolbox import Toolbox


class Bench(Protocol):
    """What a call needs of the session it's made in."""

    @property
    def scope(self) -> Scope:
        """The session as contexts see it."""
        ...

    @property
    def plans(self) -> Plans:
        """The hooks of its plugins."""
        ...

    @property
    def toolbox(self) -> Toolbox:
        """Its tools."""
        ...

    @property
    def make(self) -> Callable[[ToolContext], Awaitable[ToolOutcome]]:
        """One attempt, with every `around_tool` around it."""
        ...

    def progress(self, ctx: ToolContext, text: str) -> None:
        """Show how far a call is."""
        ...

    def trace(self, plugin: str, name: str, body: Json) -> None:
        """Write a plugin's trace record."""
        ...

    async def read_blob(self, blob: Blob) -> bytes:
        """Return a blob's bytes."""
        ...


class Made:
    """
    What came of one call, beside its record.

    Attributes:
        queued: Messages for the next checkpoint, with the plugin's name.
        abort: Set if a gate ended the turn.
        blobs: Bytes that the outcome refers to.
        issues: What went wrong in plugins around it.
    """

    __slots__ = ("abort", "blobs", "issues", "queued")

    def __init__(self) -> None:
        self.queued: list[tuple[str, tuple[Message, ...]]] = []
        self.abort: Issue | None = None
        self.blobs: list[Blob] = []
        self.issues: list[Issue] = []


def idempotency_key(key: str, name: str) -> str:
    """Return the key of a call: the same on every attempt and every replay."""
    return hashlib.sha256(f"lash-tool:{key}:{name}".encode()).hexdigest()


async def make_call(bench: Bench, turn: str, key: str, call: ToolCall, made: Made) -> ToolRecord:
    """Return the record of *call*, whose effect key is *key*."""
    tool = bench.toolbox.get(call.name)
    if tool is None:
        failure = _failure("unavailable", "tool_unavailable", _no_tool(bench, call))
        return _record(call, call.arguments, failure)
    ctx = ToolContext(
        bench.scope,
        turn,
        call=call,
        tool=tool,
        idempotency_key=idempotency_key(key, call.name),
        tell=bench.progress,
        roles=ALL_ROLES,
        read_blob=bench.read_blob,
    )
    text = call.arguments
    if bench.plans.before_tool is not None:
        prepared = await _before(bench, ctx, made)
        if prepared.arguments is not None:
            text = encode(prepared.arguments).decode("ascii")
        if prepared.outcome is not None:
            arguments: Json = call.arguments if ctx.arguments is None else ctx.arguments
            return _record(call, arguments, prepared.outcome, decided=prepared.by)
    try:
        ctx.arguments = tool.validate(text)
        shown = _as_sent(ctx.arguments, text)
    except InvalidInput as error:
        return _record(call, text, _failure("invalid_request", "invalid_tool_args", str(error)))
    decided, refusal = await _decide(bench, ctx, made)
    if refusal is not None:
        return _record(call, shown, refusal, decided=decided)
    return await _run(bench, ctx, made, shown, decided)


async def _run(
    bench: Bench, ctx: ToolContext, made: Made, shown: Json, decided: str | None
) -> ToolRecord:
    """Make the call that was allowed, and let hooks look at its outcome."""
    started = perf_counter()
    try:
        outcome = await _attempts(bench, ctx, made)
        made.blobs += ctx.attached
    except asyncio.CancelledError:
        ctx.cancelled = True
        outcome = Cancelled(message=_gave_up(ctx.tool))
        seconds = perf_counter() - started
        return _record(ctx.call, shown, outcome, seconds=seconds, decided=decided)
    seconds = perf_counter() - started
    ctx.outcome = outcome
    if bench.plans.after_tool is not None:
        try:
            found = await candidate.after(bench.plans.after_tool, ctx, bench.trace)
            made.queued += found.queued
            outcome = found.outcome or outcome
        except PluginFault as fault:
            outcome = _fault(made, fault, "after_tool_call_failed")
    return _record(ctx.call, shown, outcome, seconds=seconds, decided=decided)


async def _before(bench: Bench, ctx: ToolContext, made: Made) -> candidate.Candidate:
    try:
        ctx.arguments = parse_arguments(ctx.call.arguments)
    except InvalidInput:
        ctx.arguments = None  # validation says what's wrong, after the hooks
    try:
        return await candidate.before(bench.plans.before_tool, ctx, bench.trace)
    except PluginFault as fault:
        failed = candidate.Candidate()
        failed.offer(_fault(made, fault, "before_tool_call_failed"), fault.plugin, strength=3)
        return failed


async def _decide(bench: Bench, ctx: ToolContext, made: Made) -> tuple[str | None, Failure | None]:
    """Return who decided, and what stands in the way if it's not allowed."""
    if bench.plans.decide_tool is None:
        return None, None
    answer = await bench.plans.decide_tool(ctx)
    if answer is None:
        return None, None
    plugin, decision = answer
    if isinstance(decision, Ask):
        plugin, decision = await _approve(bench, ctx, plugin, decision)
    by: str = plugin.name
    if isinstance(decision, Allow):
        return by, None
    why = decision.reason if isinstance(decision, (Deny, Abort)) else "denied"
    code = decision.code if isinstance(decision, Abort) else "tool_denied"
    if isinstance(decision, Abort):
        made.abort = Issue(kind="plugin", code=code, message=why)
    return by, _failure("permission_denied", code, why, source="policy")


async def _approve(
    bench: Bench, ctx: ToolContext, asker: Any, question: Ask
) -> tuple[Any, Decision]:
    """Return who answered for a call that needs approval; nobody is a no."""
    if bench.plans.decide_approval is not None:
        answer = await bench.plans.decide_approval(ctx)
        if answer is not None and not isinstance(answer[1], Ask):
            return answer[0], answer[1]
    why = question.question or "approval is needed"
    return asker, Deny(reason=f"nobody approved: {why}")


async def _attempts(bench: Bench, ctx: ToolContext, made: Made) -> ToolOutcome:
    """Return the outcome of the last attempt that the tool's policy allows."""
    assert ctx.tool is not None  # noqa: S101 - for the type checker
    retry = ctx.tool.definition.retry
    while True:
        try:
            outcome = await bench.make(ctx)
        except PluginFault as fault:
            return _fault(made, fault, "around_tool_failed")
        if not isinstance(outcome, (Success, Failure, Cancelled)):
            odd = f"a plugin's around_tool returned {outcome!r}, which is no outcome"  # type: ignore[unreachable]
            return _failure("internal", "around_tool_failed", odd, source="plugin")
        if not isinstance(outcome, Failure) or outcome.retry != "safe":
            return outcome
        if ctx.attempt >= retry.attempts:
            return outcome.exhausted(ctx.attempt)
        await asyncio.sleep(retry.wait(ctx.attempt, outcome.after))
        ctx.attempt += 1


async def attempt(ctx: ToolContext) -> ToolOutcome:
    """Return the outcome of calling the tool once: the inside of `around_tool`."""
    tool = ctx.tool
    assert tool is not None  # noqa: S101 - for the type checker
    definition = tool.definition
    repeatable = definition.retry.attempts > 1
    limit: asyncio.Timeout | None = None
    try:
        if definition.timeout is None:
            value = await _invoke(tool, ctx)
        else:
            async with asyncio.timeout(definition.timeout) as limit:
                value = await _invoke(tool, ctx)
        if isinstance(value, (Success, Failure, Cancelled)):
            return value
        ctx.attached += attachments(value)
        return Success(value=as_json(value))
    except TimeoutError as error:
        ours = limit is not None and limit.expired()
        text = f"no answer within {definition.timeout} s" if ours else f"TimeoutError: {error}"
        safe = repeatable and definition.retry.idempotent
        return _failure("timeout", "tool_timeout", text, retry=safe)
    except ToolDenied as error:
        return _failure("permission_denied", "tool_denied", str(error))
    except InvalidInput as error:
        return _failure("execution", "invalid_tool_value", str(error))
    except (Exception, SystemExit) as error:  # a tool can't end the process
        text = f"{type(error).__name__}: {error}"
        return _failure("execution", "tool_raised", text, retry=repeatable)


async def _invoke(tool: Tool, ctx: ToolContext) -> Any:
    arguments = ctx.arguments or {}
    if tool.context is not None:
        arguments = {**arguments, tool.context: ctx}
    if tool.awaits:
        return await tool.run(**arguments)  # type: ignore[misc]
    if tool.definition.inline:
        return tool.run(**arguments)
    return await in_thread(tool.run, arguments)


def _gave_up(tool: Tool | None) -> str:
    runs_on = tool is not None and not tool.awaits and not tool.definition.inline
    return "cancelled, may still run" if runs_on else "cancelled"


def _as_sent(arguments: Arguments, text: str) -> Json:
    """Return validated *arguments* as JSON: themselves if they're plain, else as sent."""
    if PLAIN.issuperset(map(type, arguments.values())):
        return dict(arguments)
    return parse_arguments(text)


PLAIN: Final = frozenset((str, int, bool, type(None)))
"""Types that validation leaves as they were sent."""


def _no_tool(bench: Bench, call: ToolCall) -> str:
    names = ", ".join(sorted(bench.toolbox.names)) or "none"
    return f"there is no tool {call.name!r}; tools: {names}"


def _failure(
    reason: FailureClass, code: str, message: str, *, source: Any = "tool", retry: bool = False
) -> Failure:
    return Failure(
        reason=reason, code=code, message=message, source=source, retry="safe" if retry else "never"
    )


def _fault(made: Made, fault: PluginFault, code: str) -> Failure:
    """Return a plugin's fault as the call's outcome, and note it."""
    made.issues.append(Issue(kind="plugin", code=code, message=str(fault)))
    return _failure("internal", code, str(fault), source="plugin")


def _record(
    call: ToolCall,
    arguments: Json,
    outcome: ToolOutcome,
    *,
    seconds: float = 0.0,
    decided: str | None = None,
) -> ToolRecord:
    return ToolRecord(
        call=call.id,
        name=call.name,
        arguments=arguments,
        outcome=outcome,
        seconds=round(seconds, 6),
        decided=decided,
    )
