"""Shell commands that are watched: real processes, and nothing of them left."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from lash_sdk import Plugin
from lash_sdk.errors import InvalidInput
from lash_sdk.memory import MemoryStore
from lash_sessions import MonitorSpec, UnknownMonitor, provide_monitors
from lash_sessions.monitors import UPDATES
from lash_sessions.processes import LINE, descendants

from .making import app, children


async def until(true: Any) -> None:
    """Wait until something is so, though not for ever."""
    async with asyncio.timeout(10):
        while not (await true() if asyncio.iscoroutinefunction(true) else true()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def state(role: Any, id: str) -> str:
    found = {status.spec.shown: status for status in (await role.monitor_status()).statuses}
    return str(found[id].state)


async def test_each_line_is_an_update_and_the_first_wakes() -> None:
    """
    Once until it's acknowledged; what goes to stderr only tells.
    """
    command = "echo one; echo two; echo three >&2"
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(MonitorSpec(id="m", command=command))
        await until(lambda: role._tree.monitors._watches["s"].sequence == 3)
        updates = await role.take_updates()

        assert {"one", "two", "three"} == {update.message for update in updates}
        assert ["[monitor m] one"] == [u.queue_turn_input for u in updates if u.queue_turn_input]
        sequence = [update.sequence for update in updates]
        assert sequence == sorted(set(sequence))
        assert [] == list(await role.take_updates())


async def test_one_wake_waits_until_it_is_acknowledged() -> None:
    """
    Then the next line wakes again; an unknown monitor is passed over.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(MonitorSpec(id="m", command="sleep 30", persistent=True))
        watch = role._tree.monitors._watches["s"]
        monitor = watch.monitors["m"]
        take = role._tree.monitors._take
        for line in "ab":
            take(watch, monitor, "stdout", line)
        role.ack_wake(["m", "nobody"])
        take(watch, monitor, "stdout", "c")
        wakes = [update.queue_turn_input for update in await role.take_updates()]
        assert ["[monitor m] a", None, "[monitor m] c"] == wakes


async def test_updates_are_bounded_and_the_newest_stay() -> None:
    """
    A chatty command fills no memory.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        command = f"for i in $(seq {UPDATES + 50}); do echo $i; done"
        await role.start_monitor(MonitorSpec(id="m", command=command))
        await until(lambda: role._tree.monitors._watches["s"].sequence >= UPDATES + 50)
        updates = await role.take_updates()
        assert UPDATES == len(updates)
        assert str(UPDATES + 50) == updates[-1].message


async def test_no_update_is_missed_between_looking_and_waiting() -> None:
    """
    What comes before the wait ends it at once.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(MonitorSpec(id="m", command="echo hi"))
        await until(lambda: role._tree.monitors._watches["s"].updates)
        async with asyncio.timeout(20):
            await role.wait_for_updates()


@pytest.mark.parametrize(("command", "expected"), [("exit 0", "exited"), ("exit 3", "failed")])
async def test_how_a_command_ended_is_told(command: str, expected: str) -> None:
    """
    In its status and in the books; it's not started again by itself.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(MonitorSpec(id="m", command=command))

        async def over() -> bool:
            return await state(role, "m") == expected

        await until(over)
        status = (await role.monitor_status()).statuses[0]
        assert (int(command[-1]), False) == (status.exit_status, status.armed)
        tasks = await role.list_background_tasks(include_terminal=True)
        assert ["monitor:m"] == [record.id for record in tasks if record.terminal]


async def test_a_command_that_takes_too_long_is_ended_and_failed() -> None:
    """
    A persistent one may go on.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(MonitorSpec(id="m", command="sleep 30", timeout=0.1))
        await role.start_monitor(
            MonitorSpec(id="p", command="sleep 30", timeout=0.1, persistent=True)
        )

        async def over() -> bool:
            return await state(role, "m") == "failed"

        await until(over)
        found = {s.spec.id: s for s in (await role.monitor_status()).statuses}
        assert "timed out" in found["m"].error
        assert not found["m"].armed
        assert "running" == found["p"].state


async def test_stopping_ends_the_whole_tree(tmp_path: Path) -> None:
    """
    Also what took a session of its own, and what doesn't listen to being asked.
    """
    (tmp_path / "deaf").write_text("trap '' TERM; echo $$ >> pids; while :; do sleep 0.05; done")
    command = "setsid sh ./deaf & sleep 60 & wait"
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(
            MonitorSpec(id="m", command=command, cwd=str(tmp_path), persistent=True)
        )
        pids = tmp_path / "pids"
        await until(lambda: pids.exists() and pids.read_text().strip())
        shell = role._tree.monitors._watches["s"].monitors["m"].shell
        assert shell is not None
        tree = [shell.pid, *descendants(shell.pid)]
        assert int(pids.read_text()) in tree and 3 <= len(tree)
        status = await role.stop_monitor("m")

        assert "stopped" == status.state
        await until(lambda: not any(alive(pid) for pid in tree))
        assert [] == list(await role.list_background_tasks())


async def test_stopping_ends_what_ran_away(tmp_path: Path) -> None:
    """
    A process in a session of its own whose parent has ended is nobody's child any more.
    """
    (tmp_path / "daemon").write_text("trap '' TERM; echo $$ >> pids; while :; do sleep 0.05; done")
    command = "(setsid sh ./daemon >/dev/null 2>&1 &) ; sleep 60"
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(
            MonitorSpec(id="m", command=command, cwd=str(tmp_path), persistent=True)
        )
        pids = tmp_path / "pids"
        await until(lambda: pids.exists() and pids.read_text().strip())
        shell = role._tree.monitors._watches["s"].monitors["m"].shell
        assert shell is not None
        daemon = int(pids.read_text())
        await until(lambda: daemon not in descendants(shell.pid))
        await role.stop_monitor("m")

        await until(lambda: not alive(daemon))


async def test_a_line_without_an_end_is_bounded() -> None:
    """
    It comes in pieces, none of which is longer than a line may be.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        command = "head -c 300000 /dev/zero | tr '\\0' x"
        await role.start_monitor(MonitorSpec(id="m", command=command))
        await until(lambda: over(role, "m"))
        said = [update.message for update in await role.take_updates()]

        assert 300_000 == sum(map(len, said))
        assert LINE == max(map(len, said))


def over(role: Any, id: str) -> bool:
    return role._tree.monitors._watches["s"].monitors[id].state == "exited"


async def test_cancelling_its_task_stops_a_monitor() -> None:
    """
    Two ways to the same end.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        await role.start_monitor(MonitorSpec(id="m", command="sleep 30"))
        shell = role._tree.monitors._watches["s"].monitors["m"].shell
        assert shell is not None
        record = await role.cancel_background_task("monitor:m")
        assert "cancelled" == record.state
        await until(lambda: not alive(shell.pid))


async def test_closing_the_session_ends_its_commands() -> None:
    """
    And so does closing the app.
    """
    pids = []
    async with app() as lash:
        for id in "st":
            session = await lash.session(id)
            role = children(session)
            await role.start_monitor(MonitorSpec(id="m", command="sleep 30"))
            shell = role._tree.monitors._watches[id].monitors["m"].shell
            assert shell is not None
            pids.append(shell.pid)
            if id == "s":
                await session.close()
                await until(lambda: not alive(pids[0]))
                assert id == "s"
    await until(lambda: not any(alive(pid) for pid in pids))


class Bringing(Plugin):
    """A plugin with monitors of its own."""

    name = "bringing"

    @provide_monitors
    def monitors(self, ctx: Any) -> list[MonitorSpec]:
        return [
            MonitorSpec(id="auto", command="sleep 30", arm_on="session_start", persistent=True),
            MonitorSpec(
                id="again",
                command="sleep 30",
                arm_on="session_start",
                persistent=True,
                restart_on_restore=True,
            ),
            MonitorSpec(id="manual", command="sleep 30"),
        ]


async def test_a_plugins_monitors_start_when_they_are_armed_and_stay_stopped() -> None:
    """
    Under its name; a stop by hand sticks, also after a restart, where only those start
    again that say so.
    """
    store = MemoryStore()
    async with app(Bringing, store=store) as lash:
        session = await lash.session("s")
        role = children(session)
        names = [status.spec.shown for status in (await role.monitor_status()).statuses]
        assert ["bringing:again", "bringing:auto", "bringing:manual"] == names
        assert "running" == await state(role, "bringing:auto")
        assert "idle" == await state(role, "bringing:manual")
        before = (await role.monitor_status()).revision
        await role.stop_monitor("bringing:auto")
        assert "stopped" == await state(role, "bringing:auto")
        assert "stopped" == await state(role, "bringing:auto")
        assert before < (await role.monitor_status()).revision
        with pytest.raises(UnknownMonitor):
            await role.stop_monitor("auto")
        await session.run("hi")
    async with app(Bringing, store=store) as lash:
        role = children(await lash.session("s"))
        assert ["running", "idle", "idle"] == [
            status.state for status in (await role.monitor_status()).statuses
        ]
        await role.stop_monitor("bringing:again")
        await (await lash.session("s")).run("hi")
    async with app(Bringing, store=store) as lash:
        role = children(await lash.session("s"))
        assert "idle" == await state(role, "bringing:again")


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "", "command": "x"},
        {"id": "m", "command": " "},
        {"timeout": 4000},
        {"arm_on": "odd"},
        {"wake": "odd"},
    ],
)
def test_a_monitor_that_cannot_be_is_refused(odd: dict[str, Any]) -> None:
    """
    When it's made, not when it's run.
    """
    with pytest.raises(InvalidInput):
        MonitorSpec(**{"id": "m", "command": "x", **odd})


async def test_a_command_that_cannot_be_started_says_so(tmp_path: Path) -> None:
    """
    It's failed, disarmed, and told of.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        spec = MonitorSpec(id="m", command="true", cwd=str(tmp_path / "nowhere"))
        with pytest.raises(OSError):
            await role.start_monitor(spec)
        status = (await role.monitor_status()).statuses[0]
        assert ("failed", False) == (status.state, status.armed)
        assert "can't be started" in (await role.take_updates())[0].message


async def test_starting_what_runs_changes_nothing() -> None:
    """
    One command, one process.
    """
    async with app() as lash:
        role = children(await lash.session("s"))
        spec = MonitorSpec(id="m", command="sleep 30")
        await role.start_monitor(spec)
        shell = role._tree.monitors._watches["s"].monitors["m"].shell
        await role.start_monitor(spec)
        assert shell is role._tree.monitors._watches["s"].monitors["m"].shell
        assert 1 == (await role.monitor_status()).active
