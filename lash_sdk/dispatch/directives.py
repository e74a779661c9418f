"""
What hooks ask for: each directive applied, or refused where it isn't legal.

Around a tool call answers form a lattice: an abort beats a failure, a failure beats
a success; a weaker one never undoes a stronger. New arguments are shown to the hooks
that saw the old ones, once; a second replacement is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from ..contexts import Scope, SessionContext, ToolContext
from ..errors import InvalidInput, PluginFault
from ..hooks import answers
from ..json import Json, check
from ..messages import Message
from ..outcomes import Cancelled, Failure, Success, ToolOutcome
from ..plugins.plans import DirectivesPlan
from ..plugins.registered import Registered

WELCOME: Final = ("user", "system")
"""Roles that a plugin may speak in; others are dropped."""


async def apply(
    ctx: SessionContext,
    hook: str,
    found: Iterable[tuple[Registered, object]],
    *,
    may_abort: bool = True,
) -> tuple[tuple[Message, ...], tuple[Registered, answers.AbortTurn] | None]:
    """
    Apply what a turn hook asks for, in order; an abort doesn't stop the rest.

    Return the messages it adds, and the last abort with the plugin that asked for it.

    Raises:
        PluginFault: A directive isn't legal in this hook; those before it stay
            applied.
    """
    messages: tuple[Message, ...] = ()
    abort: tuple[Registered, answers.AbortTurn] | None = None
    for plugin, directive in found:
        try:
            match directive:
                case answers.AbortTurn() if may_abort:
                    abort = (plugin, directive)
                case answers.EnqueueMessages():
                    messages += welcome(plugin.name, directive.messages)
                case _:
                    await follow(ctx, plugin, directive)
        except Exception as error:
            raise noted(ctx.scope, plugin, hook, error) from error
    return messages, abort


@dataclass(slots=True)
class Candidate:
    """
    A call in the making.

    Attributes:
        outcome: What stands in the tool's place, or in its outcome's.
        by: The plugin that put it there.
        arguments: The model's own, replaced; None if nobody did.
        queued: Messages that wait for the next checkpoint, with their plugin.
    """

    outcome: ToolOutcome | None = None
    by: str | None = None
    strength: int = 0
    arguments: dict[str, Json] | None = None
    queued: list[tuple[str, tuple[Message, ...]]] = field(default_factory=list)

    def offer(self, outcome: ToolOutcome, by: str, strength: int) -> None:
        """Take *outcome* unless a stronger one is there; later ones win ties."""
        if strength >= self.strength:
            self.outcome, self.by, self.strength = outcome, by, strength


async def before(plan: DirectivesPlan, ctx: ToolContext) -> Candidate | None:
    """
    Return what the plugins make of the call before it's made; None if nothing.

    Raises:
        PluginFault: A hook failed, or gave a directive that isn't legal here.
    """
    candidate, at = None, 0
    while at < plan.count:
        found, at = await plan.ask(ctx, at)
        if not found:
            break
        candidate = candidate or Candidate()
        had = candidate.arguments
        await _take("before_tool", ctx, found, candidate)
        again = 0 if candidate.arguments is not had else at
        while again < at - 1:
            found, again = await plan.ask(ctx, again, at - 1)
            await _take("before_tool", ctx, found, candidate)
    return candidate


async def after(plan: DirectivesPlan, ctx: ToolContext) -> Candidate | None:
    """
    Return what the plugins make of the outcome, None if nothing; `ctx.outcome` has it.

    Raises:
        PluginFault: A hook failed, or gave a directive that isn't legal here.
    """
    if not (found := await plan(ctx)):
        return None
    candidate = Candidate()
    await _take("after_tool", ctx, found, candidate)
    return candidate


async def _take(
    hook: str, ctx: ToolContext, found: Iterable[tuple[Registered, object]], candidate: Candidate
) -> None:
    for plugin, directive in found:
        try:
            await _obey(hook, ctx, candidate, plugin, directive)
        except Exception as error:
            raise noted(ctx.scope, plugin, hook, error) from error


async def _obey(
    hook: str, ctx: ToolContext, candidate: Candidate, plugin: Registered, directive: object
) -> None:
    """
    Apply a directive around a tool call.

    Raises:
        InvalidInput: It isn't legal in *hook*, or what it holds can't be stored.
        Unavailable: There's nobody to make a session.
    """
    match directive:
        case answers.ReplaceToolArgs() if hook == "before_tool":
            _replace(directive, ctx, candidate)
        case answers.EnqueueMessages() if hook == "after_tool":
            messages = tuple([message.check() for message in directive.messages])
            candidate.queued.append((plugin.name, messages))
        case answers.AbortTurn(code=code, message=message):
            failure = Failure(reason="execution", code=code, message=message, source="plugin")
            candidate.offer(failure, plugin.name, 3)
        case answers.ShortCircuitTool(outcome=Success(value=value)):
            check(value, where="outcome")
            candidate.offer(directive.outcome, plugin.name, 1)
        case answers.ShortCircuitTool(outcome=Failure() | Cancelled()):
            candidate.offer(directive.outcome, plugin.name, 2)
        case answers.ShortCircuitTool():
            raise InvalidInput(f"expected an outcome, found {directive.outcome!r}")
        case _:
            await follow(ctx, plugin, directive)


def _replace(directive: answers.ReplaceToolArgs, ctx: ToolContext, candidate: Candidate) -> None:
    if candidate.arguments is not None:
        raise InvalidInput("a second replacement of arguments")
    if not isinstance(directive.arguments, dict):
        raise InvalidInput(f"expected arguments by name, found {directive.arguments!r}")
    check(directive.arguments, where="arguments")
    candidate.arguments = ctx.arguments = dict(directive.arguments)


async def follow(ctx: SessionContext, plugin: Registered, directive: object) -> None:
    """
    Do what a directive asks for that's legal in every hook.

    Raises:
        InvalidInput: It isn't one, or what it holds isn't JSON.
        Unavailable: There's nobody to make a session.
    """
    match directive:
        case answers.EmitEvents():
            for name, body in directive.events:
                ctx.emit(plugin, name, body)
        case answers.EmitTrace():
            name = f"plugin.{plugin.name}.{directive.name}"
            ctx.emit(plugin, name, directive.payload)
        case answers.CreateSession():
            await ctx.scope.role("lifecycle", ctx).create(directive.request)
        case _:
            raise InvalidInput(f"{type(directive).__name__} isn't legal here")


def noted(scope: Scope, plugin: Registered, hook: str, cause: BaseException | str) -> PluginFault:
    """Return a fault of what a plugin returned, once it's noted for `on_fault`."""
    fault = PluginFault(plugin.name, plugin.version, hook, cause=cause, session=scope.id)
    scope.faults.pending.append((fault, False))
    return fault


def welcome(plugin: str, messages: Iterable[Message]) -> tuple[Message, ...]:
    """
    Return those of a plugin's messages that it may say, signed with its name.

    Raises:
        InvalidInput: One isn't a message.
        InvalidHistory: A message's parts don't fit its role.
    """
    kept: list[Message] = []
    for message in messages:
        if not isinstance(message, Message):
            raise InvalidInput(f"expected a Message, found {message!r}")
        if message.role in WELCOME:
            kept.append(replace(message.check(), origin=plugin))
    return tuple(kept)
