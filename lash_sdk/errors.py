"""
What can go wrong, by whom it can be put right.

Every error of this library is a `LashError`. A message names the value at fault;
the class says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final


class LashError(Exception):
    """The root of every error this library raises."""


class InvalidInput(LashError):
    """
    Raised when a caller hands over a value that can't be used.

    Nothing was done. Mend the value that the message names and call again.
    """


def expect(kind: Any, **given: object) -> None:
    """
    Return if every value that's *given*, by its argument's name, is of a *kind*.

    A kind is what `isinstance` takes: a class, or several as in `str | None`.

    Raises:
        InvalidInput: One isn't; the message names the argument.
    """
    for name, value in given.items():
        if not isinstance(value, kind):
            known = getattr(kind, "__name__", kind)
            raise InvalidInput(f"{name}: expected {known}, found {value!r}")


class InvalidHistory(LashError):
    """
    Raised when messages don't form a history that a model would accept.

    Nothing was written. Calls and results must pair one to one, in order.
    """


class ProtocolError(LashError):
    """
    Raised when the turn machine gets an event that its phase doesn't accept.

    This is a defect in whoever drives the machine, or in the turn's protocol.
    """


class SessionError(LashError):
    """Raised when a session's state is in the way; the subclasses say which."""

    says: ClassVar[str]

    def __init__(self, session: str) -> None:
        super().__init__(f"session {session!r} {self.says}")
        self.session = session


class SessionBusy(SessionError):
    """
    Raised when a session is asked for a second turn while one is running.

    Nothing was written. Wait for the running turn, or choose another `on_busy`.
    """

    says = "is running a turn"


class SessionExists(SessionError):
    """
    Raised when a session is to be made under an id that already has history.

    Open it with `lash.session(id)`, or pick another id.
    """

    says = "exists already"


class SessionDeleted(SessionError):
    """
    Raised when the id of a deleted session is used again.

    Ids are never reused: pick another one.
    """

    says = "was deleted"


class SessionClosed(SessionError):
    """
    Raised when a closed session, or a session of a closed app, is used.

    Open the session again with `lash.session(id)`.
    """

    says = "is closed"


class TurnInterrupted(LashError):
    """
    Raised when a session holds a turn that never finished.

    Finish it with `session.resume()`, or settle it with `session.discard()`.
    """

    def __init__(self, session: str, turn: str) -> None:
        super().__init__(f"session {session!r} has an unfinished turn {turn!r}")
        self.session = session
        self.turn = turn


class RevisionConflict(LashError):
    """
    Raised when a session's revision is no longer the one a commit expects.

    Nothing was written. What the turn had done stays on record until it's
    discarded: `session.fork(journal=error.turn)` makes a session of it, and
    `session.discard(error.turn)` forgets it.

    Attributes:
        turn: The id of the turn that lost, where it was one.
        journal: Its rows, as `lash_sdk.ports.JournalRow`.
    """

    def __init__(self, session: str, *, expected: int, actual: int) -> None:
        super().__init__(f"session {session!r} moved: expected revision {expected}, found {actual}")
        self.session = session
        self.expected = expected
        self.actual = actual
        self.turn: str | None = None
        self.journal: tuple[object, ...] = ()


class OperationMismatch(LashError):
    """
    Raised when the id of a turn, an operation or an input comes back for something else.

    What it stood for first is kept. Take a new id.
    """

    def __init__(self, session: str, operation: str) -> None:
        why = "was used already, and stands for what it did then; take a new id"
        super().__init__(f"session {session!r}: {operation!r} {why}")
        self.session = session
        self.operation = operation


class StoreError(LashError):
    """Raised when a store can't do its work; the subclasses say why."""


class StoreBusy(StoreError):
    """
    Raised when a store stayed locked by somebody else until the deadline.

    Nothing was written. Trying again later is safe.
    """


class StoreFull(StoreError):
    """
    Raised when a store has no room left.

    Nothing of the refused commit was written. Make room and try again.
    """


class StoreMissing(StoreError):
    """
    Raised when a store is looked for where there's none.

    None was made. Name the place of one that's there, or open one to have it made.
    """


class StoreCorrupt(StoreError):
    """
    Raised when stored bytes aren't what was stored, or aren't ours.

    What's stored is left as it was found. Restore it from a backup.
    """


class SchemaTooNew(StoreError):
    """
    Raised when a store was written by a newer version of its plugin.

    What's stored is left as it was found. Upgrade the plugin that opens it.
    """

    def __init__(self, where: str, *, found: int, known: int) -> None:
        super().__init__(f"{where!r} has schema {found}; this version knows up to {known}")
        self.found = found
        self.known = known


class ModelError(LashError):
    """
    Raised when a model could not answer.

    The turn was committed as stopped, with its record at `turn`; run another
    turn to go on. A model plugin raises it with *retryable* to be asked again.

    Attributes:
        code: A short word, such as "timeout", "auth" or "empty_response".
        retryable: Whether asking again may help.
        after: Seconds the provider asked us to wait, if it did.
        turn: The committed turn, set by the session.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "provider_error",
        retryable: bool = False,
        after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.after = after
        self.turn: object | None = None


class ContextOverflow(ModelError):
    """
    Raised when a request is longer than the model's window.

    It is never retried as it is: shorten the history or take a larger model.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, code="context_overflow")


class ToolDenied(LashError):
    """
    Raised inside a tool, or by a gate, to say that a call isn't allowed.

    The model is told the reason; the turn goes on.
    """


WORDS: Final = 1000
"""Characters that a plugin's own message may have in ours."""


def _words(cause: BaseException) -> str:
    """Return what an exception says, which may be nothing or a book."""
    name = type(cause).__name__
    try:
        said = str(cause)
    except Exception:  # it's the plugin's code that prints it
        return f"{name}, which can't be printed"
    return f"{name}: {said[:WORDS]}{'…' if len(said) > WORDS else ''}"


class PluginFault(LashError):
    """
    Raised when a plugin's hook fails where the hook's rule is to abort.

    The message names the plugin, its version, the hook and the line; the
    plugin's own exception is the cause. Mend or disable that plugin.
    """

    def __init__(
        self,
        plugin: str,
        version: str,
        hook: str,
        *,
        where: str = "",
        cause: BaseException | str = "",
        session: str | None = None,
    ) -> None:
        text = cause if isinstance(cause, str) else _words(cause)
        at = f" at {where}" if where else ""
        of = "" if session is None else f" (session {session!r})"
        super().__init__(f"plugin {plugin!r} {version} failed in {hook}{at}{of}: {text}")
        self.plugin = plugin
        self.version = version
        self.hook = hook
        self.where = where
        self.session = session


class PluginConflict(LashError):
    """
    Raised when two plugins, tools or actions claim one name.

    The message names both sides. Disable one of them, or rename it.
    """


class ConfigError(LashError):
    """
    Raised when configuration doesn't fit; every problem is listed at once.

    Attributes:
        problems: One line per problem, each starting with the key's path.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Unavailable(LashError):
    """
    Raised when a capability isn't there.

    Install the package that the message names, or ask from a hook that has
    the role.
    """

    def __init__(self, role: str, package: str = "", *, why: str = "") -> None:
        hint = f"; install {package}" if package else ""
        super().__init__(f"{role} is unavailable{hint}{': ' + why if why else ''}")
        self.role = role
        self.package = package
