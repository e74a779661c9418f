"""Hooks as authors write them: type checkers must find nothing here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import (
    EventContext,
    HostContext,
    ModelContext,
    SessionContext,
    ToolContext,
    TurnContext,
)
from lash_sdk.graph import History
from lash_sdk.hooks import Decision, Deny, Directive, EnqueueMessages, Visibility
from lash_sdk.messages import note
from lash_sdk.outcomes import ToolOutcome
from lash_sdk.policy import Policy
from lash_sdk.ports import ModelRequest, StoreFactory
from lash_sdk.tools import Tool


class Good(Plugin):
    """One hook of each kind, sync and async where both are allowed."""

    @hooks.store
    def stores(cls, ctx: HostContext) -> Mapping[str, StoreFactory]:
        return {}

    @hooks.around_app
    async def app(cls, ctx: HostContext, call_next: Callable[[int], Awaitable[None]]) -> None:
        await call_next(1)

    @hooks.provide_tools
    def tools(self, ctx: SessionContext) -> list[Tool]:
        return []

    @hooks.provide_availability
    def availability(self, ctx: SessionContext) -> dict[str, Visibility]:
        return {"delete": "hidden"}

    @hooks.before_turn
    async def hint(self, ctx: TurnContext) -> list[Directive]:
        return [EnqueueMessages(messages=(note("be kind"),))]

    @hooks.at_checkpoint
    def nothing(self, ctx: TurnContext) -> None:
        return None

    @hooks.after_turn
    async def maybe(self, ctx: TurnContext) -> list[Directive] | None:
        return None if ctx.index else []

    @hooks.transform_context
    async def shorten(self, ctx: TurnContext, value: History) -> History | None:
        return value

    @hooks.transform_policy
    def policy(self, ctx: SessionContext, value: Policy) -> Policy:
        return value

    @hooks.transform_request
    def request(self, ctx: ModelContext, value: ModelRequest) -> ModelRequest:
        return value

    @hooks.decide_tool
    async def guard(self, ctx: ToolContext) -> Decision | None:
        return Deny(reason="no") if ctx.call.name == "delete" else None

    @hooks.around_tool
    async def around(
        self, ctx: ToolContext, call_next: Callable[[ToolContext], Awaitable[ToolOutcome]]
    ) -> ToolOutcome:
        return await call_next(ctx)

    @hooks.on_event
    def hear(self, ctx: EventContext) -> None: ...

    @hooks.on_turn_committed
    async def committed(self, ctx: TurnContext) -> None: ...
