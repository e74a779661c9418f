"""`lash resume`, and what `lash run` and `lash chat` do with a turn that was cut short."""

from __future__ import annotations

import signal

import pytest

from .running import Machine, asking

TOOLS = """
import os, signal
from pathlib import Path
from lash_sdk import tool

@tool
def count() -> str:
    "Count."
    done = Path("counted")
    done.write_text(done.read_text() + "1" if done.exists() else "1")
    return "counted"

@tool(on_recovery="rerun")
def crash() -> str:
    "End the process, the first time."
    if not Path("crashed").exists():
        Path("crashed").write_text("yes")
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"
"""
WITH = ("--tool", "tools.py:count", "--tool", "tools.py:crash")


@pytest.fixture
def killed(machine: Machine) -> Machine:
    """Return a machine on which a turn's process was killed, one tool done, one not."""
    machine.write("tools.py", *TOOLS.splitlines())
    first, second = asking("count"), asking("crash")
    ran = machine.shell("run", "Go", "-m", machine.script(first, second), "-s", "x", *WITH)
    assert -signal.SIGKILL == ran.code
    return machine


def counted(machine: Machine) -> str:
    return (machine.work / "counted").read_text()


def test_resume_finishes_the_turn(killed: Machine) -> None:
    """The finished tool isn't run again, the interrupted one is."""
    ran = killed.lash("resume", "x", "-m", killed.script("done"), *WITH)
    again = killed.lash("resume", "x", "-m", killed.script("more"), *WITH)

    assert (0, "done\n") == (ran.code, ran.out)
    assert "crash() → survived" in ran.err
    assert "1" == counted(killed)
    assert (0, "") == (again.code, again.out)
    assert "session 'x' has no unfinished turn" in again.err
    said = killed.lash("sessions", "show", "x").out
    assert ["user: Go", "assistant: done"] == [
        line for line in said.splitlines() if line.startswith(("user", "assistant"))
    ]


def test_resume_for_a_machine(killed: Machine) -> None:
    """An event a line, the record last."""
    lines = killed.lash("resume", "x", "-m", killed.script("done"), "--json", *WITH).lines

    assert ("TurnRecord", "done", 1) == (
        lines[-1]["event"],
        lines[-1]["text"],
        lines[-1]["revision"],
    )
    assert ["count", "crash"] == [each["name"] for each in lines[-1]["tool_calls"]]


def test_discard_settles_the_turn_as_it_is(killed: Machine) -> None:
    """Nothing is run, no model is asked for, what was done stays, the session goes on."""
    ran = killed.lash("resume", "x", "--discard", *WITH)

    assert (0, "") == (ran.code, ran.out)
    assert "discarded" in killed.lash("sessions", "show", "x").out
    assert ("1", False) == (counted(killed), (killed.work / "survived").exists())
    assert "on\n" == killed.lash("run", "More", "-m", killed.script("on"), "-s", "x").out


@pytest.mark.parametrize("command", ["run", "chat"])
def test_a_new_turn_finishes_the_old_one_first(killed: Machine, command: str) -> None:
    """Whoever goes on with a session wants nothing of it lost."""
    words = ("run", "More") if command == "run" else ("chat",)
    model = killed.script("done", "on")
    ran = killed.lash(*words, "-m", model, "-s", "x", *WITH, stdin="More\n")

    assert 0 == ran.code and ran.out.endswith("on\n")
    turns = killed.lash("sessions", "tree", "x", "--json").body
    assert ["Go", "More"] == [turn["ask"] for turn in turns]
    assert "1" == counted(killed)


def test_an_export_says_that_a_turn_is_left_out(killed: Machine) -> None:
    """What isn't committed isn't history yet."""
    killed.lash("resume", "x", "-m", killed.script("done"), *WITH)
    (killed.work / "crashed").unlink()
    more = killed.script(asking("crash"))
    assert killed.shell("run", "Again", "-m", more, "-s", "x", *WITH).code == -signal.SIGKILL
    ran = killed.lash("sessions", "export", "x")

    assert (0, 1) == (ran.code, ran.lines[0]["revision"])
    assert "note: the unfinished turn of session 'x' isn't in it; lash resume x" in ran.err


@pytest.mark.parametrize("command", [("show",), ("export",), ("fork",), ("delete", "--yes")])
def test_a_session_with_an_unfinished_turn_alone_is_named(
    killed: Machine, command: tuple[str, ...]
) -> None:
    """Who looks for a first turn that was killed must not think that it's lost."""
    ran = killed.lash("sessions", command[0], "x", *command[1:])

    assert 2 == ran.code
    assert "error: session 'x' has an unfinished first turn and nothing else\n" in ran.err
    assert "try: lash resume x, or lash resume x --discard" in ran.err


def test_a_killed_first_turn_is_in_the_list(killed: Machine) -> None:
    """An id that nobody chose can't be guessed: the list is where it's found."""
    first = killed.lash("sessions", "list", "--json").body
    shown = killed.lash("sessions", "list")
    killed.lash("resume", first[0]["id"], "-m", killed.script("done"), *WITH)
    after = killed.lash("sessions", "list", "--json").body

    assert [("x", 0, 0, True)] == [
        (row["id"], row["turns"], row["revision"], row["unfinished"]) for row in first
    ]
    assert "unfinished" in shown.out.splitlines()[-1]
    assert "note: an unfinished turn runs, or was interrupted; lash resume ID" in shown.err
    assert [("x", 1, 1, False)] == [
        (row["id"], row["turns"], row["revision"], row["unfinished"]) for row in after
    ]


def test_what_looks_at_every_session_passes_over_a_first_turn(killed: Machine) -> None:
    """It has nothing that's committed yet: no usage, and nothing that could be damaged."""
    usage = killed.lash("usage", "--json")
    verified = killed.lash("sessions", "verify", "--json")

    assert (0, {}) == (usage.code, usage.body)
    assert (0, [("x", 0, "")]) == (
        verified.code,
        [(each["session"], each["revision"], each["problem"]) for each in verified.body],
    )


def test_a_session_that_is_not_there(machine: Machine) -> None:
    """A wrong id isn't a finished turn."""
    ran = machine.lash("resume", "nobody", "-m", machine.script("x"))

    assert 2 == ran.code
    assert "error: no session 'nobody'" in ran.err


def test_a_busy_session_is_left_alone(machine: Machine) -> None:
    """Its process is at it: nobody may take that for a turn that was finished."""
    machine.write("slow.py", "import time", "def slow() -> str:", "    time.sleep(30)")
    model = machine.script(asking("slow"))
    tool = ("--tool", "slow.py:slow")
    process = machine.start("run", "Go", "-m", model, "-s", "x", "--json", *tool)
    try:
        assert process.stdout is not None
        while "ToolStarted" not in process.stdout.readline():
            assert process.poll() is None
        ran = machine.lash("resume", "x", "-m", model, *tool)
        settled = machine.lash("resume", "x", "--discard", *tool)
        asked = machine.lash("run", "More", "-m", model, "-s", "x", *tool)
    finally:
        process.kill()
        process.communicate()

    for each in (ran, settled, asked):
        assert (1, "") == (each.code, each.out)
        assert "wait for the running turn" in each.err
