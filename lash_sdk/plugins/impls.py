"""The implementations of a hook, and what becomes of their faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..contexts import SessionContext
from ..errors import PluginFault, StoreCorrupt, ToolDenied
from ..hooks.answers import Deny
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


Impls: TypeAlias = tuple[Impl, ...]

Step: TypeAlias = tuple[int, Callable[..., Any], bool, Registered, Impl]
"""What a loop needs of an implementation: index, call, whether it waits, whose, itself."""


class Each:
    """
    The implementations of one hook, and what becomes of their faults.

    Attributes:
        calls: Where a call is noted that the deadline ends; None if none waits.
    """

    __slots__ = ("_switches", "calls", "deadline", "hook", "impls", "isolate", "steps")

    def __init__(self, hook: Hook[Any], impls: Impls, deadline: Deadline, *, strict: bool) -> None:
        self.hook, self.impls, self.deadline = hook, impls, deadline
        self.isolate = hook.fault != "abort" and not strict
        timed = hook.timed and any(impl.waits for impl in impls)
        self.calls = deadline.calls if timed else None
        self.steps: tuple[Step, ...] = tuple(
            [(impl.index, impl.call, impl.waits, impl.plugin, impl) for impl in impls]
        )
        self._switches = self.isolate and hook.kind in SWITCHABLE and hook.fault != "closed"

    def active(self, off: set[int]) -> tuple[Step, ...]:
        """Return the steps whose plugins aren't switched off for this hook."""
        if not self._switches:
            return self.steps
        return tuple([step for step in self.steps if step[0] not in off])

    def check(self, value: object) -> None:
        """
        Accept an answer that is what the hook says.

        Raises:
            TypeError: It's something else; a lazy one may never end.
        """
        of: Any = self.hook.of
        each = value if self.hook.kind == "collect" else (value,)
        if not isinstance(each, (list, tuple)) or not all(isinstance(one, of) for one in each):
            many = "a list of " if self.hook.kind == "collect" else ""
            raise TypeError(f"expected {many}{of.__name__}, found {value!r}")

    def isolated(self, ctx: SessionContext, impl: Impl, error: BaseException) -> Any:
        """
        Return what stands in the place of an answer, where *impl* raised *error* instead.

        Where a fault denies, that's a `Deny`; where it closes, the fault itself.

        Raises:
            PluginFault: The hook's rule doesn't isolate.
        """
        denies = self.hook.fault == "deny"
        if denies and isinstance(error, ToolDenied):
            return Deny(reason=str(error))
        if not self.isolate or self.hook.fault == "closed":
            fault = self.failed(ctx, impl, error)
            if not self.isolate:
                raise fault from fault.__cause__
            return fault
        fault = self._fault(ctx, impl, error)
        if self.calls is not None:
            self.calls.add(ctx)  # for the next one
        ctx.scope.faults.struck(impl.index, fault)
        why = f"plugin {impl.plugin.name!r} failed in {self.hook.name}"
        return Deny(reason=why) if denies else None

    def forgive(self, faults: Faults, struck: dict[int, int]) -> None:
        """Forget the strikes of those whose count is as in *struck*: they answered since."""
        for index, *_ in self.active(faults.off):
            if faults.strikes.get(index) == struck.get(index):
                faults.strikes.pop(index, None)

    def failed(self, ctx: SessionContext, impl: Impl, error: BaseException) -> PluginFault:
        """Return the fault of *impl*, once it's noted for `on_fault`."""
        fault = self._fault(ctx, impl, error)
        ctx.scope.faults.pending.append((fault, False))
        return fault

    def _fault(self, ctx: SessionContext, impl: Impl, error: BaseException) -> PluginFault:
        """
        Return the fault of *impl*, which raised *error*.

        Raises:
            StoreCorrupt: What it read is damaged, which isn't its doing. For a listener
                the session goes on all the same, and it may be too late to stop a turn.
        """
        cause = self.deadline.cause(ctx, error)
        if isinstance(cause, StoreCorrupt) and self.hook.kind != "listen":
            raise cause
        return blame(impl.plugin, self.hook.name, impl.function, cause, ctx.session_id)
