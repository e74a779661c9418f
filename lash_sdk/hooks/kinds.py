"""
The kinds of hooks, as typed decorators.

A hook object is made from its spec, a function whose signature and docstring
say everything. Used as a decorator in a plugin class it checks the method's
types at the author's desk, and marks it for pluggy under the spec's name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

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

KINDS: Final[Mapping[str, Fault]] = {
    "listen": "isolate",  # all hear; what they return is dropped
    "collect": "isolate",  # all are asked; the answers are kept with their plugins, in order
    "directives": "abort",  # a collect of directives; which are legal depends on the hook
    "transform": "keep",  # each gets the previous value and returns the next; None keeps it
    "decide": "isolate",  # the first answer that isn't None counts
    "gate": "deny",  # all are asked; the strongest answer counts
    "wrap": "abort",  # each runs around the next: `call_next(value)` goes on inward
    "supply": "abort",  # exactly one plugin owns each name; two are an error that names both
}
"""Every kind, with what a fault does unless the hook says otherwise."""

C = TypeVar("C")
"""The context."""
R = TypeVar("R")
"""What an implementation returns."""
V = TypeVar("V")
"""The value that's passed along."""
F = TypeVar("F", bound=Callable[..., Any])
"""An implementation; it takes its plugin's instance first, or its class."""

Hears: TypeAlias = Callable[[Any, C], Awaitable[None] | None]
Answers: TypeAlias = Callable[[Any, C], R | Awaitable[R | None] | None]
Changes: TypeAlias = Callable[[Any, C, V], V | Awaitable[V | None] | None]
Next: TypeAlias = Callable[[V], Awaitable[R]]
Surrounds: TypeAlias = Callable[[Any, C, Next[V, R]], Awaitable[R]]


class Hook(Generic[F]):
    """
    One hook: its name, its rule, and the decorator that its authors use.

    Attributes:
        kind: One of `KINDS`.
        awaits: Whether implementations may be async.
        fault: What a failing implementation does.
        life: "host" for class methods that are called once per `Lash`,
            "session" for methods of the session's instance.
        since: The SDK's version that brought it.
        of: The type of an answer, or of what a collected list holds; None if that's
            checked where it's used.
        deprecated: What to use in its place and until when, once it's on its way out.
        timed: Whether a call may take only so long. A wrap holds what it's around,
            and an approval may wait for a person.
        arguments: The names of what an implementation takes.
        context: The name of the context class among them.
    """

    def __init__(
        self,
        kind: str,
        spec: Callable[..., Any],
        *,
        fault: Fault | None = None,
        life: Life = "session",
        since: str = "0.1",
        deprecated: str = "",
        of: type | None = None,
    ) -> None:
        self.kind = kind
        self.name = spec.__name__
        self.spec = spec
        self.awaits = inspect.iscoroutinefunction(spec)
        self.fault: Fault = fault or KINDS[kind]
        self.life = life
        self.since = since
        self.of = of
        self.deprecated = deprecated
        self.timed = self.awaits and kind not in ("wrap", "decide")
        self.__doc__ = spec.__doc__
        parameters = inspect.signature(spec).parameters
        self.arguments = tuple(parameters)
        annotation = parameters["ctx"].annotation
        self.context = str(getattr(annotation, "__name__", annotation))
        hookspec(spec)

    def __call__(self, function: F) -> F:
        """Return *function* marked as an implementation, as the hook's life asks for."""
        marked: Any = function if inspect.isroutine(function) else _as_function(function)
        marked = hookimpl(specname=self.name)(marked)
        return classmethod(marked) if self.life == "host" else marked  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{self.kind} hook {self.name}>"


def _as_function(thing: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls *thing*, a partial or an object, in its colour."""

    def plain(*arguments: Any) -> Any:
        return thing(*arguments)

    async def waiting(*arguments: Any) -> Any:
        return await thing(*arguments)

    return functools.wraps(thing, updated=())(waiting if is_async(thing) else plain)


def is_async(function: Any) -> bool:
    """Return whether calling *function*, an object or a partial too, gives an awaitable."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - its colour
    )


# Decorators of specs. Each keeps the types that the spec's signature says.


def listen(spec: Callable[[C], None] | Callable[[C], Awaitable[None]]) -> Hook[Hears[C]]:
    """Make a listen hook of *spec*."""
    return Hook("listen", spec)


def collect(
    *, fault: Fault | None = None, life: Life = "session", of: type | None = None
) -> Callable[[Callable[[C], R]], Hook[Answers[C, R]]]:
    """Make a collect hook of a sync spec."""
    return lambda spec: Hook("collect", spec, fault=fault, life=life, of=of)


def directives(spec: Callable[[C], Awaitable[R]]) -> Hook[Answers[C, R]]:
    """Make a directives hook of *spec*."""
    return Hook("directives", spec)


def decide(spec: Callable[[C], R]) -> Hook[Answers[C, R]]:
    """Make a decide hook of a sync *spec*."""
    return Hook("decide", spec)


def decide_async(*, fault: Fault) -> Callable[[Callable[[C], Awaitable[R]]], Hook[Answers[C, R]]]:
    """Make a decide hook of an async spec."""
    return lambda spec: Hook("decide", spec, fault=fault)


def gate(spec: Callable[[C], Awaitable[R]]) -> Hook[Answers[C, R]]:
    """Make a gate of *spec*."""
    return Hook("gate", spec)


def supply(
    *, life: Life, of: type | None = None
) -> Callable[[Callable[[C], R]], Hook[Answers[C, R]]]:
    """Make a supply hook of a spec."""
    return lambda spec: Hook("supply", spec, life=life, of=of)


def transform(
    *, fault: Fault | None = None
) -> Callable[[Callable[[C, V], V]], Hook[Changes[C, V]]]:
    """Make a transform hook of a sync spec."""
    return lambda spec: Hook("transform", spec, fault=fault)


def transform_async(
    *, fault: Fault | None = None
) -> Callable[[Callable[[C, V], Awaitable[V]]], Hook[Changes[C, V]]]:
    """Make a transform hook of an async spec."""
    return lambda spec: Hook("transform", spec, fault=fault)


def wrap(
    *, life: Life = "session", of: type | None = None
) -> Callable[[Callable[[C, Next[V, R]], Awaitable[R]]], Hook[Surrounds[C, V, R]]]:
    """Make a wrap hook of a spec."""
    return lambda spec: Hook("wrap", spec, life=life, of=of)
