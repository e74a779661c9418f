"""
The kinds of hooks, as typed decorators.

A hook object is made from its spec, a function whose signature and docstring
say everything. Used as a decorator in a plugin class it checks the method's
types at the author's desk, and marks it for pluggy under the spec's name.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

import pluggy

PROJECT: Final = "lash"

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""For plain functions of a module that is a plugin, without state or config."""

Fault: TypeAlias = Literal["isolate", "keep", "deny", "closed", "abort"]
"""
What a failing implementation does: it's left out, the previous value is kept,
the answer is no, nothing that depends on it is allowed, or the call is aborted.
"""

Life: TypeAlias = Literal["host", "session"]
"""Whether it's called once per `Lash`, or on a session's instance."""

C = TypeVar("C")
"""The context."""
R = TypeVar("R")
"""What an implementation returns."""
V = TypeVar("V")
"""The value that's passed along."""
S = TypeVar("S")
"""The plugin's instance."""

HOOKS: Final[dict[str, Hook]] = {}
"""Every hook of the kernel, by name."""


class Hook:
    """
    One hook: its name, its rule, and the decorator that its authors use.

    Attributes:
        kind: "listen", "collect", "directives", "transform", "decide", "gate",
            "wrap" or "supply".
        awaits: Whether implementations may be async.
        fault: What a failing implementation does.
        life: "host" for class methods that are called once per `Lash`,
            "session" for methods of the session's instance.
        since: The SDK's version that brought it.
    """

    kind: ClassVar[str] = ""
    usual: ClassVar[Fault] = "isolate"
    arguments: ClassVar[tuple[str, ...]] = ("ctx",)

    def __init__(
        self,
        spec: Callable[..., Any],
        *,
        fault: Fault | None = None,
        life: Life = "session",
        since: str = "0.1",
    ) -> None:
        self.name = spec.__name__
        self.spec = spec
        self.awaits = inspect.iscoroutinefunction(spec)
        self.fault: Fault = fault or self.usual
        self.life = life
        self.since = since
        self.__doc__ = spec.__doc__
        hookspec(spec)

    @property
    def context(self) -> str:
        """The name of the context class that implementations receive."""
        annotation = next(iter(inspect.get_annotations(self.spec).values()))
        return str(getattr(annotation, "__name__", annotation))

    def __repr__(self) -> str:
        return f"<{self.kind} hook {self.name}>"

    def _mark(self, function: Any) -> Any:
        """Return *function* marked as an implementation, as its life asks for."""
        marked = hookimpl(specname=self.name)(function)
        return classmethod(marked) if self.life == "host" else marked


class Listen(Hook, Generic[C]):
    """All hear; what they return is dropped."""

    kind = "listen"

    def __call__(
        self, function: Callable[[S, C], Awaitable[None] | None]
    ) -> Callable[[S, C], Awaitable[None] | None]:
        """Mark a method as an implementation."""
        return self._mark(function)  # type: ignore[no-any-return]


class Collect(Hook, Generic[C, R]):
    """All are asked; the answers are kept with their plugins, in order."""

    kind = "collect"

    def __call__(
        self, function: Callable[[S, C], R | Awaitable[R | None] | None]
    ) -> Callable[[S, C], R | Awaitable[R | None] | None]:
        """Mark a method as an implementation."""
        return self._mark(function)  # type: ignore[no-any-return]


class Directives(Collect[C, R]):
    """A collect of directives; which are legal depends on the hook."""

    kind = "directives"
    usual = "abort"


class Decide(Collect[C, R]):
    """The first answer that isn't None counts."""

    kind = "decide"


class Gate(Collect[C, R]):
    """All are asked; the strongest answer counts, and a fault denies."""

    kind = "gate"
    usual = "deny"


class Supply(Collect[C, R]):
    """Exactly one plugin owns each name; two are an error that names both."""

    kind = "supply"
    usual = "abort"


class Transform(Hook, Generic[C, V]):
    """Each gets the previous value and returns the next; None keeps it."""

    kind = "transform"
    usual = "keep"
    arguments = ("ctx", "value")

    def __call__(
        self, function: Callable[[S, C, V], V | Awaitable[V | None] | None]
    ) -> Callable[[S, C, V], V | Awaitable[V | None] | None]:
        """Mark a method as an implementation."""
        return self._mark(function)  # type: ignore[no-any-return]


class Wrap(Hook, Generic[C, V, R]):
    """Each runs around the next: `call_next(value)` goes on inward."""

    kind = "wrap"
    usual = "abort"
    arguments = ("ctx", "call_next")

    def __call__(
        self, function: Callable[[S, C, Callable[[V], Awaitable[R]]], Awaitable[R]]
    ) -> Callable[[S, C, Callable[[V], Awaitable[R]]], Awaitable[R]]:
        """Mark a method as an implementation."""
        return self._mark(function)  # type: ignore[no-any-return]


# Decorators of specs. Each keeps the types that the spec's signature says.


def listen(spec: Callable[[C], None] | Callable[[C], Awaitable[None]]) -> Listen[C]:
    """Make a listen hook of *spec*."""
    return _known(Listen(spec))


def collect(
    *, fault: Fault | None = None, life: Life = "session"
) -> Callable[[Callable[[C], R]], Collect[C, R]]:
    """Make a collect hook of a sync spec."""
    return lambda spec: _known(Collect(spec, fault=fault, life=life))


def directives(spec: Callable[[C], Awaitable[R]]) -> Directives[C, R]:
    """Make a directives hook of *spec*."""
    return _known(Directives(spec))


def decide(spec: Callable[[C], R]) -> Decide[C, R]:
    """Make a decide hook of a sync *spec*."""
    return _known(Decide(spec))


def decide_async(*, fault: Fault) -> Callable[[Callable[[C], Awaitable[R]]], Decide[C, R]]:
    """Make a decide hook of an async spec."""
    return lambda spec: _known(Decide(spec, fault=fault))


def gate(spec: Callable[[C], Awaitable[R]]) -> Gate[C, R]:
    """Make a gate of *spec*."""
    return _known(Gate(spec))


def supply(*, life: Life) -> Callable[[Callable[[C], R]], Supply[C, R]]:
    """Make a supply hook of a spec."""
    return lambda spec: _known(Supply(spec, life=life))


def transform(*, fault: Fault | None = None) -> Callable[[Callable[[C, V], V]], Transform[C, V]]:
    """Make a transform hook of a sync spec."""
    return lambda spec: _known(Transform(spec, fault=fault))


def transform_async(
    *, fault: Fault | None = None
) -> Callable[[Callable[[C, V], Awaitable[V]]], Transform[C, V]]:
    """Make a transform hook of an async spec."""
    return lambda spec: _known(Transform(spec, fault=fault))


def wrap(
    *, life: Life = "session"
) -> Callable[[Callable[[C, Callable[[V], Awaitable[R]]], Awaitable[R]]], Wrap[C, V, R]]:
    """Make a wrap hook of a spec."""
    return lambda spec: _known(Wrap(spec, life=life))


H = TypeVar("H", bound=Hook)


def _known(hook: H) -> H:
    HOOKS[hook.name] = hook
    return hook
