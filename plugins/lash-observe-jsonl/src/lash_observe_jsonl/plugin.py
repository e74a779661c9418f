"""Records what happens in each session, from its turns to the attempts of a model call."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from lash_sdk import Plugin, hooks
from lash_sdk.contexts import HostContext, SessionContext
from lash_sdk.events import (
    AnswerRetracted,
    OfChild,
    ReasoningDelta,
    SessionEvent,
    TextDelta,
    ToolProgressed,
    event_to_json,
)
from lash_sdk.hooks import kinds

from .sink import Sink

VERSION: Final = 1
"""Of a record's form."""
STREAMED: Final = (TextDelta, ReasoningDelta, AnswerRetracted, ToolProgressed)
"""What only the extended level has."""
CONTENT: Final = frozenset(("arguments", "messages", "text", "value", "body", "payload", "raw"))
"""Fields that hold what people, models and tools said."""


class Config(BaseModel):
    """
    The section "observe-jsonl" of an app's configuration.

    Attributes:
        path: The file; without one nothing is recorded, and nothing costs anything.
        level: "standard", or "extended" with what is streamed.
        content: Whether what's said is recorded too, or only how long it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    level: Literal["standard", "extended"] = "standard"
    content: Literal["sizes", "all"] = "sizes"


class JsonlPlugin(Plugin):
    """A trace of everything that happens, as JSON Lines."""

    name = "observe-jsonl"
    phase = "late"
    Config = Config

    @hooks.around_app
    async def open(cls, ctx: HostContext, call_next: kinds.Next[Any, None]) -> None:
        """Keep the file open while the app is."""
        config = Config.model_validate(dict(ctx.config.get(cls.name, {})))
        if config.path is None:
            await call_next(None)
            return
        sink = Sink(config.path)
        try:
            await call_next((sink, os.urandom(6).hex()))
        finally:
            await asyncio.to_thread(sink.close)

    @hooks.on_session_opened
    async def watch(self, ctx: SessionContext) -> None:
        """Record what happens in a session from now on, if there's a file."""
        if self.shared is None:
            return
        sink, run = self.shared
        context = {"run": run, "session": ctx.session_id, "parent": ctx.parent}

        def take(event: SessionEvent) -> None:
            if not isinstance(event, OfChild):  # the child's own session records it
                self._record(sink, context, event)

        ctx.listen(take)

    def _record(self, sink: Sink, context: Mapping[str, Any], event: SessionEvent) -> None:
        config: Config = self.config
        if config.level == "standard" and isinstance(event, STREAMED):
            return
        body: Any = event_to_json(event)
        if config.content == "sizes":
            body = sizes(body)
        sink.put({"v": VERSION, "at": round(time.time(), 6), **context, **body})


def sizes(value: Any) -> Any:
    """Return *value* with the length of what's said in its place."""
    if isinstance(value, Mapping):
        return {
            name: len(str(item)) if name in CONTENT and item is not None else sizes(item)
            for name, item in value.items()
        }
    return [sizes(item) for item in value] if isinstance(value, (list, tuple)) else value
