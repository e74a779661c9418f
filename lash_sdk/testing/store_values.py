"""Values that a database has its own ideas about: C94 to C99."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ..commits import Component, PluginRow
from ..errors import InvalidInput
from ..graph import Raw, chain
from ..json import DEPTH, decode
from ..messages import user
from ..ports import InboxItem
from .store_cases import needs
from .store_turns import loaded, manifest, turn

if TYPE_CHECKING:
    from ..json import Json, JsonObject
    from ..ports import Store

TEXTS: Final = (
    "nul \0 in the middle",
    "\0",
    "lone \ud800 and \udfff surrogates",
    "two lines\u2028one paragraph\u2029",
    "\u202eright to left\u202c",
    "e\u0301 \u00e9 🦜 \U0010ffff \ufeff \uffff",
    "'; drop table nodes; --",
    '{"lc": 1, "__class__": "os.system"}',
    "\\u0000 \\ud800 as text",
    " \t\r\n.",
    "x" * 1024 * 1024,
)
INTS: Final[tuple[Json, ...]] = (
    *[sign * 2**power + more for power in (53, 63, 64) for sign in (1, -1) for more in (-1, 0, 1)],
    0,
    10**400,
)
FLOATS: Final[tuple[Json, ...]] = (-0.0, 0.0, 1e-320, 5e-324, 1e308, -1e308, 0.1, 1.0, 2.0**53)
EMPTY: Final[tuple[Json, ...]] = ({"a": ""}, {"a": None}, {}, {"a": []}, {"a": {}}, {"": ""}, [])
PLAIN: Final[JsonObject] = {
    "lc": 1,
    "type": "constructor",
    "__class__": {"$type": "os.system", "__reduce__": ["x"]},
    "__proto__": None,
    "py/object": "os.system",
    "kind": "message",
    "{{x}}": "${x}",
}


class StoreValues:
    """The part of `StoreContract` on what a value may be."""

    async def test_c94_any_text_comes_back(self, opened: Store) -> None:
        """
        Byte for byte, in a message and in the name of a component.
        """
        texts = TEXTS if opened.limit is None else TEXTS[:-1]
        nodes = chain("a-0", None, [user(text) for text in texts])
        named = Component(name="plugin/\ud800", version=1, value=list(texts))
        await opened.commit(turn("a", 0, nodes=nodes, leaf=nodes[-1].id, components=(named,)))

        found, _ = await loaded(opened, "a")
        assert [node.data for node in nodes] == [node.data for node in found]
        assert [user(text) for text in texts] == [node.value for node in found]
        assert {named.name: named.ref} == await manifest(opened, "a")
        assert named.data == await opened.blob(named.ref)

    async def test_c95_any_integer_comes_back(self, opened: Store) -> None:
        """
        None is rounded, none becomes a float.
        """
        assert list(INTS) == await _kept(opened, INTS)

    async def test_c96_any_float_comes_back(self, opened: Store) -> None:
        """
        Its sign and its last bit too.
        """
        assert [repr(value) for value in FLOATS] == [repr(v) for v in await _kept(opened, FLOATS)]

    async def test_c96_what_is_no_number_is_refused(self, opened: Store) -> None:
        """
        NaN and the infinities aren't JSON: no reader of the store could read them.
        """
        for value in (float("nan"), float("inf"), -float("inf")):
            component = Component(name="policy", version=1, value=[value])
            row = PluginRow(plugin="p", name="n", body={"x": value})
            for commit in (turn("a", 0, components=(component,)), turn("a", 0, rows=(row,))):
                with pytest.raises(InvalidInput):
                    await opened.commit(commit)
        assert await opened.head("a") is None
        assert await opened.node("a-0:0") is None

    @needs("inbox")
    async def test_c96_what_is_no_number_does_not_wait(self, opened: Store) -> None:
        """
        Its sender is told, not the turn that would have used it.
        """
        with pytest.raises(InvalidInput):
            await opened.enqueue("a", InboxItem(key="k", body=[float("nan")]))

        assert [] == list(await opened.pending("a"))
        assert await opened.head("a") is None

    async def test_c97_empty_null_and_missing_are_three(self, opened: Store) -> None:
        """
        A plugin's state means something by each.
        """
        assert list(EMPTY) == await _kept(opened, EMPTY)

    async def test_c98_no_key_has_a_meaning_of_its_own(self, opened: Store) -> None:
        """
        What's stored is data: reading it makes no object and runs no code.
        """
        assert [PLAIN] == await _kept(opened, (PLAIN,))

        odd = chain("b-0", None, [Raw(kind="__class__", body=PLAIN)])
        await opened.commit(turn("b", 0, nodes=odd, leaf="b-0:0"))
        (node,), _ = await loaded(opened, "b")
        assert ("__class__", odd[0].data) == (node.kind, node.data)

    async def test_c99_values_nest_so_deep_and_no_deeper(self, opened: Store) -> None:
        """
        What was taken can be read; what couldn't be read isn't taken.
        """
        deep: Json = 1
        for _ in range(DEPTH - 1):  # a component's blob is an object around it
            deep = [deep]
        component = Component(name="policy", version=1, value=deep)
        await opened.commit(turn("a", 0, components=(component,)))
        deeper = Component(name="policy", version=1, value=[deep])

        with pytest.raises(InvalidInput):
            await opened.commit(turn("a", 1, components=(deeper,)))
        assert {"policy": component.ref} == await manifest(opened, "a")
        assert component.data == await opened.blob(component.ref)


async def _kept(store: Store, values: tuple[Json, ...]) -> list[Json]:
    """Return what becomes of *values* in nodes, in components and over a restart."""
    nodes = chain("a-0", None, [Raw(kind="hologram", body=value) for value in values])
    component = Component(name="policy", version=1, value=list(values))
    await store.commit(turn("a", 0, nodes=nodes, leaf=nodes[-1].id, components=(component,)))
    await store.close()
    await store.open()

    found, _ = await loaded(store, "a")
    assert [node.data for node in nodes] == [node.data for node in found]
    stored = decode(await store.blob(component.ref))
    assert isinstance(stored, dict)
    value = stored["value"]
    assert isinstance(value, list)
    return value
