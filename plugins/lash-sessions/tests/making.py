"""Apps with several sessions, and tools that act on them, for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from lash_sdk import Lash
from lash_sdk.contexts import ToolContext
from lash_sdk.messages import Text
from lash_sdk.ports import Chunk, ModelRequest
from lash_sdk.session import Session
from lash_sdk.testing import ScriptedModel, reply
from lash_sdk.tools import Tool, tool
from lash_sdk.usage import Usage
from lash_sessions import Children, SessionsPlugin


class Talking:
    """A model that any number of sessions may talk with at once: it answers by the last word."""

    name = "talking"
    window = None

    def __init__(self, answer: Callable[[ModelRequest], Any]) -> None:
        self.answer_to = answer
        self.requests: list[ModelRequest] = []

    async def answer(self, request: ModelRequest, emit: Any) -> Any:
        self.requests.append(request)
        said = self.answer_to(request)
        if isinstance(said, Awaitable):
            said = await said
        answer = (reply(said) if isinstance(said, str) else said).answer
        for part in answer.parts:
            if isinstance(part, Text):
                emit(Chunk(text=part.text))
        return answer

    async def close(self) -> None:
        """Do nothing."""


def echo(request: ModelRequest) -> str:
    """Return the last message's text, marked."""
    return f"re: {request.history[-1].text}"


@asynccontextmanager
async def app(
    *plugins: Any,
    script: Sequence[Any] | None = None,
    answer: Callable[[ModelRequest], Any] = echo,
    **settings: Any,
) -> AsyncGenerator[Lash, None]:
    """Open an app with several sessions; without a script its model answers any of them."""
    model: Any = Talking(answer) if script is None else ScriptedModel(list(script))
    async with Lash(
        model=model, plugins=(SessionsPlugin, *plugins), autoload=False, **settings
    ) as lash:
        yield lash


def children(session: Session) -> Children:
    """Return all roles at once, with their type."""
    found: Children = session.children
    return found


def acting(act: Callable[[ToolContext], Awaitable[Any]], **options: Any) -> Tool:
    """Return a tool "do" that does *act*."""

    @tool(name="do", **options)
    async def do(ctx: ToolContext) -> Any:
        """Do it."""
        return await act(ctx)

    return do


SPENT = Usage(input=10, output=5)
"""What an answer costs here."""
