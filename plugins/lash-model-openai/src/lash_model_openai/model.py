"""A model behind the OpenAI API: one HTTP request per question, always streamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import openai
from openai import AsyncOpenAI, AsyncStream

from lash_sdk.errors import ConfigError, ModelError

from . import chat, responses, wire
from .config import (
    KEY_VARIABLE,
    OFFICIAL_HOST,
    OFFICIAL_URL,
    Api,
    OpenAIConfig,
    host_of,
    is_loopback,
    read_config,
)
from .failures import Asked, failure
from .wire import Blobs, Target

if TYPE_CHECKING:
    from lash_sdk.json import Json, JsonObject
    from lash_sdk.ports import Chunk, Emit, ModelAnswer, ModelRequest

CONNECT: Final = 10.0
"""Seconds that connecting may take, whatever the timeout."""


class Reader(Protocol):
    """Makes an answer of a stream's events, in either form."""

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        ...

    def take(self, event: JsonObject) -> Iterable[Chunk]:
        """Take in one event; return what it added."""
        ...

    def answer(self) -> ModelAnswer:
        """Return the whole answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One of the API's two forms."""

    path: str
    question: Callable[[Target, ModelRequest, Blobs], dict[str, Json]]
    reader: Callable[[Target], Reader]


FORMS: Final[Mapping[str, Form]] = {
    "chat": Form(path=chat.PATH, question=chat.question, reader=chat.ChatReader),
    "responses": Form(
        path=responses.PATH, question=responses.question, reader=responses.ResponsesReader
    ),
}


class OpenAIModel:
    """
    A model of OpenAI, or of any server that speaks its API.

    The key is looked up when the first question is asked. Nothing is retried
    here. A closed model opens again when it's asked something.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api: Api | None = None,
        config: OpenAIConfig | None = None,
    ) -> None:
        """
        Make the model *name*; what's given here wins over *config*.

        Raises:
            ConfigError: There's no name, or a setting doesn't fit.
        """
        if not name:
            raise ConfigError(["openai: expected a model's name, found ''"])
        given = {"base_url": base_url, "api": api}
        config = config or OpenAIConfig()
        self._config = read_config(
            config.model_dump() | {k: v for k, v in given.items() if v is not None}
        )
        url = self._config.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL_URL
        self._url = read_config({"base_url": url}).base_url or OFFICIAL_URL
        host = host_of(url)
        self._target = Target(
            name=name,
            host=host,
            official=host == OFFICIAL_HOST or host.endswith("." + OFFICIAL_HOST),
            store=self._config.store,
            body=self._config.body,
        )
        self.api = self._config.api
        if self.api == "auto":
            self.api = "responses" if self._target.official else "chat"
        self._form = FORMS[self.api]
        self._given_key = api_key
        self._client: AsyncOpenAI | None = None
        self._asked = Asked(model=self.name, host=host)

    def __repr__(self) -> str:
        host = self._target.host
        return f"OpenAIModel({self._target.name!r}, host={host!r}, api={self.api!r})"

    @property
    def name(self) -> str:
        """What ledger rows and traces call it, such as "openai:gpt-5.2"."""
        return f"openai:{self._target.name}"

    @property
    def window(self) -> int | None:
        """Tokens that a request may hold, where the configuration says."""
        return self._config.window

    async def answer(self, request: ModelRequest, emit: Emit) -> ModelAnswer:
        """
        Return the answer to *request*, handing each piece to *emit* as it comes.

        Raises:
            ModelError: There's none, or there's no key; `retryable` says
                whether to ask again.
            ContextOverflow: The request is longer than the window.
        """
        client = self._connect()
        blobs: dict[str, bytes] = {}
        for sha256, blob in wire.blobs_of(request.history).items():
            blobs[sha256] = await request.blob(blob)
        body = self._form.question(self._target, request, blobs)
        reader = self._form.reader(self._target)
        try:
            await self._listen(client, body, reader, emit)
            return reader.answer()
        except Exception as error:
            failed = failure(error, self._asked)
            if failed is None:
                raise
            if reader.finished and failed.retryable:
                return reader.answer()  # whole before the connection broke
        raise failed  # out here, so that it keeps nothing of the request

    async def close(self) -> None:
        """Close every connection; more than once is fine."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _listen(
        self, client: AsyncOpenAI, body: dict[str, Json], reader: Reader, emit: Emit
    ) -> None:
        """Read the whole stream; it's closed however this ends."""
        stream = await self._post(client, body)
        async with stream:
            kind = stream.response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise self._no_stream(kind)
            async for event in stream:
                if isinstance(event, Mapping):
                    for chunk in reader.take(event):
                        emit(chunk)

    async def _post(self, client: AsyncOpenAI, body: dict[str, Json]) -> AsyncStream[object]:
        try:
            return await client.post(
                self._form.path,
                cast_to=object,
                body=body,
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except UnicodeEncodeError:  # before anything was sent; seldom enough
            body = {key: wire.well_formed(value) for key, value in body.items()}
        return await self._post(client, body)

    def _no_stream(self, kind: str) -> ModelError:
        said = f"expected an event stream, found {kind!r}: check base_url"
        return self._asked.error(said, code="bad_stream")

    def _connect(self) -> AsyncOpenAI:
        if self._client is None:
            key = self._key()
            secrets = [key or "", *self._config.headers.values()]
            self._asked = Asked(
                model=self.name,
                host=self._target.host,
                secrets=[secret for secret in secrets if len(secret) >= 8],
            )
            self._client = _client(self._config, self._url, key or "none")
        return self._client

    def _key(self) -> str | None:
        """Return the key; other servers than OpenAI's may need none."""
        variable = self._config.api_key_env
        key = self._given_key or os.environ.get(variable, "").strip()
        if key:
            return key
        if not self._target.official and variable == KEY_VARIABLE:
            return None
        raise ModelError(
            f"{self.name} needs a key: set the environment variable {variable},"
            " or name another in the plugin's api_key_env; a model that needs"
            " no key is local:smollm2",
            code="auth",
        )


def _client(config: OpenAIConfig, url: str, key: str) -> AsyncOpenAI:
    """Return a client that tries once, and at one place."""
    headers = dict(config.headers)
    at_home = is_loopback(host_of(url))
    if at_home:
        # no proxy knows this machine by that name, and llama.cpp's server drops
        # kept connections in the middle of the next stream
        headers.setdefault("Connection", "close")
    return AsyncOpenAI(
        api_key=key,
        organization=config.organization,
        base_url=url,
        max_retries=0,
        timeout=openai.Timeout(config.timeout, connect=min(config.timeout, CONNECT)),
        default_headers=headers,
        # who follows a redirect sends the conversation, and our own headers, to another host
        http_client=openai.DefaultAsyncHttpxClient(trust_env=not at_home, follow_redirects=False),
    )
