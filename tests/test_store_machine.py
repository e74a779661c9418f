"""Stores under any calls in any order: each alone, and all in lockstep."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from lash_sdk.memory import MemoryStore
from lash_store_postgres import PostgresStore
from lash_store_sqlite import SqliteStore

from . import planted_files, planted_races, planted_servers
from . import planted_stores as planted
from .batteries.machine_runs import FULL, Size, Stands, counts, missed, play, report
from .batteries.stands import NAMES, MemoryStand, PostgresStand, SqliteStand, schemas, stand
from .batteries.store_machine import Shape

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
    planted.ListsHeads,
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

IN_FILES: Final = (
    planted_files.CachesHeads,
    planted_files.LocalClaims,
    planted_races.CachesReceipts,
    planted_races.NeverRefuses,
    planted_races.Overwrites,
    planted_races.TrustsClaims,
)
ON_SERVERS: Final = (
    planted_servers.CachesReceipts,
    planted_servers.NeverRefuses,
    planted_servers.Overwrites,
    planted_servers.ReadsAll,
    planted_servers.TakesBackUsed,
    planted_servers.TrustsClaims,
)


def chance() -> int:
    """Return the seed of a full run: LASH_SEED to see one again, else a new one."""
    return int(os.environ.get("LASH_SEED") or int.from_bytes(os.urandom(4), "big"))


def in_memory(*kinds: type[MemoryStore]) -> list[Stands]:
    """Return stands of faulty stores in memory, each alone."""
    return [[partial(MemoryStand, kind)] for kind in kinds]


def in_files(*kinds: type[SqliteStore]) -> list[Stands]:
    """Return stands of faulty stores on files, each alone."""
    return [[partial(SqliteStand, kind)] for kind in kinds]


def on_servers(config: pytest.Config, *kinds: type[PostgresStore]) -> list[Stands]:
    """Return stands of faulty stores on a server, each alone."""
    return [[partial(PostgresStand, schemas(config), kind)] for kind in kinds]


def in_lockstep(config: pytest.Config) -> list[Stands]:
    """Return stands of all stores, one of them faulty: the first, the second or the last."""
    whole = [stand(name, config) for name in NAMES]
    faulty = [
        *in_memory(planted.ForgetsKeys, planted.SortsItems),
        *in_files(planted_files.CachesHeads, planted_races.NeverRefuses),
        *on_servers(config, planted_servers.NeverRefuses, planted_servers.ReadsAll),
    ]
    return [[*whole[: at // 2], *one, *whole[at // 2 + 1 :]] for at, one in enumerate(faulty)]


def test_the_memory_store_keeps_to_the_model() -> None:
    """
    It's the reference: what's wrong here is wrong everywhere, and nobody notices.
    """
    size = Size(examples=200, steps=50)
    report("memory", [MemoryStand], size, QUICK, in_memory(*FAULTS)).publish()


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
    report("memory, full", [MemoryStand], FULL, chance(), in_memory(*FAULTS, *RARE)).publish()


@pytest.mark.slow
def test_a_store_in_a_file_keeps_to_the_model_for_long() -> None:
    """
    On its own, so that what it differs in isn't hidden behind another's fault.

    The file may lie in memory: the store flushes it all the same, and dies in the same
    way; what the flush is for, a power cut, is crash A4's.
    """
    report("sqlite, full", [SqliteStand], FULL, chance(), in_files(*IN_FILES)).publish()


@pytest.mark.slow
def test_a_store_on_a_server_keeps_to_the_model_for_long(pytestconfig: pytest.Config) -> None:
    """
    On its own too.

    Its server doesn't flush and plans in haste, and a schema is emptied, not made anew, for
    the next example: nothing here is asked of a server that was killed (crash A6 asks that),
    plans choose no answers, and each example begins with no row and its sequences at one.
    """
    makes = [stand("postgres", pytestconfig)]
    faults = on_servers(pytestconfig, *ON_SERVERS)
    report("postgres, full", makes, FULL, chance(), faults).publish()


@pytest.mark.slow
def test_all_stores_in_lockstep_answer_alike_for_long(pytestconfig: pytest.Config) -> None:
    """
    A difference between two stores is a promise that one of them breaks.

    Each is compared with the model as if it were alone, in the same places as alone; one
    faulty store among the three must not hide behind the others.
    """
    makes = [stand(name, pytestconfig) for name in NAMES]
    faults = in_lockstep(pytestconfig)
    report("lockstep, full", makes, FULL, chance(), faults).publish()


def test_a_full_run_that_is_too_small_says_so() -> None:
    """
    A run cut down to save time would pass for what it no longer is.
    """
    names = counts(Shape())
    whole = Shape(steps=198_000, examples=2000, moves=Counter(dict.fromkeys(names, 1980)))
    rare = replace(whole, moves=whole.moves - Counter(crash=1))
    never = replace(whole, moves=Counter({name: 1980 for name in names if name != "fork"}))
    short = Size(examples=2000, steps=99)

    assert [] == list(missed("any, full", whole, FULL))
    assert ["crash is under 1.0% of the steps"] == list(missed("any, full", rare, FULL))
    assert ["fork is under 1.0% of the steps"] == list(missed("any, full", never, FULL))
    assert ["expected examples of 100 steps, found 99"] == list(missed("any, full", whole, short))
    assert ["expected 2000 examples, found 1999"] == list(
        missed("any, full", replace(whole, examples=1999), replace(FULL, examples=1999))
    )


def test_the_same_seed_is_the_same_run() -> None:
    """
    A failure that can't be seen again can't be mended.
    """
    size = Size(examples=5, steps=20)
    first, second = [play([MemoryStand], size, 7)[0] for _ in range(2)]

    assert (first.steps, first.moves) == (second.steps, second.moves)
