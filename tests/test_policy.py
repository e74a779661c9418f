"""
Limits and retries: what a turn may spend, and what outlives the process.
"""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_sdk.errors import InvalidInput, StoreCorrupt
from lash_sdk.json import Json, decode, encode
from lash_sdk.policy import Limits, Policy, Retry

WHOLE = st.none() | st.integers(min_value=1)
SECONDS = st.none() | st.integers(1, 10**6) | st.floats(0, 1e9, exclude_min=True)
LIMITS = st.builds(Limits, iterations=WHOLE, seconds=SECONDS, tokens=WHOLE)
POLICIES = st.builds(
    Policy, model=st.text(), instructions=st.text(), limits=LIMITS, retry=st.just(Retry())
)


@given(POLICIES)
def test_a_policy_is_read_back_as_it_was(policy: Policy) -> None:
    """
    An unchanged policy is not stored again: its bytes must not change either.
    """
    data = encode(policy.to_json())
    again = Policy.from_json(decode(data))

    assert policy == again
    assert data == encode(again.to_json())


def test_retries_belong_to_the_process() -> None:
    """
    A session opened elsewhere goes by that process' retries.
    """
    stored = Policy(model="m", retry=Retry(attempts=9)).to_json()

    assert Retry() == Policy.from_json(stored).retry


def test_a_stored_policy_holds_nothing_else() -> None:
    """
    What is written to disk is listed here, so that no secret joins it unseen.
    """
    assert {"model", "instructions", "limits"} == set(Policy(model="m", instructions="i").to_json())
    assert {"model", "instructions", "limits", "retry"} == {field.name for field in fields(Policy)}


@pytest.mark.parametrize("name", ["iterations", "seconds", "tokens"])
@pytest.mark.parametrize("value", [0, -1, True, "1", math.nan, math.inf, [1]])
def test_a_limit_is_above_zero(name: str, value: object) -> None:
    """
    NaN is neither above nor below anything: no limit would ever be reached.
    """
    with pytest.raises(InvalidInput, match=rf"limits\.{name}: expected > 0 or None"):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_only_seconds_may_be_broken() -> None:
    """
    Half a model call is none.
    """
    assert 0.5 == Limits(seconds=0.5).seconds
    for name in ("iterations", "tokens"):
        with pytest.raises(InvalidInput, match=f"limits.{name}"):
            Limits(**{name: 1.5})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"iterations": 0}, "limits.iterations: expected > 0"),
        ({"iterations": 1.0}, "limits.iterations: expected int"),
        ({"seconds": "1"}, "limits.seconds: expected number"),
        ({"seconds": 10**400}, "limits.seconds: expected number"),
        ({"tokens": None}, "limits.tokens: expected int, found None"),
        ({"money": 1}, "limits: unknown fields"),
    ],
)
def test_what_is_no_limit_is_damage(body: Json, message: str) -> None:
    """
    A limit that is dropped in silence is no limit.
    """
    with pytest.raises(StoreCorrupt, match=message):
        Limits.from_json(body)


@pytest.mark.parametrize("field", ["limits"])
def test_a_policy_without_a_field_is_damage(field: str) -> None:
    """
    A session must not go on with another model than it was given.
    """
    body = dict(Policy().to_json())
    del body[field]

    with pytest.raises(StoreCorrupt, match=rf"policy\.{field}: missing"):
        Policy.from_json(body)


def test_overrides_leave_the_rest() -> None:
    """
    None means the session's own; an empty text is a text.
    """
    policy = Policy(model="m", instructions="i", limits=Limits(tokens=1))

    assert policy == policy.with_overrides()
    assert Policy(model="n", instructions="", limits=Limits(tokens=1)) == (
        policy.with_overrides(model="n", instructions="")
    )
    assert Limits(tokens=2) == policy.with_overrides(limits=Limits(tokens=2)).limits


def test_a_policy_cannot_be_changed() -> None:
    """
    Turns share it.
    """
    policy = Policy()

    with pytest.raises(FrozenInstanceError):
        policy.model = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        policy.limits.tokens = 1  # type: ignore[misc]


def test_waits_double_up_to_the_longest() -> None:
    """
    A provider in trouble is left alone, but not for ever.
    """
    waits = [Retry().wait(attempt, None) for attempt in range(1, 6)]

    assert [2.0, 4.0, 8.0, 10.0, 10.0] == waits
    assert 10.0 == Retry().wait(10_000, None)


@pytest.mark.parametrize(("asked", "waits"), [(0, 0), (7, 7), (61, 60), (-1, 0)])
def test_a_provider_may_ask_for_a_wait(asked: float, waits: float) -> None:
    """
    It knows best, up to a minute.
    """
    assert waits == Retry().wait(1, asked)


def test_there_is_at_least_one_attempt() -> None:
    """
    None at all would be a turn that never asks.
    """
    with pytest.raises(InvalidInput, match=r"retry\.attempts: expected >= 1, found 0"):
        Retry(attempts=0)
