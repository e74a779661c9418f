"""The benchmarks measure what they say: the harness itself, without a clock's verdict."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from benchmarks.environments import BARE, LASH
from benchmarks.plots import plots
from benchmarks.postgres import run_postgres
from benchmarks.profile import profiled
from benchmarks.report import page
from benchmarks.run import run
from benchmarks.scenarios import QUICK, SCENARIOS, memory_files, run_peers_growth
from benchmarks.script import Script
from benchmarks.targets import judge
from benchmarks.variants import run_crowds, run_opening, run_variants
from benchmarks.workers import WorkerFailed, started

TRIAL = replace(QUICK, name="trial", sessions=1, laps=1, growth=(5, 10))


def test_a_run_reports_every_scenario_of_both_systems() -> None:
    """
    The page and the JSON come from one report: what it lacks, nobody would miss.
    """
    report = run(TRIAL, (), alone=True)

    wanted = [name for name in SCENARIOS if not SCENARIOS[name].in_memory or memory_files()]
    assert wanted == list(report["turns"])
    for scenario in report["turns"].values():
        assert ["bare", "lash-sdk"] == list(scenario)
        for name, other in (("bare", "lash-sdk"), ("lash-sdk", "bare")):
            for at in (scenario[name]["wall"], scenario[name]["ratios"][other]["cpu"]):
                assert {"min", "median", "max", "best"} == set(at)
                assert 0 < at["min"] <= at["median"] <= at["max"]
    assert {"in memory": ["5", "10"], "durable": ["5", "10"]} == {
        name: list(lengths) for name, lengths in report["growth"].items()
    }
    assert {"cores", "python", "system"} == set(report["machine"])
    assert {"before", "after"} == set(report["calibration"])
    assert "lash-store-sqlite" in report["versions"]["lash-sdk"]["packages"]
    assert all(target["name"][:2] in ("S1", "S2", "S3", "S4") for target in report["targets"])
    assert report == json.loads(json.dumps(report))
    assert "## S4" in page(report)
    for drawn in plots(report).values():
        assert "svg" in ElementTree.fromstring(drawn).tag


def test_counts_are_the_same_on_every_run() -> None:
    """
    Counts stand where time is too noisy; they're worth nothing if they waver.
    """
    found = []
    for _ in range(2):
        with started((LASH,)) as (worker,), worker.session("S2"):
            found.append([worker.count() for _ in range(3)])

    assert found[0] == found[1]


def test_a_system_that_skips_work_is_found_out() -> None:
    """
    A turn that never called its tools would win every comparison.
    """
    script = Script("S2")
    script.asked, script.sums = 6, 11

    with pytest.raises(AssertionError, match=r"expected \(6, 12\)"):
        script.check(3)


def test_a_worker_tells_what_went_wrong() -> None:
    """
    A command that fails ends the run with the system's name, not with a hang.
    """
    with started((BARE,)) as (worker,), pytest.raises(WorkerFailed, match=r"bare: count: "):
        worker.count()


def test_targets_compare_with_the_fastest_peer() -> None:
    """
    To be ahead of the slowest peer is no achievement.
    """

    def peer(ratio: float) -> dict[str, object]:
        return {"ratios": {"lash-sdk": {"wall": {"median": ratio}}}}

    turns = {"S1": {"lash-sdk": {}, "langgraph": peer(29.0), "agno": peer(2.9)}}
    rest = ("growth", "instructions", "hooks", "starts", "opening", "crowds", "variants")
    more = ("postgres", "peers")
    report: dict[str, object] = {"turns": turns, **{name: {} for name in (*rest, *more)}}

    (target,) = judge(report)

    assert "S1: times faster than agno, the fastest peer" == target.name
    assert not target.met


@pytest.mark.slow
def test_variants_and_crowds_are_measured_against_the_first() -> None:
    """
    A plugin that was never called, or an observer that saw nothing, would cost nothing.
    """
    form = replace(TRIAL, many=10)

    plugins, watched = run_variants("S8", form), run_variants("S10", form)
    crowds, opened = run_crowds((BARE, LASH), form), run_opening(form)

    counts = [each["bytecodes"] for each in plugins.values()]
    assert sorted(counts) == counts
    assert counts[0] < counts[1]
    assert watched["an observer"]["bytecodes"] > watched["never an observer"]["bytecodes"]
    assert {"bare", "lash-sdk"} == set(opened)
    assert ["bare", "lash-sdk", "lash-sdk, durable, turn", "lash-sdk, durable, effect"] == list(
        crowds
    )


@pytest.mark.slow
def test_a_server_and_everybodys_growth_are_measured() -> None:
    """
    Each session has a database of its own, and its turns are counted.
    """
    form = replace(TRIAL, patience=0.01)

    served, grown = run_postgres((), form), run_peers_growth((BARE,), form)

    assert ["bare", "lash-sdk"] == list(served)
    assert served["lash-sdk"]["ratios"]["bare"]["wall"]["median"] > 1
    assert ["lash-sdk", "bare"] == list(grown)
    assert all(23 <= at["turns"] <= 463 and at["bytes"] > 0 for at in grown.values())


def test_a_profile_tells_what_each_room_takes() -> None:
    """
    Shares that don't come to a whole would hide where the time goes.
    """
    rooms = profiled("S1", 0.2)

    assert {"runner", "session", "turn"} < set(rooms)
    assert 1.0 == pytest.approx(sum(at["share"] for at in rooms.values()))
