"""Every hook that the kernel calls: one function each, its docstring the rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from ..commits import PluginRow, Receipt
from ..contexts import (
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
from ..graph import History
from ..messages import File, Image, Text
from ..outcomes import ToolOutcome
from ..policy import Policy
from ..ports import Chunk, ModelAnswer, ModelFactory, ModelRequest, StoreFactory
from ..prompt import PromptPart
from ..protocol import TurnProtocol
from ..tools import Tool
from ..turn import Turn
from . import kinds
from .answers import Action, Decision, Directive, Money, Visibility
from .kinds import Next

Projector: TypeAlias = Callable[[str, ToolOutcome], "tuple[Text | Image | File, ...]"]
"""Takes a tool's name and outcome; returns the parts that the model is shown."""

# A spec is a signature and a docstring; nobody calls it.
# mypy: disable-error-code="empty-body"
# pyright: reportReturnType=false

# --- once per Lash -------------------------------------------------------------


@kinds.supply(life="host")
def store(ctx: HostContext) -> Mapping[str, StoreFactory]:
    """Return store factories by URL scheme; each takes the whole URL."""


@kinds.supply(life="host")
def model(ctx: HostContext) -> Mapping[str, ModelFactory]:
    """Return model factories by scheme; each takes what follows "<scheme>:"."""


@kinds.supply(life="host")
def effect_host(ctx: HostContext) -> Mapping[str, Any]:
    """Return hosts by name that perform a turn's effects in the kernel's place."""


@kinds.supply(life="host")
def session_manager(ctx: HostContext) -> Mapping[str, Any]:
    """Return the manager of several sessions, under the name "default"."""


@kinds.wrap(life="host")
async def around_app(ctx: HostContext, call_next: Next[Any, None]) -> None:
    """
    Hold what the whole process shares while the app is open.

    Make it, `await call_next(it)`, release it. What's handed to *call_next* is
    `self.shared` in every session's instance of the plugin.
    """


@kinds.collect(life="host")
def provide_commands(ctx: CliContext) -> None:
    """Add commands to the command line's `ctx.app`. Called by the CLI alone."""


# --- once per session ----------------------------------------------------------


@kinds.supply(life="session", of=TurnProtocol)
def protocol(ctx: SessionContext) -> TurnProtocol:
    """Return the session's protocol, in place of standard tool calling."""


@kinds.supply(life="session")
def tool_projector(ctx: SessionContext) -> Projector:
    """Return what turns a tool's outcome into what the model is shown."""


@kinds.listen
async def on_session_opened(ctx: SessionContext) -> None:
    """Hear that a session is open; `self.state` is what it was."""


@kinds.listen
async def on_session_closed(ctx: SessionContext) -> None:
    """Hear that a session closes; called in reverse order, before release."""


@kinds.collect(fault="abort")
def provide_tools(ctx: SessionContext) -> Sequence[Tool]:
    """Return tools. Asked on opening and again before each model call."""


@kinds.collect(fault="closed")
def provide_availability(ctx: SessionContext) -> Mapping[str, Visibility]:
    """
    Return which tools are hidden or shown, by name.

    Hidden by anyone is hidden. If an implementation fails, only tools that the
    application itself handed over stay.
    """


@kinds.collect(fault="abort", of=Action)
def provide_actions(ctx: SessionContext) -> Sequence[Action]:
    """Return what can be asked of the plugin beside the conversation."""


@kinds.transform()
def transform_policy(ctx: SessionContext, value: Policy) -> Policy:
    """Change a policy that's about to be set by `configure`."""


@kinds.listen
async def on_config_changed(ctx: ConfigContext) -> None:
    """Hear that the session's policy changed and is committed."""


@kinds.transform_async()
async def transform_history(ctx: SessionContext, value: History) -> History:
    """Shorten or rewrite the history; the result is committed as a branch."""


@kinds.listen
def on_event(ctx: EventContext) -> None:
    """Hear each session event, as `ctx.event`; keep it short, it's on the way."""


@kinds.listen
async def on_fault(ctx: FaultContext) -> None:
    """Hear of each fault of any plugin."""


# --- once per turn -------------------------------------------------------------


@kinds.directives
async def before_turn(ctx: TurnContext) -> Sequence[Directive]:
    """Say what's to be done before a turn; its input is accepted."""


@kinds.directives
async def at_checkpoint(ctx: TurnContext) -> Sequence[Directive]:
    """Say what's to be done between two steps of a turn; see `ctx.checkpoint`."""


@kinds.directives
async def after_turn(ctx: TurnContext) -> Sequence[Directive]:
    """Say what's to be done before a turn is committed; see `ctx.outcome`."""


@kinds.wrap(of=Turn)
async def around_turn(ctx: TurnContext, call_next: Next[TurnContext, Turn]) -> Turn:
    """Run around a whole turn, its commit included."""


@kinds.collect(fault="abort", of=PluginRow)
def provide_commit(ctx: CommitContext) -> Sequence[PluginRow]:
    """Return rows of the plugin's own for the commit that's being built."""


@kinds.wrap(of=Receipt)
async def around_commit(ctx: CommitContext, call_next: Next[CommitContext, Receipt]) -> Receipt:
    """Run around a commit. Return what *call_next* returned."""


@kinds.listen
async def on_turn_committed(ctx: TurnContext) -> None:
    """Hear that a turn is durable; see `ctx.receipt`."""


# --- once per model call -------------------------------------------------------


@kinds.collect(of=PromptPart)
def provide_prompt(ctx: PromptContext) -> Sequence[PromptPart]:
    """Return parts of the prompt for the next model call."""


@kinds.transform_async(fault="abort")
async def transform_context(ctx: TurnContext, value: History) -> History:
    """Choose what the model sees of the history; nothing of it is stored."""


@kinds.transform_async(fault="abort")
async def transform_request(ctx: ModelContext, value: ModelRequest) -> ModelRequest:
    """Change a request, on each attempt."""


@kinds.transform(fault="abort")
def transform_chunk(ctx: ModelContext, value: Chunk) -> Chunk:
    """Change a streamed chunk before anyone sees it."""


@kinds.transform_async(fault="abort")
async def transform_response(ctx: ModelContext, value: ModelAnswer) -> ModelAnswer:
    """Change a finished answer before the turn takes it in."""


@kinds.gate
async def decide_spend(ctx: ModelContext) -> Decision:
    """Say whether the turn may spend more; no ends it with the reason "budget"."""


@kinds.wrap(of=ModelAnswer)
async def around_model(
    ctx: ModelContext, call_next: Next[ModelContext, ModelAnswer]
) -> ModelAnswer:
    """Run around one attempt of a model call."""


@kinds.listen
def on_usage(ctx: UsageContext) -> None:
    """Hear of each ledger row: own, a child's, or of a direct completion."""


@kinds.decide
def decide_price(ctx: UsageContext) -> Money:
    """Return what a row cost, if you know. Asked when a report wants cost."""


# --- once per tool call --------------------------------------------------------


@kinds.directives
async def before_tool(ctx: ToolContext) -> Sequence[Directive]:
    """Replace arguments or answer in the tool's place; see `ctx.call`."""


@kinds.gate
async def decide_tool(ctx: ToolContext) -> Decision:
    """Say whether the call may go ahead with its final `ctx.arguments`."""


@kinds.decide_async(fault="deny")
async def decide_approval(ctx: ToolContext) -> Decision:
    """Answer for a call that some gate asks about; no answer is a no."""


@kinds.wrap()
async def around_tool(ctx: ToolContext, call_next: Next[ToolContext, ToolOutcome]) -> ToolOutcome:
    """Run around one attempt of a tool call."""


@kinds.directives
async def after_tool(ctx: ToolContext) -> Sequence[Directive]:
    """Replace a call's outcome, or say what's to be done; see `ctx.outcome`."""


HOOKS: Final[Mapping[str, kinds.Hook[Any]]] = {
    name: each for name, each in globals().items() if isinstance(each, kinds.Hook)
}
"""Every hook of the kernel, by name."""
