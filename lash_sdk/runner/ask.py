"""One model call: request built, asked, retried, streamed, and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from .. import events
from ..contexts import ModelContext
from ..dispatch.live import Live
from ..effects import AskModel
from ..errors import InvalidInput, LashError, ModelError, PluginFault, StoreError
from ..hooks.answers import Allow
from ..json import Json, JsonObject, check, frozen, maker
from ..messages import Message, Reasoning, Text, ToolCall, new_message
from ..outcomes import Issue, StopReason
from ..policy import Policy
from ..ports import Chunk, Emit, Model, ModelAnswer, ModelRequest
from ..turn import Turn, own_ids
from ..usage import NOTHING, Usage
from .prepare import build_prompt

CONTEXT: Final = frozenset(("snapshot", "lifecycle", "turns", "tasks", "graph", "direct"))
RAW_LIMIT: Final = 4000
"""Characters of a provider's own words that an issue keeps."""

CUT_SHORT: Final[Mapping[str, tuple[StopReason, str]]] = {
    "output_limit": ("incomplete", "the answer was cut off at the output limit"),
    "content_filter": ("provider_error", "the provider's content filter stopped the answer"),
    "cancelled": ("cancelled", "the provider cancelled the answer"),
}
"""What a turn stops with, by how its answer ended."""

BYTES_PER_TOKEN: Final = 4
"""For an estimate, where a provider doesn't say."""


@frozen
class Options:
    """
    What one turn is run with.

    Attributes:
        instructions: Said in this turn alone.
        schema: The JSON schema that the answer must fit.
        fit: Takes the answer's text; returns (why it doesn't fit, the value).
    """

    model: Model
    policy: Policy
    instructions: str | None = None
    schema: JsonObject | None = None
    fit: Callable[[str], tuple[str | None, Json]] | None = None


_request, _answered = maker(ModelRequest), maker(events.ModelAnswered)
_context = maker(ModelContext)


class Asking:
    """One model call of a turn, over all its attempts."""

    __slots__ = ("_ctx", "_effect", "_live", "_model", "_options", "_pieces", "_spent", "_turn")

    def __init__(self, live: Live, turn: Turn, options: Options, effect: AskModel) -> None:
        self._live = live
        self._turn = turn
        self._options = options
        self._effect = effect
        self._model = options.model
        self._pieces: list[Chunk] = []
        self._spent = NOTHING
        self._ctx: ModelContext | None = None
        if live.hooks_models:
            self._ctx = _context(
                live,
                turn.id,
                key=effect.key,
                model=self._model.name,
                iteration=effect.iteration,
                usage=turn.usage,
                children_usage=NOTHING if live.aside is None else live.aside.usage,
            )

    async def run(self) -> events.Event:
        """
        Return the answer, the failure, or that there's no budget for one.

        Raises:
            PluginFault: `transform_context` failed before the turn's first
                answer, so that there's nothing to keep.
        """
        live, retry = self._live, self._options.policy.retry
        turn, key, name = self._turn.id, self._effect.key, self._model.name
        if live.plans.decide_spend is not None:
            answer = await live.plans.decide_spend(self._ctx)
            if answer is not None and not isinstance(answer[1], Allow):
                why = getattr(answer[1], "reason", "") or "spending was not allowed"
                issue = Issue(kind="plugin", code="budget", message=why)
                return events.TurnStopped(reason="budget", issue=issue)
        try:
            request = await self._request()
        except PluginFault as fault:
            if self._effect.iteration == 0:
                raise
            return self._failed("runtime_error", "plugin", "context", str(fault))
        for attempt in range(1, retry.attempts + 1):
            if live.watch is not None:
                live.watch(events.ModelStarted(turn=turn, key=key, model=name, attempt=attempt))
            self._pieces.clear()
            try:
                if self._ctx is None:
                    answer = await self._model.answer(request, self._emit())
                else:
                    answer = await self._hooked(self._ctx, request, attempt)
                return self._take(answer)
            except ModelError as error:
                if not error.retryable or attempt == retry.attempts:
                    tried = f" (after {attempt} attempts)" if attempt > 1 else ""
                    return self._failed("provider_error", "model", error.code, f"{error}{tried}")
                await self._wait(attempt, error)
            except PluginFault as fault:
                code = f"plugin_{fault.hook}"
                return self._failed("provider_error", "plugin", code, str(fault))
            except StoreError:
                raise  # the model looked at a message that can't be read
            except LashError as error:
                return self._failed("provider_error", "model", "invalid_answer", str(error))
            except Exception as error:
                text = f"model {name!r} raised {type(error).__name__}: {error}"
                return self._failed("provider_error", "model", "model_raised", text)
        raise AssertionError("a retry policy has at least one attempt")

    async def _request(self) -> ModelRequest:
        live, options = self._live, self._options
        system = build_prompt(live, self._turn, options.policy.instructions, options.instructions)
        history = live.history.plus(self._effect.messages)
        if live.plans.transform_context is not None:
            ctx = live.turn_context(self._turn, CONTEXT)
            history = await live.plans.transform_context(ctx, history)
        return _request(
            key=self._effect.key,
            session=live.id,
            system=system,
            history=history,
            tools=live.protocol.tools(self._turn.state, live.toolbox.shown),
            output=options.schema,
            blob=live.read_blob,
        )

    async def _hooked(self, ctx: ModelContext, request: ModelRequest, attempt: int) -> ModelAnswer:
        """Return one attempt's answer, as hooks want it."""
        plans = self._live.plans
        ctx.attempt = attempt
        if plans.transform_request is not None:
            request = await plans.transform_request(ctx, request)
        ctx.request = request
        inner: Callable[[ModelContext], Awaitable[ModelAnswer]] = self._innermost
        if plans.around_model is not None:
            inner = plans.around_model(inner)
        answer = await inner(ctx)
        self._note_usage(answer)
        if plans.transform_response is not None:
            answer = await plans.transform_response(ctx, answer)
        return answer

    async def _innermost(self, ctx: ModelContext) -> ModelAnswer:
        assert ctx.request is not None  # noqa: S101 - set by `_hooked`
        return await self._model.answer(ctx.request, self._emit())

    def _emit(self) -> Emit:
        """Return what takes each piece of the answer, doing no more than is needed."""
        watch, transform = self._live.watch, self._live.plans.transform_chunk
        keep, turn, key = self._pieces.append, self._turn.id, self._effect.key
        if watch is None and transform is None:
            return keep
        ctx = self._ctx

        def emit(chunk: Chunk) -> None:
            if transform is not None:
                chunk = transform(ctx, chunk)
            keep(chunk)
            if watch is not None and chunk.text:
                delta = events.ReasoningDelta if chunk.reasoning else events.TextDelta
                watch(delta(turn=turn, key=key, text=chunk.text))

        return emit

    async def _wait(self, attempt: int, error: ModelError) -> None:
        retry, watch = self._options.policy.retry, self._live.watch
        turn, key, seconds = self._turn.id, self._effect.key, retry.wait(attempt, error.after)
        if watch is not None:
            if self._pieces:
                watch(events.AnswerRetracted(turn=turn, key=key))
            watch(
                events.RetryWaiting(
                    turn=turn,
                    key=key,
                    seconds=seconds,
                    attempt=attempt,
                    attempts=retry.attempts,
                    reason=str(error),
                )
            )
        await asyncio.sleep(seconds)

    def _take(self, answer: ModelAnswer) -> events.Event:
        """
        Return the event that an answer is.

        Raises:
            InvalidInput: It isn't an answer at all.
        """
        self._note_usage(answer)
        _check_answer(answer)
        said = new_message(role="assistant", parts=tuple(answer.parts) or self._streamed())
        message, calls = own_ids(said, self._effect.key)
        usage = answer.usage
        if usage is None:
            self._spent = self._estimate(message)
        name = answer.model or self._model.name
        if answer.finish not in ("stop", "tool_use", "unknown"):
            return self._cut_short(answer)
        misfit, value = None, None
        if self._options.fit is not None and not calls:
            misfit, value = self._options.fit(message.text)
        return _answered(
            key=self._effect.key,
            message=message,
            model=name,
            usage=self._spent,
            estimated=usage is None,
            misfit=misfit,
            value=value,
        )

    def _note_usage(self, answer: ModelAnswer) -> None:
        """Keep what an answer cost, whatever becomes of it."""
        usage = getattr(answer, "usage", None)
        if isinstance(usage, Usage):
            self._spent = usage

    def _streamed(self) -> tuple[Text | Reasoning, ...]:
        """Return the pieces as parts, for a final answer that came empty."""
        thought = "".join([p.text for p in self._pieces if p.reasoning])
        said = "".join([p.text for p in self._pieces if not p.reasoning])
        return tuple([part for part in (Reasoning(text=thought), Text(text=said)) if part.text])

    def _cut_short(self, answer: ModelAnswer) -> events.Event:
        text = f"the answer ended with {answer.finish!r}"
        reason, text = CUT_SHORT.get(answer.finish, ("provider_error", text))
        return self._failed(reason, "model", answer.finish, text)

    def _failed(self, reason: StopReason, kind: str, code: str, text: str) -> events.Event:
        short = text if len(text) <= RAW_LIMIT else text[:RAW_LIMIT] + "…"
        return events.ModelFailed(
            key=self._effect.key,
            reason=reason,
            issue=Issue(kind=kind, code=code, message=short),
            model=self._model.name,
            usage=self._spent,
        )

    def _estimate(self, message: Message) -> Usage:
        """Return about what a call used: the last messages in, the answer out."""
        asked = sum(len(each.text) for each in self._effect.messages)
        said = len(message.text) + sum(len(call.arguments) for call in message.calls)
        return Usage(input=asked // BYTES_PER_TOKEN + 1, output=said // BYTES_PER_TOKEN + 1)


def _check_answer(answer: Any) -> None:
    """
    Accept what a model may answer.

    Raises:
        InvalidInput: It isn't an answer, or can't be stored.
    """
    if not isinstance(answer, ModelAnswer):
        raise InvalidInput(f"expected a ModelAnswer, found {answer!r}")
    if answer.usage is not None and not isinstance(answer.usage, Usage):
        raise InvalidInput(f"answer.usage: expected a Usage or None, found {answer.usage!r}")
    if answer.model is not None and type(answer.model) is not str:
        raise InvalidInput(f"answer.model: expected a name or None, found {answer.model!r}")
    finish: object = answer.finish
    if type(finish) is not str:
        raise InvalidInput(f"answer.finish: expected a word, found {finish!r}")
    for part in answer.parts:
        _check_part(part)


def _check_part(part: object) -> None:
    if isinstance(part, ToolCall):
        if type(part.name) is not str or not part.name or type(part.arguments) is not str:
            raise InvalidInput(f"a tool call without name or JSON text: {part!r}")
    elif isinstance(part, Reasoning):
        if type(part.text) is not str or not isinstance(part.replay, (dict, type(None))):
            raise InvalidInput(f"reasoning without text or with odd replay data: {part!r}")
        check(part.replay, where="reasoning.replay")
    elif not isinstance(part, Text) or type(part.text) is not str:
        raise InvalidInput(f"expected text, reasoning or a tool call, found {part!r}")
