"""One run, from the first worker to the report."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any, Final

from benchmarks.environments import BARE, LASH, System
from benchmarks.postgres import run_postgres
from benchmarks.profile import profiled
from benchmarks.report import machine
from benchmarks.scenarios import (
    ROUNDS,
    SCENARIOS,
    Form,
    calibrate,
    instructions,
    memory_files,
    run_growth,
    run_hooks,
    run_peers_growth,
    run_starts,
    run_turns,
)
from benchmarks.targets import judge
from benchmarks.variants import GROUPS, run_crowds, run_opening, run_variants
from benchmarks.workers import started

PROFILED: Final = 5.0
"""Seconds for which a scenario's turns are looked at."""


def run(form: Form, peers: tuple[System, ...], *, alone: bool = False) -> dict[str, Any]:
    """
    Return the report of a run.

    With *alone*, only turns and growth are measured: what needs no environment
    but the project's own.
    """
    report: dict[str, Any] = {
        "form": form.name,
        "rounds": ROUNDS,
        "many": form.many,
        "machine": machine(),
        "calibration": {"before": calibrate()},
        "turns": {},
    }
    with started((BARE, LASH, *peers)) as workers:
        report["versions"] = {worker.system.name: worker.tell() for worker in workers}
        for label in SCENARIOS:
            if not SCENARIOS[label].in_memory or memory_files():
                with Told(label):
                    report["turns"][label] = run_turns(workers, label, form)
        report["opening"], report["crowds"], report["variants"] = {}, {}, {}
        report["postgres"], report["peers"], report["profile"] = {}, {}, {}
        if not alone:
            _measure_more(report, form, peers)
        with Told("S4"):
            report["growth"] = run_growth(workers[1], form)
    with Told("instructions"):
        wanted = () if alone or not form.instructions else (form.growth[0], form.growth[-1])
        report["instructions"] = instructions("S4", wanted)
    with Told("hooks"):
        report["hooks"] = {} if alone else run_hooks(form)
    with Told("start"):
        report["starts"] = {} if alone else run_starts(peers, form)
    report["calibration"]["after"] = calibrate()
    report["targets"] = [target.to_json() for target in judge(report)]
    return report


def _measure_more(report: dict[str, Any], form: Form, peers: tuple[System, ...]) -> None:
    """Add what's measured in workers of its own."""
    with Told("S5"):
        report["opening"] = run_opening(form)
    with Told("S6"):
        report["crowds"] = run_crowds((BARE, LASH, *peers), form)
    for label in GROUPS:
        with Told(label):
            report["variants"][label] = run_variants(label, form)
    with Told("S9"):
        report["postgres"] = run_postgres(peers, form)
    if form.patience:
        with Told("S4 of the peers"):
            report["peers"] = run_peers_growth(peers, form)
    with Told("profile"):
        report["profile"] = {name: profiled(name, PROFILED) for name in ("S2", "S3")}


class Told:
    """Says on standard error how long something takes."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *error: object) -> None:
        seconds = perf_counter() - self._began
        print(f"{self._what}: {seconds:.1f} s", file=sys.stderr)
