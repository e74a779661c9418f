"""
One tool call: found, prepared by hooks, checked, allowed, made, looked at again.

It always ends in a record. Whatever a tool or a plugin does wrong becomes the
call's outcome; only being cancelled goes further.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from ..contexts import ALL_ROLES, ToolContext
from ..errors import InvalidInput, LashError, PluginFault, ToolDenied
from ..events import RetryWaiting
from ..hooks.answers import Abort, Allow, Ask, Deny
from ..journal import CallResult, Intent
from ..json import Json, encode
from ..messages import Blob, Message, Text, ToolCall, ToolResult
from ..outcomes import Cancelled, Failure, FailureClass, Issue, Success, ToolOutcome, ToolRecord
from ..tools import Tool, as_json, attachments, parse_arguments
from . import directives
from .live import Live
from .projection import status
from .threads import in_thread


@dataclass(slots=True)
class Made:
    """
    What came of one call so far, beside its record.

    Attributes:
        queued: Messages for the next checkpoint, with the plugin's name.
        abort: Set if a gate ended the turn.
        blobs: Bytes that the outcome refers to.
        issues: What went wrong in plugins around it.
    """

    queued: tuple[tuple[str, tuple[Message, ...]], ...] = ()
    abort: Issue | None = None
    blobs: tuple[Blob, ...] = ()
    issues: tuple[Issue, ...] = ()

    def close(self, live: Live, record: ToolRecord) -> CallResult:
        """Return all that came of the call; nothing of it changes any more."""
        result = self._project(live, record)
        queued: tuple[Message, ...] = ()
        for plugin, messages in self.queued:
            try:
                queued += directives.welcome(plugin, messages)
            except LashError as error:
                text = f"plugin {plugin!r} in after_tool: {error}"
                self.note("plugin_messages", text)
        return CallResult(
            record=record,
            result=result,
            queued=queued,
            abort=self.abort,
            issues=self.issues,
            blobs=self.blobs,
        )

    def note(self, code: str, text: str) -> None:
        """Take in what went wrong in a plugin."""
        self.issues += (Issue(kind="plugin", code=code, message=text),)

    def _project(self, live: Live, record: ToolRecord) -> ToolResult:
        """Return what the model is shown; a failing projector shows its error."""
        name, outcome = record.name, record.outcome
        try:
            parts = tuple(live.projector(name, outcome))
        except Exception as error:
            text = f"[failed: projector] {type(error).__name__}: {error}"
            parts = (Text(text=text),)
            self.note("tool_projector", text)
        return ToolResult(call=record.call, name=name, status=status(outcome), parts=parts)


async def make_call(
    live: Live, turn: str, key: str, call: ToolCall, intent: Intent | None = None
) -> CallResult:
    """
    Return what comes of *call*, whose effect key is *key*.

    With an *intent*, a process that ended meanwhile was about to make it.
    """
    made = Made()
    if live.seam.closing:
        record = _given_up(call, intent)
    elif intent is not None:
        record = await _recover(live, _context(live, turn, key, call), made, intent)
    else:
        record = await _make(live, _context(live, turn, key, call), made)
    return made.close(live, record)


def _context(live: Live, turn: str, key: str, call: ToolCall) -> ToolContext:
    return ToolContext(
        live,
        turn,
        call=call,
        tool=live.toolbox.get(call.name),
        key=key,
        tell=live.progress,
        roles=ALL_ROLES,
        read_blob=live.read_blob,
    )


async def _make(live: Live, ctx: ToolContext, made: Made) -> ToolRecord:
    """Return the record of a call that nobody made before."""
    call, tool = ctx.call, ctx.tool
    if tool is None:
        names = ", ".join(sorted(live.toolbox.names)) or "none"
        text = f"there is no tool {call.name!r}; tools: {names}"
        return record_of(call, _failure("unavailable", "tool_unavailable", text))
    text = call.arguments
    if live.plans.before_tool is not None:
        prepared = await _before(live, ctx, made)
        if prepared.arguments is not None:
            text = encode(prepared.arguments).decode("ascii")
        if prepared.outcome is not None:
            return record_of(call, prepared.outcome, ctx.arguments, decided=prepared.by)
    try:
        ctx.arguments = tool.validate(text)
        # as they're if they're plain, else as sent
        plain = PLAIN.issuperset(map(type, ctx.arguments.values()))
        shown: Json = dict(ctx.arguments) if plain else parse_arguments(text)
    except InvalidInput as error:
        return record_of(call, _failure("invalid_request", "invalid_tool_args", str(error)), text)
    decided, refusal = await _decide(live, ctx, made)
    if refusal is not None:
        return record_of(call, refusal, shown, decided=decided)
    if live.seam.keeps:
        key = ctx.idempotency_key
        intent = Intent(tool=call.name, arguments=shown, idempotency_key=key, decided=decided)
        await live.seam.intend(ctx.key, intent)
    return await _run(live, ctx, made, shown, decided)


async def _recover(live: Live, ctx: ToolContext, made: Made, intent: Intent) -> ToolRecord:
    """Return the record of a call that may have been made, by the tool's own rule."""
    tool = ctx.tool
    if tool is not None and tool.definition.on_recovery != "report":
        try:
            ctx.arguments = tool.validate(encode(intent.arguments).decode("ascii"))
        except InvalidInput:
            pass  # the tool has changed: nobody can tell what was done
        else:
            ctx.recovered = True
            return await _run(live, ctx, made, intent.arguments, intent.decided)
    failure = _failure("execution", "outcome_unknown", UNKNOWN, source="runtime")
    return record_of(ctx.call, failure, intent.arguments, decided=intent.decided)


def _given_up(call: ToolCall, intent: Intent | None) -> ToolRecord:
    """Return the record of a call that's closed because its turn is discarded."""
    if intent is None:
        return record_of(call, Cancelled(message="discarded before it was made"))
    outcome = Cancelled(message="discarded; it may have been made")
    return record_of(call, outcome, intent.arguments, decided=intent.decided)


async def _run(
    live: Live, ctx: ToolContext, made: Made, arguments: Json, decided: str | None
) -> ToolRecord:
    """Make the call that was allowed, and let hooks look at its outcome."""
    started = perf_counter()
    outcome: ToolOutcome
    try:
        outcome = await _attempts(live, ctx, made)
        if ctx.attached:
            made.blobs += ctx.attached
    except asyncio.CancelledError:
        ctx.cancelled = True
        tool = ctx.tool
        runs_on = tool is not None and not tool.awaits and not tool.definition.inline
        outcome = Cancelled(message="cancelled, may still run" if runs_on else "cancelled")
    seconds = perf_counter() - started
    if not ctx.cancelled:
        ctx.outcome = outcome
        if live.plans.after_tool is not None:
            outcome = await _after(live, ctx, made) or outcome
    return record_of(ctx.call, outcome, arguments, seconds=seconds, decided=decided)


async def _before(live: Live, ctx: ToolContext, made: Made) -> directives.Candidate:
    try:
        ctx.arguments = parse_arguments(ctx.call.arguments)
    except InvalidInput:
        ctx.arguments = None  # validation says what's wrong, after the hooks
    try:
        return await directives.before(live.plans.before_tool, ctx)
    except PluginFault as fault:
        failed = directives.Candidate()
        failed.offer(_fault(made, fault, "before_tool_call_failed"), fault.plugin, strength=3)
        return failed


async def _after(live: Live, ctx: ToolContext, made: Made) -> ToolOutcome | None:
    try:
        found = await directives.after(live.plans.after_tool, ctx)
    except PluginFault as fault:
        return _fault(made, fault, "after_tool_call_failed")
    made.queued += tuple(found.queued)
    return found.outcome


async def _decide(live: Live, ctx: ToolContext, made: Made) -> tuple[str | None, Failure | None]:
    """Return who decided, and what stands in the way if it's not allowed."""
    if live.plans.decide_tool is None:
        return None, None
    answer = await live.plans.decide_tool(ctx)
    if answer is None:
        return None, None
    plugin, decision = answer
    if isinstance(decision, Ask):
        plugin, decision = await _approve(live, ctx, plugin, decision)
    if isinstance(decision, Allow):
        return plugin.name, None
    code, why = "tool_denied", decision.reason
    if isinstance(decision, Abort):
        code = decision.code
        made.abort = Issue(kind="plugin", code=code, message=why)
    return plugin.name, _failure("permission_denied", code, why, source="policy")


async def _approve(
    live: Live, ctx: ToolContext, asker: Any, question: Ask
) -> tuple[Any, Allow | Deny | Abort]:
    """Return who answered for a call that needs approval; nobody is a no."""
    if live.plans.decide_approval is not None:
        answer = await live.plans.decide_approval(ctx)
        if answer is not None and not isinstance(answer[1], Ask):
            return answer[0], answer[1]
    why = question.question or "approval is needed"
    return asker, Deny(reason=f"nobody approved: {why}")


async def _attempts(live: Live, ctx: ToolContext, made: Made) -> ToolOutcome:
    """Return the outcome of the last attempt that the tool's policy allows."""
    assert ctx.tool is not None  # noqa: S101 - for the type checker
    retry, around = ctx.tool.definition.retry, live.plans.around_tool
    make = attempt if around is None else around(attempt)
    while True:
        try:
            outcome = await make(ctx)
        except PluginFault as fault:
            return _fault(made, fault, "around_tool_failed")
        if not isinstance(outcome, (Success, Failure, Cancelled)):
            odd = f"a plugin's around_tool returned {outcome!r}, which is no outcome"
            return _failure("internal", "around_tool_failed", odd, source="plugin")
        if not isinstance(outcome, Failure) or outcome.retry != "safe":
            return outcome
        if ctx.attempt >= retry.attempts:
            return outcome.exhausted(ctx.attempt)
        seconds = retry.wait(ctx.attempt, outcome.after)
        if live.watch is not None:
            live.watch(
                RetryWaiting(
                    turn=ctx.turn_id,
                    key=ctx.key,
                    seconds=seconds,
                    attempt=ctx.attempt,
                    attempts=retry.attempts,
                    reason=outcome.message,
                )
            )
        await asyncio.sleep(seconds)
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
        if type(value) in PLAIN:
            return Success(value=as_json(value))
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


UNKNOWN: Final = (
    "the process ended while this ran, so whether it took effect is unknown;"
    " check before calling it again"
)
PLAIN: Final = frozenset((str, int, bool, type(None)))
"""Types that validation leaves as they were sent."""


def _failure(
    reason: FailureClass, code: str, message: str, *, source: Any = "tool", retry: bool = False
) -> Failure:
    return Failure(
        reason=reason, code=code, message=message, source=source, retry="safe" if retry else "never"
    )


def _fault(made: Made, fault: PluginFault, code: str) -> Failure:
    """Return a plugin's fault as the call's outcome, and note it."""
    made.note(code, str(fault))
    return _failure("internal", code, str(fault), source="plugin")


def record_of(
    call: ToolCall,
    outcome: ToolOutcome,
    arguments: Json = None,
    *,
    seconds: float = 0.0,
    decided: str | None = None,
) -> ToolRecord:
    """Return the record of *call*, with its arguments as sent if there are no others."""
    return ToolRecord(
        call=call.id,
        name=call.name,
        arguments=call.arguments if arguments is None else arguments,
        outcome=outcome,
        seconds=round(seconds, 6),
        decided=decided,
    )
