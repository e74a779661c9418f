"""
Tokens are money: counted once, exactly, and never below zero.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_sdk.errors import InvalidInput, StoreCorrupt
from lash_sdk.json import Json, decode, encode
from lash_sdk.usage import Ledger, Usage, UsageRow

BUCKETS = ("input", "output", "cache_read", "cache_write", "reasoning")
COUNTS = st.integers(min_value=0, max_value=10**20)
USAGES = st.builds(Usage, **dict.fromkeys(BUCKETS, COUNTS))
NAMES = st.text(max_size=5)
ROWS = st.builds(
    UsageRow,
    id=st.sampled_from("abcdefgh"),
    turn=NAMES,
    session=NAMES,
    source=st.sampled_from(["turn", "child"]),
    model=st.sampled_from(["m1", "m2"]),
    usage=USAGES | st.just(Usage()),
    estimated=st.booleans(),
)


def row(id: str, usage: Usage, *, source: str = "turn", model: str = "m") -> UsageRow:
    return UsageRow(id=id, turn="t", session="s", source=source, model=model, usage=usage)


@given(USAGES)
def test_usage_is_read_back_as_it_was(usage: Usage) -> None:
    """
    Totals survive the process.
    """
    data = encode(usage.to_json())

    assert usage == Usage.from_json(decode(data))
    assert data == encode(Usage.from_json(decode(data)).to_json())


@given(ROWS)
def test_a_row_is_read_back_as_it_was(row: UsageRow) -> None:
    """
    A row keeps its identity, so that a store keeps it once.
    """
    data = encode(row.to_json())

    assert row == UsageRow.from_json(decode(data))
    assert data == encode(UsageRow.from_json(decode(data)).to_json())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": -1}, "usage.input: expected an int >= 0, found -1"),
        ({"input": 1.0}, "usage.input: expected int, found 1.0"),
        ({"output": True}, "usage.output: expected int, found True"),
        ({"reasoning": None}, "usage.reasoning: expected int, found None"),
        ({"cache": 1}, "usage: unknown fields"),
        ([], "usage: expected an object"),
    ],
)
def test_what_is_no_usage_is_damage(body: Json, message: str) -> None:
    """
    A wrong bill is worse than none.
    """
    with pytest.raises(StoreCorrupt, match=message):
        Usage.from_json(body)


@pytest.mark.parametrize("field", ["id", "turn", "session", "source", "model", "usage"])
def test_a_row_without_a_field_is_damage(field: str) -> None:
    """
    A row that can't say who spent is not counted for somebody else.
    """
    body = dict(row("r", Usage(input=1)).to_json())
    del body[field]

    with pytest.raises(StoreCorrupt, match=rf"usage row\.{field}: missing"):
        UsageRow.from_json(body)


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("count", [-1, 1.0, True, "1", None])
def test_counts_are_whole_numbers_of_at_least_zero(bucket: str, count: object) -> None:
    """
    A provider that reports -1 for "unknown" must not lower the bill.
    """
    with pytest.raises(InvalidInput, match=rf"usage\.{bucket}: expected an int >= 0"):
        Usage(**{bucket: count})  # type: ignore[arg-type]


def test_each_token_counts_once() -> None:
    """
    Reasoning is a part of the output, and cached input no part of the input.
    """
    usage = Usage(input=1, output=20, cache_read=300, cache_write=4000, reasoning=7)

    assert 4321 == usage.total
    assert 4301 == usage.context


@given(st.lists(USAGES))
def test_a_sum_is_exact(usages: list[Usage]) -> None:
    """
    Integers have no rounding, however many rows there are.
    """
    total = sum(usages, Usage())

    for bucket in BUCKETS:
        assert sum(getattr(u, bucket) for u in usages) == getattr(total, bucket)


def test_any_token_makes_usage_count() -> None:
    """
    A call answered wholly from the cache has a cost too.
    """
    assert not Usage()
    for bucket in BUCKETS:
        assert Usage(**{bucket: 1})


def test_usage_cannot_be_changed() -> None:
    """
    Rows share it.
    """
    usage = Usage(input=1)

    with pytest.raises(FrozenInstanceError):
        usage.input = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        row("r", usage).usage = Usage()  # type: ignore[misc]


@given(st.lists(ROWS))
def test_a_ledger_counts_each_row_once(rows: list[UsageRow]) -> None:
    """
    A row may be published again after a crash; it was spent once.
    """
    ledger = Ledger(rows)
    ledger.add(rows)

    first = {row.id: row for row in reversed(rows) if row.usage}
    assert sum([row.usage for row in first.values()], Usage()) == ledger.total
    assert set(first.values()) == set(ledger.rows)


def test_a_row_without_tokens_is_left_out() -> None:
    """
    Zero usage adds no row, cached-only usage does.
    """
    cached = row("b", Usage(cache_read=5))

    ledger = Ledger([row("a", Usage()), cached])

    assert (cached,) == ledger.rows
    assert 5 == ledger.total.total


def test_a_row_with_nothing_may_come_again_with_something() -> None:
    """
    An empty row doesn't take the place of the real one.
    """
    ledger = Ledger([row("a", Usage())])

    ledger.add([row("a", Usage(input=3))])

    assert 3 == ledger.total.input


@given(st.lists(ROWS))
def test_every_sum_of_a_report_is_the_same_money(rows: list[UsageRow]) -> None:
    """
    By source, by model, by both: whichever way it is cut, nothing is lost.
    """
    report = Ledger(rows).report()

    for part in (report.by, report.by_source, report.by_model):
        assert report.usage == sum(part.values(), Usage())
    assert (report.usage.total, report.usage.input, report.usage.output) == (
        report.total,
        report.input,
        report.output,
    )


def test_a_report_says_who_spent_on_what() -> None:
    """
    Children and the turn itself are told apart.
    """
    report = Ledger(
        [
            row("a", Usage(input=1), model="m1"),
            row("b", Usage(output=2), source="child", model="m1"),
            row("c", Usage(input=4), source="child", model="m2"),
        ]
    ).report()

    assert {"turn": Usage(input=1), "child": Usage(input=4, output=2)} == (report.by_source)
    assert {"m1": Usage(input=1, output=2), "m2": Usage(input=4)} == report.by_model
    assert 3 == len(report.rows)


def test_a_report_is_not_changed_by_later_rows() -> None:
    """
    What a reader holds stays what it was.
    """
    ledger = Ledger([row("a", Usage(input=1))])
    report = ledger.report()

    ledger.add([row("b", Usage(input=1))])

    assert (1, 2) == (report.total, ledger.total.total)
    assert 1 == len(report.rows)
