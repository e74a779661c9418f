"""
The page on reliability: promises, each with the batteries behind it, and their figures.

`python docs/reliability.py` takes the figures of the last runs, out of
`build/batteries`, into `docs/figures.json`, which is committed; `make docs` writes the
page from there. A promise is printed as one only while every battery behind it has
figures there, no violation among them, and has caught all faults planted for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent
FIGURES: Final = FOLDER / "figures.json"
BATTERIES: Final = FOLDER.parent / "build" / "batteries"
CONTRACT: Final = FOLDER.parent / ".pytest_cache" / "d" / "lash-store-contract" / "report.json"

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """
    One promise.

    Attributes:
        text: What a user can hold us to, and how far it goes.
        needs: How the names of the batteries begin that have to be green; none if
            there's no battery yet.
    """

    name: str
    text: str
    needs: tuple[str, ...] = ()


PROMISES: Final = (
    Promise(
        name="P1 A turn is kept whole, or not at all",
        text="When a commit returns, everything in it is stored: messages, tool results, usage,"
        " changed state, the input it used. If it raises, nothing of it can be seen; where nobody"
        " can say which, `StoreError` comes from asking, and the session's next turn finds out."
        " Whenever the process is killed or the power goes, the session is at the revision before"
        " or at the one after. Power cuts need a disk that keeps what it said it flushed; the"
        " memory store keeps nothing.",
        needs=("crash A1", "crash A2", "crash A3", "crash A4"),
    ),
    Promise(
        name="P2 A lost reply isn't a lost commit, nor a second one",
        text="Each commit has an operation id. Sent again with the same body it returns the first"
        " receipt, with another body it's refused. A turn whose reply was lost is asked for by"
        " that id before anything else is done.",
        needs=("crash A1", "crash A2", "races"),
    ),
    Promise(
        name="P3 A tool runs again only if it said that it may",
        text="That a tool is about to run is on disk before it runs. After a crash one that"
        ' declared `on_recovery="rerun"` or `"resume"` is called again, the latter under the same'
        ' idempotency key; every other one isn\'t (`"report"`, the default), and the model is told'
        " that its outcome is unknown. Calls that had finished are never made again, not even"
        " beside one that hadn't. A model call of an unfinished turn may be made, and paid for,"
        " once more after each crash.",
        needs=("crash A2", "crash A5"),
    ),
    Promise(
        name="P4 Every revision has one winner",
        text="Any number of tasks, threads, processes and machines may try: one commit becomes the"
        " next revision, all others get `RevisionConflict` and have changed nothing. Claims save"
        " work; who loses one may lose time, never history.",
        needs=("races", "zombies", "state machine"),
    ),
    Promise(
        name="P5 A full disk stops writes, and only those",
        text="You get `StoreFull`, what's there can be read, and the same handle goes on once there"
        " is room. Nothing acknowledged is lost. Where SQLite can't make its shared memory, as when"
        " a file is opened on a full disk, the error is a plain `StoreError`.",
        needs=("crash A7",),
    ),
    Promise(
        name="P6 Nothing depends on what the clock says",
        text="Order is the order of revisions, and a claim lives as long as its holder does, as the"
        " operating system or the server tells. A clock that jumps by a day changes the times that"
        " are shown.",
        needs=("races", "state machine"),
    ),
    Promise(
        name="P7 The same input twice is one input",
        text="Input has its sender's key. The same key and content return the first item, also once"
        " a turn has used it; other content is refused. A key is known as long as its session.",
        needs=("crash A1", "crash A2", "state machine"),
    ),
    Promise(
        name="P8 Cancelling leaves a session to go on with",
        text="Cancel anywhere: the turn is committed as cancelled, or was never begun; every call"
        " that is kept has one result; no task or thread of ours is left after the grace time of"
        " five seconds, and the next turn is one that a provider accepts. Once the commit was sent,"
        " completion wins.",
        needs=("crash A1",),
    ),
    Promise(
        name="P9 A plugin that fails corrupts nothing",
        text="Whatever it raises, returns or hangs in ends as an error that names plugin and hook,"
        " at the last committed revision; other sessions go on. One that blocks the loop holds them"
        " as long as it does, and one that ends the process ends them. Plugins are trusted code:"
        " accidents are contained, attacks aren't.",
        needs=("plugin faults",),
    ),
    Promise(
        name="P10 A bad answer is an error, never half an answer",
        text="No tool runs on a stream without its end, or on arguments that don't fit; calls get"
        " ids of our own, so that two of one id stay two. What's cut off or filtered isn't kept as"
        " an answer. A failure that may pass is tried again, as often and as late as `Retry` says,"
        " and what was shown of it is taken back. It's tried on `lash-model-openai`, in both forms"
        " of the API; limits of time and size are the client's, and no part of it.",
        needs=("wire",),
    ),
    Promise(
        name="P11 Damage is noticed",
        text="Every part of a commit has its hash, and every commit that of the one before. Bytes"
        " that aren't what was stored raise `StoreCorrupt`: nothing is guessed, and other sessions"
        " stay usable.",
        needs=("store contract/SqliteStore",),
    ),
    Promise(
        name="P12 Every release's files open in every later one",
        text="A migration is one transaction; a newer file is refused untouched. There's no release"
        " yet whose files could be kept: versions of the schema count from the first.",
        needs=("upgrades",),
    ),
    Promise(
        name="P13 Stored data is data",
        text="Loading a session, a configuration or a trace runs no code: JSON alone, no class"
        " names.",
        needs=("stored data",),
    ),
    Promise(
        name="P14 Secrets stay out, and the viewer stays home",
        text="Keys reach no store, trace, log or page through us; the viewer listens on loopback,"
        " wants its token and shows model output as text. There's no viewer yet; that a key is in"
        " no error of a model, and in no text that a store shows, is tested where each is.",
        needs=("secrets", "viewer"),
    ),
)

PAGE: Final = """\
<!-- Made by `make docs` from docs/reliability.py and docs/figures.json. -->

# What you can rely on

Each promise names the batteries that try to break it. They run in `make test` (a sample) and in
`make test-full` (all of it); a promise whose battery isn't green isn't one, and stands further
down. How they work is in [the next section](#how-it-is-tried), their figures [below](#figures).

{promised}

## Not promised yet

Meant, and maybe true, but no battery has shown it.

{pending}

## Not promised

- **Side effects exactly once.** Nobody can. What a tool did before a crash may be unknown; you
  choose what happens then.
- **A sandbox.** Plugins and tools are your code, with your rights; prompts can be injected.
- **Network file systems** and folders that a cloud service keeps in step: SQLite's locks and
  flushes don't hold there.
- **Copying a file that's open.** Use `lash sessions export`, or SQLite's own backup.
- **Copying over a file that's open**, as `cp backup.db app.db` does. One that's moved, replaced or
  deleted is noticed at the next write, by its inode. Written over in place it has the same one, and
  SQLite goes on from its log and what it has cached: turns are acknowledged that are damaged, or
  gone, when the file is opened again.
- Carrying an open store across `os.fork`.

## How it is tried

The **reference turn** takes input, is answered with text and two tool calls in parallel, one that
may run again and one that may not, gets more input while it runs, takes it at a checkpoint, is
answered again and commits. Each tool appends a line to a file when it takes effect, so that a
second time shows. The model refuses any history that a provider would. Every operation at the
three doors of a turn (store, model, tool) is on its **golden trace**; every point at which the
turn can end is made from it; and for each point a person wrote down what is right, in
`tests/batteries/crash_rulings.json`.

| battery | what it does |
|---|---|
| crash A1 | cancels the turn's task, or lets what's behind a door fail: before, in and after each \
operation, a lost reply among them |
| crash A2 | kills the process at each point; a fresh one resumes |
| crash A3 | kills, or fails with an I/O error or a full disk, at every call that changes a file. \
Its rows: SQLite's own calls; *claims file* and *shared memory*, which go past SQLite to the C \
library; *strace*, the same calls of the whole process from outside, where strace is installed |
| crash A4 | puts together what a power cut may leave of the recorded writes: flushed ones, and of \
the rest none, all, some, or the last one torn |
| crash A5 | kills the process that resumes, too |
| crash A7 | lets the disk be full after so many bytes, and then have room |
| crash A8 | leaves too few descriptors to open with, or no memory from any call on that changes a \
file, or takes the file or its log away; and then gives it back |
| races, zombies | many processes on one session, killed, stopped and continued; a checker \
looks at the history of all they saw |
| state machine | random operations against a model, on each store and on all in step: 2,000 runs \
of 100 operations, each kind at least 1 % of them, on a file in memory and a server that doesn't \
flush, for what lasts is A2's to A6's to say |
| plugin faults | one bad plugin at every hook, in every way to be bad: it raises, hangs, returns \
nonsense, blocks the loop, writes behind our back, exits; a second session must complete |
| stored data | what other libraries revive, in every place that stores text or JSON; a process \
loads it all and hears of any code that's loaded or run |
| wire | a model's server on loopback that breaks the line, the stream or a tool call in every \
bad way; the next turn is asked with a history that's in order |
| store contract | the cases that every store has to pass |

After each crash: what was acknowledged is there, once; revisions have no gap, and the chain of
hashes is right, by a second reading of the file; no part of a commit without the rest; one end a
turn; tools took effect as often as was ruled; input neither lost nor doubled; nothing waits for
ever; the next turn is accepted; no process, file or lock is left.

A battery that can't fail proves nothing: each has a floor on what it really did, and is tried on
**planted faults**, such as a commit without flush, an inbox cleared apart, an intent noted after
the call. It must catch all of them.

## Figures

From the last full runs, on two shared cores. Violations and planted faults are what counts;
seconds say what a run costs. `python docs/reliability.py` takes the figures of your own run.

{figures}

## What failure looks like

The same batteries on something that's known to be wrong: what the zeros above are worth.

{controls}
"""


def page(reports: Sequence[Report] | None = None) -> str:
    """Return the page, from *reports* or from those that are committed."""
    found = current(json.loads(FIGURES.read_text()) if reports is None else reports)
    plain = [report for report in found if ", control:" not in report["battery"]]
    controls = [report for report in found if ", control:" in report["battery"]]
    kept = [promise for promise in PROMISES if is_green(promise, plain)]
    return PAGE.format(
        promised="\n\n".join([_said(promise) for promise in kept]) or "None.",
        pending="\n".join([f"- **{p.name}.** {p.text}" for p in PROMISES if p not in kept]),
        figures="\n".join(_table(plain)),
        controls="\n".join(_controls(controls)) or "None yet.",
    )


def is_green(promise: Promise, reports: Sequence[Report]) -> bool:
    """Return whether every battery behind *promise* has run, and none found anything."""
    for need in promise.needs:
        found = [report for report in reports if report["battery"].startswith(need)]
        if not found or not all(map(_clean, found)):
            return False
    return bool(promise.needs)


def _clean(report: Report) -> bool:
    whole = report["cases"] == report["planned"] and report["operations"] >= report["floor"]
    return whole and not report["violations"] and report["caught"] == report["planted"]


def _said(promise: Promise) -> str:
    return f"**{promise.name}.** {promise.text} *({', '.join(promise.needs)})*"


def current(reports: Sequence[Report]) -> list[Report]:
    """Return *reports* by name, without the small lane of those whose large one is there."""
    names = {report["battery"] for report in reports}
    return sorted(
        [
            report
            for report in reports
            if f"{report['battery']}, full" not in names
            and not (
                report["battery"].endswith(", quick")
                and report["battery"].removesuffix(", quick") in names
            )
        ],
        key=lambda report: report["battery"],
    )


def _table(reports: Sequence[Report]) -> Iterator[str]:
    yield "| battery | cases | operations | faults | violations | planted | seconds | and |"
    yield "|---|--:|--:|--:|--:|--:|--:|---|"
    for report in reports:
        cases = f"{report['cases']:,}"
        if report["cases"] != report["planned"]:
            cases += f" of {report['planned']:,}"
        planted = f"{report['caught']}/{report['planted']}" if report["planted"] else ""
        yield (
            f"| {report['battery']} | {cases} | {report['operations']:,} | {report['faults']:,}"
            f" | {len(report['violations'])} | {planted} | {report['seconds']:.0f}"
            f" | {_figures(report)} |"
        )


def _controls(reports: Sequence[Report]) -> Iterator[str]:
    if not reports:
        return
    yield "| battery | cases | what was seen |"
    yield "|---|--:|---|"
    for report in reports:
        yield f"| {report['battery']} | {report['cases']:,} | {_figures(report)} |"


def _figures(report: Report) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, (int, float)) else f"{name} {value}"
        for name, value in report["figures"].items()
    )


def gathered() -> list[Report]:
    """Return the reports of the last runs, with what is worth keeping of each."""
    kept = ("battery", "cases", "planned", "operations", "floor", "faults", "violations")
    kept += ("caught", "planted", "seconds", "figures", "seed", "python")
    reports = [json.loads(path.read_text()) for path in sorted(BATTERIES.glob("*.json"))]
    found: list[Report] = [{name: report.get(name) for name in kept} for report in reports]
    if CONTRACT.exists():
        found += map(_of_contract, json.loads(CONTRACT.read_text())["stores"])
    return found


def _of_contract(store: Report) -> Report:
    """Return what the store contract found of one store, in the form of the others."""
    counts = store["capabilities"].values()
    passed = sum(each["passed"] for each in counts)
    return {
        "battery": f"store contract/{store['store']}",
        "cases": passed + sum(each["failed"] for each in counts),
        "planned": passed + sum(each["failed"] + each["not run"] for each in counts),
        "operations": passed,
        "floor": 0,
        "faults": 0,
        "violations": list(store["failed"]),
        "caught": 0,
        "planted": 0,
        "seconds": store["seconds"],
        "figures": {"not applicable": sum(each["not applicable"] for each in counts)},
        "seed": None,
        "python": None,
    }


def main() -> None:
    """Keep the figures of the last runs, over those of the same batteries from before."""
    before = json.loads(FIGURES.read_text()) if FIGURES.exists() else []
    merged = {report["battery"]: report for report in [*before, *gathered()]}
    text = json.dumps([merged[name] for name in sorted(merged)], indent=1)
    FIGURES.write_text(text + "\n", encoding="utf-8")
    print(f"{FIGURES.name}: {len(merged)} batteries; now `make docs`")


if __name__ == "__main__":
    main()
