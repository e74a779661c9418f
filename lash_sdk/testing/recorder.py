"""What hooks were called, in what order, how long they took and what came of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from ..app import Lash
    from ..hooks import Hook
    from ..plugins.impls import Impl

Did: TypeAlias = Literal["answered", "changed", "nothing", "raised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """
    One implementation of a hook, called once.

    Attributes:
        session: The session's id; empty for a hook of the whole app.
        seconds: A wrap's include what it's around.
        did: Whether it answered, changed the value, said nothing, or raised.
    """

    hook: str
    kind: str
    plugin: str
    version: str
    session: str
    seconds: float
    did: Did


class HookRecorder:
    """
    Hears every hook call of an app's sessions.

    Attributes:
        calls: In the order in which they ended.
        tell: Called with each, as it ends.
    """

    def __init__(self) -> None:
        self.calls: list[HookCall] = []
        self.tell: Callable[[HookCall], None] | None = None

    def of(self, hook: str) -> list[HookCall]:
        """Return the calls of one hook."""
        return [call for call in self.calls if call.hook == hook]

    def around(self, hook: Hook[Any], impl: Impl) -> Callable[..., Any]:
        """Return what calls *impl* and notes it; what a registry's `observe` takes."""

        def note(began: float, arguments: tuple[Any, ...], did: Did) -> None:
            call = HookCall(
                hook=hook.name,
                kind=hook.kind,
                plugin=impl.plugin.name,
                version=impl.plugin.version,
                session=getattr(arguments[1], "session_id", ""),
                seconds=perf_counter() - began,
                did=did,
            )
            self.calls.append(call)
            if self.tell is not None:
                self.tell(call)

        async def waiting(*arguments: Any) -> Any:
            began, did = perf_counter(), _did(None, ())
            try:
                value = await impl.call(*arguments)
                did = _did(value, arguments)
            except BaseException:
                did = "raised"
                raise
            finally:
                note(began, arguments, did)
            return value

        def plain(*arguments: Any) -> Any:
            began, did = perf_counter(), _did(None, ())
            try:
                value = impl.call(*arguments)
                did = _did(value, arguments)
            except BaseException:
                did = "raised"
                raise
            finally:
                note(began, arguments, did)
            return value

        return waiting if impl.waits else plain


def record_hooks(lash: Lash) -> HookRecorder:
    """
    Return what hears the hook calls of the sessions that *lash* opens from now on.

    The app is open; its sessions that are open already aren't heard.
    """
    recorder = HookRecorder()
    lash.registry.observe(recorder.around)
    return recorder


def _did(value: object, arguments: tuple[Any, ...]) -> Did:
    """Return what a call came to; a transform's third argument is the value before."""
    if value is None:
        return "nothing"
    if len(arguments) < 3 or callable(arguments[2]):
        return "answered"
    return "nothing" if value is arguments[2] else "changed"
