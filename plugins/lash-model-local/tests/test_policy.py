"""The policy asks for one small thing at a time, of any tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash_model_local import policy
from lash_model_local.client import Completion
from lash_model_local.lessons import COURSES, FIRST_STEPS, NO_TOOL
from lash_model_local.policy import Result
from lash_sdk.json import Json
from lash_sdk.tools import ToolDefinition, tool


@tool
def calculate(expression: str) -> str:
    """Work out an arithmetic expression."""
    return expression


@tool
def read_file(path: str) -> str:
    """Read a file."""
    return path


@tool
def current_time() -> str:
    """Return the current time."""
    return ""


def weather(**more: Json) -> ToolDefinition:
    """Return a tool that nobody knows."""
    parameters: dict[str, Json] = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        **more,
    }
    return ToolDefinition(
        name="city_weather", description="Tell the weather.", parameters=parameters
    )


KNOWN = (calculate.definition, read_file.definition, current_time.definition)


def said(completion: Completion) -> list[Json]:
    """Return the texts of a completion's messages."""
    return [message["content"] for message in completion.messages]


def test_each_tool_has_a_label_and_so_has_none() -> None:
    """The labels are the whole choice; each is one common word."""
    labels = policy.labels((*KNOWN, weather()))

    assert ["math", "file", "time", "weather", NO_TOOL] == list(labels)
    assert labels[NO_TOOL] is None
    assert labels["weather"] == weather()


def test_tools_of_like_names_keep_labels_apart() -> None:
    """Two tools behind one label would be one tool too few."""
    tools = [
        ToolDefinition(name=name) for name in ("read_mail", "send_mail", "mail", "chat", "file")
    ]
    labels = policy.labels(tools)

    assert len(tools) + 1 == len(labels)
    assert {tool.name for tool in tools} == {t.name for t in labels.values() if t}


def test_examples_of_absent_tools_are_left_out() -> None:
    """A label that can't be said must not be shown."""
    step = policy.choosing((calculate.definition,), "What is 1 + 1?")
    answers = said(step)[1::2]

    assert {"math", NO_TOOL} == set(answers)
    assert "What is 1 + 1?" == said(step)[-1]
    assert 'root ::= "math" | "chat"' == step.grammar


def test_the_first_step_stays_as_it_was_measured() -> None:
    """The figures in the README are of these examples in this order."""
    tools = [*KNOWN, ToolDefinition(name="list_folder", parameters=_folder())]

    step = policy.choosing(tools, "x")

    assert [ask for ask, _ in FIRST_STEPS] == said(step)[:-1:2]
    assert 23 == len(FIRST_STEPS)


def test_an_unknown_tool_is_shown_by_its_own_words() -> None:
    """Without lessons there's still a name and a description."""
    step = policy.choosing((weather(),), "Rain?")

    assert "Tell the weather." in said(step)
    assert "Use the city weather tool." in said(step)


def test_a_tool_may_bring_lessons_of_its_own() -> None:
    """They serve every step, and stay out of the schema that's enforced."""
    lesson = {
        "ask": "Is it wet in Bath?",
        "arguments": {"city": "Bath"},
        "result": "rain",
        "answer": "The weather in Bath is: rain.",
    }
    taught = weather(examples=[lesson])
    asked = "And in York?"
    filling = policy.filling(taught, asked)
    result = Result(tool="city_weather", arguments='{"city": "York"}', text="sun")
    quoting = policy.quoting(taught, asked, result)

    assert ["Is it wet in Bath?", '{"city": "Bath"}'] == said(filling)[:2]
    assert filling.schema is not None
    assert "examples" not in filling.schema
    assert said(filling) == said(quoting)[: len(said(filling))]
    assert 'link ::= "is:"' in quoting.grammar
    assert '"York"' in quoting.grammar
    assert '"Bath"' not in quoting.grammar


def test_arguments_are_narrowed_to_what_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path is one that exists; an expression is one of arithmetic."""
    (tmp_path / "a.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    path = policy.filling(read_file.definition, "Read it.").schema
    expression = policy.filling(calculate.definition, "1+1").schema

    assert path is not None
    assert {"path": {"type": "string", "enum": ("a.txt",)}} == path["properties"]
    assert expression is not None
    patterns = COURSES["calculate"].patterns
    assert {"expression": {"type": "string", "pattern": patterns["expression"]}} == expression[
        "properties"
    ]


def test_a_tool_that_only_shares_a_name_is_not_known() -> None:
    """Lessons for other parameters would teach what can't be called."""
    other = ToolDefinition(
        name="read_file", parameters={"type": "object", "properties": {"url": {"type": "string"}}}
    )

    assert () == policy.course(other).lessons


def test_the_steps_share_the_prefixes_that_are_warmed() -> None:
    """A prefix that no step starts with would be read for nothing."""
    prefixes = policy.prefixes(KNOWN)
    result = Result(tool="calculate", arguments="{}", text="2")
    steps = [
        policy.choosing(KNOWN, "x"),
        policy.filling(calculate.definition, "x"),
        policy.quoting(calculate.definition, "x", result),
        policy.quoting(current_time.definition, "x", result),
    ]

    assert 4 == len(prefixes)
    for step in steps:
        assert any(step.messages[: len(p)] == p for p in prefixes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["a.txt","b.txt"]', "a.txt, b.txt"),
        ('"quoted"', "quoted"),
        ("391", "391"),
        ('{"a":1}', '{"a":1}'),
        ("  plain\n", "plain"),
    ],
)
def test_results_are_put_as_words(text: str, expected: str) -> None:
    """Brackets and quotes in an answer are noise."""
    assert expected == policy.plain(text)


def _folder() -> dict[str, Json]:
    return {"type": "object", "properties": {"path": {"type": "string"}}}
