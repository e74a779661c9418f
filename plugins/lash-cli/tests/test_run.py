"""`lash run` and `lash chat`, in this process and as real ones."""

from __future__ import annotations

from .running import Machine, asking

CALCULATE = ("--tool", "lash_cli.tools:calculate")
STORE = ("--store", "sqlite:///app.db")


def test_the_answer_alone_is_on_standard_output(machine: Machine) -> None:
    """So that it can be piped on."""
    model = machine.script("It is 4.")

    ran = machine.lash("run", "What is 2 + 2?", "-m", model)

    assert (ran.code, ran.out) == (0, "It is 4.\n")
    assert "turn 1 · 10 tokens in, 5 out" in ran.err


def test_a_tool_call_is_shown_as_it_runs(machine: Machine) -> None:
    """Name, arguments, what came of it: a person sees what the model does."""
    model = machine.script(asking("calculate", expression="17 * 23"), "391")

    ran = machine.lash("run", "How much?", "-m", model, *CALCULATE)

    assert '→ calculate(expression="17 * 23")' in ran.err
    assert '✓ calculate(expression="17 * 23") → 391' in ran.err
    assert "1 tool call" in ran.err


def test_a_second_process_goes_on_with_the_session(machine: Machine) -> None:
    """Real processes, a real database: the promise of the whole project."""
    model = machine.script(asking("calculate", expression="17 * 23"), "391")
    more = machine.script("And now 782.", name="more.jsonl")
    words = (*STORE, "--session", "sums")

    first = machine.shell("run", "How much is 17 times 23?", "-m", model, *words, *CALCULATE)
    second = machine.shell("run", "And times two?", "-m", more, *words)
    shown = machine.shell("sessions", "show", "sums", *STORE)

    assert (first.code, first.out) == (0, "391\n")
    assert (second.code, second.out) == (0, "And now 782.\n")
    assert "sums, turn 2" in second.err
    for piece in ("How much is 17 times 23?", "calculate", "391", "And times two?", "782"):
        assert piece in shown.out


def test_json_is_an_event_a_line(machine: Machine) -> None:
    """The record of the turn is the last line."""
    model = machine.script(asking("calculate", expression="1 + 1"), "two")

    ran = machine.lash("run", "1 + 1?", "-m", model, "--json", *CALCULATE)

    assert ran.code == 0
    kinds = [line["event"] for line in ran.lines]
    assert kinds[0] == "TurnStarted"
    assert kinds[-2:] == ["TurnEnded", "TurnRecord"]
    assert {"ModelStarted", "ToolStarted", "ToolEnded", "TextDelta", "UsageAdded"} <= set(kinds)
    assert ran.lines[-1]["text"] == "two"
    assert ran.lines[-1]["tool_calls"][0]["outcome"]["value"] == "2"


def test_a_retry_is_shown(machine: Machine) -> None:
    """The wait has a reason that a person may want to know."""
    error = {"message": "overloaded", "code": "rate_limit", "retryable": True}
    model = machine.script({"error": error, "text": "I th"}, "I think so.")

    ran = machine.lash("run", "Really?", "-m", model)

    assert ran.code == 0
    assert "attempt 1 of 4 failed, again in 2 s: overloaded" in ran.err
    assert "(that answer broke off)" in ran.err
    assert ran.out.endswith("I think so.\n")


def test_a_stopped_turn_is_exit_code_1_and_says_why(machine: Machine) -> None:
    """It was committed all the same."""
    model = machine.script(asking("calculate", expression="1"), "never said")

    ran = machine.lash("run", "Go", "-m", model, *CALCULATE, "--max-iterations", "1", "-s", "x")

    assert ran.code == 1
    assert "stopped (max_turns)" in ran.err
    assert "stopped (max_turns)" in machine.lash("sessions", "show", "x").out


def test_a_model_that_fails_is_exit_code_1_and_the_session_goes_on(machine: Machine) -> None:
    """The failure is said once, with a way out; the next turn runs."""
    model = machine.script({"error": {"message": "the cable is out", "code": "network"}})

    failed = machine.lash("run", "Hello?", "-m", model, "-s", "x")
    after = machine.lash("run", "Hello?", "-m", machine.script("Hi."), "-s", "x")

    assert failed.code == 1
    assert failed.err.count("the cable is out") == 1
    assert "try: " in failed.err
    assert (after.code, after.out) == (0, "Hi.\n")


def test_a_model_cannot_drive_the_terminal(machine: Machine) -> None:
    """Escape sequences in answers, arguments and results are taken out."""
    model = machine.script(asking("\x1b[2Jx", y="\x1b]0;title\x07"), "a\x1b[31mred\x07")

    ran = machine.lash("run", "Go", "-m", model, "-s", "x")
    shown = machine.lash("sessions", "show", "x")

    assert ran.out == "a[31mred\n"
    assert "\x1b" not in ran.err + shown.out


def test_chat_runs_a_turn_on_each_line(machine: Machine) -> None:
    """Piped in, it needs nobody at a keyboard."""
    model = machine.script("One.", "Two.")

    ran = machine.lash("chat", "-m", model, "-s", "x", stdin="first\n\nsecond\n")

    assert (ran.code, ran.out) == (0, "One.\nTwo.\n")
    assert "x, turn 2" in ran.err


def test_chat_goes_on_after_a_failure(machine: Machine) -> None:
    """One bad turn isn't the end of the conversation."""
    model = machine.script({"error": {"message": "gone", "code": "network"}}, "Back.")

    ran = machine.lash("chat", "-m", model, stdin="first\nsecond\n")

    assert ran.code == 0
    assert "error: gone" in ran.err
    assert ran.out == "Back.\n"


def test_a_tool_and_a_plugin_from_a_file(machine: Machine) -> None:
    """What somebody just wrote works without packaging."""
    machine.write(
        "mine.py",
        "from __future__ import annotations",
        "from lash_sdk import Plugin, hooks",
        "def shout(text: str) -> str:",
        '    """Say it loudly."""',
        "    return text.upper()",
        "class Extra(Plugin):",
        "    @hooks.provide_prompt",
        "    def prompt(self, ctx):",
        "        return []",
    )
    model = machine.script(asking("shout", text="hey"), "done")

    ran = machine.lash(
        "run", "Go", "-m", model, "--tool", "mine.py:shout", "--plugin", "mine.py:Extra"
    )

    assert ran.code == 0
    assert "→ HEY" in ran.err


def test_without_plugins_the_store_is_in_memory(machine: Machine) -> None:
    """Nothing is written anywhere."""
    ran = machine.lash("run", "Hi", "-m", machine.script("Ho"), "--no-plugins")

    assert (ran.code, ran.out) == (0, "Ho\n")
    assert [] == list(machine.home.iterdir())
