"""
What `before_tool` makes of a call, and `after_tool` of its outcome.

Answers form a lattice: an abort beats a failure, a failure beats a success; a
weaker one never undoes a stronger. New arguments are shown to the hooks that
saw the old ones, once; a second replacement is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..contexts import ToolContext
from ..errors import InvalidInput, PluginFault
from ..hooks.answers import (
    AbortTurn,
    EmitEvents,
    EmitTrace,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
)
from ..json import Json
from ..messages import Message
from ..outcomes import Failure, Success, ToolOutcome
from ..plugins.plans import DirectivesPlan
from ..plugins.registered import Registered


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


async def before(
    plan: DirectivesPlan, ctx: ToolContext, trace: Callable[[str, str, Any], None]
) -> Candidate:
    """
    Return what the plugins make of the call before it's made.

    Raises:
        PluginFault: A hook failed, or gave a directive that isn't legal here.
    """
    candidate = Candidate()
    for at in range(len(plan)):
        if await _take(plan, ctx, at, candidate, trace):
            for earlier in range(at):
                await _take(plan, ctx, earlier, candidate, trace)
    return candidate


async def _take(
    plan: DirectivesPlan,
    ctx: ToolContext,
    at: int,
    candidate: Candidate,
    trace: Callable[[str, str, Any], None],
) -> bool:
    """Apply one hook's directives; return whether it replaced the arguments."""
    replaced = False
    for plugin, directive in await plan.ask(ctx, at):
        if isinstance(directive, ReplaceToolArgs):
            if candidate.arguments is not None:
                raise _wrong(plugin, "before_tool", "a second replacement of arguments")
            candidate.arguments = ctx.arguments = dict(directive.arguments)
            replaced = True
        elif not _common(plugin, directive, ctx, candidate, trace):
            what = f"{type(directive).__name__} isn't legal here"
            raise _wrong(plugin, "before_tool", what)
    return replaced


async def after(
    plan: DirectivesPlan, ctx: ToolContext, trace: Callable[[str, str, Any], None]
) -> Candidate:
    """
    Return what the plugins make of the outcome; `ctx.outcome` has it.

    Raises:
        PluginFault: A hook failed, or gave a directive that isn't legal here.
    """
    candidate = Candidate()
    for plugin, directive in await plan(ctx):
        if isinstance(directive, EnqueueMessages):
            candidate.queued.append((plugin.name, directive.messages))
        elif not _common(plugin, directive, ctx, candidate, trace):
            what = f"{type(directive).__name__} isn't legal here"
            raise _wrong(plugin, "after_tool", what)
    return candidate


def _common(
    plugin: Registered,
    directive: object,
    ctx: ToolContext,
    candidate: Candidate,
    trace: Callable[[str, str, Any], None],
) -> bool:
    """Apply a directive that's legal on both sides; return whether it was one."""
    match directive:
        case AbortTurn():
            failure = Failure(
                reason="execution", code=directive.code, message=directive.message, source="plugin"
            )
            candidate.offer(failure, plugin.name, 3)
        case ShortCircuitTool():
            strength = 1 if isinstance(directive.outcome, Success) else 2
            candidate.offer(directive.outcome, plugin.name, strength)
        case EmitEvents():
            for name, body in directive.events:
                ctx.scope.emit(plugin.name, name, body)
        case EmitTrace():
            trace(plugin.name, directive.name, directive.payload)
        case _:
            return False
    return True


def _wrong(plugin: Registered, hook: str, what: str) -> PluginFault:
    return PluginFault(plugin.name, plugin.version, hook, cause=InvalidInput(what))
