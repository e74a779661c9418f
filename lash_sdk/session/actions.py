"""Plugin actions: what people and programs ask of a plugin beside the talk."""

from __future__ import annotations

from collections.abc import Mapping

from ..dispatch.live import Live
from ..errors import InvalidInput, PluginConflict
from ..hooks.answers import Action
from ..json import Json, encode
from ..outcomes import Cancelled, Failure, FailureClass, Success, ToolOutcome
from ..tools import as_json, tool


def actions(live: Live) -> dict[str, Action]:
    """
    Return every action of the session's plugins, sorted by name.

    Raises:
        PluginConflict: Two plugins have one of a name.
    """
    found: dict[str, tuple[str, Action]] = {}
    if live.plans.provide_actions is not None:
        for plugin, provided in live.plans.provide_actions(live.context()):
            for action in provided:
                if action.name in found:
                    raise PluginConflict(
                        f"action {action.name!r} is provided by"
                        f" {found[action.name][0]!r} and by {plugin.name!r}"
                    )
                found[action.name] = (plugin.name, action)
    return {name: found[name][1] for name in sorted(found)}


async def act(
    live: Live, name: str, arguments: Mapping[str, Json], *, in_session: bool
) -> ToolOutcome:
    """
    Return what an action came to; one that fails is a `Failure`, not an error.

    Raises:
        InvalidInput: There's no such action, or it wants a session and has
            none, or the other way round.
    """
    known = actions(live)
    action = known.get(name)
    if action is None:
        names = ", ".join(known) or "none"
        raise InvalidInput(f"no action {name!r}; actions: {names}")
    if action.session == "required" and not in_session:
        raise InvalidInput(f"action {name!r} needs a session")
    if action.session == "forbidden" and in_session:
        raise InvalidInput(f"action {name!r} takes no session")
    made = tool(name=_plain(name))(action.run)
    try:
        ready = made.validate(encode(dict(arguments)).decode("ascii"))
    except InvalidInput as error:
        return _failure("invalid_request", "invalid_action_args", f"invalid {name} args: {error}")
    try:
        value = await action.run(**ready)
    except Exception as error:
        text = f"{name} failed: {type(error).__name__}: {error}"
        return _failure("execution", "action_failed", text)
    if isinstance(value, (Success, Failure, Cancelled)):
        return value
    try:
        return Success(value=as_json(value))
    except InvalidInput as error:
        return _failure("internal", "invalid_action_output", f"invalid {name} output: {error}")


def _plain(name: str) -> str:
    """Return an action's name as a tool may be called."""
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name) or "action"


def _failure(reason: FailureClass, code: str, text: str) -> Failure:
    return Failure(reason=reason, code=code, message=text, source="plugin")
