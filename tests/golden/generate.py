"""
Writes the golden histories: `python -m tests.golden.generate`.

Each file is a turn, one JSON object a line: what it is about and its limits; then
each event with the effects and the phase that follow; then how it ended. They are
read by people before they are committed, and never rewritten to please a test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lash_sdk.json import Json
from lash_sdk.messages import Message, Reasoning, Text, ToolCall
from lash_sdk.outcomes import Fail, Finish, Finished, Handoff, Issue
from lash_sdk.policy import Limits
from lash_sdk.protocol import STANDARD, Again, Complete, Correct, End, TurnProtocol
from lash_sdk.turn import Turn

from ..playing import (
    BAD,
    DONE,
    FAULT,
    GONE,
    HINT,
    NUDGE,
    OK,
    Fixed,
    Step,
    aborted,
    accepted,
    answered,
    asked,
    committed,
    controls,
    effect_to_json,
    event_to_json,
    failed,
    passed,
    played,
    prepared,
    ran,
    refused,
    said,
    short,
    stale,
    start,
    stopped,
    thought,
)

NO_LIMITS: Final = Limits()
FOLDER: Final = Path(__file__).resolve().parent / "turns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One golden history: its steps, and what it goes by."""

    about: str
    steps: tuple[Step, ...]
    limits: Limits = NO_LIMITS
    protocol: str = "standard"


PROTOCOLS: Final[Mapping[str, TurnProtocol]] = {
    "standard": STANDARD,
    "asks again after an answer": Fixed(moves=(Again(),)),
    "completes on results": Fixed(moves=(None, Complete(outcome=DONE))),
    "corrects on results": Fixed(moves=(None, Correct(note="use fewer tools"))),
    "ends on an answer": Fixed(moves=(End(outcome=Finished(text="early"), issue=FAULT),)),
}

BEGUN: Final = (accepted(), prepared())
SETTLED: Final = (committed(),)
WORKED: Final = (*BEGUN, asked("add"), ran(OK), passed(), prepared())
REASONED: Final = Message(
    role="assistant",
    parts=(
        Reasoning(text="first", replay={"id": "r1"}),
        Text(text="one"),
        ToolCall(id="x", name="add"),
        Reasoning(text="then"),
        ToolCall(id="x", name="sub"),
        Text(text="two"),
    ),
)


def one(about: str, *steps: Step, limits: Limits = NO_LIMITS, protocol: str = "standard") -> Script:
    return Script(about=about, steps=steps, limits=limits, protocol=protocol)


SCRIPTS: Final[Mapping[str, Script]] = {
    "answer": one("the model answers at once", *BEGUN, said("hello"), passed(), *SETTLED),
    "answer-with-value": one(
        "a structured answer that fits",
        *BEGUN,
        said('{"a": 1}', value={"a": 1}),
        passed(),
        *SETTLED,
    ),
    "before-turn-adds": one(
        "a plugin adds a note and an issue before the first model call",
        accepted(),
        prepared(HINT, issues=(FAULT,)),
        said("hello"),
        passed(issues=(FAULT,)),
        *SETTLED,
    ),
    "before-turn-aborts": one(
        "a plugin refuses the turn: nothing is kept, nothing committed", accepted(), aborted()
    ),
    "after-turn-adds": one(
        "a plugin adds a note while the turn is committed",
        *BEGUN,
        said("hello"),
        passed(),
        committed(HINT),
    ),
    "one-tool": one("a tool, a checkpoint, an answer", *WORKED, said("2"), passed(), *SETTLED),
    "two-rounds-of-tools": one(
        "two batches; keys and call ids go on counting",
        *WORKED,
        asked("add", "sub"),
        ran(OK, BAD),
        passed(),
        prepared(),
        said("3"),
        passed(),
        *SETTLED,
    ),
    "order-is-kept": one(
        "reasoning, text and calls stay in the provider's order",
        *BEGUN,
        answered(REASONED),
        ran(OK, OK),
        passed(),
        prepared(),
        said("done"),
        passed(),
        *SETTLED,
    ),
    "empty-answer-after-tools": one(
        "saying nothing after tools is an answer, and adds no message",
        *WORKED,
        said(""),
        passed(),
        *SETTLED,
    ),
    "empty-answer-at-first": one(
        "saying nothing at first is a failure of the model", *BEGUN, thought("hm"), *SETTLED
    ),
    "empty-answer-after-a-nudge": one(
        "a message after the results: silence isn't an answer to that",
        *BEGUN,
        asked("add"),
        ran(OK),
        passed(NUDGE),
        prepared(),
        said(""),
        *SETTLED,
    ),
    "model-fails": one("all attempts failed; what they cost is owed", *BEGUN, failed(), *SETTLED),
    "answer-was-cut": one(
        "an answer over the output limit is not kept",
        *BEGUN,
        failed("incomplete", "output_limit"),
        *SETTLED,
    ),
    "model-fails-after-tools": one(
        "the tools' work is kept", *WORKED, failed("budget", "denied"), *SETTLED
    ),
    "tool-finishes": one(
        "a tool ends the turn with a value, without a checkpoint",
        *BEGUN,
        asked("add", "submit"),
        ran(OK, controls(Finish(value={"x": ""}))),
        *SETTLED,
    ),
    "tool-fails-the-turn": one(
        "the first control by call order wins",
        *BEGUN,
        asked("a", "b", "c"),
        ran(BAD, controls(Fail(value="no")), controls(Finish(value=1))),
        *SETTLED,
    ),
    "tool-hands-off": one(
        "another session carries on",
        *BEGUN,
        asked("transfer"),
        ran(controls(Handoff(session="s2"))),
        *SETTLED,
    ),
    "gate-aborts": one(
        "a gate ends the turn; results are kept in pairs",
        *BEGUN,
        asked("rm"),
        ran(BAD, issues=(FAULT,), abort=FAULT),
        *SETTLED,
    ),
    "checkpoint-adds-after-work": one(
        "inbox input after tools goes to the model with the results",
        *BEGUN,
        asked("add"),
        ran(OK),
        passed(NUDGE, issues=(FAULT,)),
        prepared(),
        said("both"),
        passed(),
        *SETTLED,
    ),
    "checkpoint-adds-before-completion": one(
        "input before completion is answered; the prose before it stays in history",
        *BEGUN,
        said("hello"),
        passed(NUDGE),
        prepared(),
        said("more"),
        passed(),
        *SETTLED,
    ),
    "checkpoint-aborts-after-work": one(
        "a plugin ends the turn with its own code",
        *BEGUN,
        asked("add"),
        ran(OK),
        refused(),
        *SETTLED,
    ),
    "checkpoint-aborts-before-completion": one(
        "also in sight of the end", *BEGUN, said("hello"), refused(), *SETTLED
    ),
    "limit-after-tools": one(
        "the tools of the last call allowed are done: max_turns, with a note",
        *BEGUN,
        asked("add"),
        ran(OK),
        *SETTLED,
        limits=Limits(iterations=1),
    ),
    "grace": one(
        "input at the limit: one more call, told to answer now",
        *BEGUN,
        said("hello"),
        passed(NUDGE, issues=(FAULT,)),
        prepared(),
        said("more"),
        passed(),
        *SETTLED,
        limits=Limits(iterations=1),
    ),
    "grace-only-once": one(
        "input again: the turn stops",
        *BEGUN,
        said("hello"),
        passed(NUDGE),
        prepared(),
        said("more"),
        passed(NUDGE, issues=(FAULT,)),
        *SETTLED,
        limits=Limits(iterations=1),
    ),
    "grace-spent-on-tools": one(
        "told to answer, it calls a tool: that was the last call",
        *BEGUN,
        said("hello"),
        passed(NUDGE),
        prepared(),
        asked("add"),
        ran(OK),
        *SETTLED,
        limits=Limits(iterations=1),
    ),
    "token-limit": one(
        "checked before each model call; what plugins added is kept",
        *BEGUN,
        asked("add"),
        ran(OK),
        passed(),
        prepared(HINT, issues=(FAULT,)),
        *SETTLED,
        limits=Limits(tokens=15),
    ),
    "correction": one(
        "an answer that doesn't fit is sent back, then fits",
        *BEGUN,
        said("prose", misfit="not JSON"),
        prepared(),
        said("[]", value=[]),
        passed(),
        *SETTLED,
    ),
    "correction-in-vain": one(
        "after two corrections the turn stops",
        *BEGUN,
        said("prose", misfit="not JSON"),
        prepared(),
        said("more prose", misfit="still not JSON"),
        prepared(),
        said("no", misfit="no"),
        *SETTLED,
    ),
    "correction-at-the-limit": one(
        "there's no call left to correct it in",
        *BEGUN,
        said("prose", misfit="not JSON"),
        *SETTLED,
        limits=Limits(iterations=1),
    ),
    "cancel-while-preparing": one("the user's message is kept", accepted(), stopped(), *SETTLED),
    "cancel-while-asking": one("nothing half said is kept", *BEGUN, stopped(), *SETTLED),
    "cancel-while-calling": one(
        "each call gets a result and a record", *BEGUN, asked("add", "sub"), stopped(), *SETTLED
    ),
    "cancelled-tools-then-cancel": one(
        "tools that were cancelled answer first",
        *BEGUN,
        asked("add", "sub"),
        ran(OK, GONE),
        stopped(),
        *SETTLED,
    ),
    "cancel-at-a-checkpoint": one(
        "the answer was said, but the turn was stopped", *BEGUN, said("hello"), stopped(), *SETTLED
    ),
    "cancel-while-settling": one(
        "too late: completion wins, also after the commit",
        *BEGUN,
        said("hello"),
        passed(),
        stopped(),
        *SETTLED,
        stopped(),
    ),
    "out-of-time": one(
        "the reason says who stopped it",
        *BEGUN,
        asked("sleep"),
        stopped("max_seconds", Issue(kind="runtime", code="max_seconds", message="60 s")),
        *SETTLED,
    ),
    "late-answers": one(
        "what comes for an effect that is over changes nothing",
        *BEGUN,
        stale(said("late"), "t/1"),
        asked("add"),
        stale(said("late"), "t/2"),
        stopped(),
        stale(ran(OK), "t/3"),
        *SETTLED,
        stale(committed(revision=9), "t/4"),
    ),
    "protocol-asks-again": one(
        "a protocol may ask again after an answer; the limit holds for it too",
        *BEGUN,
        said("draft"),
        passed(),
        prepared(),
        said("final"),
        passed(),
        *SETTLED,
        protocol="asks again after an answer",
    ),
    "protocol-asks-again-at-the-limit": one(
        "the limit of model calls is the machine's, not the protocol's",
        *BEGUN,
        said("draft"),
        *SETTLED,
        limits=Limits(iterations=1),
        protocol="asks again after an answer",
    ),
    "protocol-completes-on-results": one(
        "a protocol may take results for an answer",
        *BEGUN,
        asked("submit"),
        ran(OK),
        passed(),
        *SETTLED,
        protocol="completes on results",
    ),
    "protocol-corrects-on-results": one(
        "a protocol may object to calls",
        *BEGUN,
        asked("add"),
        ran(OK),
        prepared(),
        said("fine"),
        passed(),
        *SETTLED,
        protocol="corrects on results",
    ),
    "protocol-ends-on-an-answer": one(
        "a protocol may end the turn without a checkpoint",
        *BEGUN,
        said("enough"),
        *SETTLED,
        protocol="ends on an answer",
    ),
}


def lines(script: Script) -> list[Json]:
    """Return the file of *script*, a value per line."""
    made = played(script.steps, start(script.limits), PROTOCOLS[script.protocol])
    first: Json = {
        "about": script.about,
        "limits": script.limits.to_json(),
        "protocol": script.protocol,
    }
    body: list[Json] = [first]
    for event, effects, turn in made:
        body.append(
            {
                **dict(event_to_json(event)),  # type: ignore[arg-type]
                "then": [effect_to_json(effect) for effect in effects],
                "phase": turn.phase.value,
            }
        )
    return [*body, ending(made[-1][2])]


def ending(turn: Turn) -> Json:
    """Return what is left of a turn that is over."""
    assert turn.outcome is not None
    return {
        "outcome": turn.outcome.to_json(),
        "history": [short(message) for message in turn.messages],
        "records": [f"{r.call} {r.name}: {r.outcome.kind}" for r in turn.records],
        "usage": turn.usage.to_json(),
        "issues": [issue.code for issue in turn.issues],
        "revision": turn.revision,
        "state": turn.state,
    }


def written(script: Script) -> str:
    return "".join([json.dumps(line) + "\n" for line in lines(script)])


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, script in SCRIPTS.items():
        (FOLDER / f"{name}.jsonl").write_text(written(script), encoding="utf-8")
    print(f"{len(SCRIPTS)} histories in {FOLDER.name}/")


if __name__ == "__main__":
    main()
