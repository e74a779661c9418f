"""What the kernel asks of a host of several sessions, and what it gives one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from ..commits import Component
from ..errors import InvalidInput
from ..graph import Content
from ..json import Value, frozen
from ..policy import Limits, Policy
from ..prompt import PromptPart
from ..tools import Tool
from ..usage import UsageRow
from .model import Model
from .store import Store


@frozen
class Access(Value, title="access"):
    """
    Which tools a session may ever see, whoever shows them; kept with the session.

    Attributes:
        only: These and no others; None means all.
        hidden: Never these.
    """

    only: tuple[str, ...] | None = None
    hidden: tuple[str, ...] = ()


@frozen
class Birth:
    """
    A session's first commit, for one that another session makes.

    Attributes:
        operation: The commit's id. The same again with the same body finds the
            session made.
        parent: The session that makes it; None for a root.
        pending: The parent's turn that has to be committed before it's seen.
        values: What its history begins with.
        turns: How many of those end a turn.
        components: The state that it begins with.
        policy: What its turns go by, as it's kept.
        access: The tools it may see.
    """

    operation: str
    parent: str | None = None
    pending: str | None = None
    values: tuple[Content, ...] = ()
    turns: int = 0
    components: tuple[Component, ...] = ()
    policy: Policy | None = None
    access: Access | None = None


ID_LIMIT: Final = 255
"""Bytes of UTF-8 that a session id may have."""


@frozen
class SessionSpec:
    """
    A session that's to be opened; what's None is as the app, or the store, has it.

    Attributes:
        tools: In place of the app's.
        more: Beside those.
        parts: Said in its prompt beside the app's.
        birth: How it's made if it isn't there.
        unseen: Whether one may be opened whose parent isn't committed yet.

    Raises:
        InvalidInput: No session may have that id.
    """

    id: str
    model: str | Model | None = None
    instructions: str | None = None
    limits: Limits | None = None
    tools: Sequence[Tool] | None = None
    more: Sequence[Tool] = ()
    parts: tuple[PromptPart, ...] = ()
    birth: Birth | None = None
    unseen: bool = False

    def __post_init__(self) -> None:
        said = str(self.id).encode("utf-8", "ignore")  # what isn't UTF-8 goes
        if not self.id or said.decode() != self.id or len(said) > ID_LIMIT or b"\0" in said:
            raise InvalidInput(
                f"session id {self.id!r}: expected 1 to {ID_LIMIT} bytes of UTF-8, no NUL"
            )

    @property
    def kept(self) -> frozenset[str]:
        """The parts of the policy that the caller chose."""
        wanted = {"model": self.model, "instructions": self.instructions, "limits": self.limits}
        return frozenset(name for name, value in wanted.items() if value is not None)

    @property
    def changes_anything(self) -> bool:
        """Whether the caller wants other settings than the session's."""
        return bool(self.kept or self.more or self.parts) or self.tools is not None


@frozen
class Asker:
    """
    Who asks for a role.

    Attributes:
        live: The session, as `lash_sdk.dispatch.live.Live`.
        key: The same on every replay of what asks; None outside a turn.
        attempt: From 1, where it's tried again.
        ctx: The context that it has.
    """

    live: Any
    key: str | None = None
    attempt: int = 1
    ctx: Any = None


ROLES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("snapshot", "catalogue", "tool_state", "graph", "trace"), ""),
    **dict.fromkeys(("lifecycle", "turns", "tasks", "monitors", "direct"), "lash-sessions"),
}
"""The ten session roles, and the package that brings those the kernel lacks."""


class SessionHost(Protocol):
    """What the kernel gives a host of several sessions."""

    @property
    def store(self) -> Store:
        """The store, open while the app is."""
        ...

    def model(self, wanted: str | Model, /) -> Model:
        """Return the model behind a spec."""
        ...

    @property
    def lanes(self) -> Mapping[str, Any]:
        """The sessions that are open, by id, each a `lash_sdk.session.lane.Lane`."""
        ...

    def live(self, id: str) -> Any:
        """Return an open session's `Live`; None if it isn't open."""
        ...

    def open(self, spec: SessionSpec, /) -> Awaitable[Any]:
        """
        Return a handle of the session, an `lash_sdk.session.Session`.

        Raises:
            SessionExists: It's to be made, and its id has history.
            SessionBusy: It waits for its parent's commit, and isn't asked for as one
                that does.
        """
        ...

    def relay(self, id: str, rows: Sequence[UsageRow], origin: str = ...) -> None:
        """
        Take in what others spent for an open session; its running turn commits it.

        A row that's there already isn't taken in again. *origin*, for `on_usage`, is
        "child" or "direct".
        """
        ...

    def spend(self, id: str, rows: Sequence[UsageRow], origin: str = ...) -> Awaitable[None]:
        """Do the same, and return once it's durable or a turn has it; no revision moves."""
        ...

    def commit(self, id: str, operation: str, children: Sequence[str] = ...) -> Awaitable[None]:
        """Commit, outside a turn, what plugins remember, and that *children* were made."""
        ...


class SessionManager(Protocol):
    """Supplies the five session roles that concern several sessions."""

    def role(self, name: str, asker: Asker) -> Any:
        """Return the role's object for whoever asks; "children" has all of them."""
        ...

    def route(self, live: Any) -> Awaitable[Any]:
        """Return a handle of the session that a turn on *live* is to run in; None: itself."""
        ...

    def recover(self, live: Any, deeds: Sequence[Any], *, closing: bool) -> Awaitable[None]:
        """
        Bring to an end what an interrupted turn of *live* had begun elsewhere.

        Called before it goes on; with *closing* it's to be discarded. *deeds* are its
        `lash_sdk.journal.Deed`s, in their order. Outside a turn (`live.aside` is None)
        what earlier turns had left running elsewhere is to go on.
        """
        ...

    def settle(self, live: Any, *, cancelled: bool) -> Awaitable[None]:
        """Hear that a turn of *live* that did things elsewhere is about to be committed."""
        ...

    def lose(self, live: Any, children: Sequence[str]) -> Awaitable[None]:
        """Let go of *children*: the turn that made them is lost, and they go with it."""
        ...

    def close(self) -> Awaitable[None]:
        """Stop and release everything, before the app closes its sessions."""
        ...


ManagerFactory: TypeAlias = Callable[[SessionHost], SessionManager]
"""What the `session_manager` hook supplies under the name "default"."""
