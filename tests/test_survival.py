"""What others do to a session after a kill or in a race, ours has to do right."""

from __future__ import annotations

import pytest

from benchmarks.survival.scenes import BYTES, LINEAR, OURS, crash, growth, judged, race

REJECTS, QUEUES = OURS


@pytest.mark.slow
def test_a_killed_batch_is_finished_without_doing_anything_twice() -> None:
    """
    A payment that's made twice, or forgotten, is what users fear most of resuming.
    """
    found = crash(REJECTS)

    assert (1, 1) == (found["charged"], found["boomed"])
    assert found["knew"]
    assert found["completed"]


@pytest.mark.slow
def test_of_two_turns_at_once_one_is_refused_and_leaves_nothing() -> None:
    """
    A turn that failed and still stands in the history confuses every later one.
    """
    found = race(REJECTS)

    assert 1 == len(found["won"])
    assert ["SessionBusy"] == list(found["errors"].values())
    assert found["right"]


@pytest.mark.slow
def test_two_turns_at_once_can_stand_in_line() -> None:
    """
    Queued turns are both kept, one after the other.
    """
    found = race(QUEUES)

    assert ["A", "B"] == found["won"]
    assert found["right"]


@pytest.mark.slow
def test_bytes_grow_no_faster_than_what_is_said() -> None:
    """
    The short form of the 200 turns: a store that rewrites history shows at once.

    An empty database has its size, so only the second half's bytes are compared.
    """
    found = growth(REJECTS, 40)

    assert found["bytes"][1] <= BYTES * found["payload"][1]
    assert found["bytes"][1] <= LINEAR * found["bytes"][0]


def test_a_race_is_judged_by_what_is_stored() -> None:
    """
    A judge that lets lost or mixed turns pass would praise every system.
    """
    whole = ["user A", "call", "answer A", "user B", "answer B"]

    assert judged(["A", "B"], whole)["right"]
    assert judged(["A"], whole[:3])["right"]
    assert ["B"] == judged(["A"], whole[:4])["stranded"]
    assert ["user B", "answer B"] == judged(["A", "B"], whole[:3])["lost"]
    assert judged(["A", "B"], ["user A", "user B", "answer A", "answer B"])["interleaved"]
    assert not judged([], [])["right"]
