"""`python -m benchmarks`: measure, print, and write the page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import plots
from benchmarks.environments import FASTEST, HERE, PEERS
from benchmarks.report import page
from benchmarks.run import run
from benchmarks.scenarios import FULL, QUICK


def main() -> None:
    """Measure; the full form writes `docs/benchmarks.md` and `benchmarks/results.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer peers and laps; print only")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    wanted = parser.parse_args()
    form = QUICK if wanted.quick else FULL
    peers = tuple(peer for peer in PEERS if not wanted.quick or peer.name in FASTEST)
    report = run(form, peers)
    text, data = page(report), json.dumps(report, indent=1, sort_keys=True) + "\n"
    if wanted.json is not None:
        wanted.json.write_text(data, encoding="utf-8")
    if not wanted.quick:
        (HERE.parent / "docs" / "benchmarks.md").write_text(text, encoding="utf-8")
        plots.write(report, HERE.parent / "docs" / "benchmarks")
        (HERE / "results.json").write_text(data, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
