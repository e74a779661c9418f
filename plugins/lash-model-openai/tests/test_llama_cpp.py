"""A real server of the API, with real tokens: llama.cpp's, run by lash-model-local."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lash_model_local import server, weights
from lash_model_openai import OpenAIConfig, OpenAIModel
from lash_sdk.errors import ContextOverflow, ModelError
from lash_sdk.messages import user
from lash_sdk.ports import Chunk
from lash_sdk.testing.model_contract import ModelContract, text_of

from .asking import asking, texts

CONTEXT = 512
TEMPLATE = """
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
<|im_start|>assistant
"""
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}},
    "required": ["colour"],
}


def serving(folder: Path) -> Iterator[server.Server]:
    """Yield a server of the small weights, if they're on this machine."""
    try:
        path = weights.resolve("smollm2")
    except weights.WeightsMissing as missing:
        pytest.skip(str(missing))
    running = server.Server(
        server.Settings(weights=path, context=CONTEXT, template=TEMPLATE, prefixes=folder)
    )
    yield running
    running.end()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    """Return the server that most tests share."""
    yield from serving(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[server.Server]:
    """Return a server of the test's own."""
    yield from serving(tmp_path)


@pytest.fixture(params=["chat", "responses"])
async def model(llama: server.Server, request: pytest.FixtureRequest) -> OpenAIModel:
    """Return a model that asks the real server, in either form."""
    limit = "max_tokens" if request.param == "chat" else "max_output_tokens"
    return OpenAIModel(
        "smollm2",
        base_url=await llama.address() + "/v1",
        api_key="none",
        api=request.param,
        config=OpenAIConfig(body={limit: 12, "temperature": 0}, timeout=30),
    )


class TestContract(ModelContract):
    @pytest.fixture
    def model(self, model: OpenAIModel) -> OpenAIModel:
        return model


async def test_real_tokens_are_streamed_and_counted(model: OpenAIModel) -> None:
    """A scripted peer says what we think that a server says."""
    chunks: list[Chunk] = []

    answer = await model.answer(asking(system="Be brief."), chunks.append)

    await model.close()
    assert answer.usage is not None
    assert answer.usage.context > 5
    assert 0 < answer.usage.output <= 12
    assert len(chunks) > 1
    assert text_of(answer) == "".join(texts(chunks))
    assert answer.finish in ("stop", "output_limit")


async def test_output_keeps_to_its_schema(llama: server.Server) -> None:
    """The chat form holds the model to it; this server's other form doesn't."""
    url = await llama.address() + "/v1"
    model = OpenAIModel("smollm2", base_url=url, config=OpenAIConfig(timeout=30))

    answer = await model.answer(asking([user("Pick a colour.")], output=SCHEMA), lambda _: None)

    await model.close()
    assert "stop" == answer.finish
    assert json.loads(text_of(answer)) in ({"colour": "red"}, {"colour": "green"})


async def test_a_history_beyond_the_window_is_told(model: OpenAIModel) -> None:
    """The server's own words for it are the ones we know."""
    with pytest.raises(ContextOverflow):
        await model.answer(asking([user("word " * CONTEXT)]), lambda _: None)

    await model.close()


async def test_hanging_up_frees_the_only_slot(llama: server.Server) -> None:
    """A server that went on for a client that's gone would serve nobody else."""
    model = OpenAIModel(
        "smollm2",
        base_url=await llama.address() + "/v1",
        config=OpenAIConfig(body={"max_tokens": 450, "ignore_eos": True}, timeout=30),
    )
    first = asyncio.Event()
    asked = asyncio.create_task(model.answer(asking(), lambda _: first.set()))
    await asyncio.wait_for(first.wait(), 30)

    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked

    brief = OpenAIModel(
        "smollm2",
        base_url=await llama.address() + "/v1",
        config=OpenAIConfig(body={"max_tokens": 2}),
    )
    async with asyncio.timeout(5):  # the rest of the first would take far longer
        await brief.answer(asking(), lambda _: None)
    await brief.close()
    await model.close()


async def test_a_killed_server_is_a_failure_that_passes(victim: server.Server) -> None:
    """Half an answer is none; the next server gives a whole one."""
    settings = {"body": {"max_tokens": 450, "ignore_eos": True}, "timeout": 30}
    config = OpenAIConfig.model_validate(settings)
    url = await victim.address() + "/v1"
    model = OpenAIModel("smollm2", base_url=url, config=config)
    pid = victim.pid
    assert pid is not None

    with pytest.raises(ModelError) as caught:
        await model.answer(asking(), lambda _: os.kill(pid, signal.SIGKILL))

    await model.close()
    assert ("connection", True) == (caught.value.code, caught.value.retryable)
