"""Grammars, in llama.cpp's GBNF, that keep a small model to the point."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

QUOTE: Final = 400
"""Characters of a result that an answer quotes; each is spoken token by token."""


SENTENCES: Final = (
    'root ::= sentence (" " sentence){0,1}\nsentence ::= [A-Z0-9] [^.!?\\n]{1,160} [.!?]'
)
"""One or two sentences on one line: the model would go on and on."""


def choice(words: Iterable[str]) -> str:
    """Return the grammar of one of *words*."""
    return "root ::= " + _either(words)


def quotation(quote: str, *, words: Sequence[str], links: Sequence[str]) -> str:
    """
    Return the grammar of a sentence that ends in *quote*, word for word.

    Before it stand up to four of *words*, each whole, and one of *links*: there's
    nothing to make a false statement of.
    """
    first = dict.fromkeys([word[0].upper() + word[1:] for word in words])
    dot = "" if quote[-1:] in ".!?" else ' "."?'
    return (
        f'root ::= first (" " word){{0,3}} " " link " " {literal(quote)}{dot}\n'
        f"first ::= {_either(first)}\n"
        f"word ::= {_either(words)}\n"
        f"link ::= {_either(links)}"
    )


def refusal(quote: str) -> str:
    """Return the grammar of saying that a tool failed with *quote*."""
    return f'root ::= "That did not work: " {literal(quote)}'


def literal(text: str) -> str:
    """Return *text* as GBNF writes it, without control characters."""
    clean = re.sub(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]", " ", text)
    return json.dumps(clean, ensure_ascii=False)


def cut(text: str) -> str:
    """Return at most `QUOTE` characters of *text*, cut between words."""
    text = text.strip() or "(nothing)"
    if len(text) <= QUOTE:
        return text
    return re.sub(r"\s+\S*$", "", text[:QUOTE]) + " …"


def _either(words: Iterable[str]) -> str:
    return " | ".join([literal(word) for word in words])
