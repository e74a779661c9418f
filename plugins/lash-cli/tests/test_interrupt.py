"""Ctrl-C at any moment: the turn is cancelled in good order and the session goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from .running import Machine, asking

SLOW = """\
import asyncio
import time
from lash_sdk import tool

def thread() -> str:
    time.sleep(30)
    return "late"

async def task() -> str:
    await asyncio.sleep(30)
    return "late"
"""


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    """Return standard error up to the line that has *word*."""
    assert process.stderr is not None
    said = ""
    while word not in said:
        line = process.stderr.readline()
        assert line, f"it ended without {word!r}: {said}"
        said += line
    return said


def wait_for_event(process: subprocess.Popen[str], event: str) -> None:
    """Return once the process has printed this event."""
    assert process.stdout is not None
    for line in process.stdout:
        if f'"event": "{event}"' in line:
            return
    raise AssertionError(f"it ended without {event!r}")


def ctrl_c(process: subprocess.Popen[str]) -> None:
    """Do what a terminal does: a signal to the whole group."""
    os.killpg(process.pid, signal.SIGINT)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return exit code and the rest of standard error, within a few seconds."""
    _out, err = process.communicate(timeout=10)
    return process.returncode, err


def goes_on(machine: Machine, *script: str, session: str = "x") -> str:
    """Run another turn in the session; return its conversation."""
    model = machine.script(*script, "Yes.")
    ran = machine.lash("run", "Still there?", "-m", model, "-s", session)

    assert (ran.code, ran.out) == (0, "Yes.\n")
    return machine.lash("sessions", "show", session).out


def test_while_the_model_is_asked(machine: Machine) -> None:
    """The turn is committed as cancelled; the next process goes on."""
    model = machine.script({"text": "late", "delay": 30})
    process = machine.start("run", "Hello?", "-m", model, "-s", "x", "--json")

    wait_for_event(process, "ModelStarted")
    ctrl_c(process)
    code, err = ended(process)

    assert code == 130
    assert "stopping the turn" in err
    assert "Traceback" not in err
    shown = goes_on(machine)
    assert "user: Hello?" in shown
    assert "stopped (cancelled)" in shown


@pytest.mark.parametrize("name", ["thread", "task"])
def test_while_a_tool_runs(machine: Machine, name: str) -> None:
    """Its call is closed as cancelled: calls and results stay paired."""
    machine.write("slow.py", SLOW)
    model = machine.script(asking(name), "never")
    process = machine.start("run", "Go", "-m", model, "-s", "x", "-t", f"slow.py:{name}")

    wait_for(process, f"→ {name}()")
    ctrl_c(process)
    code, err = ended(process)

    assert code == 130
    assert f"■ {name}() → cancelled" in err
    assert "stopped (cancelled)" in err
    assert f"■ {name}() → cancelled" in goes_on(machine)


def test_before_the_turn_nothing_is_kept(machine: Machine) -> None:
    """However early: no traceback, exit code 130, no half-made session."""
    model = machine.script({"text": "late", "delay": 30})
    for seconds in (0.2, 0.35, 0.5):
        # an import that's cut short leaves its file open; that's no defect of ours
        calm = {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
        process = machine.start("run", "Hello?", "-m", model, "-s", "x", **calm)
        time.sleep(seconds)
        ctrl_c(process)
        code, err = ended(process)

        assert code in (130, -signal.SIGINT)  # Python itself wasn't up yet
        if code == 130:
            assert "Traceback" not in err
    goes_on(machine)


def test_the_second_one_ends_at_once(machine: Machine) -> None:
    """Even where a tool swallows its cancellation."""
    machine.write(
        "deaf.py",
        "import asyncio, sys",
        "async def deaf() -> str:",
        "    print('can not hear', file=sys.stderr, flush=True)",
        "    while True:",
        "        try:",
        "            await asyncio.sleep(30)",
        "        except asyncio.CancelledError:",
        "            pass",
    )
    model = machine.script(asking("deaf"), "never")
    process = machine.start("run", "Go", "-m", model, "-s", "x", "-t", "deaf.py:deaf")

    wait_for(process, "can not hear")
    ctrl_c(process)
    wait_for(process, "stopping the turn")
    ctrl_c(process)
    started = time.monotonic()
    code, err = ended(process)

    assert code == 130
    assert time.monotonic() - started < 2
    assert "Traceback" not in err
    shown = goes_on(machine, "It's unknown.")  # the turn that was ended is finished first
    assert "✗ deaf() → execution:" in shown
    assert "It's unknown." in shown


def test_in_a_chat_it_stops_the_turn_alone(machine: Machine) -> None:
    """The conversation goes on with the next line."""
    machine.write("slow.py", SLOW)
    model = machine.script(asking("task"), "Second.")
    machine.write("lines", "first", "second")
    words = ("chat", "-m", model, "-s", "x", "-t", "slow.py:task")
    process = machine.start(*words, stdin="lines")

    wait_for(process, "→ task()")
    ctrl_c(process)
    out, err = process.communicate(timeout=10)

    assert (process.returncode, out) == (0, "Second.\n")
    assert "stopped (cancelled)" in err
