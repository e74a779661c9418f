"""What comes of a tool call while it's made, and how it's closed."""

from __future__ import annotations

from dataclasses import dataclass, field

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

    queued: list[tuple[str, tuple[Message, ...]]] = field(default_factory=list)
    abort: Issue | None = None
    blobs: list[Blob] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def close(self, live: Live, record: ToolRecord) -> CallResult:
        """Return all that came of the call; nothing of it changes any more."""
        result = self._project(live, record)
        queued: tuple[Message, ...] = ()
        for plugin, messages in self.queued:
            try:
                queued += welcome(plugin, messages)
            except LashError as error:
                text = f"plugin {plugin!r} in after_tool: {error}"
                self.issues.append(Issue(kind="plugin", code="plugin_messages", message=text))
        return CallResult(
            record=record,
            result=result,
            queued=queued,
            abort=self.abort,
            issues=tuple(self.issues),
            blobs=tuple(self.blobs),
        )

    def _project(self, live: Live, record: ToolRecord) -> ToolResult:
        """Return what the model is shown; a failing projector shows its error."""
        name, outcome = record.name, record.outcome
        try:
            parts = tuple(live.projector(name, outcome))
        except Exception as error:
            text = f"[failed: projector] {type(error).__name__}: {error}"
            parts = (Text(text=text),)
            self.issues.append(Issue(kind="plugin", code="tool_projector", message=text))
        return ToolResult(call=record.call, name=name, status=status(outcome), parts=parts)
