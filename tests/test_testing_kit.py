"""
What users test with: fixtures, a recorder, a clock, a crash at every boundary.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from lash_sdk import Lash, Plugin, hooks
from lash_sdk.commits import Commit, Receipt
from lash_sdk.contexts import ToolContext, TurnContext
from lash_sdk.errors import InvalidInput, LashError, PluginFault
from lash_sdk.graph import History
from lash_sdk.memory import MemoryStore
from lash_sdk.ports import JournalRow
from lash_sdk.testing import (
    FakeClock,
    ScriptedModel,
    Trial,
    broken_plugin,
    call,
    check_states,
    crash_everywhere,
    record_hooks,
    reply,
)
from lash_sdk.tools import tool

from .hooking import plugin

# --- the recorder ------------------------------------------------------------------------


async def test_a_recorder_tells_who_was_called_and_what_came_of_it() -> None:
    """
    Which of five transforms changed the value is the first question there is.
    """

    def keeps(self: Plugin, ctx: Any, value: Any) -> Any:
        return value

    def changes(self: Plugin, ctx: Any, value: Any) -> Any:
        return History(list(value)[-1:])

    def silent(self: Plugin, ctx: Any, value: Any) -> None:
        return None

    async def breaks(self: Plugin, ctx: Any) -> None:
        raise ValueError("broken")

    plugins = [
        plugin("a", transform_context=keeps),
        plugin("b", "2", transform_context=changes),
        plugin("c", transform_context=silent),
        plugin("d", on_turn_committed=breaks),
    ]
    async with Lash(model=ScriptedModel(["hi"]), plugins=plugins, autoload=False) as lash:
        recorder = record_hooks(lash)
        heard: list[str] = []
        recorder.tell = lambda each: heard.append(each.hook)
        session = await lash.session("s")
        await session.run("go")
    seen = [(each.plugin, each.did) for each in recorder.of("transform_context")]

    assert [("a", "nothing"), ("b", "changed"), ("c", "nothing")] == seen
    (last,) = recorder.of("on_turn_committed")
    assert ("d", "raised", "s", "listen") == (last.plugin, last.did, last.session, last.kind)
    assert "2" == recorder.of("transform_context")[1].version
    assert [each.hook for each in recorder.calls] == heard


# --- the clock ---------------------------------------------------------------------------


async def test_a_fake_clock_moves_sleeps_and_limits_when_it_is_told_to() -> None:
    """
    A test of an hour takes no time, and always the same.
    """
    woken: list[float] = []

    async def sleeps(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(time.time())

    with FakeClock(1000.0).ticking(asyncio.get_running_loop()) as clock:
        tasks = [asyncio.create_task(sleeps(each)) for each in (3600, 60, 1)]
        await clock.advance(0.5)
        none = list(woken)
        await clock.advance(3600)
        await asyncio.gather(*tasks)
        moved = asyncio.create_task(clock.advance(6))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        await moved
    real = time.time()

    assert [] == none
    assert [1001.0, 1060.0, 4600.0] == woken
    assert real > 1_700_000_000


async def test_time_does_not_go_back() -> None:
    """
    Whoever asks for it has a sign wrong.
    """
    with pytest.raises(ValueError, match="expected seconds >= 0"):
        await FakeClock().advance(-1)


# --- broken plugins -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["raises", "hangs", "cancels", "nonsense"])
async def test_a_broken_plugin_is_named(how: Any) -> None:
    """
    It's a plugin to test others with: it must fail as it says.
    """
    config = {"plugins": {"deadline": 0.05}}
    async with Lash(
        model=ScriptedModel(["hi"]),
        plugins=[broken_plugin("before_turn", how)],
        autoload=False,
        config=config,
    ) as lash:
        session = await lash.session("s")
        with pytest.raises(PluginFault) as caught:
            await session.run("go")

    assert ("broken", "before_turn") == (caught.value.plugin, caught.value.hook)


async def test_a_plugin_that_blocks_is_let_through() -> None:
    """
    It's slow, which only debug mode minds.
    """
    plugins = [broken_plugin("transform_policy", "blocks"), broken_plugin("on_usage", name="b")]
    async with Lash(model=ScriptedModel(["hi"]), plugins=plugins, autoload=False) as lash:
        turn = await (await lash.session("s")).run("go")

    assert "hi" == turn.text


@pytest.mark.parametrize(
    ("hook", "how"), [("no_hook", "raises"), ("on_usage", "hangs"), ("on_usage", "sings")]
)
def test_a_plugin_cannot_be_broken_in_every_way(hook: str, how: Any) -> None:
    """
    A sync hook can't hang but by blocking.
    """
    with pytest.raises(InvalidInput, match="broken_plugin"):
        broken_plugin(hook, how)


# --- a crash at every boundary ---------------------------------------------------------------


class Count(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: int = 0
    calls: int = 0


class Counter(Plugin):
    State = Count

    @hooks.before_turn
    def turn(self, ctx: TurnContext) -> None:
        self.state = self.state.model_copy(update={"turns": self.state.turns + 1})

    @hooks.before_tool
    def called(self, ctx: ToolContext) -> None:
        self.state = self.state.model_copy(update={"calls": self.state.calls + 1})


class Forgetful(Counter):
    """Keeps its count where a process' end takes it."""

    counts: ClassVar[dict[str, int]] = {}

    @hooks.before_turn
    def turn(self, ctx: TurnContext) -> None:
        Forgetful.counts["turns"] = Forgetful.counts.get("turns", 0) + 1
        self.state = Count(turns=Forgetful.counts["turns"])


@tool(on_recovery="rerun")
async def look(at: str) -> str:
    """Look at something."""
    return f"seen {at}"


@tool
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


SCRIPT: Sequence[Any] = [
    reply(calls=[call("look", at="it"), call("pay", amount=3)]),
    reply(calls=[call("look", at="it again")]),
    lambda request: reply("done"),
]


def trial(*plugins: type[Plugin], store: Callable[[], MemoryStore] = MemoryStore) -> Trial:
    return Trial(script=SCRIPT, tools=[look, pay], make_plugins=lambda: plugins, make_store=store)


async def test_a_turn_survives_its_end_at_every_boundary() -> None:
    """
    This is the first promise, tried where an author can try it too.
    """
    assert 20 < await crash_everywhere(trial(Counter))


class Amnesic(MemoryStore):
    """Forgets every row of its journal but the first."""

    async def journal(self, session: str) -> Sequence[JournalRow]:
        return (await super().journal(session))[:1]


class Doubling(MemoryStore):
    """Tells a stranger's revision for its own."""

    async def commit(self, commit: Commit) -> Receipt:
        await super().commit(commit)
        raise RuntimeError("lost on the way")


@pytest.mark.parametrize(
    ("planted", "why"),
    [
        (trial(Counter, store=Amnesic), "was called 2 times|isn't what it would have been"),
        (trial(Forgetful), "plugin state isn't what it would have been"),
        (Trial(script=[]), "out of range"),
    ],
)
async def test_what_a_crash_would_lose_is_found(planted: Trial, why: str) -> None:
    """
    A battery that misses what's planted proves nothing.
    """
    Forgetful.counts.clear()
    with pytest.raises((AssertionError, LashError), match=why):
        await crash_everywhere(planted)


# --- states in files ----------------------------------------------------------------------------


class Two(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: int = 0
    names: list[str] = []


def grown(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "names": ["nobody"]}


class Grown(Plugin):
    name = "grown"
    State = Two
    state_version = 2
    migrations: ClassVar[Any] = {1: grown}


def kept(folder: Path, *states: Any) -> Path:
    for number, state in enumerate(states, 1):
        (folder / f"v{number}.json").write_text(json.dumps(state))
    return folder


def test_a_state_of_each_version_can_be_read(tmp_path: Path) -> None:
    """
    Sessions of last year are opened tomorrow.
    """
    check_states(Grown, kept(tmp_path, {"turns": 1}, {"turns": 2, "names": ["a"]}))


@pytest.mark.parametrize(
    ("states", "why"),
    [
        (({"turns": 1},), "no v2.json"),
        (({"turns": 1}, {"turns": 2}), "the state changed, and its version didn't"),
        (({"counts": 1}, {"turns": 2, "names": []}), "counts"),
    ],
)
def test_a_state_that_changed_unnoticed_is_found(tmp_path: Path, states: Any, why: str) -> None:
    """
    Whoever changes the form raises the version.
    """
    with pytest.raises((AssertionError, PluginFault), match=why):
        check_states(Grown, kept(tmp_path, *states))


# --- fixtures -----------------------------------------------------------------------------------

CONFTEST = 'pytest_plugins = ("lash_sdk.testing.pytest",)\n'
THEIRS = """
import asyncio, time
import pytest
from lash_sdk import Lash, Plugin, hooks

class Shout(Plugin):
    name = "shout"

    @hooks.on_turn_committed
    async def note(self, ctx):
        self.log.info("turn %d", ctx.index)

@pytest.fixture
def plugins():
    return [Shout]

async def test_a_session_with_a_plugin(scripted_model, hook_recorder, session):
    scripted_model.say("hi", "ho")
    assert (await session.run("one")).text == "hi"
    assert (await session.run("two")).text == "ho"
    assert [c.plugin for c in hook_recorder.of("on_turn_committed")] == ["shout", "shout"]

async def test_nothing_is_discovered():
    async with Lash() as lash:
        assert {each.name for each in lash.plugins} <= {"standard", "scripted"}

@pytest.mark.installed_plugins
async def test_unless_asked_for():
    async with Lash() as lash:
        assert "sqlite" in {each.name for each in lash.plugins}

async def test_time(fake_clock):
    began = time.time()
    task = asyncio.create_task(asyncio.sleep(3600))
    await fake_clock.advance(3600)
    assert task.done() and time.time() - began == 3600

async def test_a_plugin_that_breaks(broken_plugin):
    assert broken_plugin("on_usage").name == "broken"
"""


@pytest.mark.slow
def test_the_fixtures_work_where_somebody_else_has_them(tmp_path: Path) -> None:
    """
    One line in a `conftest.py`, and pytest-asyncio in its auto mode.
    """
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_theirs.py").write_text(THEIRS)
    options = ["-p", "no:cacheprovider", "-W", "error", "-q"]
    options += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *options, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "5 passed" in done.stdout
