"""A model asked once, outside a conversation: the session pays, its history doesn't grow."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from lash_sdk.errors import InvalidInput, ModelError
from lash_sdk.graph import History
from lash_sdk.json import Json, JsonObject, check
from lash_sdk.messages import File, Image, Message, Text, ToolCall, user
from lash_sdk.ports import Chunk, Model, ModelAnswer, ModelRequest
from lash_sdk.session.output import Output
from lash_sdk.usage import NOTHING, Usage, UsageRow

if TYPE_CHECKING:
    from lash_sdk.dispatch.live import Live
    from lash_sdk.messages import UserPart
    from lash_sdk.ports import Asker

    from .plugin import Config
    from .tree import Tree

ANY: Final[JsonObject] = {"type": "object"}
"""The schema of an answer that's to be JSON, whatever is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRequest:
    """
    One question, with a model of its own choice.

    Attributes:
        input: Text, parts, or a conversation.
        model: A tier of the configuration, or "<scheme>:<name>"; None: the session's.
        variant: One that the configuration knows of that model.
        output: "text", "json", or a pydantic model that the answer must fit.
        call: The tool call that it's asked for, for whoever reads the trace.
    """

    input: str | Sequence[UserPart] | Sequence[Message]
    system: str = ""
    model: str | Model | None = None
    variant: str | None = None
    output: Literal["text", "json"] | type[Any] = "text"
    call: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectAnswer:
    """
    What a model answered.

    Attributes:
        value: The structured answer, where one was asked for.
        answer: As it came.
    """

    text: str
    value: Any
    usage: Usage
    model: str
    answer: ModelAnswer


async def complete(
    tree: Tree, asker: Asker, request: DirectRequest | str, source: str
) -> DirectAnswer:
    """
    Return what a model answers; cancelling the wait stops it.

    Raises:
        InvalidInput: The model or its variant isn't known, or there's nothing to ask.
        ModelError: There's no answer, or it doesn't fit; nothing is charged for a
            failure that the provider doesn't charge for.
    """
    if isinstance(request, str):
        request = DirectRequest(input=request)
    if not isinstance(request, DirectRequest):
        raise InvalidInput(f"expected text or a DirectRequest, found {request!r}")
    live: Live = asker.live
    output = None if request.output in ("text", "json") else Output(request.output)
    asked = ModelRequest(
        key=f"{live.id}/direct/{os.urandom(8).hex()}",
        session=live.id,
        system=request.system,
        history=History([*_messages(request.input)]),
        output=output.schema if output else ANY if request.output == "json" else None,
        blob=live.read_blob,
    )
    model = _model(tree, live, request)
    answer, usage, name = await ask(tree, asker, model, asked, (source, request.call))
    text = "".join([part.text for part in answer.parts if isinstance(part, Text)])
    value: Any = None
    try:
        if output is not None:
            misfit, _plain = output.fit(text)
            if misfit is not None:
                raise InvalidInput(misfit)
            value = output.parse(text)
        elif request.output == "json":
            value = check(json.loads(text))
    except Exception as error:
        raise ModelError(f"the answer doesn't fit: {error}", code="invalid_answer") from error
    return DirectAnswer(text=text, value=value, usage=usage, model=name, answer=answer)


async def ask(
    tree: Tree, asker: Asker, model: Model, request: ModelRequest, purpose: tuple[str, str | None]
) -> tuple[ModelAnswer, Usage, str]:
    """
    Return a model's whole answer to a whole request, its cost, and who answered.

    Raises:
        ModelError: There's none, after all attempts that the session's policy allows.
    """
    live: Live = asker.live
    source, call = purpose
    started: dict[str, Json] = {
        "call": request.key,
        "model": model.name,
        "source": source,
        "tool_call": call,
    }
    asker.ctx.emit("sessions", "direct.started", started)
    try:
        answer = await _attempts(live, model, request)
    except BaseException as error:
        why: dict[str, Json] = {"error": type(error).__name__, "message": str(error)}
        asker.ctx.emit("sessions", "direct.failed", started | why)
        raise
    usage, name = answer.usage or NOTHING, answer.model or model.name
    row = UsageRow(
        id=request.key,
        turn=asker.live.aside.turn if live.aside is not None else "",
        session=live.id,
        source=source,
        model=name,
        usage=usage,
    )
    await tree.host.spend(live.id, (row,), "direct")
    asker.ctx.emit("sessions", "direct.completed", started | {"tokens": usage.total})
    if answer.finish not in ("stop", "tool_use", "unknown"):
        raise ModelError(f"the answer ended with {answer.finish!r}", code=answer.finish)
    return answer, usage, name


async def complete_whole(
    tree: Tree, asker: Asker, request: ModelRequest, source: str, model: str | Model | None
) -> DirectAnswer:
    """Return the whole answer to a whole request."""
    wanted = DirectRequest(input="", model=None if model is None else tree.host.model(model))
    found = _model(tree, asker.live, wanted)
    answer, usage, name = await ask(tree, asker, found, request, (source, None))
    text = "".join([part.text for part in answer.parts if isinstance(part, Text)])
    return DirectAnswer(text=text, value=None, usage=usage, model=name, answer=answer)


async def _attempts(live: Live, model: Model, request: ModelRequest) -> ModelAnswer:
    retry = live.policy.retry
    attempt = 1
    while True:
        try:
            return await model.answer(request, _ignore)
        except ModelError as error:
            if not error.retryable or attempt >= retry.attempts:
                raise
            await asyncio.sleep(retry.wait(attempt, error.after))
        attempt += 1


def _model(tree: Tree, live: Live, request: DirectRequest) -> Model:
    """
    Return the model that's asked for.

    Raises:
        InvalidInput: There's no such model or variant.
    """
    wanted, variant = request.model, request.variant
    config: Config = tree.config
    if isinstance(wanted, str) and (tier := config.tiers.get(wanted)) is not None:
        wanted, variant = tier.model, variant or tier.variant
    lane = tree.host.lanes.get(live.id)
    if wanted is None and lane is not None and lane.model is not None:
        wanted = lane.model
    wanted = wanted or live.policy.model
    if variant is not None:
        name = wanted if isinstance(wanted, str) else wanted.name
        known = config.variants.get(name, {})
        if variant not in known:
            words = ", ".join(sorted(known)) or "none"
            raise InvalidInput(f"model {name!r} has no variant {variant!r}; variants: {words}")
        wanted = known[variant]
    return tree.host.model(wanted)


def _messages(input: str | Sequence[Any]) -> list[Message]:
    """Return a question as messages; blank parts and empty messages vanish."""
    if isinstance(input, str):
        return [user(input)]
    if input and all(isinstance(each, (Text, Image, File)) for each in input):
        return [user(input)]
    kept: list[Message] = []
    for each in input:
        if not isinstance(each, Message):
            raise InvalidInput(f"input: expected text, parts or messages, found {each!r}")
        parts = tuple([p for p in each.parts if not isinstance(p, Text) or p.text.strip()])
        if any(isinstance(part, ToolCall) for part in parts):
            raise InvalidInput("input: a conversation with tool calls needs a whole request")
        if parts:
            kept.append(replace(each, parts=parts).check())
    if not kept:
        raise InvalidInput("input: expected something to ask, found nothing")
    return kept


def _ignore(chunk: Chunk) -> None:
    """Drop a piece: only the whole answer counts."""
