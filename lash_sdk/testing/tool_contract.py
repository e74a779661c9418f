"""
What every tool must keep, as a pytest class: a new tool's whole test file.

    class TestWeather(ToolContract):
        arguments = {"city": "Oslo"}

        @pytest.fixture
        def tool(self) -> Tool:
            return weather
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from ..app import Lash
from ..errors import InvalidInput
from ..json import check
from ..memory import MemoryStore
from ..outcomes import Cancelled, Success
from ..tools import Tool
from .crash import Trial, crash_everywhere
from .scripted import Entry, ScriptedModel, call, reply


@pytest.mark.asyncio
class ToolContract:
    """
    Subclass it with a fixture `tool` and with `arguments` that it takes.

    Attributes:
        arguments: An example of a good call.
        steady: Whether a second call with them returns the same value.
        patience: Seconds that a cancelled call may take to end.
    """

    arguments: ClassVar[dict[str, Any]] = {}
    steady: ClassVar[bool] = True
    patience: ClassVar[float] = 5.0

    @pytest.fixture
    def tool(self) -> Tool:
        """Return the tool under test."""
        raise NotImplementedError("the subclass has a fixture `tool`")

    async def test_a_model_can_tell_what_it_is_for(self, tool: Tool) -> None:
        """It picks by the description alone, and fills in by those of the parameters."""
        properties: Any = tool.definition.parameters.get("properties", {})
        silent = [name for name, schema in properties.items() if not schema.get("description")]

        assert tool.definition.description.strip(), "the tool has no description"
        assert [] == silent, "these parameters have no description"

    async def test_what_it_takes_is_said_exactly(self, tool: Tool) -> None:
        """A schema that lets anything through moves mistakes into the tool."""
        schema = tool.definition.parameters

        assert schema.get("type") == "object"
        assert schema.get("additionalProperties") is False
        assert json.loads(json.dumps(schema)) == schema

    async def test_a_good_call_is_accepted(self, tool: Tool) -> None:
        """The contract is about nothing without one."""
        assert tool.validate(json.dumps(self.arguments)) is not None

    async def test_an_argument_that_it_does_not_know_is_refused(self, tool: Tool) -> None:
        """A misspelt one would be dropped without a word."""
        with pytest.raises(InvalidInput):
            tool.validate(json.dumps({**self.arguments, "no_such_argument": 1}))

    async def test_a_required_argument_that_is_missing_is_refused(self, tool: Tool) -> None:
        """The model is told, and tries again."""
        required: Any = tool.definition.parameters.get("required", [])
        for name in required:
            with pytest.raises(InvalidInput):
                tool.validate(json.dumps({k: v for k, v in self.arguments.items() if k != name}))

    async def test_it_answers_in_a_session(self, tool: Tool) -> None:
        """With a value that JSON can say: it's what the model reads and the store keeps."""
        (record,) = await _run(tool, [self.arguments])

        assert isinstance(record.outcome, Success), record.outcome
        check(record.outcome.value, where="the value")

    async def test_a_second_call_is_not_disturbed_by_the_first(self, tool: Tool) -> None:
        """Calls of one answer run beside each other, in any number of sessions."""
        records = await _run(tool, [self.arguments, self.arguments])
        values = [getattr(record.outcome, "value", record.outcome) for record in records]

        assert all(isinstance(record.outcome, Success) for record in records), records
        assert values[0] == values[1] or not self.steady

    async def test_it_ends_when_it_is_cancelled(self, tool: Tool) -> None:
        """A turn that's given up must not wait for it."""
        begun = asyncio.Event()
        task = asyncio.ensure_future(_run(_heard(tool, begun), [self.arguments]))
        await asyncio.wait_for(begun.wait(), self.patience)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=self.patience)

        assert done, f"it ran on for {self.patience} s after it was cancelled"
        if not task.cancelled() and task.exception() is None:
            (record,) = task.result()
            assert isinstance(record.outcome, (Success, Cancelled))

    async def test_it_can_keep_what_it_says_of_recovery(self, tool: Tool) -> None:
        """Who wants to be called again with the same key must be able to see the key."""
        definition = tool.definition
        needs = definition.on_recovery == "resume" or definition.retry.idempotent

        assert not needs or tool.context is not None, (
            "take a ToolContext: its idempotency_key is what makes two calls one"
        )

    async def test_a_turn_that_dies_around_it_loses_nothing(self, tool: Tool) -> None:
        """Killed at every boundary and resumed, the turn ends as if nothing had been."""
        name = tool.definition.name
        script: list[Entry] = [reply(calls=[call(name, **self.arguments)]), "done"]

        assert await crash_everywhere(Trial(script=script, tools=[tool]))


def _heard(tool: Tool, begun: asyncio.Event) -> Tool:
    """Return *tool*, which says when it begins."""

    async def run(**arguments: Any) -> Any:
        begun.set()
        value = tool.run(**arguments) if tool.awaits else asyncio.to_thread(tool.run, **arguments)
        return await value  # type: ignore[misc]

    return replace(tool, run=run, awaits=True)


async def _run(tool: Tool, calls: list[dict[str, Any]]) -> Any:
    """Return the records of a turn that makes *calls*."""
    name = tool.definition.name
    script: list[Entry] = [reply(calls=[call(name, **arguments) for arguments in calls]), "done"]
    model = ScriptedModel(script)
    async with Lash(model=model, store=MemoryStore(), tools=[tool], autoload=False) as lash:
        session = await lash.session("contract")
        return (await session.run("go")).tool_calls
