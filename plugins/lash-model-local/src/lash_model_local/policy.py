"""
The small-model policy: how a model that can't call tools is led to call them.

A turn is cut into steps so small that a model of 135 million parameters gets them
right: choose a label, fill in that tool's arguments, say what came back. Each step
is a completion with examples before it and a grammar around it. Nothing here asks
the model; the functions say what to ask.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lash_sdk.json import Json, JsonObject
from lash_sdk.tools import ToolDefinition

from . import grammar, places
from .client import Completion
from .lessons import COURSES, FIRST_STEPS, NO_TOOL, Course, Lesson

LINKS: Final = ("is", "are:", "says:")
"""What may stand before a quoted result, of a tool without lessons."""

WORDS: Final = ("The", "answer", "result")
"""What an answer may say beside words of the question, without lessons."""

RECENT: Final = 6
"""Messages of the conversation that a direct answer sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a call returned, as the model is shown it."""

    tool: str
    arguments: str
    text: str
    failed: bool = False


def course(tool: ToolDefinition) -> Course:
    """
    Return what is taught of *tool*: ours if we know it, else what it brings.

    A tool brings lessons as "examples" of its parameters' schema: objects with
    "ask" and "arguments", and, if it likes, "result" and "answer".
    """
    known = COURSES.get(tool.name)
    lessons = tuple(_brought(tool))
    if known and not lessons and _takes(tool, known):
        return known
    return Course(label=tool.name, lessons=lessons, patterns={})


def labels(tools: Sequence[ToolDefinition]) -> dict[str, ToolDefinition | None]:
    """
    Return what the model may say first, and the tool that it means; None: no tool.

    A label is a tool's own, or the last word of its name, or the name itself.
    """
    found: dict[str, ToolDefinition | None] = {}
    for tool in tools:
        label = course(tool).label
        short = label.rsplit("_", 1)[-1].lower()
        alone = [t for t in tools if t.name.lower().endswith(short)] == [tool]
        taken = label if short in found or not alone else short
        while taken in found or taken == NO_TOOL:
            taken = f"use {taken}"
        found[taken] = tool
    return {**found, NO_TOOL: None}


def choosing(tools: Sequence[ToolDefinition], question: str) -> Completion:
    """Return the step that chooses: its text is one of `labels`."""
    chosen = labels(tools)
    names = {tool.name: label for label, tool in chosen.items() if tool is not None}
    taught = [tool for tool in tools if course(tool) is COURSES.get(tool.name)]
    known = {tool.name for tool in taught}
    shown = [
        (ask, NO_TOOL if tool == NO_TOOL else names[tool])
        for ask, tool in FIRST_STEPS
        if tool == NO_TOOL or tool in known
    ]
    for tool in tools:
        if tool.name in known:
            continue
        asks = [lesson.ask for lesson in course(tool).lessons] or _asks(tool)
        shown += [(ask, names[tool.name]) for ask in asks]
    lines = [line for ask, label in shown for line in _exchange(ask, label)]
    return Completion(messages=(*lines, _user(question)), grammar=grammar.choice(chosen), limit=16)


def filling(tool: ToolDefinition, question: str) -> Completion:
    """Return the step whose text is the arguments of *tool*, as JSON."""
    return Completion(
        messages=(*_lessons(tool), _user(question)), schema=_narrowed(tool, question), limit=256
    )


def quoting(tool: ToolDefinition | None, question: str, result: Result) -> Completion:
    """Return the step whose text answers *question* by quoting *result*."""
    quote = grammar.cut(plain(result.text))
    if result.failed:
        rules = grammar.refusal(quote)
    else:
        words, links = _phrases(tool, question)
        words = tuple(dict.fromkeys([*words, *_values(result.arguments)]))
        rules = grammar.quotation(quote, words=words, links=links)
    return Completion(
        messages=(
            *(_lessons(tool) if tool else ()),
            _user(question),
            _assistant(result.arguments),
            _user(f"Result: {quote}"),
        ),
        grammar=rules,
        limit=grammar.QUOTE + 100,
    )


def talking(said: Iterable[tuple[str, str]]) -> Completion:
    """Return the step that answers the last of *said*, (role, text), by itself."""
    lines = tuple([{"role": role, "content": text} for role, text in said])
    return Completion(messages=lines, grammar=grammar.SENTENCES, limit=512)


def shaping(question: str, result: Result | None, schema: JsonObject) -> Completion:
    """Return the step whose text fits *schema* and answers *question*."""
    known = f"{question}\nResult: {grammar.cut(plain(result.text))}" if result else ""
    return Completion(messages=(_user(known or question),), schema=schema, limit=1024)


def prefixes(tools: Sequence[ToolDefinition]) -> tuple[tuple[JsonObject, ...], ...]:
    """Return the openings that the steps for *tools* share, longest use first."""
    if not tools:
        return ()
    openings = [choosing(tools, "").messages[:-1]]
    openings += [_lessons(tool) for tool in tools]
    return tuple([opening for opening in openings if opening])


def plain(text: str) -> str:
    """Return a result as words: a list of JSON as its items, text without quotes."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else text.strip()


def _brought(tool: ToolDefinition) -> Iterable[Lesson]:
    examples = tool.parameters.get("examples", ())
    for example in examples if isinstance(examples, (list, tuple)) else ():
        if not isinstance(example, Mapping):
            continue
        ask, arguments = example.get("ask"), example.get("arguments")
        if isinstance(ask, str) and isinstance(arguments, Mapping):
            yield Lesson(
                ask=ask,
                arguments=arguments,
                result=str(example.get("result", "")),
                answer=str(example.get("answer", "")),
            )


def _takes(tool: ToolDefinition, known: Course) -> bool:
    properties = tool.parameters.get("properties", {})
    taught = {name for lesson in known.lessons for name in lesson.arguments}
    return isinstance(properties, Mapping) and taught <= set(properties)


def _asks(tool: ToolDefinition) -> list[str]:
    words = tool.name.replace("_", " ")
    return [ask for ask in (tool.description, f"Use the {words} tool.") if ask]


def _lessons(tool: ToolDefinition) -> tuple[JsonObject, ...]:
    lines: list[JsonObject] = []
    for lesson in course(tool).lessons:
        lines += _exchange(lesson.ask, json.dumps(dict(lesson.arguments)))
        if lesson.result and lesson.answer:
            lines += _exchange(f"Result: {lesson.result}", lesson.answer)
    return tuple(lines)


def _phrases(tool: ToolDefinition | None, question: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return what an answer may say before the result, and what right before it.

    It's what the lessons say; without lessons, a few words and the question's.
    """
    words: list[str] = []
    links: list[str] = []
    for lesson in course(tool).lessons if tool else ():
        before = lesson.answer.rpartition(lesson.result.rstrip(".!?"))[0].split()
        if not lesson.result or not before:
            continue
        own = " ".join([str(value) for value in lesson.arguments.values()]).split()
        words += [word for word in before[:-1] if word not in own]
        links.append(before[-1])
    if not links:
        return (*WORDS, *re.findall(r"[A-Za-z]+", question)), LINKS
    return tuple(words), tuple(dict.fromkeys(links))


def _values(arguments: str) -> list[str]:
    """Return the texts among the values of *arguments*, short ones only."""
    try:
        fields = json.loads(arguments)
    except ValueError:
        return []
    values = fields.values() if isinstance(fields, dict) else ()
    return [v for v in values if isinstance(v, str) and 0 < len(v) <= 80]


def _narrowed(tool: ToolDefinition, question: str) -> JsonObject:
    """Return the tool's schema, with paths as a choice and known patterns put in."""
    properties = tool.parameters.get("properties", {})
    if not isinstance(properties, Mapping):
        return tool.parameters
    patterns = course(tool).patterns
    about = f"{tool.name} {tool.description}"
    fields: dict[str, Json] = {}
    for name, schema in properties.items():
        fields[name] = schema
        if not isinstance(schema, Mapping):
            continue
        wanted = places.kind(name, schema, about)
        if wanted and (paths := places.offered(wanted, question)):
            fields[name] = {"type": "string", "enum": paths}
        elif name in patterns and "pattern" not in schema:
            fields[name] = {**schema, "pattern": patterns[name]}
    narrowed = {k: v for k, v in tool.parameters.items() if k != "examples"}
    return {**narrowed, "properties": fields, "additionalProperties": False}


def _exchange(ask: str, answer: str) -> tuple[JsonObject, JsonObject]:
    return _user(ask), _assistant(answer)


def _user(text: str) -> JsonObject:
    return {"role": "user", "content": text}


def _assistant(text: str) -> JsonObject:
    return {"role": "assistant", "content": text}
