"""
What `before_tool` makes of a call, and `after_tool` of its outcome.

Answers form a lattice: an abort beats a failure, a failure beats a success; a
weaker one never undoes a stronger. New arguments are shown to the hooks that
saw the old ones, once; a second replacement is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..contexts import ToolContext
from ..errors import InvalidInput
from ..hooks.answers import AbortTurn, EnqueueMessages, ReplaceToolArgs, ShortCircuitTool
from ..json import Json, check
from ..messages import Message
from ..outcomes import Cancelled, Failure, Success, ToolOutcome
from ..plugins.plans import DirectivesPlan
from ..plugins.registered import Registered
from .directives import follow, noted


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


async def before(plan: DirectivesPlan, ctx: ToolContext) -> Candidate:
    """
    Return what the plugins make of the call before it's made.

    Raises:
        PluginFault: A hook failed, or gave a directive that isn't legal here.
    """
    candidate = Candidate()
    for at in range(len(plan)):
        if await _take(plan, ctx, at, candidate):
            for earlier in range(at):
                await _take(plan, ctx, earlier, candidate)
    return candidate


async def _take(plan: DirectivesPlan, ctx: ToolContext, at: int, candidate: Candidate) -> bool:
    """Apply one hook's directives; return whether it replaced the arguments."""
    replaced = False
    for plugin, directive in await plan.ask(ctx, at):
        try:
            if isinstance(directive, ReplaceToolArgs):
                _replace(directive, ctx, candidate)
                replaced = True
            else:
                await _common(plugin, directive, ctx, candidate)
        except Exception as error:
            raise noted(ctx.scope, plugin, "before_tool", error) from error
    return replaced


def _replace(directive: ReplaceToolArgs, ctx: ToolContext, candidate: Candidate) -> None:
    if candidate.arguments is not None:
        raise InvalidInput("a second replacement of arguments")
    if not isinstance(directive.arguments, dict):
        raise InvalidInput(f"expected arguments by name, found {directive.arguments!r}")
    check(directive.arguments, where="arguments")
    candidate.arguments = ctx.arguments = dict(directive.arguments)


async def after(plan: DirectivesPlan, ctx: ToolContext) -> Candidate:
    """
    Return what the plugins make of the outcome; `ctx.outcome` has it.

    Raises:
        PluginFault: A hook failed, or gave a directive that isn't legal here.
    """
    candidate = Candidate()
    for plugin, directive in await plan(ctx):
        try:
            if isinstance(directive, EnqueueMessages):
                messages = tuple([message.check() for message in directive.messages])
                candidate.queued.append((plugin.name, messages))
            else:
                await _common(plugin, directive, ctx, candidate)
        except Exception as error:
            raise noted(ctx.scope, plugin, "after_tool", error) from error
    return candidate


async def _common(
    plugin: Registered, directive: object, ctx: ToolContext, candidate: Candidate
) -> None:
    """
    Apply a directive that's legal on both sides.

    Raises:
        InvalidInput: It isn't one, or what it holds can't be stored.
        Unavailable: There's nobody to make a session.
    """
    match directive:
        case AbortTurn(code=code, message=message):
            failure = Failure(reason="execution", code=code, message=message, source="plugin")
            candidate.offer(failure, plugin.name, 3)
        case ShortCircuitTool(outcome=Success(value=value)):
            check(value, where="outcome")
            candidate.offer(directive.outcome, plugin.name, 1)
        case ShortCircuitTool(outcome=Failure() | Cancelled()):
            candidate.offer(directive.outcome, plugin.name, 2)
        case ShortCircuitTool():
            raise InvalidInput(f"expected an outcome, found {directive.outcome!r}")
        case _:
            await follow(ctx, plugin, directive)
