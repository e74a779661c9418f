"""Every bad input of a first day, as the command line answers it."""

from __future__ import annotations

import sqlite3
import subprocess

import pytest

from .running import LASH, Machine, asking


def refused(machine: Machine, *words: str, code: int, says: str, way_out: str = "") -> None:
    """Assert that `lash` ends so, with one error, a way out and no traceback."""
    ran = machine.lash(*words)

    assert (ran.code, ran.out) == (code, "")
    assert ran.err.count("error: ") == 1
    assert says in ran.err
    assert f"try: {way_out}" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("model", "code", "says", "way_out"),
    [
        ("nope:x", 3, "model scheme 'nope' is unavailable", "lash plugins list"),
        ("anthropic:x", 3, "install lash-model-anthropic", "pip install lash-model-anthropic"),
        ("plain", 2, "model 'plain': expected '<scheme>:<name>'", "mend the value"),
        ("scripted:none.jsonl", 2, "script 'none.jsonl'", "mend the value"),
        ("openai:gpt-5.2", 1, "OPENAI_API_KEY", ""),
    ],
    ids=["unknown scheme", "missing package", "no scheme", "no file", "missing key"],
)
def test_a_model_that_cannot_be_used(
    machine: Machine, model: str, code: int, says: str, way_out: str
) -> None:
    """The message names the value, the package or the key."""
    ran = machine.lash("run", "Hi", "-m", model, "-s", "x")

    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert f"try: {way_out}" in ran.err


def test_no_model_lists_every_way_to_one(machine: Machine) -> None:
    """The first thing a newcomer meets."""
    ran = machine.lash("run", "Hi")

    assert ran.code == 2
    assert "no model: name one with --model, LASH_MODEL" in ran.err
    for way in ("lash models pull smollm2", "OPENAI_API_KEY", "pip install lash-model-anthropic"):
        assert way in ran.err


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_an_empty_prompt(machine: Machine, prompt: str) -> None:
    """It costs nothing: no model is asked."""
    refused(machine, "run", prompt, "-m", "scripted:x", code=2, says="the prompt is empty")


@pytest.mark.parametrize(
    ("store", "code", "says"),
    [
        ("sqlite:////nowhere/at/all/x.db", 4, "/nowhere/at/all/x.db"),
        ("sqlite:///.", 4, "can't open"),
        ("sqlite:///", 2, "expected 'sqlite:///relative.db'"),
        ("app.db", 2, "store 'app.db': expected a URL"),
        ("postgresql://127.0.0.1:1/x", 4, "postgresql://127.0.0.1:1/x"),
        ("postgresql://[here/x", 2, "expected 'postgresql://"),
    ],
)
def test_a_store_that_cannot_be_used(machine: Machine, store: str, code: int, says: str) -> None:
    """No folder, a folder, no path, no URL, no server."""
    model = machine.script("never")
    refused(machine, "run", "Hi", "-m", model, "--store", store, code=code, says=says)


def test_a_store_whose_plugin_is_disabled(machine: Machine) -> None:
    """Whoever disabled it may have forgotten."""
    machine.write("lash.toml", "[plugins]", 'disable = ["postgres"]')
    store = "postgresql://127.0.0.1:1/x"
    model = machine.script("never")
    says = "lash-store-postgres is installed but disabled"
    refused(machine, "run", "Hi", "-m", model, "--store", store, code=3, says=says)


def test_a_database_that_is_not_ours_is_left_alone(machine: Machine) -> None:
    """Somebody's file is never written to."""
    path = machine.work / "their.db"
    with sqlite3.connect(path) as db:
        db.execute("create table photos (id)")
    db.close()
    before = path.read_bytes()

    words = ("run", "Hi", "-m", machine.script("never"), "--store", "sqlite:///their.db")
    refused(machine, *words, code=4, says="isn't a session store", way_out="another --store")
    assert path.read_bytes() == before


TOOLS = """\
import threading

def picky(number: int) -> int:
    return number

def broken() -> str:
    raise RuntimeError("the drawer is stuck")

def strange() -> object:
    return threading.Lock()
"""


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (asking("picky", number="many"), '✗ picky(number="many") → invalid_request'),
        (asking("broken"), "✗ broken() → execution: RuntimeError: the drawer is stuck"),
        (asking("strange"), "✗ strange() → "),
        (asking("absent"), "✗ absent() → unavailable: there is no tool 'absent'"),
    ],
    ids=["wrong arguments", "raises", "not JSON", "unknown"],
)
def test_a_tool_that_fails_is_told_to_the_model(
    machine: Machine, call: dict[str, object], says: str
) -> None:
    """The turn goes on and ends well; a person sees what failed."""
    machine.write("tools.py", TOOLS)
    tools = [
        word for name in ("picky", "broken", "strange") for word in ("--tool", f"tools.py:{name}")
    ]

    ran = machine.lash("run", "Go", "-m", machine.script(call, "I see."), *tools)

    assert (ran.code, ran.out) == (0, "I see.\n")
    assert says in ran.err


def test_a_tool_that_hangs_runs_out_of_time(machine: Machine) -> None:
    """Its own limit holds; the turn goes on."""
    machine.write(
        "slow.py",
        "import time",
        "from lash_sdk import tool",
        "@tool(timeout=0.2)",
        "def hang() -> str:",
        "    time.sleep(5)",
        "    return ''",
    )

    ran = machine.lash(
        "run", "Go", "-m", machine.script(asking("hang"), "Too slow."), "-t", "slow.py:hang"
    )

    assert (ran.code, ran.out) == (0, "Too slow.\n")
    assert "✗ hang() → timeout" in ran.err


def test_a_model_that_answers_nothing(machine: Machine) -> None:
    """An empty answer is a stopped turn, not an empty line."""
    ran = machine.lash("run", "Go", "-m", machine.script(""), "-s", "x")

    assert ran.code == 1
    assert "error: " in ran.err or "stopped (" in ran.err
    assert machine.lash("run", "Go", "-m", machine.script("Yes."), "-s", "x").code == 0


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonsense", "expected MODULE:NAME or path/to/file.py:NAME"),
        ("no_such_module:x", "No module named 'no_such_module'"),
        ("no/such.py:x", "no file 'no/such.py'"),
        ("lash_cli.tools:calculat", "did you mean 'calculate'?"),
        ("lash_cli.tools:MOST", "expected a function"),
        ("bad.py:x", "importing 'bad.py' failed: ZeroDivisionError"),
        ("untyped.py:f", "parameter 'x'"),
    ],
)
def test_a_tool_that_cannot_be_loaded(machine: Machine, spec: str, says: str) -> None:
    """Each names the option's value."""
    machine.write("bad.py", "1 / 0")
    machine.write("untyped.py", "def f(x): ...")
    refused(machine, "run", "Hi", "-m", machine.script("x"), "--tool", spec, code=2, says=says)


def test_a_plugin_that_is_none(machine: Machine) -> None:
    """A tool isn't a plugin, and the message isn't a page long."""
    words = ("run", "Hi", "-m", machine.script("x"), "--plugin", "lash_cli.tools:calculate")
    refused(machine, *words, code=2, says="expected a Plugin class or a module, found a Tool")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rnu",), "Did you mean 'run'?"),
        (("run",), "PROMPT"),
        (("run", "x", "--modle", "y"), "--modle"),
        (("run", "x", "--max-iterations", "0"), "--max-iterations"),
        (("plugins", "lst"), "lst"),
        (("plugins", "show", "sqlit"), "did you mean 'sqlite'?"),
        (("models", "pull", "gpt"), "no weights are known as 'gpt'"),
        (("sessions", "show", "none"), "no session 'none'"),
        (("sessions", "export", "none"), "no session 'none'"),
        (("sessions", "delete", "none", "--yes"), "no session 'none'"),
        (("usage", "--session", "none"), "no session 'none'"),
    ],
)
def test_a_command_line_that_does_not_fit(
    machine: Machine, words: tuple[str, ...], says: str
) -> None:
    """Exit code 2, what's wrong, and where to look."""
    refused(machine, *words, code=2, says=says)


def test_a_session_id_that_cannot_be(machine: Machine) -> None:
    """Ids are 1 to 255 bytes."""
    words = ("run", "Hi", "-m", machine.script("x"), "--session", "x" * 256)
    refused(machine, *words, code=2, says="1 to 255 bytes")


def test_a_defect_of_ours_shows_its_traceback_only_on_request(machine: Machine) -> None:
    """Expected errors never do; LASH_DEBUG=1 shows where even those come from."""
    plain = machine.lash("run", "Hi", "-m", "nope:x")
    debug = machine.lash("run", "Hi", "-m", "nope:x", LASH_DEBUG="1")

    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err
    assert (plain.code, debug.code) == (3, 3)


@pytest.mark.parametrize("words", [(), ("sessions",), ("models",)], ids=["lash", "group", "models"])
def test_a_command_alone_is_shown_its_help(machine: Machine, words: tuple[str, ...]) -> None:
    """Who types the name to see what there is has done nothing wrong."""
    ran = machine.lash(*words)

    assert (2, "") == (ran.code, ran.out)
    assert ran.err.startswith(" ".join(("Usage: lash", *words)))
    assert "error:" not in ran.err


@pytest.mark.parametrize(
    "name",
    ["list", "show", "doctor", "check", "order", "trace", "config", "enable", "disable", "new"],
)
def test_every_plugin_command_shows_an_example(machine: Machine, name: str) -> None:
    """One line to copy says more than a list of options."""
    ran = machine.lash("plugins", name, "--help")

    assert 0 == ran.code
    assert f"example: lash plugins {name}" in ran.out


def test_usage_says_that_it_only_looks(machine: Machine) -> None:
    """`run` makes the session that it's given; a report doesn't."""
    assert "make it" not in machine.lash("usage", "--help").out


def test_a_server_that_is_away_is_no_matter_of_paths(machine: Machine) -> None:
    """The way out is the server, or any other store: not a file, of all things."""
    store = "postgresql://127.0.0.1:1/x"
    says = "mend what the message names, or take another --store\n"
    refused(machine, "sessions", "list", "--store", store, code=4, says="refused", way_out=says)


def test_output_without_room_is_no_bug_of_ours(machine: Machine) -> None:
    """A log on a full disk is the user's to mend: no bug report is asked for."""
    run = ["run", "Hi", "--json", "-m", machine.script({"text": "Hi."}), "-s", "x"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(LASH), *run],
            cwd=machine.work,
            env=machine.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    assert 1 == done.returncode
    assert "error: can't write: No space left on device" in done.stderr
    assert "unexpected" not in done.stderr
