"""Plugins that stand on every hook of a turn and do nothing there."""

from __future__ import annotations

from collections.abc import Sequence

from lash_sdk import Plugin, hooks
from lash_sdk.commits import Receipt
from lash_sdk.contexts import CommitContext, ModelContext, ToolContext, TurnContext, UsageContext
from lash_sdk.graph import History
from lash_sdk.hooks import Decision, Directive
from lash_sdk.hooks.kinds import Next
from lash_sdk.outcomes import ToolOutcome
from lash_sdk.ports import ModelAnswer, ModelRequest
from lash_sdk.turn.state import Turn


def hooked(count: int) -> list[type[Plugin]]:
    """Return so many plugins, each with one implementation a hook."""
    return [_plugin(f"trivial{number}") for number in range(count)]


def _plugin(called: str) -> type[Plugin]:
    class Trivial(Plugin):
        """One hook of every kind that a turn calls."""

        name = called

        @hooks.before_turn
        async def begin(self, ctx: TurnContext) -> Sequence[Directive]:
            return ()

        @hooks.at_checkpoint
        async def meanwhile(self, ctx: TurnContext) -> Sequence[Directive]:
            return ()

        @hooks.after_turn
        async def end(self, ctx: TurnContext) -> Sequence[Directive]:
            return ()

        @hooks.around_turn
        async def turn(self, ctx: TurnContext, call_next: Next[TurnContext, Turn]) -> Turn:
            done: Turn = await call_next(ctx)
            return done

        @hooks.transform_context
        async def context(self, ctx: TurnContext, value: History) -> History:
            return value

        @hooks.transform_request
        async def request(self, ctx: ModelContext, value: ModelRequest) -> ModelRequest:
            return value

        @hooks.transform_response
        async def response(self, ctx: ModelContext, value: ModelAnswer) -> ModelAnswer:
            return value

        @hooks.before_tool
        async def before_call(self, ctx: ToolContext) -> Sequence[Directive]:
            return ()

        @hooks.decide_tool
        async def decide(self, ctx: ToolContext) -> Decision | None:
            return None

        @hooks.around_tool
        async def call(
            self, ctx: ToolContext, call_next: Next[ToolContext, ToolOutcome]
        ) -> ToolOutcome:
            outcome: ToolOutcome = await call_next(ctx)
            return outcome

        @hooks.after_tool
        async def after_call(self, ctx: ToolContext) -> Sequence[Directive]:
            return ()

        @hooks.around_commit
        async def commit(
            self, ctx: CommitContext, call_next: Next[CommitContext, Receipt]
        ) -> Receipt:
            receipt: Receipt = await call_next(ctx)
            return receipt

        @hooks.on_usage
        def usage(self, ctx: UsageContext) -> None:
            pass

        @hooks.on_turn_committed
        async def committed(self, ctx: TurnContext) -> None:
            pass

    return Trivial
