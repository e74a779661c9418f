"""
An example of every hook: the reference shows it, and `test_hook_examples` runs it.

A class is named after its hook, and implements it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from lash_sdk import Plugin, hooks, tool
from lash_sdk.commits import PluginRow, Receipt
from lash_sdk.contexts import (
    CliContext,
    CommitContext,
    ConfigContext,
    EventContext,
    FaultContext,
    HostContext,
    ModelContext,
    PromptContext,
    SessionContext,
    ToolContext,
    TurnContext,
    UsageContext,
)
from lash_sdk.events import TextDelta
from lash_sdk.graph import History
from lash_sdk.hooks import (
    Action,
    Allow,
    Ask,
    Decision,
    Deny,
    Directive,
    EmitEvents,
    EnqueueMessages,
    Money,
    ReplaceToolArgs,
    ShortCircuitTool,
    Visibility,
)
from lash_sdk.hooks.kinds import Next
from lash_sdk.hooks.specs import Projector
from lash_sdk.memory import MemoryStore
from lash_sdk.messages import Text, note
from lash_sdk.outcomes import Success, ToolOutcome
from lash_sdk.policy import Policy
from lash_sdk.ports import Chunk, ModelAnswer, ModelFactory, ModelRequest, Store, StoreFactory
from lash_sdk.prompt import PromptPart
from lash_sdk.protocol import TurnProtocol
from lash_sdk.testing import ScriptedModel
from lash_sdk.tools import Tool
from lash_sdk.turn import Turn


class StoreExample(Plugin):
    @hooks.store
    def stores(cls, ctx: HostContext) -> Mapping[str, StoreFactory]:
        def make(url: str) -> Store:  # "shelf:anything"
            return MemoryStore()

        return {"shelf": make}


class ModelExample(Plugin):
    @hooks.model
    def models(cls, ctx: HostContext) -> Mapping[str, ModelFactory]:
        return {"parrot": lambda name: ScriptedModel([f"I'm {name}"])}


class EffectHostExample(Plugin):
    @hooks.effect_host
    def hosts(cls, ctx: HostContext) -> Mapping[str, Any]:
        return {"engine": object}  # what performs a turn's effects on a durable engine


class SessionManagerExample(Plugin):
    @hooks.session_manager
    def managers(cls, ctx: HostContext) -> Mapping[str, Any]:
        class Alone:
            """A manager that has no other session; see `lash_sdk.ports.SessionManager`."""

            def __init__(self, host: Any) -> None:
                self.host = host

            def role(self, name: str, asker: Any) -> Any:
                return None

            async def route(self, live: Any) -> None:
                return None

            async def recover(self, live: Any, deeds: Any, *, closing: bool) -> None: ...

            async def settle(self, live: Any, *, cancelled: bool) -> None: ...

            async def lose(self, live: Any, children: Any) -> None: ...

            async def close(self) -> None: ...

        return {"default": Alone}


class AroundAppExample(Plugin):
    @hooks.around_app
    async def pool(cls, ctx: HostContext, call_next: Next[Any, None]) -> None:
        connections: list[str] = []  # what the whole process shares
        try:
            await call_next(connections)  # it's `self.shared` in each session
        finally:
            connections.clear()


class ProvideCommandsExample(Plugin):
    @hooks.provide_commands
    def commands(cls, ctx: CliContext) -> None:
        @ctx.app.command("greet")  # type: ignore[untyped-decorator]
        def greet(name: str) -> None:
            """Say hello."""
            print(f"hello, {name}")


class ProtocolExample(Plugin):
    @hooks.protocol
    def brief(self, ctx: SessionContext) -> TurnProtocol:
        class Brief(TurnProtocol):
            def preamble(self, state: Any) -> str:
                return "Answer in one sentence."

        return Brief()


class ToolProjectorExample(Plugin):
    @hooks.tool_projector
    def shown(self, ctx: SessionContext) -> Projector:
        def show(name: str, outcome: ToolOutcome) -> tuple[Text, ...]:
            said = outcome.value if isinstance(outcome, Success) else "failed"
            return (Text(text=f"{name}: {said}"),)

        return show


class OnSessionOpenedExample(Plugin):
    @hooks.on_session_opened
    async def opened(self, ctx: SessionContext) -> None:
        self.log.info("session %s is open", ctx.session_id)


class OnSessionClosedExample(Plugin):
    @hooks.on_session_closed
    async def closed(self, ctx: SessionContext) -> None:
        self.log.info("session %s closes", ctx.session_id)


class ProvideToolsExample(Plugin):
    @hooks.provide_tools
    def tools(self, ctx: SessionContext) -> list[Tool]:
        @tool(on_recovery="rerun")
        async def reverse(text: str) -> str:
            """Say a text backwards."""
            return text[::-1]

        return [reverse]


class ProvideAvailabilityExample(Plugin):
    @hooks.provide_availability
    def words(self, ctx: SessionContext) -> Mapping[str, Visibility]:
        return {"drop_tables": "hidden"}


class ProvideActionsExample(Plugin):
    @hooks.provide_actions
    def actions(self, ctx: SessionContext) -> list[Action]:
        async def pause(minutes: int) -> str:
            return f"paused for {minutes} minutes"

        return [Action(name="pause", run=pause)]  # `await session.act("pause", minutes=5)`


class TransformPolicyExample(Plugin):
    @hooks.transform_policy
    def cap(self, ctx: SessionContext, value: Policy) -> Policy:
        most = min(value.limits.iterations or 8, 8)
        return replace(value, limits=replace(value.limits, iterations=most))


class OnConfigChangedExample(Plugin):
    @hooks.on_config_changed
    async def changed(self, ctx: ConfigContext) -> None:
        if ctx.before.limits != ctx.after.limits:
            self.log.info("limits are %s now", ctx.after.limits)


class TransformHistoryExample(Plugin):
    @hooks.transform_history
    async def shorten(self, ctx: SessionContext, value: History) -> History | None:
        if len(value) < 4:
            return None
        return History([note("The start was left out."), *value[-2:]])


class OnEventExample(Plugin):
    @hooks.on_event
    def heard(self, ctx: EventContext) -> None:
        if isinstance(ctx.event, TextDelta):
            self.log.debug("%s", ctx.event.text)


class OnFaultExample(Plugin):
    @hooks.on_fault
    async def failed(self, ctx: FaultContext) -> None:
        self.log.warning("%s%s", ctx.fault, "; switched off" if ctx.off else "")


class BeforeTurnExample(Plugin):
    @hooks.before_turn
    async def remind(self, ctx: TurnContext) -> list[Directive]:
        return [EnqueueMessages(messages=(note("Today is Monday."),))]


class AtCheckpointExample(Plugin):
    @hooks.at_checkpoint
    async def mention(self, ctx: TurnContext) -> list[Directive]:
        if ctx.checkpoint == "after_work":
            return [EmitEvents(events=(("calls", len(ctx.records)),))]
        return []


class AfterTurnExample(Plugin):
    @hooks.after_turn
    async def sign(self, ctx: TurnContext) -> list[Directive]:
        return [EmitEvents(events=(("ended", str(ctx.outcome)),))]


class AroundTurnExample(Plugin):
    @hooks.around_turn
    async def clock(self, ctx: TurnContext, call_next: Next[TurnContext, Turn]) -> Turn:
        began = perf_counter()
        done = await call_next(ctx)
        self.log.info("turn %d took %.3f s", ctx.index, perf_counter() - began)
        return done


class ProvideCommitExample(Plugin):
    @hooks.provide_commit
    def rows(self, ctx: CommitContext) -> list[PluginRow]:
        return [PluginRow(plugin=self.name, name="nodes", body=len(ctx.commit.nodes))]


class AroundCommitExample(Plugin):
    @hooks.around_commit
    async def clock(self, ctx: CommitContext, call_next: Next[CommitContext, Receipt]) -> Receipt:
        receipt = await call_next(ctx)
        self.log.info("revision %d", receipt.revision)
        return receipt


class OnTurnCommittedExample(Plugin):
    @hooks.on_turn_committed
    async def durable(self, ctx: TurnContext) -> None:
        if ctx.receipt is not None:
            self.log.info("turn %d is durable at revision %d", ctx.index, ctx.receipt.revision)


class ProvidePromptExample(Plugin):
    @hooks.provide_prompt
    def parts(self, ctx: PromptContext) -> list[PromptPart]:
        return [PromptPart(text="Prefer the metric system.")]


class TransformContextExample(Plugin):
    @hooks.transform_context
    async def recent(self, ctx: TurnContext, value: History) -> History | None:
        cut = len(value) - 40
        if cut <= 0 or value[cut].role != "user":  # calls and results stay together
            return None
        return History(list(value[cut:]))


class TransformRequestExample(Plugin):
    @hooks.transform_request
    async def sign(self, ctx: ModelContext, value: ModelRequest) -> ModelRequest:
        return replace(value, system=f"{value.system}\n\nAttempt {ctx.attempt}.".strip())


class TransformChunkExample(Plugin):
    @hooks.transform_chunk
    def hide(self, ctx: ModelContext, value: Chunk) -> Chunk:
        return replace(value, text=value.text.replace("damn", "d***"))


class TransformResponseExample(Plugin):
    @hooks.transform_response
    async def trim(self, ctx: ModelContext, value: ModelAnswer) -> ModelAnswer:
        parts = [
            replace(part, text=part.text.strip()) if isinstance(part, Text) else part
            for part in value.parts
        ]
        return replace(value, parts=tuple(parts))


class DecideSpendExample(Plugin):
    @hooks.decide_spend
    async def budget(self, ctx: ModelContext) -> Decision | None:
        if ctx.usage.total + ctx.children_usage.total > 100_000:
            return Deny(reason="this turn has had its tokens")
        return None


class AroundModelExample(Plugin):
    @hooks.around_model
    async def clock(
        self, ctx: ModelContext, call_next: Next[ModelContext, ModelAnswer]
    ) -> ModelAnswer:
        began = perf_counter()
        answer = await call_next(ctx)
        self.log.info("%s took %.3f s", ctx.model, perf_counter() - began)
        return answer


class OnUsageExample(Plugin):
    @hooks.on_usage
    def count(self, ctx: UsageContext) -> None:
        self.log.info("%s: %d tokens", ctx.row.source, ctx.row.usage.total)


class DecidePriceExample(Plugin):
    @hooks.decide_price
    def price(self, ctx: UsageContext) -> Money | None:
        if ctx.row.model != "house:small":
            return None
        return Money(amount=ctx.row.usage.output * 0.000_002)


class BeforeToolExample(Plugin):
    @hooks.before_tool
    async def clean(self, ctx: ToolContext) -> Sequence[Directive]:
        text = (ctx.arguments or {}).get("text")
        if isinstance(text, str) and text != text.strip():
            return [ReplaceToolArgs(arguments={"text": text.strip()})]
        return []


class DecideToolExample(Plugin):
    @hooks.decide_tool
    async def guard(self, ctx: ToolContext) -> Decision | None:
        if ctx.call.name.startswith("delete_"):
            return Ask(question=f"may {ctx.call.name} run?")
        return None


class DecideApprovalExample(Plugin):
    @hooks.decide_approval
    async def ask(self, ctx: ToolContext) -> Decision:
        answer = "y"  # ask a person here, for as long as it takes
        return Allow() if answer == "y" else Deny(reason="the user said no")


class AroundToolExample(Plugin):
    @hooks.around_tool
    async def clock(
        self, ctx: ToolContext, call_next: Next[ToolContext, ToolOutcome]
    ) -> ToolOutcome:
        began = perf_counter()
        outcome = await call_next(ctx)
        self.log.info("%s took %.3f s", ctx.call.name, perf_counter() - began)
        return outcome


class AfterToolExample(Plugin):
    @hooks.after_tool
    async def shorten(self, ctx: ToolContext) -> Sequence[Directive]:
        said = ctx.outcome.value if isinstance(ctx.outcome, Success) else None
        if isinstance(said, str) and len(said) > 10_000:
            return [ShortCircuitTool(outcome=Success(value=said[:10_000] + "…"))]
        return []
