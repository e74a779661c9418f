"""
The prompt: what's said to the model before the conversation.

Contributions fill slots; layers, from weakest to strongest, say what stands in
them. The text depends on what was contributed, never on the order it came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from .json import frozen

Slot: TypeAlias = Literal["intro", "execution", "guidance", "project", "runtime", "environment"]

SLOTS: Final[tuple[Slot, ...]] = get_args(Slot)
"""In the order they stand in the prompt; what changes most often comes last."""


@frozen
class PromptPart:
    """
    A contribution to the prompt.

    Attributes:
        priority: Within its slot, low first.
        title: A heading above the text; none if empty.
        needs: It's only said if one of these tools can be called; empty: always.
    """

    text: str
    slot: Slot = "guidance"
    priority: int = 100
    title: str = ""
    needs: tuple[str, ...] = ()


@frozen
class PromptLayer:
    """
    What one source says.

    Attributes:
        reset: Slots that are cleared of everything weaker first, so that an
            application can unsay what plugins say and never the reverse.
    """

    parts: tuple[PromptPart, ...] = ()
    reset: frozenset[Slot] = frozenset()


def build(layers: Iterable[PromptLayer], tools: frozenset[str]) -> str:
    """
    Return the prompt that *layers* make, weakest first.

    Blank and duplicate contributions vanish.
    """
    kept: list[PromptPart] = []
    for layer in layers:
        kept = [part for part in kept if part.slot not in layer.reset]
        kept += layer.parts
    seen: set[tuple[str, int, str]] = set()
    sections: list[str] = []
    for part in sorted(kept, key=_place):
        text, title = part.text.strip(), part.title.strip()
        mark = (part.slot, part.priority, text)
        if text and mark not in seen and not (part.needs and tools.isdisjoint(part.needs)):
            seen.add(mark)
            sections.append(f"## {title}\n\n{text}" if title else text)
    return "\n\n".join(sections)


@dataclass(slots=True)
class PromptCache:
    """Keeps the last prompt: equal inputs return the same object."""

    _key: tuple[tuple[PromptLayer, ...], frozenset[str]] | None = None
    _text: str = ""

    def build(self, layers: Sequence[PromptLayer], tools: frozenset[str]) -> str:
        """Return `build(layers, tools)`, made anew only if they changed."""
        key = (tuple(layers), tools)
        if key != self._key:
            self._text = build(layers, tools)
            self._key = key
        return self._text


def _place(part: PromptPart) -> tuple[int, int, str, str]:
    return (SLOTS.index(part.slot), part.priority, part.title, part.text)
