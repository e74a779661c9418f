"""The model: for now it repeats what it's told, word by word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lash_sdk.errors import ContextOverflow
from lash_sdk.messages import Text
from lash_sdk.ports import Chunk, ModelAnswer
from lash_sdk.usage import Usage

if TYPE_CHECKING:
    from lash_sdk.ports import Emit, ModelRequest


class {{ cookiecutter.__class }}Model:
    """One model of the provider; ask the provider in `answer`."""

    def __init__(self, name: str, *, window: int | None = None) -> None:
        """Take the model's name; nothing is opened before it's asked something."""
        self._name = name
        self._window = window

    @property
    def name(self) -> str:
        """What ledger rows call it."""
        return f"{{ cookiecutter.__name }}:{self._name}"

    @property
    def window(self) -> int | None:
        """Tokens that a request may hold."""
        return self._window

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """
        Return the last message's text, piece by piece.

        Raises:
            ContextOverflow: It's longer than the window.
        """
        words = request.history[-1].text.split(" ")
        if self._window is not None and len(words) > self._window:
            raise ContextOverflow(f"expected at most {self._window} tokens, found {len(words)}")
        for at, word in enumerate(words):
            await asyncio.sleep(0)  # a real one waits for its provider here
            emit(Chunk(text=word if at == 0 else f" {word}"))
        usage = Usage(input=len(words), output=len(words))
        return ModelAnswer(parts=(Text(text=" ".join(words)),), usage=usage)

    async def close(self) -> None:
        """Release what the model holds."""
