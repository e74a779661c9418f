"""Stores under any calls in any order: each alone, and all in lockstep."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Final

import pytest

from lash_sdk.memory import MemoryStore

from . import planted_files
from . import planted_stores as planted
from .batteries.machine_runs import Size, play, report
from .batteries.stands import NAMES, MemoryStand, SqliteStand, Stand, stand

QUICK: Final = 0
"""What chance comes from in the quick lane: the same each time."""

FAULTS: Final[tuple[type[MemoryStore], ...]] = (
    planted.ClearsFirst,
    planted.CollectsJournals,
    planted.ConsumesFirst,
    planted.CopiesLedgers,
    planted.DropsComponents,
    planted.ForgetsAll,
    planted.ForgetsKeys,
    planted.ForgetsOperations,
    planted.HalfRead,
    planted.HidesAnything,
    planted.LandsLater,
    planted.LastWriteWins,
    planted.Mangles,
    planted.MindsOrder,
    planted.NeverGoesBack,
    planted.OldestFirst,
    planted.OneGeneration,
    planted.Resurrects,
    planted.ShowsChildren,
    planted.SkipsInFeed,
    planted.SortsItems,
    planted.StealsByClock,
    planted.SwallowsCancel,
    planted.Torn,
    planted.TrustsOperations,
    planted.Wildcards,
    planted.WritesNan,
)
"""Those that take less than a second to find."""

RARE: Final[tuple[type[MemoryStore], ...]] = (
    planted.ComparesLoosely,
    planted.GuessesBlobs,
    planted.KeepsBlobsFirst,
    planted.OrphansAny,
)
"""
Those that take more. Of all that are planted, two are others' to find: `Truncates` needs
commits of a size that this battery doesn't make, `ChecksTooEarly` two at once.
"""

ON_DISK: Final = (planted_files.CachesHeads, planted_files.LocalClaims)


def chance() -> int:
    """Return the seed of a full run: LASH_SEED to see one again, else a new one."""
    return int(os.environ.get("LASH_SEED") or int.from_bytes(os.urandom(4), "big"))


def stands(*kinds: type[MemoryStore]) -> list[Callable[[], Stand]]:
    """Return the stands of stores in memory."""
    return [partial(MemoryStand, kind) for kind in kinds]


def test_the_memory_store_keeps_to_the_model() -> None:
    """
    It's the reference: what's wrong here is wrong everywhere, and nobody notices.
    """
    size = Size(examples=200, steps=50)
    report("memory", [MemoryStand], size, QUICK, stands(*FAULTS)).publish()


def test_all_stores_in_lockstep_answer_alike(pytestconfig: pytest.Config) -> None:
    """
    Who moves from one store to another finds the same promises, and the same errors.
    """
    makes = [stand(name, pytestconfig) for name in NAMES]
    report("lockstep", makes, Size(examples=10, steps=50), QUICK).publish()


@pytest.mark.slow
def test_the_memory_store_keeps_to_the_model_for_long() -> None:
    """
    What takes a hundred steps to come about comes about to somebody.
    """
    size = Size(examples=2000, steps=100)
    report("memory, full", [MemoryStand], size, chance(), stands(*FAULTS, *RARE)).publish()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "memory"])
def test_a_store_on_disk_keeps_to_the_model_for_long(
    name: str, pytestconfig: pytest.Config
) -> None:
    """
    On its own, so that what it differs in isn't hidden behind another's fault.
    """
    faults = [partial(SqliteStand, kind) for kind in ON_DISK] if name == "sqlite" else []
    make, size = stand(name, pytestconfig), Size(examples=40 if faults else 12, steps=100)
    report(f"{name}, full", [make], size, chance(), faults).publish()


@pytest.mark.slow
def test_all_stores_in_lockstep_answer_alike_for_long(pytestconfig: pytest.Config) -> None:
    """
    A difference between two stores is a promise that one of them breaks.
    """
    size = Size(examples=16, steps=100)
    makes = [stand(name, pytestconfig) for name in NAMES]
    report("lockstep, full", makes, size, chance()).publish()


def test_the_same_seed_is_the_same_run() -> None:
    """
    A failure that can't be seen again can't be mended.
    """
    size = Size(examples=5, steps=20)
    first, second = [play([MemoryStand], size, 7)[0] for _ in range(2)]

    assert (first.steps, first.moves) == (second.steps, second.moves)
