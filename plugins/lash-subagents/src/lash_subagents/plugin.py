"""The tools `spawn_agent` and `ask_agent`, and what limits them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from lash_sdk import Limits, Plugin, hooks, tool
from lash_sdk.contexts import SessionContext, ToolContext
from lash_sdk.errors import ModelError
from lash_sdk.hooks import Visibility
from lash_sdk.json import Json
from lash_sdk.outcomes import Failure, Finished, HandedOff, Stopped
from lash_sdk.ports import Access
from lash_sdk.session import TurnRecord
from lash_sdk.tools import Tool, as_json
from lash_sessions import Authority, SessionRequest, authority_of

NAMES = ("spawn_agent", "ask_agent")


class Capability(BaseModel):
    """
    What a kind of sub-agent is made from.

    Attributes:
        about: Told to the model that may ask for it.
        model: "<scheme>:<name>"; None: its maker's.
        tools: The only ones it may see; None: all that its maker may.
        plugins: Whether plugins and tools begin as its maker's are, or anew.
        iterations: Model calls of one of its turns at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str = ""
    instructions: str | None = None
    model: str | None = None
    tools: tuple[str, ...] | None = None
    plugins: Literal["inherit", "fresh"] = "fresh"
    iterations: int | None = Field(default=None, ge=1)


class Config(BaseModel):
    """
    The section "subagents" of an app's configuration.

    Attributes:
        capabilities: By name; the first is what isn't asked for by name.
        max_depth: How many generations there may be below a root.
        source: What their usage is called in the maker's ledger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    capabilities: dict[str, Capability] = {"peer": Capability(about="a copy of yourself")}
    max_depth: int = Field(default=5, ge=0)
    source: str = "subagent"


class State(BaseModel):
    """The sub-agents that a session made: their sessions, by what it calls them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agents: dict[str, str] = {}


@cache
def _described(kinds: str) -> tuple[Tool, Tool]:
    """Return both tools as models see them: what's compiled of a signature is shared."""

    async def spawn_agent(task: str, ctx: ToolContext, capability: str = "", name: str = "") -> Any:
        """
        Hand a task to a sub-agent.

        Args:
            task: Everything that it has to know.
            capability: What kind of agent it's to be.
            name: What to call it, for asking it again.
        """

    async def ask_agent(name: str, question: str, ctx: ToolContext) -> Any:
        """
        Ask a sub-agent that was spawned before something more; it remembers.

        Args:
            name: As `spawn_agent` returned it.
            question: What to ask.
        """

    about = (
        "Hand a task to a sub-agent and return its answer."
        f" It knows nothing but what it's told. Capabilities: {kinds}"
    )
    spawn = tool(on_recovery="resume", description=about)(spawn_agent)
    return spawn, tool(on_recovery="resume")(ask_agent)


class SubagentsPlugin(Plugin):
    """
    Lets an agent hand work to others, and ask them again.

    Derive from it to have structured answers.

    Attributes:
        results: By capability, the pydantic model that an answer must fit.
    """

    name = "subagents"
    Config = Config
    State = State
    fork = "fresh"
    results: ClassVar[Mapping[str, type[Any]]] = {}

    @hooks.provide_tools
    def tools(self, ctx: SessionContext) -> Sequence[Tool]:
        """Return the two tools; where nobody may go deeper they're hidden."""
        return self.made

    @cached_property
    def made(self) -> Sequence[Tool]:
        """The two tools of this session: described once for all, they ask this instance."""
        config: Config = self.config
        kinds = "; ".join(f"{name!r}: {each.about}" for name, each in config.capabilities.items())
        spawn, ask = _described(kinds)
        return [replace(spawn, run=self.spawn), replace(ask, run=self.ask)]

    @hooks.provide_availability
    def availability(self, ctx: SessionContext) -> Mapping[str, Visibility]:
        """Hide the tools in a session that's as deep as any may be."""
        own = authority_of(ctx)
        deepest = own is not None and own.depth >= own.max_depth
        return dict.fromkeys(NAMES, "hidden") if deepest or not self.config.max_depth else {}

    async def spawn(
        self, ctx: ToolContext, task: str, capability: str = "", name: str = ""
    ) -> Json | Failure:
        """Return what a new sub-agent answers, or why it didn't."""
        config: Config = self.config
        kind = capability or next(iter(config.capabilities))
        if kind not in config.capabilities:
            known = ", ".join(config.capabilities)
            return _refusal("unknown_capability", f"no capability {kind!r}; there are: {known}")
        own = authority_of(ctx)
        depth = 1 if own is None else own.depth + 1
        most = config.max_depth if own is None else min(own.max_depth, config.max_depth)
        if depth > most:
            return _refusal("too_deep", f"no sub-agent may be made below depth {most}")
        made = config.capabilities[kind]
        request = SessionRequest(
            plugins=made.plugins,
            model=made.model,
            instructions=made.instructions,
            limits=None if made.iterations is None else Limits(iterations=made.iterations),
            access=Access(only=made.tools),
            authority=Authority(agent=name or kind, capability=kind, depth=depth, max_depth=most),
            source=config.source,
        )
        child = await ctx.role("lifecycle").create(request)
        called = self._call(child.id, name or kind)
        return await self._turn(ctx, called, child.id, task, self.results.get(kind))

    async def ask(self, ctx: ToolContext, name: str, question: str) -> Json | Failure:
        """Return what a sub-agent that's there answers, or why it didn't."""
        state: State = self.state
        id = state.agents.get(name)
        if id is None or await ctx.role("lifecycle").reopen_session(id) is None:
            known = ", ".join(state.agents) or "none"
            return _refusal("unknown_agent", f"no sub-agent {name!r}; there are: {known}")
        own = ctx.role("lifecycle").authority(id)
        kind = own.capability if own is not None else ""
        return await self._turn(ctx, name, id, question, self.results.get(kind))

    async def _turn(
        self, ctx: ToolContext, name: str, id: str, task: str, output: type[Any] | None
    ) -> Json | Failure:
        """Return what a turn of a sub-agent came to; who stops waiting stops it."""
        turns = ctx.role("turns")
        started = await turns.start_turn_stream(id, task, output=output)
        try:
            record: TurnRecord = await turns.await_turn(started.turn_id)
        except asyncio.CancelledError:
            await turns.drop_turn(started.turn_id)
            raise
        except ModelError as error:
            if not isinstance(error.turn, TurnRecord):
                raise
            record = error.turn
        return _told(name, record)

    def _call(self, id: str, wanted: str) -> str:
        """Return what a sub-agent is called from now on: nobody else of its maker's is."""
        state: State = self.state
        for name, known in state.agents.items():
            if known == id:
                return name
        slug = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-") or "agent"
        name, number = slug, 2
        while name in state.agents:
            name, number = f"{slug}-{number}", number + 1
        self.state = State(agents={**state.agents, name: id})
        return name


def _told(name: str, record: TurnRecord) -> Json | Failure:
    """Return what the maker is told of a sub-agent's turn."""
    outcome = record.outcome
    if isinstance(outcome, Finished):
        answer: Json = record.text if record.value is None else as_json(record.value)
        return {"agent": name, "answer": answer}
    if isinstance(outcome, HandedOff):
        return {"agent": name, "handed_off_to": outcome.session}
    assert isinstance(outcome, Stopped)  # noqa: S101 - there's no other way to end
    why = outcome.message or outcome.code
    return Failure(
        reason="execution",
        code="agent_stopped",
        message=f"sub-agent {name!r} stopped ({outcome.reason}): {why}",
        raw={"agent": name, "reason": outcome.reason, "value": outcome.value},
    )


def _refusal(code: str, message: str) -> Failure:
    return Failure(reason="invalid_request", code=code, message=message)
