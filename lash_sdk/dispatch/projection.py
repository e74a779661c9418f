"""What the model is shown of an outcome, unless a plugin supplies its own."""

from __future__ import annotations

from ..json import Json, encode
from ..messages import File, Image, Text, ToolStatus, new_text, part_from_json
from ..outcomes import Failure, Success, ToolOutcome

Shown = tuple[Text | Image | File, ...]


def project(name: str, outcome: ToolOutcome) -> Shown:
    """
    Return *outcome* as parts: text as it is, structures as compact JSON.

    Pictures and files stand where the tool put them; a failure is a line in
    brackets and its message.
    """
    if isinstance(outcome, Success):
        return _shown(outcome.value)
    if isinstance(outcome, Failure):
        return (Text(text=f"[failed: {outcome.code}] {outcome.message}"),)
    return (Text(text=f"[cancelled] {outcome.message}"),)


def status(outcome: ToolOutcome) -> ToolStatus:
    """Return the outcome in one word."""
    if isinstance(outcome, Success):
        return "ok"
    return "failed" if isinstance(outcome, Failure) else "cancelled"


def _shown(value: Json) -> Shown:
    if isinstance(value, str):
        return (new_text(text=value),)
    if type(value) is int:
        return (new_text(text=str(value)),)
    if isinstance(value, (list, tuple)) and any(map(_is_part, value)):
        return tuple([piece for item in value for piece in _shown(item)])
    if _is_part(value):
        part = part_from_json(value)
        if isinstance(part, (Text, Image, File)):
            return (part,)
    return (Text(text=encode(value).decode("ascii")),)


def _is_part(value: Json) -> bool:
    """Return whether a tool returned an `Image` or a `File` here."""
    return (
        isinstance(value, dict)
        and value.get("kind") in ("image", "file")
        and isinstance(value.get("blob"), dict)
    )
