"""Brings the host of several sessions; its rooms are loaded with the first app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from lash_sdk import Plugin, hooks
from lash_sdk.hooks import kinds

from .state import NAME, VERSION, State, of_fork

if TYPE_CHECKING:
    from lash_sdk.contexts import HostContext, SessionContext, UsageContext
    from lash_sdk.dispatch.live import Live
    from lash_sdk.ports import SessionHost, SessionManager

    from .monitors import MonitorSpec
    from .tree import Tree


class Tier(BaseModel):
    """A model by what it's for: "<scheme>:<name>", and its variant if it's to have one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    variant: str | None = None


class Config(BaseModel):
    """
    The section "sessions" of an app's configuration.

    Attributes:
        concurrency: Turns that one session's children may run at once.
        tiers: Models by a short name, for direct completions.
        variants: By model, and by the variant's name: the model that stands for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int = Field(default=1000, ge=1)
    tiers: dict[str, Tier] = {}
    variants: dict[str, dict[str, str]] = {}


@kinds.collect()
def provide_monitors(ctx: SessionContext) -> Sequence[MonitorSpec]:  # type: ignore[empty-body]
    """Return commands to be watched; asked once, when a session's are first looked at."""


class SessionsPlugin(Plugin):
    """Child sessions and their turns, tasks, monitors, one-shot completions."""

    name = NAME
    Config = Config
    State = State
    state_version = VERSION
    specs = (provide_monitors,)
    known: tuple[Tree, Live] | None = None
    """The host of several sessions, once it knows this one, and this one as it does."""

    @staticmethod
    def fork(state: Any) -> Any:  # type: ignore[override]
        """Return what a fork remembers."""
        return of_fork(state)

    @hooks.session_manager
    def host(cls, ctx: HostContext) -> Mapping[str, Any]:
        """Return what makes the host of several sessions."""
        config = Config.model_validate(dict(ctx.config.get(NAME, {})))

        def make(host: SessionHost) -> SessionManager:
            from .tree import Tree

            return Tree(host, config)

        return {"default": make}

    @hooks.on_usage
    def heard(self, ctx: UsageContext) -> None:
        """Pass on what a session spends to the one that made it."""
        if self.known is not None:
            tree, live = self.known
            tree.heard(live, ctx.row)

    @hooks.on_session_closed
    async def closed(self, ctx: SessionContext) -> None:
        """Let go of what hangs on a session that's closed."""
        if self.known is not None:
            tree, live = self.known
            await tree.closed(live)
