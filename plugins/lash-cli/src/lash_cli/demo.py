"""
`make demo`: a real model, real tools and a real database, in separate processes.

Run as `python -m lash_cli.demo`. Every command line is shown before what it prints,
and what comes back is checked: the demo fails if any of it isn't right.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

MODEL: Final = "local:smollm2"
STORE: Final = ("--store", "sqlite:///demo.db")
TOOLS: Final = ("read_file", "list_folder", "calculate", "current_time")
FILES: Final = {
    "data/report.txt": "Sales rose by 12 percent in March.\n",
    "data/costs.csv": "month,costs\nmarch,310\n",
    "data/todo.txt": "Call the printer.\n",
    # a plugin with tools of its own, sub-agents say, would be more than so small a model can take
    "lash.toml": '[plugins]\nonly = ["local", "sqlite", "standard"]\n',
}
QUESTIONS: Final = (
    ("How much is 17 times 23?", ("391",)),
    ("What files are in the data folder?", ("report.txt", "costs.csv", "todo.txt")),
    ("Open data/report.txt and tell me what it says.", ("Sales rose by 12 percent",)),
)

HEAD: Final = """\
lash demo: three questions in one session, a process for each, then one that is killed
in the middle of its turn. No API key. Whatever else is installed, three plugins take
part: lash.toml in the demo's folder says [plugins] only = ["local", "sqlite", "standard"].

The model is SmolLM2-135M on this machine's CPU. With 135 million parameters it shows
the machinery, not intelligence: other questions will often get silly answers. Point
lash at a real model with one option:

  OPENAI_API_KEY=… lash run "…" --model openai:gpt-5.2
  lash run "…" --model local:/path/to/any.gguf
"""


KILLS: Final = """\
import os, signal
from pathlib import Path

from lash_cli import tools
from lash_sdk import tool

CALLS = Path("calls.txt")


@tool(on_recovery="rerun")
def calculate(expression: str) -> float:
    \"\"\"Work out a sum; the first time, end the process in the middle of it.\"\"\"
    with CALLS.open("a") as calls:
        calls.write(f"called in process {os.getpid()}\\n")
    if len(CALLS.read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return tools.calculate(expression)
"""
"""A tool file: its first call is the last thing that its process does."""

NOW_KILLED: Final = """
Now a turn that doesn't get to its end. The first time its tool is called, it ends its own
process with SIGKILL, as a crash or a power cut would; nothing gets to clean up.
"""
NOW_RESUMED: Final = """
That process is gone, in the middle of a turn. What the turn had heard by then is in the
store's journal: the question, and the model's wish to call the tool. Another process takes
it up from there. The model isn't asked again for what it said; the tool is called again,
because it says on_recovery="rerun".
"""


class DemoFailed(Exception):
    """Raised when a command didn't do what the demo says it does."""


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    print(HEAD)
    try:
        with tempfile.TemporaryDirectory(prefix="lash-demo-") as folder:
            _play(Path(folder))
    except DemoFailed as failure:
        print(f"\ndemo failed: {failure}", file=sys.stderr)
        return 1
    print(f"\nAll of this really happened, in {time.monotonic() - started:.0f} s.")
    return 0


def _play(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _lash(folder, "models", "pull", "smollm2")
    tools = [word for name in TOOLS for word in ("--tool", f"lash_cli.tools:{name}")]
    for question, expected in QUESTIONS:
        words = ("run", question, "--model", MODEL, *STORE, "--session", "demo")
        said = _lash(folder, *words, *tools)
        _check(question, said, expected)
    shown = _lash(folder, "sessions", "show", "demo", *STORE)
    _check("lash sessions show", shown, [question for question, _ in QUESTIONS])
    _check("lash sessions show", shown, ["calculate", "list_folder", "read_file"])
    _check("lash usage", _lash(folder, "usage", "--session", "demo", *STORE), [MODEL, "total"])
    _survive(folder)


def _survive(folder: Path) -> None:
    """Kill a process in the middle of its turn, and finish that turn in another."""
    (folder / "kills.py").write_text(KILLS, encoding="utf-8")
    question, expected = QUESTIONS[0]
    turn = ("--model", MODEL, *STORE, "--tool", "kills.py:calculate")
    print(NOW_KILLED)
    _lash(folder, "run", question, "--session", "killed", *turn, ends=-signal.SIGKILL)
    print(NOW_RESUMED, flush=True)
    _check("lash resume", _lash(folder, "resume", "killed", *turn), expected)
    _check("lash sessions show", _lash(folder, "sessions", "show", "killed", *STORE), expected)
    calls = (folder / "calls.txt").read_text(encoding="utf-8")
    print(f"\ncalls.txt, which the tool writes:\n{calls}", end="")
    if len(set(calls.splitlines())) != 2:
        raise DemoFailed(f"expected a call in each of two processes, found {calls!r}")


def _lash(folder: Path, *words: str, ends: int = 0) -> str:
    """Run a command in *folder* with its output shown; return its standard output."""
    print(f"\n$ lash {shlex.join(words)}", flush=True)
    script = Path(sys.executable).with_name("lash")
    lash = [str(script)] if script.is_file() else [sys.executable, "-P", "-m", "lash_cli"]
    said: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own command
        [*lash, *words], cwd=folder, stdout=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it's a pipe
        while piece := process.stdout.read(1):
            said.append(piece)
            print(piece, end="", flush=True)
    if process.returncode != ends:
        raise DemoFailed(f"lash {words[0]} ended with exit code {process.returncode}")
    if ends:
        print(f"(killed by signal {-ends})")
    return "".join(said)


def _check(what: str, said: str, expected: list[str] | tuple[str, ...]) -> None:
    for piece in expected:
        if piece not in said:
            raise DemoFailed(f"{what!r}: expected {piece!r} in the answer, found {said!r}")


if __name__ == "__main__":
    sys.exit(main())
