"""A turn asks for no more than it did: counts, which a busy machine doesn't change."""

from __future__ import annotations

import pytest

from benchmarks.counts import counts, off, recorded, with_instructions


def test_a_turn_asks_for_what_is_recorded() -> None:
    """
    Speed is lost a little at a time. Where a change means it, it records the figures
    again: `python -m benchmarks.counts --record`.
    """
    assert [] == off(counts(), recorded())


@pytest.mark.slow
def test_a_turn_takes_the_instructions_that_are_recorded() -> None:
    """
    Bytecodes don't show what C code does; without valgrind they have to do.
    """
    held = {"S2": {k: v for k, v in recorded()["S2"].items() if k == "instructions"}}

    assert [] == off(with_instructions({"S2": {}}), held)


def test_a_count_that_strays_is_told() -> None:
    """
    A check that says nothing about a doubled count, or a lost one, holds nothing.
    """
    held = {"S3": {"fsyncs": 1.0, "statements": 10.0}}

    assert [] == off({"S3": {"fsyncs": 1.0, "statements": 10.9}}, held)
    assert ["S3: statements a turn: expected 10, found 11.2"] == off(
        {"S3": {"fsyncs": 1.0, "statements": 11.2}}, held
    )
    assert 2 == len(off({"S3": {"fsyncs": 0.5}}, held))
