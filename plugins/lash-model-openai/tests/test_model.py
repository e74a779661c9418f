"""The model as a whole: what it's made of, whom it asks, and the contract."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lash_model_openai import OpenAIConfig, OpenAIModel
from lash_model_openai.plugin import OpenAIPlugin
from lash_sdk.contexts import HostContext
from lash_sdk.errors import ConfigError, ModelError
from lash_sdk.messages import assistant, user
from lash_sdk.testing.model_contract import ModelContract

from .asking import KEY, asking, model_at
from .peer import Asked, Peer, Reply, added, completed, delta, done, said, streamed, told


def chat_reply(asked: Asked) -> Reply:
    """Return an answer, or a call where a tool is offered for it."""
    question = asked.body["messages"][-1]["content"]
    if "tools" in asked.body and "Use the tool" in question:
        function = {"name": "add", "arguments": '{"a": 17, "b": 23}'}
        call = {"index": 0, "id": "c", "type": "function", "function": function}
        return streamed(delta(tool_calls=[call]), delta("tool_calls"))
    return streamed(*said(*json.dumps(question)), sizes=(9, 100))


def responses_reply(asked: Asked) -> Reply:
    """Return the same in the other form."""
    question = asked.body["input"][-1]["content"]
    if "tools" in asked.body and "Use the tool" in question:
        call = {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c",
            "name": "add",
            "arguments": '{"a": 17, "b": 23}',
        }
        return streamed(added(0, call), done(0, call), completed(call))
    return streamed(*told(*json.dumps(question)), sizes=(9, 100))


class TestChat(ModelContract):
    @pytest.fixture
    def model(self, peer: Peer) -> OpenAIModel:
        peer.reply = chat_reply
        return model_at(peer, "chat")


class TestResponses(ModelContract):
    @pytest.fixture
    def model(self, peer: Peer) -> OpenAIModel:
        peer.reply = responses_reply
        return model_at(peer, "responses")


@pytest.mark.parametrize(
    ("base_url", "api", "form"),
    [
        (None, "auto", "responses"),
        ("https://api.openai.com/v1", "auto", "responses"),
        ("https://eu.api.openai.com/v1", "auto", "responses"),
        ("http://127.0.0.1:8080/v1", "auto", "chat"),
        ("https://api.openai.com.example.org/v1", "auto", "chat"),
        ("http://127.0.0.1:8080/v1", "responses", "responses"),
        (None, "chat", "chat"),
    ],
)
def test_the_form_goes_by_the_host(
    monkeypatch: pytest.MonkeyPatch, base_url: str | None, api: str, form: str
) -> None:
    """Nearly all other servers speak the older form, many only that."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    config = OpenAIConfig.model_validate({"base_url": base_url, "api": api})

    assert form == OpenAIModel("m", config=config).api


def test_the_environment_can_name_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It's the official client's own variable: who set it expects it to count."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://10.0.0.7/v1")

    assert "OpenAIModel('m', host='10.0.0.7', api='chat')" == repr(OpenAIModel("m"))


async def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most frequent first error should be the easiest to mend."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    model = OpenAIModel("gpt-5.2")

    with pytest.raises(ModelError, match=r"OPENAI_API_KEY.*api_key_env") as caught:
        await model.answer(asking(), lambda _: None)

    assert ("auth", False) == (caught.value.code, caught.value.retryable)


async def test_another_variable_must_hold_the_key_it_was_named_for(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who named one wants it used; going on without would fail with less said."""
    monkeypatch.delenv("PEER_KEY", raising=False)
    config = OpenAIConfig(base_url=peer.url, api_key_env="PEER_KEY")
    model = OpenAIModel("m", config=config)

    with pytest.raises(ModelError, match="PEER_KEY"):
        await model.answer(asking(), lambda _: None)
    monkeypatch.setenv("PEER_KEY", KEY)
    peer.replies = [streamed(*said("Hi"))]
    await model.answer(asking(), lambda _: None)

    await model.close()
    assert f"Bearer {KEY}" == peer.asked[0].headers["authorization"]


async def test_a_server_of_ones_own_needs_no_key(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp's asks for none, and no proxy stands before it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    peer.replies = [streamed(*said("Hi"))]
    model = OpenAIModel("m", base_url=peer.url)

    answer = await model.answer(asking(), lambda _: None)

    await model.close()
    assert "stop" == answer.finish
    assert "close" == peer.asked[0].headers["connection"]


async def test_half_a_character_does_not_end_a_session(peer: Peer) -> None:
    """A store keeps a lone surrogate; UTF-8 can't, and the history never loses it."""
    peer.replies = [streamed(*said("Hi"))]
    model = model_at(peer)
    history = [user("a\ud83db 🌍"), assistant("c"), user("d")]

    await model.answer(asking(history), lambda _: None)

    await model.close()
    sent = [message["content"] for message in peer.asked[0].body["messages"]]
    assert ["a\ufffdb 🌍", "c", "d"] == sent


async def test_a_closed_model_opens_again(peer: Peer) -> None:
    """The next app may be given the same model object."""
    peer.replies = [streamed(*said("Hi")), streamed(*said("Hi"))]
    model = model_at(peer)

    await model.answer(asking(), lambda _: None)
    await model.close()
    answer = await model.answer(asking(), lambda _: None)
    await model.close()

    assert "stop" == answer.finish


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"base_url": "localhost:8080"}, "openai.base_url"),
        ({"api": "grpc"}, "openai.api"),
        ({"timeout": 0}, "openai.timeout"),
        ({"colour": "red", "window": -1}, "openai.colour.*openai.window|openai.window"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(raw: dict[str, object], problem: str) -> None:
    """Every problem at once, each with its path."""
    host = HostContext("0.1", {"openai": raw})  # type: ignore[dict-item]

    with pytest.raises(ConfigError, match=problem) as caught:
        OpenAIPlugin.models(host)  # type: ignore[call-arg,arg-type]

    assert len(raw) == len(caught.value.problems)


def test_a_model_without_a_name_is_refused() -> None:
    """ "openai:" alone asks for nothing."""
    with pytest.raises(ConfigError, match="name"):
        OpenAIModel("")


def test_the_plugin_makes_models_by_name() -> None:
    """What stands after "openai:" is the model's name, whatever it holds."""
    raw = {"base_url": "http://127.0.0.1:1/v1", "window": 4096}
    host = HostContext("0.1", {"openai": raw})

    factories = OpenAIPlugin.models(host)  # type: ignore[call-arg,arg-type]
    model = factories["openai"]("org/model:7b")

    assert "openai:org/model:7b" == model.name
    assert 4096 == model.window


def test_finding_the_plugin_does_not_load_the_client() -> None:
    """An app that uses another model should not pay a second for this one."""
    code = (
        "import sys, lash_model_openai.plugin as p;"
        "from lash_sdk.contexts import HostContext;"
        "p.OpenAIPlugin.models(HostContext('0', {}));"
        "print([m for m in ('openai', 'httpx', 'httpx2') if m in sys.modules])"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "[]" == loaded.stdout.strip()
