"""
What holds for every turn: in 10,000 random schedules, in any process, untouched
by the world outside; and that these tests would notice if it didn't.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lash_sdk.turn import Phase, machine

from .schedules import watch

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(machine.__file__).read_text(encoding="utf-8")
SCHEDULES = 10_000
SLICES = 20


@pytest.mark.parametrize("part", range(SLICES))
def test_the_laws_hold_in_every_schedule(part: int) -> None:
    """
    Answers, late answers, wrong answers, cancels and restores in any order: calls
    and results stay paired, keys rise, there is one outcome and one last effect,
    done is done, grace comes once, and every token is in the books.
    """
    for seed in range(part, SCHEDULES, SLICES):
        watch(machine, seed)


def test_the_schedules_go_everywhere() -> None:
    """
    Laws that hold because nothing happens hold nothing.
    """
    played = [watch(machine, seed) for seed in range(400)]
    phases = {phase for log in played for _, _, phase in log}
    ended = [log for log in played if log[-1][2] is Phase.DONE]

    assert set(Phase) - {Phase.READY} <= phases
    assert len(ended) > 200


# --- planted faults --------------------------------------------------------------

FAULTS: dict[str, tuple[str, str]] = {
    "a late answer counts": ("event.key != turn.key", "False"),
    "open calls stay open on cancel": ("added=(cancelled(calls),)", "added=()"),
    "cancelled calls leave no record": (
        "turn.values + tuple([_lost(call) for call in calls])",
        "turn.values",
    ),
    "failed calls cost nothing": ("_next(_billed(turn, event), ", "_next(turn, "),
    "keys stand still": ("step = turn.step + 1", "step = turn.step"),
    "a settled turn can be stopped": (
        "TurnStopped: (_ignore, (Phase.SETTLING,))",
        "TurnStopped: (_stopped, (Phase.SETTLING,))",
    ),
    "a turn that is done begins again": (
        "TurnStopped: (_ignore, (Phase.DONE,))",
        "TurnStopped: (_stopped, (Phase.SETTLING,))",
    ),
    "grace is never spent": ("issues=issues, grace=True", "issues=issues, grace=False"),
    "one call too many": ("turn.iteration >= limit", "turn.iteration > limit"),
    "corrections without end": ("turn.corrections >= CORRECTIONS or ", ""),
    "results aren't looked at": ("(event.results.results, event.records)", "(event.records,)"),
    "records aren't looked at": (
        "(event.results.results, event.records)",
        "(event.results.results,)",
    ),
    "the answer is forgotten": ("outcome=turn.pending", "outcome=None"),
    "before_turn is asked each time": ("first=turn.step == 1", "first=True"),
    "providers' ids are kept": (
        "message, calls = own_ids(event.message, turn.key)",
        "message, calls = event.message, event.message.calls",
    ),
    "tokens are never short": ("turn.usage.total >= tokens", "False"),
    "issues of a prepared turn are lost": (
        "issues = turn.issues + event.issues\n    tokens",
        "issues = turn.issues\n    tokens",
    ),
    "a turn at work can be refused": ("turn.step != 1", "False"),
    "all calls share one row": (
        "events.usage_row(event, turn.id, turn.session)",
        '__import__("dataclasses").replace(events.usage_row(event, turn.id, ""), id=turn.id)',
    ),
    "what the model said is dropped": (
        "kept = (message,) if calls or message.text.strip() else ()",
        "kept = (message,) if calls else ()",
    ),
    "a checkpoint's input is dropped": (
        "added = (*added, note(ANSWER_NOW))",
        "added = (note(ANSWER_NOW),)",
    ),
    "an abort of the gate is ignored": ("event.abort is not None", "False"),
    "a commit is no end": (
        "_next(turn, Phase.DONE, added=event.messages, revision",
        "_next(turn, Phase.SETTLING, added=event.messages, revision",
    ),
    "the model is asked unprepared": (
        "TurnPrepared: (_prepared, (Phase.ASKING, Phase.SETTLING))",
        "TurnPrepared: (_prepared, (Phase.SETTLING,))",
    ),
}


def planted(old: str, new: str) -> ModuleType:
    """Return the machine, loaded under another name, with a fault in it."""
    assert 1 == SOURCE.count(old), f"found {SOURCE.count(old)} times: {old!r}"
    mutant = ModuleType("lash_sdk.turn.mutant")
    mutant.__package__ = "lash_sdk.turn"
    code = compile(SOURCE.replace(old, new), "mutant.py", "exec")
    sys.modules[mutant.__name__] = mutant
    try:
        exec(code, mutant.__dict__)
    finally:
        del sys.modules[mutant.__name__]
    return mutant


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    """
    A law that no fault breaks says nothing.
    """
    mutant = planted(*FAULTS[fault])

    with pytest.raises(AssertionError):
        for seed in range(SCHEDULES):
            watch(mutant, seed)


def test_the_machine_loaded_the_same_way_is_sound() -> None:
    """
    It is the fault that is caught, not the loading.
    """
    sound = planted("CORRECTIONS: Final = 2", "CORRECTIONS: Final = 2 ")

    for seed in range(300):
        watch(sound, seed)


# --- other processes -------------------------------------------------------------

DIGEST = """
import hashlib, json
from lash_sdk.turn import machine
from tests.golden.generate import SCRIPTS, written
from tests.playing import event_to_json
from tests.schedules import watch
total = hashlib.sha256()
for script in SCRIPTS.values():
    total.update(written(script).encode())
for seed in range(300):
    for event, effects, phase in watch(machine, seed):
        total.update(json.dumps([event_to_json(event), repr(effects), phase.value]).encode())
print(total.hexdigest())
"""
PLACES = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "random", "PYTHONOPTIMIZE": "", "PYTHONUTF8": "1"},
)


def run(script: str, *options: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, *options, "-c", script],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


def test_every_process_sees_the_same_effects() -> None:
    """
    Plugins invariant 58: a turn is replayed by another process, on another
    machine, at another time.
    """
    digests = {run(DIGEST, **place) for place in PLACES}

    assert 1 == len(digests)


AUDIT = """
import sys
sys.path.insert(0, {root!r})
import lash_sdk.turn
loaded = set(sys.modules)
banned = {{"asyncio", "datetime", "pluggy", "pydantic", "random", "secrets", "select",
          "selectors", "signal", "socket", "ssl", "subprocess", "tempfile", "threading",
          "urllib", "uuid"}}
print("loaded", sorted(banned & loaded))

from lash_sdk.policy import Limits
from lash_sdk.turn import Turn, advance, machine, waits_for
from tests.playing import start
from tests.golden.generate import PROTOCOLS, SCRIPTS

plays = []  # made before the hook listens: scripts may do as they like
for script in SCRIPTS.values():
    turn, events = start(script.limits), []
    for step in script.steps:
        event = step(turn)
        events.append(event)
        turn, _ = advance(turn, event, PROTOCOLS[script.protocol])
        Turn.from_json(turn.to_json())  # reads the classes' annotations, once
    plays.append((start(script.limits), events, PROTOCOLS[script.protocol]))

import os, random, secrets, time
def forbidden(*args, **kwargs):
    raise SystemExit("a clock or a source of chance was asked")
for module in (time, random, secrets, os):
    for name, thing in list(vars(module).items()):
        clock = module is time and callable(thing) and name != "struct_time"
        chance = module in (random, secrets) and callable(thing) and not name.startswith("_")
        if clock or chance or name in ("urandom", "getrandom", "getenv", "stat", "open"):
            setattr(module, name, forbidden)

heard, listening = set(), False
def hook(event, args):
    if listening:
        heard.add(event)
sys.addaudithook(hook)

listening = True
for turn, events, protocol in plays:
    for event in events:
        turn, _ = advance(turn, event, protocol)
        waits_for(turn)
        turn = Turn.from_json(turn.to_json())
listening = False

# how `repr` guards against loops, and how a value becomes one of its class
heard = set(heard) - {{"builtins.id", "object.__setattr__"}}
print("heard", sorted(heard))
listening = True
open({root!r} + "/pyproject.toml").close()  # the hook does listen
listening = False
print("open" in heard)
"""


def test_advancing_touches_nothing_outside() -> None:
    """
    No file, socket, process, clock or chance: an audit hook hears of none while
    all golden histories are played and restored, and every clock and every source
    of chance is booby-trapped meanwhile.
    """
    said = run(AUDIT.format(root=str(ROOT)), "-I", "-S", "-B")

    assert ["loaded []", "heard []", "True"] == said.splitlines()
