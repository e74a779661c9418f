"""What comes of a tool call while it's made, and how it's closed."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import LashError
from ..journal import CallResult
from ..messages import Blob, Message, Text, ToolResult
from ..outcomes import Issue, ToolRecord
from .directives import welcome
from .live import Live
from .projection import status


@dataclass(slots=True)
class Made:
    """
    What came of one call so far, beside its record.

    Attributes:
        queued: Messages for the next checkpoint, with the plugin's name.
        abort: Set if a gate ended the turn.
        blobs: Bytes that the outcome refers to.
        issues: What went wrong in plugins around it.
    """

    queued: tuple[tuple[str, tuple[Message, ...]], ...] = ()
    abort: Issue | None = None
    blobs: tuple[Blob, ...] = ()
    issues: tuple[Issue, ...] = ()

    def close(self, live: Live, record: ToolRecord) -> CallResult:
        """Return all that came of the call; nothing of it changes any more."""
        result = self._project(live, record)
        queued: tuple[Message, ...] = ()
        for plugin, messages in self.queued:
            try:
                queued += welcome(plugin, messages)
            except LashError as error:
                text = f"plugin {plugin!r} in after_tool: {error}"
                self.note("plugin_messages", text)
        return CallResult(
            record=record,
            result=result,
            queued=queued,
            abort=self.abort,
            issues=self.issues,
            blobs=self.blobs,
        )

    def note(self, code: str, text: str) -> None:
        """Take in what went wrong in a plugin."""
        self.issues += (Issue(kind="plugin", code=code, message=text),)

    def _project(self, live: Live, record: ToolRecord) -> ToolResult:
        """Return what the model is shown; a failing projector shows its error."""
        name, outcome = record.name, record.outcome
        try:
            parts = tuple(live.projector(name, outcome))
        except Exception as error:
            text = f"[failed: projector] {type(error).__name__}: {error}"
            parts = (Text(text=text),)
            self.note("tool_projector", text)
        return ToolResult(call=record.call, name=name, status=status(outcome), parts=parts)
