"""A completion streams, can be given up, and fails by name. What it says is open."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable

import pytest

from lash_model_local.client import Client, Completion
from lash_model_local.grammar import choice
from lash_model_local.server import Server
from lash_sdk.errors import ContextOverflow, ModelError


def asking(text: str, *, limit: int | None = 40, grammar: str = "") -> Completion:
    """Return a completion for *text*."""
    line = {"role": "user", "content": text}
    return Completion(messages=(line,), limit=limit, grammar=grammar)


def ignore(text: str) -> None:
    """Take a piece and forget it."""


async def until(condition: Callable[[], bool], patience: float = 10.0) -> None:
    """Return once *condition* holds."""
    for _ in range(int(patience * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_a_completion_streams_and_is_counted(server: Server, client: Client) -> None:
    """Pieces come one by one, and together they are the text."""
    pieces: list[str] = []
    said = await client.complete(await server.address(), asking("Tell me a story."), pieces.append)

    assert len(pieces) > 10
    assert "".join(pieces) == said.text
    assert "length" == said.finish
    assert 40 == said.usage.output
    assert said.usage.context > 5


async def test_a_grammar_is_enforced(server: Server, client: Client) -> None:
    """The policy stands on it."""
    step = asking("Hello!", grammar=choice(["zebra", "yak"]))
    said = await client.complete(await server.address(), step, ignore)

    assert said.text in ("zebra", "yak")
    assert "stop" == said.finish


async def test_a_schema_is_enforced(server: Server, client: Client) -> None:
    """Arguments always fit the tool that they're for."""
    schema = {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "colour": {"enum": ["red", "blue"]}},
        "required": ["number", "colour"],
        "additionalProperties": False,
    }
    line = {"role": "user", "content": "Pick something."}
    step = Completion(messages=(line,), schema=schema, limit=60)
    said = await client.complete(await server.address(), step, ignore)
    value = json.loads(said.text)

    assert {"number", "colour"} == set(value)
    assert isinstance(value["number"], int)
    assert value["colour"] in ("red", "blue")


async def test_giving_up_frees_the_slot(server: Server, client: Client) -> None:
    """There's only one: an answer nobody reads would block all others."""
    address = await server.address()
    pieces: list[str] = []
    endless = asking("Count.", limit=None, grammar='root ::= ("one " | "two ")*')
    busy: tuple[bool, ...] = ()
    given_up = False
    for _ in range(5):  # on a quick machine the window may be full before we give up
        if given_up:
            break
        pieces.clear()
        task = asyncio.ensure_future(client.complete(address, endless, pieces.append))
        await until(lambda: bool(pieces))
        busy = await client.slots(address)
        task.cancel()
        await asyncio.wait([task])
        given_up = task.cancelled()
    assert given_up
    after = busy
    for _ in range(500):
        if not any(after):
            break
        await asyncio.sleep(0.01)
        after = await client.slots(address)

    assert (True,) == busy
    assert (False,) == after


async def test_a_prompt_over_the_window_is_named_so(server: Server, client: Client) -> None:
    """Context plugins shorten the history on just this error."""
    with pytest.raises(ContextOverflow, match="512") as error:
        await client.complete(await server.address(), asking("word " * 600), ignore)
    assert not error.value.retryable


async def test_what_the_server_refuses_is_not_tried_again(server: Server, client: Client) -> None:
    """Asking again wouldn't mend a grammar."""
    with pytest.raises(ModelError, match="grammar") as error:
        step = asking("x", grammar="root ::= nothing")
        await client.complete(await server.address(), step, ignore)
    assert ("refused", False) == (error.value.code, error.value.retryable)


async def test_a_server_killed_in_mid_stream_is_worth_a_retry(
    server: Server, client: Client
) -> None:
    """And the retry finds another server."""
    address = await server.address()
    pieces: list[str] = []
    endless = asking("Count.", limit=None, grammar='root ::= ("one " | "two ")*')
    task = asyncio.ensure_future(client.complete(address, endless, pieces.append))
    await until(lambda: bool(pieces))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(ModelError) as error:
        await task
    await server.lost()
    again = await client.complete(await server.address(), asking("Hello!"), ignore)

    assert ("connection_lost", True) == (error.value.code, error.value.retryable)
    assert again.text


async def test_nobody_there_is_worth_a_retry(client: Client) -> None:
    """A server that just died has an address for a moment longer."""
    with pytest.raises(ModelError) as error:
        await client.complete("http://127.0.0.1:1", asking("x"), ignore)
    assert ("connection_lost", True) == (error.value.code, error.value.retryable)
