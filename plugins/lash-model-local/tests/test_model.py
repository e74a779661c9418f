"""The model keeps the contract, with the policy and without. What it says is open."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from lash_model_local.model import LocalModel
from lash_model_local.plugin import LocalPlugin
from lash_sdk.contexts import HostContext
from lash_sdk.errors import ContextOverflow, ModelError
from lash_sdk.graph import History
from lash_sdk.json import JsonObject
from lash_sdk.messages import Blob, Message, Text, ToolCall, ToolResult, user
from lash_sdk.ports import Chunk, ModelRequest
from lash_sdk.testing.model_contract import ADD, ModelContract
from lash_sdk.tools import ToolDefinition, tool


class TestSmall(ModelContract):
    """The known model, led by the policy."""

    @pytest.fixture
    def model(self, small: LocalModel) -> LocalModel:
        """Return the model under test."""
        return small


class TestPlain(ModelContract):
    """Weights that somebody brought, asked as they are."""

    @pytest.fixture
    def model(self, plain: LocalModel) -> LocalModel:
        """Return the model under test."""
        return plain


@tool
def calculate(expression: str) -> str:
    """Work out an arithmetic expression."""
    return expression


@tool
def current_time() -> str:
    """Return the current time."""
    return ""


async def no_blob(blob: Blob) -> bytes:
    """Have none."""
    raise KeyError(blob.sha256)


def asking(
    *messages: Message, tools: tuple[ToolDefinition, ...] = (), output: JsonObject | None = None
) -> ModelRequest:
    """Return a request."""
    return ModelRequest(
        key="k",
        session="s",
        system="",
        history=History(list(messages)),
        tools=tools,
        output=output,
        blob=no_blob,
    )


def answered(text: str, status: str = "ok") -> tuple[Message, Message]:
    """Return a call of `calculate` and its result."""
    call = ToolCall(id="c", name="calculate", arguments='{"expression": "2 + 2"}')
    shown = ToolResult(
        call="c",
        name="calculate",
        status="failed" if status == "failed" else "ok",
        parts=(Text(text=text),),
    )
    return Message(role="assistant", parts=(call,)), Message(role="tool", parts=(shown,))


def ignore(chunk: Chunk) -> None:
    """Take a chunk and forget it."""


async def test_a_call_fits_its_tool_whatever_the_model_meant(small: LocalModel) -> None:
    """The first step may choose wrongly; what it chooses can be called."""
    request = asking(user("How much is 6 times 8?"), tools=(calculate.definition,))
    answer = await small.answer(request, ignore)

    assert "tool_use" == answer.finish
    (call,) = answer.parts
    assert isinstance(call, ToolCall)
    assert calculate.validate(call.arguments)
    assert answer.usage is not None
    assert answer.usage.output > 0
    assert answer.usage.cache_read > 100  # the lessons weren't read again


async def test_an_answer_quotes_the_result_as_it_streams(small: LocalModel) -> None:
    """No figure is made up on the way from the tool to the user."""
    chunks: list[Chunk] = []
    asked = (user("How much is 2 plus 2?"), *answered("4711"))
    answer = await small.answer(asking(*asked, tools=(calculate.definition,)), chunks.append)

    (text,) = answer.parts
    assert isinstance(text, Text)
    assert "4711" in text.text
    assert len(chunks) > 3
    assert "".join([chunk.text for chunk in chunks]) == text.text


async def test_a_failure_is_said_to_be_one(small: LocalModel) -> None:
    """A small model would gladly sell an error as an answer."""
    asked = (user("How much is 2 plus 2?"), *answered("no such thing", "failed"))
    answer = await small.answer(asking(*asked, tools=(calculate.definition,)), ignore)

    assert (Text(text="That did not work: no such thing"),) == answer.parts


async def test_a_wanted_shape_is_kept(small: LocalModel) -> None:
    """Structured output is enforced, not hoped for."""
    schema: JsonObject = {
        "type": "object",
        "properties": {"sum": {"type": "integer"}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    asked = (user("How much is 2 plus 2?"), *answered("4"))
    answer = await small.answer(asking(*asked, output=schema), ignore)

    (text,) = answer.parts
    assert isinstance(text, Text)
    assert isinstance(json.loads(text.text)["sum"], int)


async def test_a_question_over_the_window_overflows(small: LocalModel) -> None:
    """Nothing is cut silently from what the user said."""
    with pytest.raises(ContextOverflow):
        await small.answer(asking(user("word " * 5000)), ignore)


async def test_a_long_conversation_does_not_overflow(small: LocalModel) -> None:
    """The policy looks at the last few messages only, however many there are."""
    long = [m for _ in range(300) for m in (user("Hello there!"),)]
    answer = await small.answer(asking(*long, user("Hello!")), ignore)

    assert answer.usage is not None
    assert answer.usage.context < 200


async def test_a_killed_server_costs_one_retry(small: LocalModel) -> None:
    """A turn survives it: the error is retryable and the next call is answered."""
    request = asking(user("Tell me a long story."))
    chunks: list[Chunk] = []
    task = asyncio.ensure_future(small.answer(request, chunks.append))
    for _ in range(2000):
        if chunks:
            break
        await asyncio.sleep(0.005)
    assert small.pid is not None
    os.kill(small.pid, signal.SIGKILL)
    with pytest.raises(ModelError) as error:
        await task
    again = await small.answer(request, ignore)

    assert error.value.retryable
    assert again.parts


async def test_getting_ready_is_shown_and_quick_the_second_time(small: LocalModel) -> None:
    """Prefixes are read once per machine; then they're put back."""
    tools = (ADD, calculate.definition)
    steps: list[tuple[int, int]] = []
    await small.prepare(tools, lambda done, total: steps.append((done, total)))
    await small.close()
    start = time.monotonic()
    await small.prepare(tools)
    took = time.monotonic() - start

    assert sorted(steps) == steps
    assert steps[-1][0] == steps[-1][1] == 3
    assert took < 3


async def test_a_damaged_prefix_is_computed_again(
    small: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server itself aborts on one, so it must never see it."""
    (tmp_path / "models").symlink_to(Path(small.weights).parent)
    monkeypatch.setenv("LASH_CACHE", str(tmp_path))
    await small.prepare((current_time.definition,))
    await small.close()
    kept = list((tmp_path / "prefixes").glob("*.kv"))
    for path in kept:
        path.write_bytes(path.read_bytes()[:1000])
    await small.prepare((current_time.definition,))

    assert 2 == len(kept)
    assert kept == [p for p in kept if p.stat().st_size > 1000]


def test_the_plugin_makes_models_by_name(weights: Path) -> None:
    """The scheme is "local"; what follows is a known name or a path."""
    factories = LocalPlugin.models(HostContext("0", {}))  # type: ignore[call-arg,arg-type]

    assert ["local"] == list(factories)
    assert "local:smollm2" == factories["local"]("smollm2").name
    assert f"local:{weights.name}" == factories["local"](str(weights)).name
