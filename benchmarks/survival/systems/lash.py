"""lash-sdk on its SQLite store, at its defaults; the variant is `on_busy`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from benchmarks.survival.scene import Scene
from lash_sdk import Lash, tool
from lash_sdk.messages import Message, Part, Text, ToolCall, ToolResult
from lash_sdk.policy import OnBusy
from lash_sdk.ports import Emit, ModelAnswer, ModelRequest
from lash_sdk.session import Session


class Scripted:
    """Answers by the scene."""

    name = "scripted"
    window = None

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """Return the calls, or the words at the end."""
        results = 0
        if self._scene.name in ("crash", "resume"):
            results = sum(each.role == "tool" for each in request.history)
        words, calls = self._scene.next(results)
        parts: tuple[Part, ...] = tuple([ToolCall(id="", name=name) for name in calls])
        return ModelAnswer(
            parts=parts or (Text(text=words),), finish="tool_use" if calls else "stop"
        )

    async def close(self) -> None:
        """Do nothing."""


class Played:
    """The session, as a scene sees it."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def run(self, text: str) -> str:
        """Return a turn's last words."""
        return (await self.session.run(text)).text

    async def resume(self, text: str) -> str:
        """Return the last words of the turn that was interrupted; its input is stored."""
        turn = await self.session.resume()
        if turn is None:
            raise LookupError("no interrupted turn")
        return turn.text

    async def history(self) -> list[str]:
        """Return what's stored, a line for each part."""
        return [_line(message, part) for message in self.session.messages for part in message.parts]


def _line(message: Message, part: Part) -> str:
    match part:
        case Text():
            return part.text
        case ToolCall():
            return f"call {part.name}"
        case ToolResult():
            return "".join([piece.text for piece in part.parts if isinstance(piece, Text)])
        case _:
            return message.role


@asynccontextmanager
async def opened(folder: Path, scene: Scene) -> AsyncGenerator[Played, None]:
    """Yield the session."""

    @tool
    async def charge() -> str:
        """Charge the card."""
        return await scene.call("charge")

    @tool
    async def boom() -> str:
        """Print the slip."""
        return await scene.call("boom")

    @tool
    async def meet() -> str:
        """Wait for the other turn."""
        return await scene.call("meet")

    app = Lash(
        model=Scripted(scene),
        store=f"sqlite:///{folder / 'lash.db'}",
        tools=[each for each in (charge, boom, meet) if each.definition.name in scene.tools],
        on_busy=cast(OnBusy, scene.variant or "reject"),
    )
    async with app, app.session("survivor") as session:
        yield Played(session)
