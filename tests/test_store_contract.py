"""The stores' contract finds each fault that was planted, and reports what it tried."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lash_sdk.memory import MemoryStore
from lash_sdk.ports import Store
from lash_sdk.testing.pytest import Place, StoreContract
from lash_sdk.testing.store_cases import cases, id_of, missing, needed
from lash_sdk.testing.store_crew import Crew
from lash_store_sqlite import SqliteStore

from . import planted_files
from . import planted_stores as planted

ROOT: Final = Path(__file__).parent.parent

IN_MEMORY: Final[dict[type[MemoryStore], str]] = {
    planted.ChecksTooEarly: "C44 C47",
    planted.ClearsFirst: "C28",
    planted.CollectsJournals: "C91",
    planted.ComparesLoosely: "C38",
    planted.ConsumesFirst: "C26 C27 C65",
    planted.CopiesLedgers: "C116",
    planted.DropsComponents: "C13 C79 C84 C118",
    planted.ForgetsAll: "C10 C37 C61 C72 C88 C95 C96 C97 C98 C107 C108 C109 C122",
    planted.ForgetsKeys: "C59 C60",
    planted.ForgetsOperations: "C2 C22 C26 C35 C36 C37 C38 C39 C41 C88",
    planted.GuessesBlobs: "C91 C92 C93",
    planted.HalfRead: "C29 C30 C49 C80 C116",
    planted.HidesAnything: "C123",
    planted.KeepsBlobsFirst: "C93",
    planted.LandsLater: "C54 C55",
    planted.LastWriteWins: "C2 C18 C19 C26 C28 C33 C44 C47 C48 C74",
    planted.ListsHeads: "C127 C128",
    planted.Mangles: "C94",
    planted.MindsOrder: "C39",
    planted.NeverGoesBack: "C118",
    planted.OldestFirst: "C81",
    planted.OneGeneration: "C64 C72 C73 C78 C111",
    planted.OrphansAny: "C34",
    planted.Resurrects: "C5 C8 C9 C10 C43 C69 C111 C115",
    planted.ShowsChildren: "C33 C125",
    planted.SkipsInFeed: "C87 C88",
    planted.SortsItems: "C61 C66 C67",
    planted.StealsByClock: "C75",
    planted.SwallowsCancel: "C54",
    planted.Torn: "C8 C18 C21 C85 C86 C96 C121",
    planted.Truncates: "C25",
    planted.TrustsOperations: "C38",
    planted.Wildcards: "C82 C83",
    planted.WritesNan: "C21 C93 C96",
}
"""The faults that show in one process, with all the cases that each of them fails."""

ON_DISK: Final[dict[type[SqliteStore], tuple[str, str]]] = {
    planted_files.CachesHeads: ("C17", "C15 C16 C17 C18 C19 C22 C41 C46"),
    planted_files.LocalClaims: ("C62 C63", "C28 C62 C63 C64 C70 C71 C73 C74 C75 C78 C110"),
    planted_files.HidesDamage: ("C92 C103", "C89 C92 C103"),
    planted_files.BeginsAnew: ("C104", "C15 C103 C104 C107"),
}
"""The faults that a second process or damage shows, and the cases that they're tried with."""

SLOW: Final = frozenset(("C23", "C54", "C89", "C94"))
"""Cases that are left out where they aren't to find anything."""


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """Yield the processes that all of these tests share."""
    crew = Crew()
    yield crew
    crew.dismiss()


async def fails(name: str, store: Store, place: Place, crew: Crew) -> bool:
    """Return whether a store fails a case."""
    test = getattr(StoreContract(), name)
    wants = inspect.signature(test).parameters
    with pytest.MonkeyPatch.context() as patch:
        offered = {
            "opened": store,
            "store": store,
            "place": place,
            "crew": crew,
            "monkeypatch": patch,
        }
        if "opened" in wants:
            await store.open()
        try:
            await asyncio.wait_for(test(**{word: offered[word] for word in wants}), 60)
        except (Exception, pytest.fail.Exception):
            return True
        finally:
            patch.undo()
            await store.close()
    return False


def chosen(store: Store, place: Place, *, ids: frozenset[str]) -> list[str]:
    """Return the names of those cases that apply to a store, C0 left out."""
    every = [(name, test) for name, test in cases(StoreContract).items() if id_of(name) in ids]
    return [name for name, test in every if not missing(test, store, place)]


ALL: Final = frozenset(id_of(name) for name in cases(StoreContract)) - {"C0"}


@pytest.mark.parametrize("kind", IN_MEMORY, ids=lambda kind: kind.__name__)
async def test_a_planted_fault_is_found(kind: type[MemoryStore], crew: Crew) -> None:
    """
    By the cases that are about it and no other: who fails everything says nothing.
    """
    expected = IN_MEMORY[kind].split()
    ids = ALL - (SLOW - frozenset(expected))
    names = chosen(kind(), Place(), ids=ids)

    failed = [name for name in names if await fails(name, kind(), Place(), crew)]

    assert expected == list(dict.fromkeys(map(id_of, failed)))
    assert 105 <= len(names)


@pytest.mark.parametrize("kind", ON_DISK, ids=lambda kind: kind.__name__)
async def test_a_fault_between_processes_is_found(
    kind: type[SqliteStore], crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What's kept in a process is right for nobody but itself.
    """
    monkeypatch.syspath_prepend(ROOT)
    expected, tried = ON_DISK[kind]
    factory = f"tests.planted_files:{kind.__name__}.from_url"
    failed: list[str] = []
    ran = 0
    for name, test in cases(StoreContract).items():
        path = tmp_path / f"{name}.db"
        store, place = kind(path), Place(url=f"sqlite:///{path}", factory=factory, file=path)
        if id_of(name) in tried.split() and not missing(test, store, place):
            ran += 1
            if await fails(name, store, place, crew):
                failed.append(id_of(name))

    assert expected.split() == list(dict.fromkeys(failed))
    assert len(tried.split()) <= ran


async def test_a_sound_store_passes_the_same_cases(crew: Crew) -> None:
    """
    What fails everybody finds nothing.
    """
    names = chosen(MemoryStore(), Place(), ids=ALL)

    assert [] == [name for name in names if await fails(name, MemoryStore(), Place(), crew)]
    assert 110 <= len(names)


def test_each_case_has_an_id_and_a_reason() -> None:
    """
    A report names cases by their ids; who reads one wants to know why it's there.
    """
    contract = {name: test for name, test in vars_of(StoreContract) if name.startswith("test_")}

    assert [] == [name for name in contract if not id_of(name)]
    assert [] == [name for name, test in contract.items() if not (test.__doc__ or "").strip()]


def vars_of(kind: type) -> list[tuple[str, object]]:
    return [(name, getattr(kind, name)) for name in dir(kind)]


REPORTED: Final = """
import pytest
from lash_sdk.memory import MemoryStore
from lash_sdk.testing.pytest import StoreContract

class Bare(MemoryStore):
    capabilities = MemoryStore.capabilities - {"vacuum"}

class Less(MemoryStore):
    capabilities = frozenset()

class Forgetful(MemoryStore):
    async def receipt(self, session, operation):
        return None

class TestSound(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

class TestBare(StoreContract):
    @pytest.fixture
    def store(self):
        return Bare()

class TestLess(StoreContract):
    @pytest.fixture
    def store(self):
        return Less()

class TestForgetful(StoreContract):
    @pytest.fixture
    def store(self):
        return Forgetful()

class TestReplaced(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    async def test_c15_each_commit_adds_one_revision(self):
        pass

@pytest.mark.skip
class TestSkipped(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the lines on each class at the end of a run of pytest on a few cases."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "test_mine.py").write_text(REPORTED, encoding="utf-8")
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    example = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (folder / "test_theirs.py").write_text(example[0] + example[2], encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    words = "c0_ or c15_ or c16_ or c17_ or c62_ or c91_"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", words]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert 1 == ran.returncode, ran.stdout + ran.stderr
    assert "not applicable" in ran.stdout.splitlines()[-1]
    found: dict[str, list[str]] = {}
    name = ""
    for line in ran.stdout.partition("store contract (* base)")[2].splitlines():
        if re.match(r"Test\w+ \(", line):
            name = line.split()[0]
        found.setdefault(name, []).append(line)
    return found


def figures(lines: list[str], capability: str) -> list[str]:
    (line,) = [line for line in lines if line.strip().rstrip("*0123456789 ") == capability]
    return line.split()[1:]


def test_the_report_counts_by_capability(report: dict[str, list[str]]) -> None:
    """
    Passed, failed, not applicable, not run: whoever trusts a store sees all four.
    """
    sound, forgetful = report["TestSound"], report["TestForgetful"]

    assert ["3", "0", "1"] == figures(sound, "commit")[:3]
    assert ["1", "0", "1"] == figures(sound, "journal")[:3]
    assert ["2", "1", "1"] == figures(forgetful, "commit")[:3]
    assert "  failed: C16" in forgetful


def test_the_report_says_what_does_not_apply_and_why(report: dict[str, list[str]]) -> None:
    """
    A store says what it hasn't got, and nobody takes silence for a pass.
    """
    assert "  not applicable, it lives in this process alone: C17 C62" in report["TestSound"]
    assert "  not applicable, no 'vacuum': C91" in report["TestBare"]
    assert "  failed: C0" in report["TestLess"]


def test_the_report_names_what_was_not_run(report: dict[str, list[str]]) -> None:
    """
    With -k, with a mark or with another test in its place.
    """
    assert "  not run: C1–C14 C18–C61 C63–C90 C92–C128" in report["TestSound"]
    assert "  not run: C0–C128" in report["TestSkipped"]
    assert "  replaced, so the contract isn't kept: C15" in report["TestReplaced"]
    assert "  failed: C0" in report["TestReplaced"]


def rows() -> Iterator[str]:
    """Yield a line of the docs for each case: its id, its tests' names, what they all need."""
    tests: dict[str, list[str]] = {}
    for name in cases(StoreContract):
        tests.setdefault(id_of(name), []).append(name)
    for id, names in tests.items():
        title = "; ".join([name.split("_", 2)[2].replace("_", " ") for name in names])
        words = frozenset.intersection(*[needed(getattr(StoreContract, name)) for name in names])
        yield f"| {id} | {title} | {', '.join(sorted(words))} |"


def test_the_examples_of_the_page_on_stores_run(report: dict[str, list[str]]) -> None:
    """
    A store's author starts from these lines alone.
    """
    assert ["3", "0", "1"] == figures(report["TestMyStore"], "commit")[:3]
    assert ["4", "0", "0"] == figures(report["TestMyFile"], "commit")[:3]


def test_the_page_on_stores_lists_every_case() -> None:
    """
    Of the 108 that were asked for, each is tried, or the page says why it isn't.
    """
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    tried, _, rest = page.partition("### What isn't tried, and why")
    untried = set(re.findall(r"^\| (C\d+) \|", rest.partition("In part:")[0], re.MULTILINE))

    assert list(rows()) == [line for line in tried.splitlines() if re.match(r"\| C\d+ ", line)]
    assert {f"C{number}" for number in range(1, 109)} <= ALL | untried
    assert set() == ALL & untried
