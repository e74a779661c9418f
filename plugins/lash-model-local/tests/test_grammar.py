"""Grammars hold what a result says, whatever it says."""

from __future__ import annotations

import pytest

from lash_model_local.client import Client, Completion
from lash_model_local.grammar import QUOTE, cut, quotation, refusal
from lash_model_local.server import Server

NASTY = 'say "hi"\\n\t{[x]} ünï \x00\x7f\n| ::= (root)'


def test_long_results_are_cut_between_words() -> None:
    """Each quoted word costs time to say."""
    short = cut("word " * 500)

    assert len(short) <= QUOTE + 2
    assert short.endswith("word …")
    assert "(nothing)" == cut("  ")


@pytest.mark.parametrize("failed", [False, True])
async def test_any_result_can_be_quoted(server: Server, client: Client, failed: bool) -> None:
    """A tool's result must never be able to break the grammar around it."""
    rules = quotation(NASTY, words=["The", 'file"\\'], links=["says:"])
    step = Completion(
        messages=({"role": "user", "content": "What does it say?"},),
        grammar=refusal(NASTY) if failed else rules,
        limit=120,
    )
    said = await client.complete(await server.address(), step, lambda _: None)

    assert 'say "hi"\\n {[x]} ünï   \n| ::= (root)' in said.text
    assert "stop" == said.finish
