"""
One tool call: found, prepared by hooks, checked, allowed, made, looked at again.

It always ends in a record. Whatever a tool or a plugin does wrong becomes the
call's outcome; only being cancelled goes further.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from time import perf_counter
from typing import Any, Final, TypeAlias

from ..contexts import ALL_ROLES, ToolContext
from ..errors import InvalidInput, LashError, PluginFault, StoreCorrupt, ToolDenied
from ..events import RetryWaiting
from ..hooks.answers import Abort, Allow, Ask, Deny
from ..journal import CallResult, Intent
from ..json import Json, check, encode, maker
from ..messages import Message, Text, ToolCall, ToolResult, new_result
from ..outcomes import Cancelled, Failure, FailureClass, Issue, Success, ToolOutcome, ToolRecord
from ..tools import Arguments, Tool, as_json, attachments, parse_arguments
from . import directives
from .live import Live
from .projection import status
from .threads import in_thread, inline

_context, _success, _record = maker(ToolContext), maker(Success), maker(ToolRecord)
_result: Final = maker(CallResult)


class Calling:
    """One call of a batch on its way, and what came of it beside its record."""

    __slots__ = ("_abort", "_call", "_ctx", "_issues", "_live", "_queued")

    def __init__(self, live: Live, turn: str, key: str, call: ToolCall) -> None:
        """Take a call and the key of its effect."""
        self._live = live
        self._call = call
        tool = live.toolbox.get(call.name)
        self._ctx = _context(live, turn, call=call, tool=tool, key=key, roles=ALL_ROLES)
        self._queued: list[tuple[str, tuple[Message, ...]]] = []
        self._issues: tuple[Issue, ...] = ()
        self._abort: Issue | None = None

    async def run(self, intent: Intent | None) -> CallResult:
        """
        Return what comes of the call; a defect is its outcome.

        With an *intent*, a process that ended meanwhile was about to make it.

        Raises:
            LashError: The journal can't be kept.
        """
        try:
            if self._live.seam.closing:
                return self.close(_given_up(self._call, intent))
            if intent is not None:
                return self.close(await self._recover(intent))
            return self.close(await self._make())
        except Exception as error:
            if self._live.seam.broken is not None or isinstance(error, StoreCorrupt):
                raise
            text = f"{type(error).__name__}: {error}"
            failure = _failure("internal", "tool_crashed", text, source="runtime")
            return self.close(record_of(self._call, failure))

    def close(self, record: ToolRecord) -> CallResult:
        """Return all that came of the call; nothing of it changes any more."""
        result = self._project(record)
        queued: tuple[Message, ...] = ()
        for plugin, messages in self._queued:
            try:
                queued += directives.welcome(plugin, messages)
            except LashError as error:
                text = f"plugin {plugin!r} in after_tool: {error}"
                self._note("plugin_messages", text)
        return _result(
            record=record,
            result=result,
            queued=queued,
            abort=self._abort,
            issues=self._issues,
            blobs=self._ctx.attached,
        )

    def _note(self, code: str, text: str) -> None:
        """Take in what went wrong in a plugin."""
        self._issues += (Issue(kind="plugin", code=code, message=text),)

    def _fault(self, fault: PluginFault, code: str) -> Failure:
        """Return a plugin's fault as the call's outcome, and note it."""
        self._note(code, str(fault))
        return _failure("internal", code, str(fault), source="plugin")

    def _project(self, record: ToolRecord) -> ToolResult:
        """Return what the model is shown; a failing projector shows its error."""
        name, outcome = record.name, record.outcome
        try:
            parts = tuple(self._live.projector(name, outcome))
        except Exception as error:
            text = f"[failed: projector] {type(error).__name__}: {error}"
            parts = (Text(text=text),)
            self._note("tool_projector", text)
        return new_result(call=record.call, name=name, status=status(outcome), parts=parts)

    async def _make(self) -> ToolRecord:
        """Return the record of a call that nobody made before."""
        live, ctx, call = self._live, self._ctx, self._call
        tool, text = ctx.tool, call.arguments
        if tool is None:
            names = ", ".join(sorted(live.toolbox.names)) or "none"
            why = f"there is no tool {call.name!r}; tools: {names}"
            return record_of(call, _failure("unavailable", "tool_unavailable", why))
        read = _read(tool, text)
        if live.plans.before_tool is not None and (prepared := await self._before(read)):
            if prepared.outcome is not None:
                return record_of(call, prepared.outcome, ctx.arguments, decided=prepared.by)
            if prepared.arguments is not None:
                text = encode(prepared.arguments).decode("ascii")
                read = _read(tool, text)
        if isinstance(read, Failure):
            return record_of(call, read, text)
        (ctx.arguments, shown), decided = read, None
        if live.plans.decide_tool is not None:
            decided, refusal = await self._decide()
            if refusal is not None:
                return record_of(call, refusal, shown, decided=decided)
        if live.seam.keeps:
            key = ctx.idempotency_key
            intent = Intent(tool=call.name, arguments=shown, idempotency_key=key, decided=decided)
            await live.seam.intend(ctx.key, intent)
        return await self._run(shown, decided)

    async def _recover(self, intent: Intent) -> ToolRecord:
        """Return the record of a call that may have been made, by the tool's own rule."""
        ctx = self._ctx
        if ctx.tool is not None and ctx.tool.definition.on_recovery != "report":
            try:
                ctx.arguments = ctx.tool.validate(encode(intent.arguments).decode("ascii"))
            except InvalidInput:
                pass  # the tool has changed: nobody can tell what was done
            else:
                ctx.recovered = True
                return await self._run(intent.arguments, intent.decided)
        failure = _failure("execution", "outcome_unknown", UNKNOWN, source="runtime")
        return record_of(self._call, failure, intent.arguments, decided=intent.decided)

    async def _run(self, arguments: Json, decided: str | None) -> ToolRecord:
        """Make the call that was allowed, and let hooks look at its outcome."""
        ctx, started = self._ctx, perf_counter()
        outcome: ToolOutcome
        try:
            outcome = await self._attempts()
        except asyncio.CancelledError:
            ctx.cancelled = True
            tool = ctx.tool
            runs_on = tool is not None and not tool.awaits and not tool.definition.inline
            outcome = Cancelled(message="cancelled, may still run" if runs_on else "cancelled")
        seconds = perf_counter() - started
        if not ctx.cancelled:
            ctx.outcome = outcome
            if self._live.plans.after_tool is not None:
                outcome = await self._after() or outcome
        return record_of(self._call, outcome, arguments, seconds=seconds, decided=decided)

    async def _before(self, read: Read | Failure) -> directives.Candidate | None:
        ctx, text = self._ctx, self._call.arguments
        with suppress(InvalidInput):  # what's wrong is told after the hooks
            ctx.arguments = parse_arguments(text) if isinstance(read, Failure) else dict(read[1])
        try:
            return await directives.before(self._live.plans.before_tool, ctx)
        except PluginFault as fault:
            failed = directives.Candidate()
            failed.offer(self._fault(fault, "before_tool_call_failed"), fault.plugin, strength=3)
            return failed

    async def _after(self) -> ToolOutcome | None:
        try:
            found = await directives.after(self._live.plans.after_tool, self._ctx)
        except PluginFault as fault:
            return self._fault(fault, "after_tool_call_failed")
        self._queued += found.queued if found else ()
        return found.outcome if found else None

    async def _decide(self) -> tuple[str | None, Failure | None]:
        """Return who decided, and what stands in the way if it's not allowed."""
        answer = await self._live.plans.decide_tool(self._ctx)
        if answer is None:
            return None, None
        plugin, decision = answer
        if isinstance(decision, Ask):
            plugin, decision = await self._approve(plugin, decision)
        if isinstance(decision, Allow):
            return plugin.name, None
        code, why = "tool_denied", decision.reason
        if isinstance(decision, Abort):
            code = decision.code
            self._abort = Issue(kind="plugin", code=code, message=why)
        return plugin.name, _failure("permission_denied", code, why, source="policy")

    async def _approve(self, asker: Any, question: Ask) -> tuple[Any, Allow | Deny | Abort]:
        """Return who answered for a call that needs approval; nobody is a no."""
        if self._live.plans.decide_approval is not None:
            answer = await self._live.plans.decide_approval(self._ctx)
            if answer is not None and not isinstance(answer[1], Ask):
                return answer[0], answer[1]
        why = question.question or "approval is needed"
        return asker, Deny(reason=f"nobody approved: {why}")

    async def _attempts(self) -> ToolOutcome:
        """Return the outcome of the last attempt that the tool's policy allows."""
        live, ctx = self._live, self._ctx
        assert ctx.tool is not None  # noqa: S101 - for the type checker
        retry, around = ctx.tool.definition.retry, live.plans.around_tool
        make = live.attempt
        if make is None:  # nested once for the session
            make = live.attempt = attempt if around is None else around(attempt)
        while True:
            try:
                outcome = await make(ctx)
            except PluginFault as fault:
                return self._fault(fault, "around_tool_failed")
            if isinstance(outcome, (Success, Cancelled)):
                return outcome
            if not isinstance(outcome, Failure):
                odd = f"a plugin's around_tool returned {outcome!r}, which is no outcome"
                return _failure("internal", "around_tool_failed", odd, source="plugin")
            if outcome.retry != "safe":
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


Read: TypeAlias = tuple[Arguments, Arguments]
"""A call's arguments, as the tool takes them and as they were sent."""


def _read(tool: Tool, text: str) -> Read | Failure:
    """Return the arguments that *text* says, or why the tool doesn't take them."""
    try:
        taken = tool.validate(text)
        plain = PLAIN.issuperset(map(type, taken.values()))
        return taken, dict(taken) if plain else parse_arguments(text)
    except InvalidInput as error:
        return _failure("invalid_request", "invalid_tool_args", str(error))


def _given_up(call: ToolCall, intent: Intent | None) -> ToolRecord:
    """Return the record of a call that's closed because its turn is discarded."""
    if intent is None:
        return record_of(call, Cancelled(message="discarded before it was made"))
    outcome = Cancelled(message="discarded; it may have been made")
    return record_of(call, outcome, intent.arguments, decided=intent.decided)


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
            return _success(value=check(value))
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


def _invoke(tool: Tool, ctx: ToolContext) -> Awaitable[Any]:
    """Return what the tool returns, when awaited."""
    arguments = ctx.arguments or {}
    if tool.context is not None:
        arguments = {**arguments, tool.context: ctx}
    if tool.awaits:
        return tool.run(**arguments)  # type: ignore[return-value]
    return (inline if tool.definition.inline else in_thread)(tool.run, arguments)


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


def record_of(
    call: ToolCall,
    outcome: ToolOutcome,
    arguments: Json = None,
    *,
    seconds: float = 0.0,
    decided: str | None = None,
) -> ToolRecord:
    """Return the record of *call*, with its arguments as sent if there are no others."""
    return _record(
        call=call.id,
        name=call.name,
        arguments=call.arguments if arguments is None else arguments,
        outcome=outcome,
        seconds=round(seconds, 6),
        decided=decided,
    )
