"""What pytest prints at its end on the stores that were tried, and saves as JSON."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Generator, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from ..ports import BASE, Store
from .store_cases import CAPABILITIES, capability_of, cases, changed, id_of, missing, number
from .store_place import Place

if TYPE_CHECKING:
    from ..json import JsonObject

NAME: Final = "lash-store-contract"
NOT_APPLICABLE: Final = "not applicable"
COLUMNS: Final = ("passed", "failed", NOT_APPLICABLE, "not run")


class Tried:
    """
    A subclass of the contract and what became of its cases.

    Attributes:
        outcomes: By the name of the test function, a word of `COLUMNS`.
        reasons: Why cases don't apply, with their ids.
        seconds: How long the cases took together.
    """

    def __init__(self, contract: type, theirs: type) -> None:
        self.contract = contract
        self.theirs = theirs
        self.store = ""
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, list[str]] = {}
        self.seconds = 0.0

    def note(self, name: str, outcome: str) -> None:
        """Keep the outcome of a stage of a test, a failure above all."""
        if self.outcomes.get(name) not in ("failed", "not run"):
            self.outcomes[name] = outcome

    def lines(self) -> Iterable[str]:
        """Yield the table, then what the figures stand for."""
        yield f"{self.theirs.__name__} ({self.store})"
        yield f"  {'capability':<14}" + "".join([f"{word:>16}" for word in COLUMNS])
        for capability, figures in self.counts().items():
            name = f"{capability}*" if capability in BASE else capability
            yield f"  {name:<14}" + "".join([f"{figures[word]:>16}" for word in COLUMNS])
        for reason, ids in sorted(self.reasons.items()):
            yield f"  not applicable, {reason}: {' '.join(sorted(ids, key=number))}"
        for word in ("failed", "not run"):
            if found := self.having(word):
                yield f"  {word}: {_spans(found, [id_of(name) for name in cases(self.contract)])}"
        if others := changed(self.contract, self.theirs):
            yield f"  replaced, so the contract isn't kept: {' '.join(others)}"

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many cases of each capability came to which end."""
        found = Counter(
            (capability_of(test), self.outcomes.get(name, "not run"))
            for name, test in cases(self.contract).items()
        )
        return {
            capability: {word: found[capability, word] for word in COLUMNS}
            for capability in CAPABILITIES
        }

    def having(self, outcome: str) -> list[str]:
        """Return the ids of the cases with an outcome, in order."""
        names = [n for n in cases(self.contract) if self.outcomes.get(n, "not run") == outcome]
        return list(dict.fromkeys([id_of(name) for name in names]))

    def to_json(self) -> JsonObject:
        """Return the same as JSON."""
        return {
            "class": self.theirs.__name__,
            "store": self.store,
            "cases": len(cases(self.contract)),
            "violations": len([end for end in self.outcomes.values() if end == "failed"]),
            "seconds": round(self.seconds, 2),
            "capabilities": {name: {**figures} for name, figures in self.counts().items()},
            "failed": [*self.having("failed")],
            "not run": [*self.having("not run")],
            "not applicable": {
                why: [*sorted(ids, key=number)] for why, ids in self.reasons.items()
            },
            "replaced": [*changed(self.contract, self.theirs)],
        }


class StoreReport:
    """A pytest plugin that leaves out what doesn't apply and prints the table."""

    def __init__(self) -> None:
        self._tried: dict[type, Tried] = {}

    @classmethod
    def on(cls, config: pytest.Config) -> StoreReport:
        """Return the one of this run of pytest."""
        found = config.pluginmanager.get_plugin(NAME)
        if not isinstance(found, cls):
            config.pluginmanager.register(found := cls(), NAME)
        return found

    def expect(self, contract: type, theirs: type) -> None:
        """Take a subclass of the contract in."""
        self._tried.setdefault(theirs, Tried(contract, theirs))

    def _of(self, item: pytest.Item) -> Tried | None:
        owner = item.cls if isinstance(item, pytest.Function) else None
        return self._tried.get(owner) if owner is not None else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Leave a case out if its store or its place says that it doesn't apply."""
        tried = self._of(pyfuncitem)
        if tried is None or not id_of(pyfuncitem.originalname):
            return None
        store, place = pyfuncitem.funcargs["store"], pyfuncitem.funcargs["place"]
        assert isinstance(store, Store)
        assert isinstance(place, Place)
        tried.store = type(store).__name__
        test = getattr(tried.contract, pyfuncitem.originalname, None)
        if not (reasons := missing(test, store, place)):
            return None
        pyfuncitem.user_properties.append((NOT_APPLICABLE, ", ".join(reasons)))
        ids = tried.reasons.setdefault(", ".join(reasons), [])
        if (id := id_of(pyfuncitem.originalname)) not in ids:
            ids.append(id)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take note of each stage of a case."""
        report = yield
        tried = self._of(item)
        if tried is not None and isinstance(item, pytest.Function):
            tried.seconds += report.duration
            if report.failed or hasattr(report, "wasxfail"):
                tried.note(item.originalname, "failed")
            elif report.skipped:
                tried.note(item.originalname, "not run")
            elif report.when == "call":
                outcome = NOT_APPLICABLE if _left_out(report) else "passed"
                tried.note(item.originalname, outcome)
        return report

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, str] | None:
        """Return the word for a case that doesn't apply."""
        if report.when == "call" and report.passed and _left_out(report):
            return NOT_APPLICABLE, "-", "N/A"
        return None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a table for each store."""
        shown = [tried for tried in self._tried.values() if tried.outcomes]
        if shown:
            terminalreporter.section("store contract (* base)")
        for tried in shown:
            for line in tried.lines():
                terminalreporter.write_line(line)
        if shown and (path := _save(terminalreporter.config, shown)):
            terminalreporter.write_line(f"saved in {path}")


def _save(config: pytest.Config, shown: Iterable[Tried]) -> Path | None:
    """Write what was shown into pytest's cache; return where, or None if there's no cache."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None:
        return None
    path = cache.mkdir(NAME) / "report.json"
    found = {
        "battery": "store contract",
        "versions": {"python": platform.python_version(), "lash-sdk": version("lash-sdk")},
        "stores": [tried.to_json() for tried in shown],
    }
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return path


def _spans(found: Iterable[str], every: Iterable[str]) -> str:
    """Return the ids *found* of *every* one, in order; three and more in a row as a span."""
    spans: list[list[str]] = [[]]
    wanted = set(found)
    for id in dict.fromkeys(every):
        if id in wanted:
            spans[-1].append(id)
        elif spans[-1]:
            spans.append([])
    words = [f"{s[0]}–{s[-1]}" if len(s) > 2 else " ".join(s) for s in spans if s]
    return " ".join(words)


def _left_out(report: pytest.CollectReport | pytest.TestReport) -> bool:
    properties = getattr(report, "user_properties", ())
    return any(name == NOT_APPLICABLE for name, _ in properties)
