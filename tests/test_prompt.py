"""
The prompt: the same words for the same contributions, whatever order they came in.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_sdk.prompt import SLOTS, PromptCache, PromptLayer, PromptPart, Slot, build

NONE: frozenset[str] = frozenset()
PARTS = st.builds(
    PromptPart,
    text=st.sampled_from(["", " ", "a", "a ", "b", "c"]),
    slot=st.sampled_from(SLOTS),
    priority=st.integers(0, 2),
    title=st.sampled_from(["", "T", "U"]),
    needs=st.sampled_from([(), ("add",), ("add", "ask"), ("gone",)]),
)


def part(text: str, slot: Slot = "guidance", *, priority: int = 100) -> PromptPart:
    return PromptPart(text=text, slot=slot, priority=priority)


def said(*parts: PromptPart, tools: frozenset[str] = NONE) -> str:
    return build([PromptLayer(parts=parts)], tools)


@given(st.lists(PARTS), st.randoms())
def test_order_of_insertion_does_not_matter(parts: list[PromptPart], random: Random) -> None:
    """
    Plugins invariant 75: the order in which plugins load must not cost the cache.
    """
    mixed = list(parts)
    random.shuffle(mixed)

    assert said(*parts, tools=frozenset({"add"})) == said(*mixed, tools=frozenset({"add"}))


@given(st.lists(PARTS))
def test_saying_it_twice_says_it_once(parts: list[PromptPart]) -> None:
    """
    Plugins invariant 75: duplicates vanish.
    """
    assert said(*parts) == said(*parts, *parts)


def test_blanks_vanish() -> None:
    """
    Plugins invariant 75: nothing to say leaves no hole.
    """
    assert "" == said() == said(part(" \n"), part(""))
    assert "a\n\nb" == said(part(" a\n"), part("  "), part("b"))


def test_slots_stand_in_their_order() -> None:
    """
    What changes most often comes last, so that the prefix stays cached.
    """
    parts = [part(slot, slot) for slot in SLOTS]

    assert "\n\n".join(SLOTS) == said(*reversed(parts))


def test_priorities_go_low_first() -> None:
    """
    Within a slot; ties by text.
    """
    assert "c\n\nb\n\na" == said(
        part("a", priority=3), part("b", priority=2), part("c", priority=1)
    )


def test_a_title_is_a_heading() -> None:
    """
    Models find their way by headings too.
    """
    assert "## Rules\n\nbe kind" == said(PromptPart(text="be kind", title=" Rules "))


@pytest.mark.parametrize(
    ("tools", "shown"),
    [(set(), ""), ({"add"}, "x"), ({"ask"}, "x"), ({"add", "ask"}, "x"), ({"z"}, "")],
)
def test_a_part_may_need_a_tool(tools: set[str], shown: str) -> None:
    """
    Guidance on a tool that isn't there invites calls to it.
    """
    needy = PromptPart(text="x", needs=("add", "ask"))

    assert shown == said(needy, tools=frozenset(tools))


def test_a_reset_clears_its_slot_of_everything_weaker() -> None:
    """
    Plugins invariant 74: an application unsays what plugins say, in that slot,
    and never the reverse.
    """
    plugins = PromptLayer(parts=(part("p"), part("q", "intro")))
    core = PromptLayer(parts=(part("c"),), reset=frozenset({"guidance"}))

    assert "q\n\nc" == build([plugins, core], NONE)
    assert "q\n\nc\n\np" == build([core, plugins], NONE)


def test_a_cached_prompt_is_the_same_object() -> None:
    """
    Plugins invariant 73: equal inputs, same text, no work.
    """
    cache = PromptCache()
    layers = (PromptLayer(parts=(part("a"), part("b"))),)
    text = cache.build(layers, NONE)

    assert text is cache.build([PromptLayer(parts=(part("a"), part("b")))], NONE)
    assert build(layers, NONE) == text


FIRST = PromptPart(text="a", priority=1, title="T", needs=("add",))
CHANGED = {
    "text": replace(FIRST, text="z"),
    "slot": replace(FIRST, slot="environment"),
    "priority": replace(FIRST, priority=500),
    "title": replace(FIRST, title="Z"),
    "needs": replace(FIRST, needs=("gone",)),
}


@pytest.mark.parametrize("what", [*CHANGED, "reset", "tools", "layers"])
def test_any_change_is_a_new_prompt(what: str) -> None:
    """
    Plugins invariant 73: a stale prompt would be a wrong one.
    """
    cache, tools = PromptCache(), frozenset({"add"})
    weaker = PromptLayer(parts=(part("w", priority=400),))
    layers = [weaker, PromptLayer(parts=(FIRST,))]
    before = cache.build(layers, tools)
    match what:
        case "reset":
            after = [weaker, PromptLayer(parts=(FIRST,), reset=frozenset({"guidance"}))]
        case "layers":
            after = [PromptLayer(parts=(FIRST,))]
        case "tools":
            after, tools = layers, NONE
        case _:
            after = [weaker, PromptLayer(parts=(CHANGED[what],))]

    made = cache.build(after, tools)

    assert build(after, tools) == made
    assert before != made


def test_contributions_cannot_be_changed() -> None:
    """
    The cache compares them.
    """
    with pytest.raises(FrozenInstanceError):
        part("a").text = "b"  # type: ignore[misc]
