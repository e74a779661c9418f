"""
Order: the same on every machine, whatever was installed when.
"""

from __future__ import annotations

import random

import pytest

from lash_sdk import Plugin
from lash_sdk.errors import PluginConflict, PluginFault
from lash_sdk.plugins.order import ordered
from lash_sdk.plugins.registered import Registered, register


def made(
    name: str, *, phase: str = "normal", before: tuple[str, ...] = (), after: tuple[str, ...] = ()
) -> Registered:
    body = {"name": name, "phase": phase, "before": before, "after": after}
    return register(type(name.title(), (Plugin,), body))


def names(*plugins: Registered) -> list[str]:
    return [plugin.name for plugin in ordered(plugins)]


def test_phase_comes_first_then_before_and_after_then_the_name() -> None:
    """
    The three rules, each weaker than the one before it.
    """
    plugins = [
        made("zebra", phase="early"),
        made("adder", phase="late"),
        made("bear"),
        made("cat"),
        made("dog", before=("bear",)),
        made("ant", after=("cat",)),
    ]

    assert ["zebra", "cat", "ant", "dog", "bear", "adder"] == names(*plugins)


def test_the_order_of_installation_never_shows() -> None:
    """
    Fifty shuffles of a real tangle come out the same.
    """
    dice = random.Random(7)
    plugins = [
        made(
            f"p{at:02}",
            phase=dice.choice(("early", "normal", "normal", "late")),
            before=tuple(f"p{dice.randrange(at + 1, 31):02}" for _ in range(dice.randrange(3))),
        )
        for at in range(30)
    ]
    expected = names(*plugins)
    for _ in range(50):
        dice.shuffle(plugins)

        assert expected == names(*plugins)


def test_plugins_that_are_absent_are_ignored() -> None:
    """
    "After the cache, if there's one" is a fine wish.
    """
    plugins = [made("b", before=("gone",)), made("a", after=("gone", "b"))]

    assert ["b", "a"] == names(*plugins)


def test_a_wish_across_phases_has_no_effect() -> None:
    """
    The phase decides; a wish can't turn it round, or close a circle.
    """
    plugins = [made("a", phase="late", before=("b",)), made("b", phase="early", after=("a",))]

    assert ["b", "a"] == names(*plugins)


def test_saying_it_on_both_sides_is_saying_it_once() -> None:
    """
    Two authors who know of each other both write it down.
    """
    plugins = [made("b", before=("a",)), made("a", after=("b",)), made("aa")]

    assert ["aa", "b", "a"] == names(*plugins)


@pytest.mark.parametrize(
    ("plugins", "circle"),
    [
        ([made("a", before=("a",))], "a"),
        ([made("a", before=("b",)), made("b", before=("a",))], "a, b"),
        (
            [made("a", after=("c",)), made("b", after=("a",)), made("c", after=("b",)), made("d")],
            "a, b, c",
        ),
    ],
)
def test_a_circle_is_an_error_that_names_its_members(
    plugins: list[Registered], circle: str
) -> None:
    """
    Any order would break somebody's wish, so nobody's is taken.
    """
    with pytest.raises(PluginConflict, match=rf"wait for each other: {circle}$"):
        ordered(plugins)


def test_who_only_waits_for_a_circle_is_not_accused() -> None:
    """
    Its author could do nothing about it.
    """
    plugins = [made("a", before=("b",)), made("b", before=("a",)), made("victim", after=("a",))]
    with pytest.raises(PluginConflict, match=r"wait for each other: a, b$"):
        ordered(plugins)


@pytest.mark.parametrize("wrong", [lambda self, ctx: None, "a", 3, (1,)])
def test_before_and_after_are_names_and_nothing_else(wrong: object) -> None:
    """
    A hook's method is soon called `before`, and a string has letters.
    """
    made = register(type("Odd", (Plugin,), {"before": wrong}))
    with pytest.raises(PluginFault, match="before: expected names of plugins, found"):
        ordered([made])
