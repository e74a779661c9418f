"""
Contracts as pytest classes, and fixtures for tests of plugins.

`pytest_plugins = ("lash_sdk.testing.pytest",)` in a `conftest.py` brings the
fixtures: `lash`, `session`, `scripted_model` and what else `fixtures` has. A
contract is inherited:

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path: Path) -> MyStore:
            return MyStore(tmp_path / "my.db")

That's a new store's whole test file. The tests are coroutines: they need
pytest-asyncio in its auto mode. `docs/stores.md` lists the cases; their ids, such
as C17, are in the names of the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

pytest.register_assert_rewrite(
    "lash_sdk.testing.manager_contract",
    "lash_sdk.testing.model_contract",
    "lash_sdk.testing.tool_contract",
    "lash_sdk.testing.usage_contract",
    *[
        f"lash_sdk.testing.store_{noun}"
        for noun in (
            "sessions",
            "commits",
            "idempotence",
            "races",
            "inbox",
            "claims",
            "reads",
            "forks",
            "blobs",
            "values",
            "faults",
        )
    ],
)

from ..ports import BASE, Store  # noqa: E402 - rewriting comes first
from .fixtures import *  # noqa: E402, F403 - pytest finds them by name
from .manager_contract import SessionManagerContract  # noqa: E402
from .model_contract import ModelContract  # noqa: E402
from .store_blobs import StoreBlobs  # noqa: E402
from .store_cases import cases, changed  # noqa: E402
from .store_claims import StoreClaims  # noqa: E402
from .store_commits import StoreCommits  # noqa: E402
from .store_crew import Crew  # noqa: E402
from .store_faults import StoreFaults  # noqa: E402
from .store_forks import StoreForks  # noqa: E402
from .store_idempotence import StoreIdempotence  # noqa: E402
from .store_inbox import StoreInbox  # noqa: E402
from .store_place import Place  # noqa: E402
from .store_races import StoreRaces  # noqa: E402
from .store_reads import StoreReads  # noqa: E402
from .store_report import StoreReport  # noqa: E402
from .store_sessions import StoreSessions  # noqa: E402
from .store_values import StoreValues  # noqa: E402
from .tool_contract import ToolContract  # noqa: E402
from .usage_contract import UsageContract  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = [
    "ModelContract",
    "Place",
    "SessionManagerContract",
    "StoreContract",
    "ToolContract",
    "UsageContract",
]

CREW: Final = pytest.StashKey[Crew]()
LEFT_OUT: Final = frozenset(("skip", "skipif", "xfail"))


class StoreContract(
    StoreSessions,
    StoreCommits,
    StoreIdempotence,
    StoreRaces,
    StoreInbox,
    StoreClaims,
    StoreReads,
    StoreForks,
    StoreBlobs,
    StoreValues,
    StoreFaults,
):
    """
    What every store promises, tried on yours.

    Override the fixture `store`: it returns an empty store that isn't open.
    The tests open it, and close and open it again. If other processes reach
    what it keeps, or it's in a file, override `place` as well.
    """

    @pytest.fixture
    def store(self) -> Store:
        """Return a store that's empty and not open yet: yours to override."""
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> Place:
        """Return the place of `store`; without one, the store is in this process alone."""
        return Place()

    @pytest.fixture(autouse=True)
    def declared(self, store: Store, place: Place) -> None:
        """Have store and place at hand before a case is said to apply."""

    @pytest.fixture
    async def opened(self, store: Store) -> AsyncIterator[Store]:
        """Yield the store, open."""
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def crew(self, pytestconfig: pytest.Config) -> Crew:
        """Return the processes that the tests of this run share."""
        if CREW not in pytestconfig.stash:
            pytestconfig.stash[CREW] = crew = Crew()
            pytestconfig.add_cleanup(crew.dismiss)
        return pytestconfig.stash[CREW]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Let pytest know, while it collects, what there's to report."""
        if metafunc.cls is not None:
            StoreReport.on(metafunc.config).expect(StoreContract, metafunc.cls)

    def test_c0_the_contract_is_whole(self, request: pytest.FixtureRequest, store: Store) -> None:
        """
        A case that was replaced, skipped or expected to fail proves nothing.
        """
        session = request.session
        mine = [item for item in session.items if isinstance(item, pytest.Function)]
        marks = {
            f"{item.name}: {mark.name}"
            for item in mine
            if item.cls is type(self) and item.originalname in cases(StoreContract)
            for mark in item.iter_markers()
            if mark.name in LEFT_OUT
        }

        assert [] == changed(StoreContract, type(self))
        assert set() == marks
        assert [] == sorted(BASE - store.capabilities)
