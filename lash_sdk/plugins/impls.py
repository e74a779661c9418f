"""The implementations of a hook, and what becomes of their faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..contexts import SessionContext
from ..errors import PluginFault
from ..hooks.kinds import Hook
from .deadline import Deadline
from .faults import SWITCHABLE, Faults, blame
from .registered import Registered


@dataclass(frozen=True, slots=True)
class Impl:
    """
    One implementation of a hook.

    Attributes:
        index: Of the plugin's instance, in a session's `instances`.
        call: Takes the instance, then the hook's own arguments.
        waits: Whether it returns an awaitable.
        function: What the author wrote, for blame.
    """

    plugin: Registered
    index: int
    call: Callable[..., Any]
    waits: bool
    function: Callable[..., Any]


Step: TypeAlias = tuple[int, Callable[..., Any], bool, Registered, Impl]
"""What a loop needs of an implementation: index, call, whether it waits, whose, itself."""


class Each:
    """
    The implementations of one hook, and what becomes of their faults.

    Attributes:
        calls: Where a call is noted that the deadline ends; None if none waits.
    """

    __slots__ = ("_switches", "calls", "deadline", "hook", "impls", "isolate", "steps")

    def __init__(
        self, hook: Hook[Any], impls: tuple[Impl, ...], deadline: Deadline, *, isolate: bool
    ) -> None:
        self.hook, self.impls, self.isolate, self.deadline = hook, impls, isolate, deadline
        timed = hook.timed and any(impl.waits for impl in impls)
        self.calls = deadline.calls if timed else None
        self.steps: tuple[Step, ...] = tuple(
            [(impl.index, impl.call, impl.waits, impl.plugin, impl) for impl in impls]
        )
        self._switches = isolate and hook.kind in SWITCHABLE

    def only(self, at: int) -> Each:
        """Return the same with implementation number *at* alone."""
        return Each(self.hook, (self.impls[at],), self.deadline, isolate=self.isolate)

    def active(self, off: set[int]) -> tuple[Step, ...]:
        """Return the steps whose plugins aren't switched off for this hook."""
        if not self._switches:
            return self.steps
        return tuple([step for step in self.steps if step[0] not in off])

    def checked(self, value: object) -> object:
        """
        Return an answer, if it is what the hook says.

        Raises:
            TypeError: It's something else; a lazy one may never end.
        """
        of: Any = self.hook.of
        each = value if self.hook.kind == "collect" else (value,)
        if not isinstance(each, (list, tuple)) or not all(isinstance(one, of) for one in each):
            many = "a list of " if self.hook.kind == "collect" else ""
            raise TypeError(f"expected {many}{of.__name__}, found {value!r}")
        return value

    def isolated(self, ctx: SessionContext, impl: Impl, error: BaseException) -> None:
        """Take in what *impl* raised where the hook's rule isolates; else raise its fault."""
        if not self.isolate:
            fault = self.failed(ctx, impl, error)
            raise fault from fault.__cause__
        cause = self.deadline.cause(ctx, error)
        if self.calls is not None:
            self.calls.add(ctx)  # for the next one
        fault = blame(impl.plugin, self.hook.name, impl.function, cause, ctx.session_id)
        ctx.scope.faults.struck(impl.index, fault)

    def forgive(self, faults: Faults, struck: dict[int, int]) -> None:
        """Forget the strikes of those whose count is as in *struck*: they answered since."""
        for index, *_ in self.active(faults.off):
            if faults.strikes.get(index) == struck.get(index):
                faults.strikes.pop(index, None)

    def failed(self, ctx: SessionContext, impl: Impl, error: BaseException) -> PluginFault:
        """Return the fault of *impl*, once it's noted for `on_fault`."""
        cause = self.deadline.cause(ctx, error)
        fault = blame(impl.plugin, self.hook.name, impl.function, cause, ctx.session_id)
        ctx.scope.faults.pending.append((fault, False))
        return fault
