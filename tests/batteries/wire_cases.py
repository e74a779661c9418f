"""
The ways to answer badly: on the line, in the status, in the stream, in a tool call.

Of the specification's list these have no case here:

* E2, E9 to E11, E18, E48, E49, E66, E67: limits of time and size. The promise that this
  battery backs says nothing of them.
* E1, E37: nobody there, and a stream cut anywhere, are in the plugin's own tests.
* E20, E21, E36: TLS, a connection that went stale, and many turns at once aren't one bad answer.
* E14, E15, E19: what a bad head of HTTP is, is for the client library to say.
* E47, E63, E65, E73 to E76: they can't be said in a stream of either form, or aren't bad.
* E72: an unknown reason in the older form is taken for the end, for servers make up words;
  in the newer one, whose end says that it's incomplete, it's none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from .wire import Case, Sent, Wanted, page, stream
from .wire_forms import DONE, Form, event

TRIES: Final = 3
ARGUMENTS: Final = json.dumps({"text": "a"})


def lost(asked: int = TRIES) -> Wanted:
    """Return that it has to fail as a broken connection, after all tries."""
    return Wanted(text=None, code="connection", asked=asked)


def fails(code: str, asked: int = 1) -> Wanted:
    """Return that it has to fail so, tried that often."""
    return Wanted(text=None, code=code, asked=asked)


AGAIN: Final = Wanted(asked=2)
"""It has to be tried again, and be fine then."""
TOLD: Final = Wanted(asked=2, told=1)
"""The model has to be told that its call was no good, and be asked again."""
RAN: Final = Wanted(asked=2, ran=("a",))
"""The call was good."""


def first(bad: Callable[[Form], Sent]) -> Callable[[Form], list[Sent]]:
    """Return a bad answer, and then a good one."""
    return lambda form: [bad(form), stream(form.answer("fine"))]


def ever(bad: Callable[[Form], Sent]) -> Callable[[Form], list[Sent]]:
    """Return the same bad answer each time."""
    return lambda form: [bad(form)]


def whole(body: Callable[[Form], bytes]) -> Callable[[Form], list[Sent]]:
    """Return a stream in good order, and then a good answer for whoever asks again."""
    return first(lambda form: stream(body(form)))


def called(arguments: str, name: str = "note", id: str = "c1") -> Callable[[Form], list[Sent]]:
    """Return an answer that's one call, and then a good answer."""
    return whole(
        lambda form: form.call(arguments, name=name, id=id) + form.end("tool_calls") + DONE
    )


def cases() -> Iterator[Case]:
    """Yield every case."""
    for name, sends, wanted in (*LINE, *STREAM, *CALLS, *_statuses(), *_waits()):
        yield Case(name=name, sends=sends, wanted=wanted)
    for only, name, sends, wanted in ONE_FORM:
        yield Case(name=name, sends=sends, wanted=wanted, only=only)


Row = tuple[str, Callable[[Form], list[Sent]], Wanted]

LINE: Final[tuple[Row, ...]] = (
    ("E3 reset before the status", first(lambda form: Sent(data=b"", end="reset")), AGAIN),
    ("E4 reset after the head", first(lambda form: stream(b"", whole=False, end="reset")), AGAIN),
    (
        "E5 reset within an event",
        first(lambda form: stream(form.text("shown") + form.end()[:30], whole=False, end="reset")),
        AGAIN,
    ),
    (
        "E6 an end within an event",
        first(lambda form: stream(form.text("shown") + form.end()[:30], whole=False)),
        AGAIN,
    ),
    (
        "E6 an end within an event, the chunks whole",
        ever(lambda form: stream(form.text("shown") + form.end()[:30])),
        lost(),
    ),
    ("E7 all of the text, but no end", ever(lambda form: stream(form.text("all of it"))), lost()),
    ("E7 a whole call, but no end", ever(lambda form: stream(form.call(ARGUMENTS))), lost()),
    (
        "E7 a whole call, no end, and the line broken",
        ever(lambda form: stream(form.call(ARGUMENTS), whole=False, end="reset")),
        lost(),
    ),
    (
        "E8 the end, and a line that's held",
        ever(lambda form: stream(form.answer("fine"), whole=False, end="hold")),
        Wanted(),
    ),
    (
        "E12 a chunk of no size",
        first(lambda form: Sent(data=stream(form.text("shown"), whole=False).data + b"zz\r\n")),
        AGAIN,
    ),
    (
        "E13 fewer bytes than were said",
        first(lambda form: Sent(data=page("200 OK", form.text("x"), kind=EVENTS).data[:-9])),
        AGAIN,
    ),
    (
        "E16 a hint first",
        ever(
            lambda form: Sent(
                data=b"HTTP/1.1 103 Early Hints\r\n\r\n" + stream(form.answer("fine")).data
            )
        ),
        Wanted(),
    ),
    (
        "E17 sent on",
        ever(lambda form: page("307 Go", b"", "location: http://127.0.0.1:9/v1")),
        fails("refused"),
    ),
    (
        "E18 gzip that's none",
        first(lambda form: page("200 OK", b"\x1f\x8b not", "content-encoding: gzip", kind=EVENTS)),
        AGAIN,
    ),
    (
        "E22 a page to log in",
        ever(lambda form: page("200 OK", b"<html>", kind="text/html")),
        fails("bad_stream"),
    ),
    (
        "E33 an error that says it's fine",
        ever(lambda form: page("200 OK", b'{"error": {"message": "no"}}')),
        fails("bad_stream"),
    ),
)
EVENTS: Final = "text/event-stream"
SURROGATE: Final = "half \ud800"

STREAM: Final[tuple[Row, ...]] = (
    (
        "E34 an error after text",
        whole(lambda form: form.text("shown") + form.error("server_error")),
        AGAIN,
    ),
    (
        "E35 an error after a call",
        whole(lambda form: form.call(ARGUMENTS) + form.error("invalid_prompt")),
        fails("provider_error"),
    ),
    (
        "E35 an error that may pass after a call",
        whole(lambda form: form.call(ARGUMENTS) + form.error("server_error")),
        AGAIN,
    ),
    (
        "E38 lines that end with CR LF",
        whole(lambda form: form.answer("fine").replace(b"\n", b"\r\n")),
        Wanted(),
    ),
    (
        "E39 comments and fields that nobody knows",
        whole(lambda form: b": alive\n\nretry: 5\nid: 7\nx: y\n" + form.answer("fine")),
        Wanted(),
    ),
    (
        "E41 bytes that aren't UTF-8",
        whole(lambda form: form.text("shown") + b"data: \xff\xfe\n\n"),
        AGAIN,
    ),
    (
        "E41 half a character, escaped",
        whole(lambda form: form.answer(SURROGATE)),
        Wanted(text=SURROGATE),
    ),
    ("E42 a NUL", whole(lambda form: form.answer("a\0b")), Wanted(text="a\0b")),
    ("E43 done too early", ever(lambda form: stream(form.text("half") + DONE)), lost()),
    ("E43 done twice", whole(lambda form: form.answer("fine") + DONE), Wanted()),
    ("E43 never done", whole(lambda form: form.text("fine") + form.end()), Wanted()),
    (
        "E44 events that nobody knows",
        whole(lambda form: event({"type": "of.tomorrow", "choices": 3}) + form.answer("fine")),
        Wanted(),
    ),
    (
        "E44 JSON that's no event",
        whole(lambda form: b"data: [1]\n\ndata: 3\n\ndata: null\n\n" + form.answer("fine")),
        Wanted(),
    ),
    (
        "E45 text after the end",
        whole(lambda form: form.text("fine") + form.end() + form.text("more") + DONE),
        Wanted(),
    ),
    (
        "E45 a call after the end",
        whole(lambda form: form.text("fine") + form.end() + form.call(ARGUMENTS) + DONE),
        Wanted(),
    ),
    (
        "E46 two ends that differ",
        whole(lambda form: form.text("cut") + form.end("length") + form.end() + DONE),
        fails("output_limit"),
    ),
    ("E51 nothing", ever(lambda form: stream(b"")), lost()),
    ("E51 an end alone", ever(lambda form: stream(form.end() + DONE)), fails("empty_response")),
    (
        "E52 usage of no sense",
        whole(
            lambda form: (
                form.text("fine")
                + form.end(usage={"prompt_tokens": -1, "input_tokens": "x", "output_tokens": 1e30})
                + DONE
            )
        ),
        Wanted(),
    ),
    (
        "E71 a filter",
        whole(lambda form: form.text("shown") + form.end("content_filter") + DONE),
        fails("content_filter"),
    ),
    (
        "E71 a filter after a call",
        whole(lambda form: form.call(ARGUMENTS) + form.end("content_filter") + DONE),
        fails("content_filter"),
    ),
)

BAD_ARGUMENTS: Final = {
    "E53 no JSON": "{text: a}",
    "E55 cut short, and said to be whole": ARGUMENTS[:-3],
    "E57 a list": '["a"]',
    "E57 a string": '"a"',
    "E57 a number": "5",
    "E57 null": "null",
    "E58 one key twice": '{"text": "a", "text": "b"}',
    "E58 NaN": '{"text": "a", "more": NaN}',
    "E58 too deep": '{"text": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "E58 too many digits": '{"text": "a", "more": ' + "9" * 5_000 + "}",
    "E59 encoded twice": json.dumps(ARGUMENTS),
    "E56 none, for a tool that wants some": "",
    "E68 more than the tool takes": '{"text": "a", "else": 1}',
    "E68 of another type": '{"text": 5}',
}
BAD_NAMES: Final = {
    "E64 a name that nobody has": "write",
    "E64 a name in capitals": "NOTE",
    "E64 a name with a space": "note ",
    "E64 a name that looks the same": "n\u043ete",
}
IDS: Final = {
    "E61 an empty id": "",
    "E61 a long id": "x" * 10_240,
    "E61 an id with quotes": "a\"b'c\n",
}

CALLS: Final[tuple[Row, ...]] = (
    *[(f"{name}", called(given), TOLD) for name, given in BAD_ARGUMENTS.items()],
    *[(name, called(ARGUMENTS, given), TOLD) for name, given in BAD_NAMES.items()],
    *[(name, called(ARGUMENTS, id=given), RAN) for name, given in IDS.items()],
    ("E64 no name", called(ARGUMENTS, ""), fails("invalid_answer")),
    ("E56 none, for a tool that wants none", called("", "bell"), Wanted(asked=2, ran=("rung",))),
    (
        "E54 a call cut short at the limit",
        whole(lambda form: form.call(ARGUMENTS[:-3]) + form.end("length") + DONE),
        fails("output_limit"),
    ),
    (
        "E54 a whole call, and the limit",
        whole(lambda form: form.call(ARGUMENTS) + form.end("length") + DONE),
        fails("output_limit"),
    ),
    (
        "E60 two calls of one id",
        whole(
            lambda form: (
                form.call(ARGUMENTS, at=1)
                + form.call(ARGUMENTS, at=2)
                + form.end("tool_calls")
                + DONE
            )
        ),
        Wanted(asked=2, ran=("a", "a")),
    ),
    (
        "E62 an id from before",
        lambda form: [*called(ARGUMENTS)(form)[:1], *called(ARGUMENTS)(form)],
        Wanted(asked=3, ran=("a", "a")),
    ),
    (
        "E69 a call, and the end of a text",
        whole(lambda form: form.call(ARGUMENTS) + form.end("stop") + DONE),
        RAN,
    ),
    (
        "E53 one call of two is bad",
        whole(
            lambda form: (
                form.call(ARGUMENTS, at=1)
                + form.call("{", id="c2", at=2)
                + form.end("tool_calls")
                + DONE
            )
        ),
        Wanted(asked=2, ran=("a",), told=1),
    ),
)

ONE_FORM: Final = (
    (
        "responses",
        "E72 incomplete, for a reason that nobody knows",
        whole(lambda form: form.text("half") + form.end("whim") + DONE),
        fails("output_limit"),
    ),
    (
        "responses",
        "E72 a call, incomplete for a reason that nobody knows",
        whole(lambda form: form.call(ARGUMENTS) + form.end("whim") + DONE),
        fails("output_limit"),
    ),
)


def _statuses() -> Iterator[Row]:
    once = {400: "invalid_request", 401: "auth", 403: "auth", 404: "not_found", 413: "too_large"}
    for status, code in once.items():
        number = 23 + min(4, status - 400)
        yield f"E{number} {status}", ever(_refusal(status)), fails(code)
    for status in (408, 409, 429, 500, 502, 503, 504, 529):
        yield f"E26 {status} once", first(_refusal(status)), AGAIN
    yield "E32 503 for ever", ever(_refusal(503)), fails("server_error", TRIES)
    quota = b'{"error": {"code": "insufficient_quota", "message": "pay"}}'
    yield "E30 no money left", ever(lambda form: page("429 No", quota)), fails("quota")
    long = b'{"error": {"code": "context_length_exceeded", "message": "long"}}'
    yield "E27 too long", ever(lambda form: page("400 No", long)), fails("context_overflow")


def _refusal(status: int) -> Callable[[Form], Sent]:
    return lambda form: page(f"{status} No", b"<html>", kind="text/html")


def _waits() -> Iterator[Row]:
    """Yield what a server may say of when to come again; it's never longer than we wait."""
    kept = {"0.01": 0.01, "0": 0.0, "-1": 0.0, "nan": 0.0, "inf": 0.0, "1e9": 0.0, "soon": 0.0}
    kept |= {"7": 0.02, "999999999": 0.02, "Wed, 21 Oct 2015 07:28:00 GMT": 0.0}
    for said, wait in kept.items():
        refusal = page("429 No", b"{}", f"retry-after: {said}")
        yield f"E29 come again after {said}", _refused(refusal), Wanted(asked=2, wait=wait)


def _refused(refusal: Sent) -> Callable[[Form], list[Sent]]:
    return first(lambda form: refusal)
