"""What a session remembers of who made it and who follows it, saved with its commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from lash_sdk.commits import Component
from lash_sdk.contexts import SessionContext
from lash_sdk.dispatch.live import Live
from lash_sdk.json import Json

from .requests import CHILD, Authority

if TYPE_CHECKING:
    from .tree import Tree

NAME: Final = "sessions"
COMPONENT: Final = f"plugin/{NAME}"
VERSION: Final = 1


class Origin(BaseModel):
    """
    How a session came to be.

    Attributes:
        key: Of the effect that asked for it; asking again finds it by that.
        portable: Whether it can be run from what's stored alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    maker: str
    relation: Literal["root", "child", "handoff"]
    reason: str = ""
    metadata: Any = None
    source: str = CHILD
    authority: dict[str, Any] | None = None
    key: str | None = None
    portable: bool = True


class State(BaseModel):
    """
    What this plugin remembers of one session.

    Attributes:
        origin: None for one that the application opened.
        successor: The session that later turns run in.
        seed: The input that waits for its first turn, as JSON.
        left: Sessions that it made in which something went on at its last commit.
        stopped_monitors: Those that were stopped by hand, and stay so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: Origin | None = None
    successor: str | None = None
    seed: Any = None
    left: tuple[str, ...] = ()
    stopped_monitors: tuple[str, ...] = ()

    def to_component(self) -> Component:
        """Return the state as a session's first commit holds it."""
        return Component(name=COMPONENT, version=VERSION, value=self.model_dump(mode="json"))


def of_fork(state: State) -> State:
    """Return what a fork remembers: who made its origin, and what that one may do."""
    return State(origin=state.origin)


def introduce(live: Live, tree: Tree) -> None:
    """Let this plugin's instance in a session know who hosts several."""
    for instance in live.instances:
        if isinstance(getattr(instance, "state", None), State):
            instance.known = (tree, live)  # type: ignore[attr-defined]


def recall(session: Live | SessionContext) -> State:
    """Return what a session remembers; nothing if this plugin has no instance there."""
    for instance in session.instances:
        state = getattr(instance, "state", None)
        if isinstance(state, State):
            return state
    return State()


def remember(live: Live, **changes: Any) -> None:
    """Change what a session remembers; its next commit keeps it."""
    for instance in live.instances:
        state: object = getattr(instance, "state", None)
        if isinstance(state, State):
            instance.state = state.model_copy(update=changes)  # type: ignore[attr-defined]


def authority_of(ctx: SessionContext) -> Authority | None:
    """Return what the session of a hook may do as somebody's sub-agent; None for a root."""
    return authority(ctx)


def authority(session: Live | SessionContext) -> Authority | None:
    """Return what a session may do as somebody's sub-agent; None for a root."""
    origin = recall(session).origin
    body: Json = None if origin is None else origin.authority
    return None if body is None else Authority.from_json(body)
