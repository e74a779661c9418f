"""Plays the scenes with a system, and says what they show."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from benchmarks.environments import HERE, LASH, PEERS, System
from benchmarks.scenarios import instructions
from benchmarks.script import WARM_UP
from benchmarks.survival.scene import text_of
from benchmarks.targets import FLAT_COUNTS, FLAT_TIME
from benchmarks.workers import started
from lash_sdk.json import encode
from lash_sdk.messages import Message, Text, user

SCENE: Final = HERE / "survival" / "scene.py"
LONGEST: Final = 60.0
"""Seconds that one process may take."""

TURNS: Final = 100
"""Turns of each half of the growth."""

BYTES: Final = 2.0
"""Bytes on disk by the payload's, at most."""
LINEAR: Final = 1.1
"""The second half's bytes by the first half's, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """
    A system as it's set up.

    Attributes:
        file: Its script, below `survival`.
        variant: What the script is told; empty means the defaults.
        what: How that's called in the table.
        grows: Whether its growth is measured too: once a system.
    """

    system: System
    file: str
    variant: str = ""
    what: str = ""
    grows: bool = True

    @property
    def name(self) -> str:
        """The system's name, and its set-up if it isn't at its defaults."""
        return f"{self.system.name}, {self.what}" if self.what else self.system.name


def _peer(name: str, variant: str = "", what: str = "", *, grows: bool = True) -> Candidate:
    system = next(each for each in PEERS if each.name == name)
    return Candidate(
        system=system, file=system.file, variant=variant, what=what or variant, grows=grows
    )


OURS: Final = (
    Candidate(system=LASH, file=LASH.file, variant="reject", what="`on_busy=reject`"),
    Candidate(system=LASH, file=LASH.file, variant="queue", what="`on_busy=queue`", grows=False),
)
THEIRS: Final = (
    _peer("openai-agents"),
    _peer("langgraph"),
    _peer("langgraph", "v1", "one `ToolNode` a batch", grows=False),
    _peer("langgraph", "exit", "`durability=exit`", grows=False),
    _peer("agno"),
    _peer("agno", "tool-batch", "`checkpoint=tool-batch`", grows=False),
    _peer("pydantic-ai"),
    _peer("google-adk"),
)


def survive(candidate: Candidate, *, turns: int = TURNS) -> dict[str, Any]:
    """Return what the three measurements show of a candidate."""
    candidate.system.ready()
    found: dict[str, Any] = {"crash": crash(candidate), "race": race(candidate)}
    if candidate.grows:
        found["growth"] = growth(candidate, turns)
    return found


# --- killed inside the second tool of a batch ----------------------------------


def crash(candidate: Candidate) -> dict[str, Any]:
    """Kill a turn in its second tool, go on in another process, and count the calls."""
    with _folder() as folder:
        code, said = _ended(_start(candidate, "crash", folder))
        if code != -9:
            raise AssertionError(f"{candidate.name}: expected a kill, found {code}: {said}")
        _, after = _ended(_start(candidate, "resume", folder))
        charged, boomed = _lines(folder / "charge.count"), _lines(folder / "boom.count")
    found = {
        "charged": charged,
        "boomed": boomed,
        "completed": after.get("answer") == "The card was charged.",
        "knew": after.get("knew", 0) > 0,
        "error": after.get("error"),
    }
    return {**found, "right": (charged, boomed, found["completed"]) == (1, 1, True)}


# --- two turns at once ----------------------------------------------------------


def race(candidate: Candidate) -> dict[str, Any]:
    """Run two turns of one session in two processes, and read what's kept of them."""
    with _folder() as folder:
        _ended(_start(candidate, "prepare", folder))
        running = {name: _start(candidate, "race", folder, name) for name in "AB"}
        ended = {name: _ended(process)[1] for name, process in running.items()}
        _, stored = _ended(_start(candidate, "history", folder))
    won = sorted(name for name, said in ended.items() if said.get("answer") == f"answer {name}")
    return {
        "won": won,
        "errors": {name: said["error"] for name, said in ended.items() if "error" in said},
        "history": stored.get("history", []),
        **judged(won, stored.get("history", [])),
    }


def judged(won: list[str], history: list[str]) -> dict[str, Any]:
    """Return what a history has lost, mixed up and left over, when these turns *won*."""
    turns = [turn for line in history if (turn := _turn_of(line))]
    blocks = [turn for turn, _ in groupby(turns)]
    asked, answered = ([f"{who} {name}" for name in won] for who in ("user", "answer"))
    found: dict[str, Any] = {
        "lost": [line for line in (*asked, *answered) if line not in history],
        "interleaved": len(blocks) > len(set(blocks)),
        "stranded": sorted(set(turns) - set(won)),
    }
    return {**found, "right": bool(won) and not any(found.values())}


def _turn_of(line: str) -> str | None:
    """Return which turn a line of history belongs to, as far as it says."""
    return next((name for name in "AB" if f" {name}" in line or f"_{name}_" in line), None)


# --- growth ----------------------------------------------------------------------


def growth(candidate: Candidate, turns: int) -> dict[str, Any]:
    """Run twice so many turns of 2 KB, a process each; return what they left on disk."""
    found: dict[str, Any] = {"turns": turns, "bytes": [], "payload": [], "seconds": []}
    with _folder() as folder:
        for half in ("1", "2"):
            _, said = _ended(_start(candidate, "grow", folder, f"{turns}/{half}"))
            if "error" in said:
                return {**found, **said}
            found["seconds"].append(said["seconds"])
            found["bytes"].append(_bytes(folder) - sum(found["bytes"]))
            found["payload"].append(payload(turns, half))
    first, second = found["bytes"]
    times = (first + second) / sum(found["payload"])
    bounds = times <= BYTES and second <= LINEAR * first
    return {**found, "times": times, "linear": second / first, "right": bounds}


def payload(turns: int, half: str) -> int:
    """Return the canonical bytes of the messages of one half."""
    total = 0
    for number in range(turns):
        asked = user(text_of(f"{turns}/{half}", "question", number))
        said = Text(text=text_of(f"{turns}/{half}", "answer", number + 1))
        total += len(encode(asked.to_json()))
        total += len(encode(Message(role="assistant", parts=(said,)).to_json()))
    return total


def _bytes(folder: Path) -> int:
    """Return the size of what's in a folder, write-ahead logs apart."""
    aside = ("-wal", "-shm")
    files = [each for each in folder.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files if not each.name.endswith(aside))


def flatness(near: int, far: int, turns: int) -> dict[str, Any]:
    """
    Return what turns of ours cost at two lengths of a durable session.

    Two sessions, one of each length, take turns, so that the machine does to both
    what it does to one. A time is the median of *turns* turns.
    """
    short, *_ = lengths = (near, far)
    with started((LASH, LASH)) as workers, ExitStack() as stack:
        for worker, length in zip(workers, lengths, strict=True):
            stack.enter_context(worker.session("S4 durable", in_memory=True))
            worker.run(length - WARM_UP)
        blocks = [[worker.walls(5) for worker in workers] for _ in range(turns // 5)]
        codes = [mean([worker.count()["bytecodes"] for _ in range(5)]) for worker in workers]
    times = [median([wall for block in blocks for wall in block[at]]) for at in (0, 1)]
    counted = instructions("S4 durable", lengths)
    found: dict[str, Any] = {"lengths": lengths, "times": times, "bytecodes": codes}
    found["time"], found["bytecode"] = times[1] / times[0], codes[1] / codes[0]
    found["instructions"] = counted[str(far)] / counted[str(short)] if counted else None
    counts = max(found["bytecode"], found["instructions"] or 0)
    return {**found, "right": counts <= FLAT_COUNTS and found["time"] <= FLAT_TIME}


# --- processes -------------------------------------------------------------------


def _start(
    candidate: Candidate, scene: str, folder: Path, argument: str = ""
) -> subprocess.Popen[str]:
    file = HERE / "survival" / candidate.file
    words = (candidate.system.python, SCENE, file, scene, folder, argument, candidate.variant)
    return subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and what the process said last."""
    with process:
        try:
            said, _ = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            return 0, {"error": f"stopped after {LONGEST:.0f} s"}
    lines = said.splitlines()
    return process.returncode, json.loads(lines[-1]) if lines else {}


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.is_file() else 0


@contextmanager
def _folder() -> Generator[Path, None, None]:
    folder = tempfile.mkdtemp(prefix="lash-survival-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
