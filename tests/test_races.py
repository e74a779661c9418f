"""Many processes on one store: killed, stopped, with clocks that are off."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Final

import pytest

from .batteries.arena import ROOT, Row
from .batteries.history import NEVER, Op, explained, violations
from .batteries.places import NAMES, arena
from .batteries.race_runs import (
    Floor,
    Show,
    report_apps,
    report_control,
    report_races,
    report_zombies,
)

PLANTED: Final = ("Overwrites", "SelectsThenInserts", "CachesReceipts")
"""The stores on which a race has to find something, of each kind."""

OF_A_FILE: Final = (*PLANTED, "DefersBegin")

HAUNTED: Final = ("TrustsClaims", "NeverRefuses")
"""Those on which zombies have to."""

DAY: Final = 86400.0

QUICK: Final = (
    Row(seconds=1.6, kills=2, stops=3, skew=DAY),
    Row(seconds=0.6, sessions=8, tasks=2),
    Row(seconds=0.9, work="turns", sessions=2, kills=1),
    Row(seconds=0.9, work="queue", sessions=2, kills=1),
    Row(seconds=0.9, work="branches", sessions=2, kills=1),
)

SIZES: Final = ((1, 1), (4, 1), (8, 1), (8, 16), (16, 64))
TROUBLES: Final = (Row(), Row(kills=4), Row(stops=5), Row(skew=DAY))
FULL: Final = (
    *[
        replace(row, processes=processes, sessions=sessions, tasks=4 if sessions > 1 else 1)
        for (processes, sessions), row in product(SIZES, TROUBLES)
    ],
    *[Row(work=work, processes=6, sessions=3, kills=5) for work in ("turns", "queue", "branches")],
    *[Row(work=work, processes=6, sessions=3, stops=8) for work in ("turns", "queue", "branches")],
)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let faulty stores be found by their names."""
    monkeypatch.syspath_prepend(ROOT)


# --- the checkers themselves -------------------------------------------------------------


def simulated(dice: Random) -> tuple[list[Op], list[str]]:
    """Return a short history that somebody could have seen, and the log that it left."""
    moments = sorted(dice.sample(range(100), dice.randrange(1, 9)))
    log: list[str] = []
    history: list[Op] = []
    for number, moment in enumerate(moments):
        called, returned = moment - dice.randrange(30), moment + dice.randrange(30)
        if dice.randrange(3) == 0:
            read = Op(kind="read", id=log[-1] if log else "", called=called, returned=returned)
            history.append(replace(read, outcome="ok", revision=len(log)))
            continue
        expected = max(len(log) - dice.choice((0, 0, 1)), 0)
        commit = Op(kind="commit", id=f"c{number}", called=called, expected=expected)
        taken = expected == len(log)
        if taken:
            log.append(commit.id)
        known = replace(commit, returned=returned, revision=len(log))
        known = replace(known, outcome="ok" if taken else "conflict")
        history.append(known if dice.randrange(5) else commit)
    return history, log


def bent(history: list[Op], log: list[str], dice: Random) -> tuple[list[Op], list[str]]:
    """Return a history with something changed, which may have made it impossible."""
    at = dice.randrange(len(history))
    op = history[at]
    changes = [
        replace(op, called=op.called - 40, returned=op.called - 35),
        replace(op, called=op.called + 60, returned=op.called + 65),
        replace(op, revision=(op.revision or 0) + dice.choice((-1, 1))),
        replace(op, expected=op.expected + 1),
        replace(op, outcome="conflict" if op.outcome == "ok" else "ok", revision=len(log)),
    ]
    changed = dice.choice(changes)
    if changed.outcome == "unknown":
        changed = replace(changed, returned=NEVER)
    other = [*history[:at], changed, *history[at + 1 :]]
    return other, log[:-1] if dice.randrange(6) == 0 else log


def test_the_quick_checker_agrees_with_the_thorough_one() -> None:
    """
    One pass over a history is only right if trying every order says the same.
    """
    dice = Random(3)
    verdicts = {True: 0, False: 0}
    for _ in range(3000):
        history, log = simulated(dice)
        assert [] == list(violations(history, log))
        assert explained(history, log)
        history, log = bent(history, log, dice)
        sound = explained(history, log)
        verdicts[sound] += 1
        assert sound == (not list(violations(history, log))), (history, log)

    assert min(verdicts.values()) > 500


def test_each_broken_promise_is_told() -> None:
    """
    A sentence says more than that there's something wrong.
    """
    first = Op(kind="commit", id="a", called=1, returned=2, outcome="ok", revision=1)
    second = replace(first, id="b", expected=1, called=3, returned=4, revision=2)
    read = Op(kind="read", id="a", called=5, returned=6, outcome="ok", revision=1)
    lost = [first, second]

    assert ["'b' was acknowledged at 2 and is at 1"] == list(violations(lost, ["b", "a"]))[1:2]
    assert ["read 'a' is at 1, after 2 had been seen"] == list(
        violations([*lost, read], ["a", "b"])
    )
    assert ["an operation landed twice"] == list(violations(lost, ["a", "b", "b"]))[:1]


# --- races ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
async def test_one_commit_wins_each_revision(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """
    Whoever is killed, stopped or hours late: nothing acknowledged is lost, nothing lands twice.
    """
    faults = OF_A_FILE if name == "sqlite" else PLANTED
    planted = [arena(name, pytestconfig, fault) for fault in faults]
    floor = Floor(acks=150, kills=1, stops=1)
    (await report_races(name, arena(name, pytestconfig), QUICK, floor, tmp_path, planted)).publish()


@pytest.mark.parametrize("name", NAMES)
async def test_without_a_comparison_what_was_acknowledged_is_overwritten(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """
    The control: what the same race costs on a store that swaps without comparing.
    """
    make = arena(name, pytestconfig, "Overwrites")
    found = await report_control(name, make, Row(seconds=1.5), tmp_path)
    found.publish()

    assert float(found.figures["share"]) > 0.2


@pytest.mark.parametrize("name", NAMES)
async def test_a_zombie_writes_nothing(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """
    Who lost a session without knowing is told so before its next effect.
    """
    planted = [arena(name, pytestconfig, fault) for fault in HAUNTED]
    (await report_zombies(name, arena(name, pytestconfig), 8, 4, tmp_path, planted)).publish()


@pytest.mark.parametrize("name", NAMES)
async def test_apps_share_a_session(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """
    One of two finishes a dead turn, and `on_busy` holds between processes.
    """
    show = Show(resumed=1, storms=1, apps=2, turns=4)
    (await report_apps(name, arena(name, pytestconfig), show, tmp_path)).publish()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_one_commit_wins_each_revision_for_long(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """
    With all the sizes and all the troubles that there are.
    """
    make, faults = arena(name, pytestconfig), OF_A_FILE if name == "sqlite" else PLANTED
    planted = [arena(name, pytestconfig, fault) for fault in faults]
    floor = Floor(acks=20_000, kills=50, stops=50, seconds=480.0)
    (await report_races(f"{name}, full", make, FULL, floor, tmp_path, planted)).publish()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_a_zombie_writes_nothing_for_long(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """
    Whichever of the two is first.
    """
    make = arena(name, pytestconfig)
    planted = [arena(name, pytestconfig, fault) for fault in HAUNTED]
    (await report_zombies(f"{name}, full", make, 40, 20, tmp_path, planted)).publish()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_apps_share_a_session_for_long(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """
    More apps, more turns.
    """
    show = Show(resumed=5, storms=2, apps=4, turns=6)
    (await report_apps(f"{name}, full", arena(name, pytestconfig), show, tmp_path)).publish()
