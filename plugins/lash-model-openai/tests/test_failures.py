"""What goes wrong at a server, and whether it's worth asking again."""

from __future__ import annotations

import asyncio
import socket
import traceback
from datetime import UTC, datetime

import pytest

from lash_model_openai import OpenAIModel
from lash_model_openai.failures import retry_after
from lash_sdk.errors import ContextOverflow, ModelError

from .asking import KEY, asking, model_at
from .peer import Peer, Reply, Wire, delta, refused, said, sse, streamed

LLAMA_CPP = {
    "code": 400,
    "message": "the request exceeds the available context size, try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 900,
    "n_ctx": 512,
}
VLLM = {
    "message": "This model's maximum context length is 4096 tokens. However, you"
    " requested 5000 tokens.",
    "type": "BadRequestError",
    "code": 400,
}


async def refusal(model: OpenAIModel) -> ModelError:
    """Return the error that asking *model* raises; then close it."""
    try:
        with pytest.raises(ModelError) as caught:
            await model.answer(asking(), lambda _: None)
    finally:
        await model.close()
    return caught.value


@pytest.mark.parametrize(
    ("status", "error", "code", "retryable"),
    [
        (400, {"message": "no such field"}, "invalid_request", False),
        (401, {"message": "bad key", "code": "invalid_api_key"}, "auth", False),
        (403, {"message": "not you"}, "auth", False),
        (404, {"message": "no model 'x'"}, "not_found", False),
        (408, {"message": "slow"}, "timeout", True),
        (409, {"message": "conflict"}, "conflict", True),
        (413, {"message": "too many bytes"}, "too_large", False),
        (418, {"message": "teapot"}, "refused", False),
        (422, {"message": "unfit"}, "invalid_request", False),
        (425, {"message": "early"}, "too_early", True),
        (429, {"code": "rate_limit_exceeded"}, "rate_limit", True),
        (429, {"message": "pay", "code": "insufficient_quota"}, "quota", False),
        (429, {"message": "pay", "type": "insufficient_quota"}, "quota", False),
        (500, {"message": "oops"}, "server_error", True),
        (500, {"message": "image input is not supported"}, "unsupported", False),
        (503, "overloaded", "server_error", True),
        (529, {"message": "busy"}, "server_error", True),
    ],
)
async def test_a_refusal_is_told_apart(
    peer: Peer, status: int, error: object, code: str, retryable: bool
) -> None:
    """Asking again what can't succeed costs time; giving up what can, a turn."""
    peer.replies = [refused(status, error)]

    found = await refusal(model_at(peer))

    assert not isinstance(found, ContextOverflow)
    assert (code, retryable) == (found.code, found.retryable)
    assert 1 == len(peer.asked)
    assert str(status) in str(found) or "quota" in str(found)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "too many", "code": "context_length_exceeded"}),
        (400, LLAMA_CPP),
        (400, VLLM),
        (400, {"message": LLAMA_CPP["message"]}),
    ],
)
async def test_a_history_that_is_too_long_is_known(peer: Peer, status: int, error: Wire) -> None:
    """It's mended by shortening, never by asking again."""
    peer.replies = [refused(status, error)]

    found = await refusal(model_at(peer))

    assert isinstance(found, ContextOverflow)
    assert ("context_overflow", False) == (found.code, found.retryable)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "Request too large: maximum context length is bound by TPM"),
        (400, "prompt is too long: rate limit of 100 tokens per minute"),
        (500, "maximum context length is unknown"),
    ],
)
async def test_a_rate_limit_is_not_a_long_history(peer: Peer, status: int, message: str) -> None:
    """Both speak of tokens; shortening the history for a rate limit loses it."""
    peer.replies = [refused(status, {"message": message})]

    assert not isinstance(await refusal(model_at(peer)), ContextOverflow)


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        ({"code": "server_error", "message": "oops"}, "provider_error", True),
        ({"code": "rate_limit_exceeded", "message": "slow"}, "rate_limit", True),
        ({"code": 503, "message": "busy", "type": "x"}, "server_error", True),
        ({"code": "invalid_prompt", "message": "no"}, "provider_error", False),
        ({"code": "context_length_exceeded"}, "context_overflow", False),
        ({"code": "insufficient_quota", "message": "pay"}, "quota", False),
    ],
)
async def test_an_error_inside_a_stream_is_told_apart_too(
    peer: Peer, api: str, error: Wire, code: str, retryable: bool
) -> None:
    """The status was 200 before it went wrong."""
    if api == "chat":
        event: Wire = {"error": error}
    else:
        response = {"status": "failed", "error": error, "output": []}
        event = {"type": "response.failed", "response": response}
    peer.replies = [streamed(event)]

    found = await refusal(model_at(peer, api))

    assert (code, retryable) == (found.code, found.retryable)


async def test_a_bare_error_event_is_an_error(peer: Peer) -> None:
    """The responses form has a second way to say so, without an error field."""
    event = {"type": "error", "code": "server_error", "message": "oops", "param": None}
    peer.replies = [streamed(event)]

    found = await refusal(model_at(peer, "responses"))

    assert found.retryable
    assert "oops" in str(found)


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:20:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.2.3"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_asked_for_in_seconds_or_as_a_date(
    headers: dict[str, str], after: float | None
) -> None:
    """HTTP allows both; a client that reads one hammers half the servers."""
    now = datetime(2015, 10, 21, 7, 28, 0, tzinfo=UTC)

    assert after == retry_after(headers, now)


async def test_the_asked_for_wait_arrives(peer: Peer) -> None:
    """The kernel waits as long as the provider says."""
    peer.replies = [refused(429, {"message": "slow down"}, retry_after="3")]

    assert 3.0 == (await refusal(model_at(peer))).after


async def test_a_page_of_html_is_not_an_answer(peer: Peer) -> None:
    """A base URL that's off by a path serves a web page, with status 200."""
    peer.replies = [Reply(headers={"content-type": "text/html"}, pieces=[b"<html></html>"])]

    found = await refusal(model_at(peer))

    assert "base_url" in str(found)
    assert not found.retryable


@pytest.mark.parametrize("line", [b"data: {nonsense\n\n", b"data: \xff\xfe\n\n"])
async def test_a_stream_of_nonsense_may_pass(peer: Peer, line: bytes) -> None:
    """A proxy that breaks a line once seldom does so twice."""
    peer.replies = [Reply(pieces=[sse(delta(content="x"), done=False), line])]

    found = await refusal(model_at(peer))

    assert ("bad_stream", True) == (found.code, found.retryable)


async def test_nobody_there_may_pass() -> None:
    """A server that restarts is back in a moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1")

    found = await refusal(model)

    assert ("connection", True) == (found.code, found.retryable)


@pytest.mark.parametrize("pieces", [[], [sse(delta(content="x"), done=False)]])
async def test_silence_ends_at_the_timeout(peer: Peer, pieces: list[bytes]) -> None:
    """A hung server would hang the session."""
    peer.replies = [Reply(pieces=pieces, end="hang")]

    found = await refusal(model_at(peer, timeout=0.1))

    assert ("timeout", True) == (found.code, found.retryable)


async def test_secrets_are_in_no_error(peer: Peer) -> None:
    """A server that quotes the key would put it into logs and stored turns."""
    header = "another-secret-value"
    peer.replies = [refused(401, {"message": f"wrong key {KEY} with {header}"})]
    model = model_at(peer, headers={"X-Token": header})

    found = await refusal(model)

    shown = "".join(traceback.format_exception(found)) + repr(found) + repr(model)
    assert f"Bearer {KEY}" == peer.asked[0].headers["authorization"]
    assert header == peer.asked[0].headers["x-token"]
    assert KEY not in shown
    assert header not in shown
    assert "wrong key [hidden]" in shown
    assert found.__cause__ is None
    assert found.__context__ is None


@pytest.mark.parametrize("status", [302, 307])
async def test_nobody_is_sent_on_to_another_server(peer: Peer, status: int) -> None:
    """The conversation and the headers that were configured are for one host alone."""
    async with Peer() as other:
        peer.replies = [Reply(status=status, headers={"location": f"{other.url}/chat/completions"})]
        found = await refusal(model_at(peer, headers={"X-Token": "another-secret-value"}))

        assert [] == other.asked
    assert ("refused", False) == (found.code, found.retryable)
    assert str(status) in str(found)


async def test_a_failure_is_forgotten(peer: Peer) -> None:
    """The next question stands on its own."""
    peer.replies = [refused(500, {"message": "oops"}), streamed(*said("Hi"))]
    model = model_at(peer)

    with pytest.raises(ModelError):
        await model.answer(asking(), lambda _: None)
    answer = await model.answer(asking(), lambda _: None)

    await model.close()
    assert "stop" == answer.finish


async def test_a_fault_of_the_caller_stays_his(peer: Peer) -> None:
    """A defect dressed as the provider's would be retried, and never found."""
    peer.replies = [Reply(pieces=[sse(*said("Hi"), done=False)], end="hang")]
    model = model_at(peer)

    def emit(_: object) -> None:
        raise KeyError("a defect")

    with pytest.raises(KeyError, match="a defect"):
        await model.answer(asking(), emit)
    await asyncio.wait_for(peer.gone.wait(), 5)
    await model.close()
