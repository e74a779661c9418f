"""
What went wrong, as the kernel understands it: may it be asked again, and when.

The client's own exceptions hold the request with its key, so they're neither kept
as a cause nor as a context; what they say is in the message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import TYPE_CHECKING, Final

import openai

from lash_sdk.errors import ContextOverflow, ModelError

from . import wire
from .wire import StreamFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lash_sdk.json import JsonObject

TEXT_LIMIT: Final = 1_000
"""The most characters of a server's message that are passed on."""

_CODES: Final[Mapping[int, str]] = {
    400: "invalid_request",
    401: "auth",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "invalid_request",
    425: "too_early",
    429: "rate_limit",
}
_RETRYABLE: Final = frozenset((408, 409, 425, 429))
_PASSING: Final = frozenset(
    ("server_error", "internal_error", "rate_limit_exceeded", "overloaded_error")
)
"""Words for failures that pass, where a stream brings one without a status."""

_QUOTA: Final = frozenset(
    ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
)
_OVERFLOW: Final = frozenset(("context_length_exceeded", "exceed_context_size_error"))
_OVERFLOW_TEXT: Final = re.compile(
    r"maximum context length|exceeds? the (available )?context (size|window|length)"
    r"|exceeds? the model'?s? context|(prompt|input) is too long",
    re.IGNORECASE,
)
_RATE_TEXT: Final = re.compile(
    r"rate.?limit|quota|per (second|min|hour|day)|\b[TR]PM\b", re.IGNORECASE
)
_NEVER_TEXT: Final = re.compile(r"(is|are) not supported", re.IGNORECASE)
"""What llama.cpp says of a picture to a model that can't see, with status 500."""

_CLIENTS: Final = frozenset(("httpx", "httpx2", "httpcore", "httpcore2"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    Whom a failed request asked.

    Attributes:
        secrets: What no message may show, whoever wrote it.
    """

    model: str
    host: str
    secrets: Sequence[str] = field(default=(), repr=False)

    def error(
        self, said: str, *, code: str, retryable: bool = False, after: float | None = None
    ) -> ModelError:
        """Return the error that says *said* of this model."""
        text = self.message(said)
        return ModelError(text, code=code, retryable=retryable, after=after)

    def message(self, said: str) -> str:
        """Return *said* with the model's name before it and the secrets out of it."""
        for secret in self.secrets:
            said = said.replace(secret, "[hidden]")
        return f"{self.model} at {self.host}: {said[:TEXT_LIMIT]}"


def failure(error: Exception, asked: Asked) -> ModelError | None:
    """Return *error* in the kernel's terms, or None if it's not of our making."""
    match error:
        case StreamFailed(body=None):
            said = "the stream ended before the answer did"
            return asked.error(said, code="connection", retryable=True)
        case StreamFailed(body=body) if body is not None:
            return _refused(body, None, {}, asked)
        case openai.APITimeoutError():
            said = "no answer within the timeout"
            return asked.error(said, code="timeout", retryable=True)
        case openai.APIStatusError():
            body = error.body if isinstance(error.body, Mapping) else {}
            body = body or {"message": error.response.reason_phrase}
            return _refused(body, error.status_code, error.response.headers, asked)
        case openai.APIConnectionError():
            said = "the connection failed"
            return asked.error(said, code="connection", retryable=True)
        case openai.APIError():
            body = error.body if isinstance(error.body, Mapping) else {}
            return _refused(body or {"message": error.message}, None, {}, asked)
        case JSONDecodeError() | UnicodeDecodeError():
            said = f"the stream isn't one: {type(error).__name__}"
            return asked.error(said, code="bad_stream", retryable=True)
        case _ if type(error).__module__.partition(".")[0] in _CLIENTS:
            timed_out = "Timeout" in type(error).__name__
            said = f"the connection failed: {type(error).__name__}"
            code = "timeout" if timed_out else "connection"
            return asked.error(said, code=code, retryable=True)
        case _:
            return None


def _refused(
    body: JsonObject, status: int | None, headers: Mapping[str, str], asked: Asked
) -> ModelError:
    """Return what a server's own error means; a stream brings one without status."""
    message = wire.text(body, "message") or "no reason given"
    words = {wire.text(body, "code"), wire.text(body, "type")} - {""}
    if status is None:
        status = _status_in(body)
    said = " ".join([*([str(status)] if status else []), *sorted(words)])
    said = f"{said}: {message}" if said else message
    if _is_overflow(status, words, message):
        return ContextOverflow(asked.message(said))
    if words & _QUOTA:
        return asked.error(said, code="quota")
    if _NEVER_TEXT.search(message):
        return asked.error(said, code="unsupported")
    if status is None:
        retryable = not words or bool(words & _PASSING)
        code = "rate_limit" if "rate_limit_exceeded" in words else "provider_error"
    else:
        retryable = status in _RETRYABLE or status >= 500
        code = _CODES.get(status, "server_error" if status >= 500 else "refused")
    after = retry_after(headers, datetime.now(UTC)) if retryable else None
    return asked.error(said, code=code, retryable=retryable, after=after)


def _is_overflow(status: int | None, words: set[str], message: str) -> bool:
    if status not in (None, 400, 413) or _RATE_TEXT.search(message):
        return False
    return bool(words & _OVERFLOW or _OVERFLOW_TEXT.search(message))


def _status_in(body: JsonObject) -> int | None:
    """Return the HTTP status that some servers give as an error's code."""
    code = body.get("code")
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code)
    if isinstance(code, int) and 400 <= code < 600:
        return code
    return None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a server asked us to wait from *now*, if it did."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif not (value := headers.get("retry-after")):
            return None
        elif re.fullmatch(r"[0-9.]+", value.strip()):
            seconds = float(value)
        else:
            at = parsedate_to_datetime(value)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            seconds = (at - now).total_seconds()
    except ValueError:
        return None
    return max(0.0, seconds) if seconds < float("inf") else None
