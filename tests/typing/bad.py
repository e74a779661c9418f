"""
Mistakes that authors make: each marked line must be flagged by every checker.

The marks keep this file quiet in the repository's own checks; the test that
counts takes them away first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import SessionContext, ToolContext, TurnContext
from lash_sdk.graph import History
from lash_sdk.hooks import Directive
from lash_sdk.outcomes import ToolOutcome


class WrongContext(Plugin):
    @hooks.before_turn  # type: ignore[arg-type]
    async def hint(self, ctx: ToolContext) -> list[Directive]:
        return []


class WrongReturn(Plugin):
    @hooks.before_turn  # type: ignore[arg-type]
    async def hint(self, ctx: TurnContext) -> list[str]:
        return ["be kind"]


class WrongTransformValue(Plugin):
    @hooks.transform_context  # type: ignore[arg-type]
    async def shorten(self, ctx: TurnContext, value: str) -> str:
        return value


class WrongTransformReturn(Plugin):
    @hooks.transform_context  # type: ignore[arg-type]
    async def shorten(self, ctx: TurnContext, value: History) -> int:
        return len(value)


class ExtraParameter(Plugin):
    @hooks.provide_prompt  # type: ignore[arg-type]
    def parts(self, ctx: SessionContext, extra: int) -> None: ...


class MisspeltHook(Plugin):
    @hooks.befor_turn  # type: ignore[attr-defined, untyped-decorator]
    async def hint(self, ctx: TurnContext) -> list[Directive]:
        return []


class ListenerThatReturns(Plugin):
    @hooks.on_turn_committed  # type: ignore[arg-type]
    async def committed(self, ctx: TurnContext) -> int:
        return 1


class DecisionThatIsNone(Plugin):
    @hooks.decide_tool  # type: ignore[arg-type]
    async def guard(self, ctx: ToolContext) -> bool:
        return True


class WrapWithoutNext(Plugin):
    @hooks.around_tool  # type: ignore[arg-type]
    async def around(self, ctx: ToolContext) -> ToolOutcome:
        raise NotImplementedError


class WrapOfAnother(Plugin):
    @hooks.around_turn  # type: ignore[arg-type]
    async def around(
        self, ctx: TurnContext, call_next: Callable[[TurnContext], Awaitable[ToolOutcome]]
    ) -> ToolOutcome:
        return await call_next(ctx)
