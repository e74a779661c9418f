"""
The scripted model: what tests, demos and bug reports are written with.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from lash_sdk import Lash, Usage, tool
from lash_sdk.errors import ContextOverflow, InvalidInput, LashError, ModelError
from lash_sdk.graph import History
from lash_sdk.messages import Blob, Reasoning, Text, ToolCall, user
from lash_sdk.ports import Chunk, ModelAnswer, ModelRequest
from lash_sdk.testing import ScriptedModel, call, failure, load_script, reply


async def no_blob(blob: Blob) -> bytes:
    raise AssertionError("nothing here has a blob")


REQUEST = ModelRequest(
    key="t/1", session="s", system="", history=History([user("go")]), blob=no_blob
)


async def asked(model: ScriptedModel) -> tuple[ModelAnswer, list[Chunk]]:
    pieces: list[Chunk] = []
    return await model.answer(REQUEST, pieces.append), pieces


async def test_the_nth_call_gets_the_nth_answer() -> None:
    """
    Whoever makes it: the script belongs to the object.
    """
    model = ScriptedModel(["one", reply("two"), lambda request: reply(f"key {request.key}")])
    answers = [await asked(model) for _ in range(3)]

    assert ["one", "two", "key t/1"] == [
        part.text for answer, _ in answers for part in answer.parts if isinstance(part, Text)
    ]
    assert 3 == model.calls == len(model.requests)
    assert REQUEST is model.requests[0]
    with pytest.raises(LashError, match="has 3 entries, this is call 4"):
        await asked(model)
    assert "<ScriptedModel 'scripted' at 4 of 3>" == repr(model)


async def test_a_reply_is_all_that_a_model_can_say() -> None:
    """
    Thought, then words, then calls, each streamed that can be.
    """
    said = reply(
        "words", reasoning="thought", calls=call("add", a=2, b=[None]), usage=Usage(input=1)
    )
    answer, pieces = await asked(ScriptedModel([said]))

    assert (
        Reasoning(text="thought"),
        Text(text="words"),
        ToolCall(id="", name="add", arguments='{"a":2,"b":[null]}'),
    ) == answer.parts
    assert [Chunk(text="thought", reasoning=True), Chunk(text="words")] == pieces
    assert ("tool_use", Usage(input=1)) == (answer.finish, answer.usage)


async def test_a_reply_has_usage_unless_it_says_otherwise() -> None:
    """
    Ledgers in tests aren't empty by accident.
    """
    answer, _ = await asked(ScriptedModel(["hi"]))
    none, _ = await asked(ScriptedModel([reply("hi", usage=None)]))

    assert Usage(input=10, output=5) == answer.usage
    assert None is none.usage


async def test_a_function_may_wait_and_may_answer_anything() -> None:
    """
    What isn't a reply is handed on as it is: nonsense is a test case, too.
    """

    async def later(request: ModelRequest) -> str:
        await asyncio.sleep(0)
        return "later"

    model = ScriptedModel([later, lambda request: None, lambda request: 5])
    answer, _ = await asked(model)

    assert (Text(text="later"),) == answer.parts
    nonsense: list[Any] = [(await asked(model))[0], (await asked(model))[0]]
    assert [None, 5] == nonsense


async def test_a_failure_streams_its_words_and_raises() -> None:
    """
    An attempt that breaks off in mid-sentence.
    """
    model = ScriptedModel(
        [
            failure("busy", code="rate", retryable=True, after=3.0, partial="Hel"),
            failure("long", code="context_overflow"),
        ]
    )
    pieces: list[Chunk] = []
    with pytest.raises(ModelError) as caught:
        await model.answer(REQUEST, pieces.append)

    assert ("rate", True, 3.0) == (caught.value.code, caught.value.retryable, caught.value.after)
    assert [Chunk(text="Hel")] == pieces
    with pytest.raises(ContextOverflow):
        await asked(model)


async def test_a_delay_is_before_the_first_piece() -> None:
    """
    A demo that shows waiting really waits.
    """
    started = time.monotonic()
    await asked(ScriptedModel([reply("x", delay=0.03)]))

    assert time.monotonic() - started >= 0.03


def written(folder: Path, text: str) -> Path:
    path = folder / "script.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_script_can_be_a_file(tmp_path: Path) -> None:
    """
    A bug report is a text file that anybody can play.
    """
    path = written(
        tmp_path,
        """
# a comment, and blank lines

"plain text"
{"text": "a", "calls": [{"name": "add", "arguments": {"name": "n"}}], "reasoning": "hm"}
{"text": "b", "usage": {"input": 3}, "finish": "output_limit", "delay": 0.001}
{"error": {"message": "busy", "code": "rate", "retryable": true}, "text": "Hel"}
""",
    )
    model = load_script(path)

    assert "scripted:script.jsonl" == model.name
    plain, _ = await asked(model)
    assert (Text(text="plain text"),) == plain.parts
    calls, _ = await asked(model)
    assert ToolCall(id="", name="add", arguments='{"name":"n"}') == calls.parts[-1]
    cut, _ = await asked(model)
    assert ("output_limit", Usage(input=3)) == (cut.finish, cut.usage)
    with pytest.raises(ModelError, match="busy") as caught:
        await asked(model)
    assert caught.value.retryable


async def test_a_line_ends_where_json_lines_end(tmp_path: Path) -> None:
    """
    Other signs that end a line for Python are text like any other.
    """
    model = load_script(written(tmp_path, '"a\u2028b\x85c"\r\n"d"\n'))

    assert ["a\u2028b\x85c", "d"] == [
        part.text
        for _ in range(2)
        for part in (await asked(model))[0].parts
        if isinstance(part, Text)
    ]


async def test_a_file_is_a_model_by_name(tmp_path: Path) -> None:
    """
    `scripted:FILE` works wherever a model is named.
    """

    @tool
    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    path = written(
        tmp_path, '{"calls": [{"name": "add", "arguments": {"a": 2, "b": 3}}]}\n"It is 5."\n'
    )
    async with Lash(model=f"scripted:{path}", tools=[add], autoload=False) as app:
        session = await app.session("s")
        turn = await session.run("go")

        assert "It is 5." == turn.text
        assert f"scripted:{path.name}" == session.usage().rows[0].model


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "line 1: "),
        ('"fine"\n{"text": 5}', "line 2: .*text"),
        ('{"txet": "x"}', "txet"),
        ("5", "line 1: "),
        ("null", "line 1: "),
        ("[]", "line 1: "),
        ('{"calls": [{"name": "x"}]}', "arguments"),
        ('{"calls": {}}', "calls"),
        ('{"error": {"code": "x"}}', "message"),
        ('{"usage": {"input": -1}}', "input"),
        ('{"finish": "sideways"}', "finish"),
    ],
)
def test_a_line_that_is_no_answer_is_named(tmp_path: Path, text: str, said: str) -> None:
    """
    The message has the file, the line and what's wrong in it.
    """
    path = written(tmp_path, text)
    with pytest.raises(InvalidInput, match=said) as caught:
        load_script(path)

    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """
    Missing, a folder, or not text at all.
    """
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing", tmp_path, odd):
        with pytest.raises(InvalidInput, match=f"script '{path}'"):
            load_script(path)
