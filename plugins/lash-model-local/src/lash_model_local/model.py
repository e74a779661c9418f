"""The models behind "local:NAME": a file of weights, its server, and a policy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from lash_sdk.errors import InvalidInput, ModelError
from lash_sdk.messages import Message, Text, ToolCall
from lash_sdk.ports import Chunk, Emit, ModelAnswer, ModelRequest
from lash_sdk.tools import ToolDefinition
from lash_sdk.usage import Usage

from . import chat, policy
from .client import Client, Completion, Said
from .prefixes import Prefixes
from .server import Server, Settings, lease, release
from .weights import KNOWN, cache, resolve

Watch: TypeAlias = Callable[[int, int], None]
"""Told how many steps of getting ready are done, and of how many."""

CHATML: Final = Path(__file__).with_name("chatml.jinja")
"""Our own template: the one in the small weights makes the model babble."""

SMALL: Final = 4096
LARGE: Final = 8192


class LocalModel:
    """
    A model that runs on this machine.

    A known small model is led by the policy of `lash_model_local.policy`; any
    other .gguf file is asked as it is, with tools and prompt.
    """

    def __init__(self, name: str) -> None:
        """
        Make the model *name*: a known name, or the path of a .gguf file.

        Raises:
            UnknownWeights: It's neither.
            WeightsMissing: The weights aren't on this machine.
        """
        self._name = name
        self._weights = resolve(name)
        self._known = KNOWN.get(name)
        self._client: Client | None = None
        self._server: Server | None = None
        self._warm: set[tuple[str, tuple[str, ...]]] = set()
        self._warming = asyncio.Lock()

    @property
    def name(self) -> str:
        """What ledger rows and traces call it."""
        return f"local:{self._name if self._known else self._weights.name}"

    @property
    def weights(self) -> Path:
        """The file that it's made of."""
        return self._weights

    @property
    def pid(self) -> int | None:
        """The id of the process that runs it, or None while none does."""
        return self._server.pid if self._server else None

    @property
    def window(self) -> int:
        """Tokens that prompt and answer may hold together."""
        return SMALL if self._known else LARGE

    async def prepare(
        self, tools: Sequence[ToolDefinition] = (), watch: Watch | None = None
    ) -> str:
        """
        Return the server's address once it runs and knows how to use *tools*.

        Answering does this by itself; call it to show what the wait is for. On
        a machine that has used these tools before it's done in under a second.

        Raises:
            ModelError: The server doesn't start, or was lost.
        """
        client, server = self._open()
        tell = watch or (lambda done, total: None)
        openings = policy.prefixes(tools) if self._known else ()
        tell(0, len(openings) + 1)
        address = await server.address()
        key = (address, tuple([tool.name for tool in tools]))
        async with self._warming:
            if key not in self._warm and self._known:
                prefixes = Prefixes(folder=server.settings.prefixes, weights=self._known.sha256)
                await prefixes.warm(client, address, openings, lambda d, t: tell(d + 1, t + 1))
                self._warm = {k for k in self._warm if k[0] == address} | {key}
        tell(len(openings) + 1, len(openings) + 1)
        return address

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """
        Return the answer to *request*, handing each piece to *emit* as it comes.

        Raises:
            ModelError: There's none; a server that was lost is worth a retry.
            ContextOverflow: The request is longer than the window.
        """
        if self._known:
            return await _Small(self, request, emit).answer()
        said = await self.say(chat.question(request), lambda t: emit(Chunk(text=t)))
        return chat.answer(said, self.name)

    async def say(
        self,
        completion: Completion,
        emit: Callable[[str], None],
        tools: Sequence[ToolDefinition] = (),
    ) -> Said:
        """Return what the server says; *tools* are those to be ready for."""
        client, server = self._open()
        try:
            address = await self.prepare(tools)
            return await client.complete(address, completion, emit)
        except ModelError as error:
            if error.code == "connection_lost":
                await server.lost()
            raise

    async def close(self) -> None:
        """Release connections and server; a closed model opens again when asked."""
        client, self._client = self._client, None
        server, self._server = self._server, None
        self._warm = set()
        if client:
            await client.aclose()
        if server:
            await release(server)

    def _open(self) -> tuple[Client, Server]:
        if self._client is None:
            self._client = Client()
        if self._server is None:
            self._server = lease(_settings(self._weights, small=bool(self._known)))
        return self._client, self._server


class _Small:
    """One answer of a small model, step by step."""

    def __init__(self, model: LocalModel, request: ModelRequest, emit: Emit) -> None:
        self._model = model
        self._request = request
        self._emit = emit
        self._usage: list[Usage] = []

    async def answer(self) -> ModelAnswer:
        """Return the answer; only its last step is heard."""
        question, asked = _question(self._request.history)
        result = _result(self._request.history)
        if result is None and self._request.tools:
            call = await self._call(question)
            if call is not None:
                return self._finish(call)
        if self._request.output is not None:
            step = policy.shaping(question, result, self._request.output)
        elif result is not None:
            step = policy.quoting(self._tool(result.tool), question, result)
        else:
            step = policy.talking(_recent(self._request.history, asked))
        said = await self._step(step, lambda text: self._emit(Chunk(text=text)))
        return self._finish(Text(text=said))

    async def _call(self, question: str) -> ToolCall | None:
        tools = self._request.tools
        label = await self._step(policy.choosing(tools, question))
        tool = policy.labels(tools)[label]
        if tool is None:
            return None
        arguments = "{}"
        if tool.parameters.get("properties"):
            arguments = await self._step(policy.filling(tool, question))
        return ToolCall(id="call-0", name=tool.name, arguments=arguments)

    async def _step(self, step: Completion, emit: Callable[[str], None] = lambda text: None) -> str:
        said = await self._model.say(step, emit, self._request.tools)
        self._usage.append(said.usage)
        if said.finish == "length":
            raise ModelError(
                f"the model reached its limit of {step.limit!r} tokens in mid-answer",
                code="output_limit",
            )
        return said.text

    def _tool(self, name: str) -> ToolDefinition | None:
        return next((t for t in self._request.tools if t.name == name), None)

    def _finish(self, part: Text | ToolCall) -> ModelAnswer:
        return ModelAnswer(
            parts=(part,),
            usage=sum(self._usage, Usage()),
            finish="tool_use" if isinstance(part, ToolCall) else "stop",
            model=self._model.name,
        )


def _question(history: Sequence[Message]) -> tuple[str, int]:
    """Return the last thing the user said, and where."""
    for at in range(len(history) - 1, -1, -1):
        if history[at].role == "user":
            return chat.readable(history[at]), at
    raise InvalidInput("expected a user's message in the history, found none")


def _result(history: Sequence[Message]) -> policy.Result | None:
    """Return what the last call returned, if nothing was said since."""
    last = len(history) - 1
    while last > 0 and history[last].role == "system":
        last -= 1
    results = history[last].results
    if not results:
        return None
    call = next((c for c in history[last - 1].calls if c.id == results[-1].call), None)
    texts = [chat.readable(history[last]) or result.text for result in results]
    return policy.Result(
        tool=results[-1].name,
        arguments=call.arguments if call else "{}",
        text=texts[0] if len(texts) == 1 else "; ".join(texts),
        failed=any(result.status != "ok" for result in results),
    )


def _recent(history: Sequence[Message], upto: int) -> list[tuple[str, str]]:
    """Return the last few things that user and model said, the question last."""
    said: list[tuple[str, str]] = []
    for at in range(upto, -1, -1):
        message = history[at]
        if message.role in ("user", "assistant") and message.text:
            said.append((message.role, message.text))
        if len(said) == policy.RECENT:
            break
    return said[::-1]


def _settings(weights: Path, *, small: bool) -> Settings:
    prefixes = cache() / "prefixes"
    if small:
        template = CHATML.read_text("utf-8")
        return Settings(weights=weights, context=SMALL, template=template, prefixes=prefixes)
    threads = max(1, (os.cpu_count() or 2) // 2)
    return Settings(weights=weights, context=LARGE, threads=threads, prefixes=prefixes)
