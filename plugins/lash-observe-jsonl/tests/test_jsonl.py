"""What happens is on record, without anybody waiting for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lash_observe_jsonl import JsonlPlugin
from lash_observe_jsonl.sink import WAITING, Sink
from lash_sdk import Lash, Plugin, hooks
from lash_sdk.contexts import TurnContext
from lash_sdk.hooks import EmitTrace
from lash_sdk.testing import ScriptedModel, call, reply
from lash_sdk.tools import tool


@tool
async def echo(text: str) -> str:
    """Say it again."""
    return text


class Emitting(Plugin):
    name = "emitting"

    @hooks.before_turn
    async def emit(self, ctx: TurnContext) -> list[Any]:
        return [EmitTrace(name="seen", payload={"n": 1})]


async def records(path: Path | None, **settings: Any) -> list[dict[str, Any]]:
    """Return what is on record after a turn with a tool."""
    config = {"observe-jsonl": {**({"path": str(path)} if path else {}), **settings}}
    script = [reply(calls=[call("echo", text="a secret")]), reply("the answer")]
    async with Lash(
        model=ScriptedModel(script),
        plugins=[JsonlPlugin, Emitting],
        tools=[echo],
        autoload=False,
        config=config,
    ) as lash:
        session = await lash.session("s")
        await session.run("a question")
        watched = session._lane.live.watch is not None
    assert watched is (path is not None)
    return read(path) if path else []


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_turn_is_on_record_from_its_start_to_its_end(tmp_path: Path) -> None:
    """
    One context goes through all of it: the process, the session, the turn, the call.
    """
    found = await records(tmp_path / "trace.jsonl")

    assert {(1, "s", None)} == {(each["v"], each["session"], each["parent"]) for each in found}
    assert 1 == len({each["run"] for each in found})
    names = [each["event"] for each in found]
    assert ("TurnStarted", "TurnEnded") == (names[0], names[-1])
    assert 2 == names.count("ModelStarted") == names.count("UsageAdded")
    assert 1 == len({each["turn"] for each in found if each.get("turn")})
    by = {each["event"]: each for each in found}
    assert by["ToolStarted"]["call"] == by["ToolEnded"]["record"]["call"]
    emitted = next(each for each in found if each["event"] == "PluginEmitted")
    assert "plugin.emitting.seen" == emitted["name"]
    assert sorted(each["at"] for each in found) == [each["at"] for each in found]


async def test_what_is_said_is_on_record_only_if_it_is_asked_for(tmp_path: Path) -> None:
    """
    A trace is shown around; a secret in it is out.
    """
    await records(tmp_path / "a.jsonl", level="extended")
    await records(tmp_path / "b.jsonl", level="extended", content="all")

    for said in ("a secret", "the answer"):
        assert said not in (tmp_path / "a.jsonl").read_text()
        assert said in (tmp_path / "b.jsonl").read_text()


async def test_what_is_streamed_is_on_record_at_the_extended_level(tmp_path: Path) -> None:
    """
    It's most of what happens.
    """
    usual = {each["event"] for each in await records(tmp_path / "a.jsonl")}
    more = {each["event"] for each in await records(tmp_path / "b.jsonl", level="extended")}
    assert {"TextDelta"} == more - usual


async def test_without_a_file_nothing_is_recorded_or_watched() -> None:
    """
    Installing it costs nothing.
    """
    assert [] == await records(None)


async def test_records_are_appended(tmp_path: Path) -> None:
    """
    Each process has its own name in them.
    """
    await records(tmp_path / "trace.jsonl")
    found = await records(tmp_path / "trace.jsonl")
    assert 2 == len({each["run"] for each in found})


def test_what_finds_no_room_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A slow disk slows nobody, and the gap is told.
    """
    sink = Sink(tmp_path / "trace.jsonl")
    monkeypatch.setattr(sink._queue, "qsize", lambda: WAITING)
    for _ in range(3):
        sink.put({"event": "x"})
    sink.close()
    assert '{"event": "Dropped", "records": 3}\n' == (tmp_path / "trace.jsonl").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there's no full disk to be had")
async def test_a_full_disk_fails_no_turn(caplog: pytest.LogCaptureFixture) -> None:
    """
    It's logged, once.
    """
    script = [reply("hi"), reply("ho")]
    config = {"observe-jsonl": {"path": "/dev/full"}}
    async with Lash(
        model=ScriptedModel(script), plugins=[JsonlPlugin], autoload=False, config=config
    ) as lash:
        session = await lash.session("s")
        assert "hi" == (await session.run("a")).text
        assert "ho" == (await session.run("b")).text
    assert 1 == sum("can't be written" in record.message for record in caplog.records)
