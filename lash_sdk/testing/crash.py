"""
A turn, killed at each of its effect boundaries, and what must be true afterwards.

The process' end is played by an exception that nothing swallows; the store and
what it holds live on, and another app opens it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ..app import Lash
from ..hooks import Plugin
from ..memory import MemoryStore
from ..messages import Message, ToolResult
from .scripted import ScriptedModel
from .states import instances

if TYPE_CHECKING:
    from ..commits import Commit, Receipt
    from ..contexts import ToolContext
    from ..ports import Claim, JournalRow, ModelRequest
    from ..tools import Tool
    from .scripted import Entry

SESSION: Final = "crashed"


class Died(BaseException):
    """The process' end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    The turn that's tried.

    Attributes:
        script: What the model answers, by how often it has answered in the turn.
        make_plugins: Returns the plugin classes; called for each process.
        make_store: Returns a new store, which `Mortal` stands before.
    """

    script: Sequence[Entry]
    input: str = "go"
    tools: Sequence[Tool] = ()
    make_plugins: Callable[[], Sequence[type[Plugin]]] = tuple
    make_store: Callable[[], MemoryStore] = MemoryStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a turn left behind."""

    text: str
    messages: tuple[Message, ...]
    states: dict[str, Any]
    revision: int


@dataclass(slots=True)
class Life:
    """
    One process after another, up to the one that finishes the turn.

    Attributes:
        left: Boundaries before the end; None lives on.
        runs: How often each call was made, by idempotency key and tool.
    """

    left: int | None
    runs: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    passed: int = 0
    dead: bool = False

    def boundary(self) -> None:
        """
        Pass one.

        Raises:
            Died: The process' time has come, or it's dead already.
        """
        if self.dead:
            raise Died
        self.passed += 1
        if self.left is not None and self.passed > self.left:
            self.dead = True
            raise Died


async def crash_everywhere(trial: Trial) -> int:
    """
    Kill the turn of *trial* at each boundary, resume it, and return how many there are.

    Raises:
        AssertionError: Something was lost, done twice, or isn't as in a turn that
            nobody killed; it names the boundary.
    """
    whole = Life(None)
    expected = await _run(trial, trial.make_store(), whole)
    assert whole.passed, "the turn has no boundary: give it a model answer or a tool"
    rules = {tool.name: tool.definition.on_recovery for tool in trial.tools}
    again = frozenset(name for name, rule in rules.items() if rule != "report")
    for at in range(whole.passed):
        life, store = Life(at), trial.make_store()
        with suppress(Died):
            await _run(trial, store, life)
        life.left, life.dead = None, False
        seen = await _run(trial, store, life)
        _compare(expected, seen, again, f"boundary {at + 1} of {whole.passed}")
        _check_runs(trial.tools, life, at)
    return whole.passed


async def _run(trial: Trial, store: MemoryStore, life: Life) -> Seen:
    """Run the turn, or finish it, in a process of its own."""
    model = ScriptedModel([_answer(trial, life)] * 100)
    async with Lash(
        model=model,
        store=_Mortal(store, life),  # type: ignore[arg-type]  # it passes everything on
        tools=[_counted(tool, life) for tool in trial.tools],
        plugins=trial.make_plugins(),
        autoload=False,
    ) as lash:
        session = await lash.session(SESSION)
        turn = await session.resume()
        if turn is None and session.revision == 0:
            turn = await session.run(trial.input)
        assert await session.resume() is None, "a finished turn can't be resumed again"
        states = {
            each.name: each.state
            for each in instances(session)
            if isinstance(each, Plugin) and each.state is not None
        }
        return Seen(
            text=session.messages[-1].text,
            messages=tuple(session.messages),
            states=states,
            revision=session.revision,
        )


def _answer(trial: Trial, life: Life) -> Callable[[ModelRequest], Any]:
    """Return an entry that answers by how far the conversation is, and may be the last."""

    def answer(request: ModelRequest) -> Any:
        life.boundary()
        said = sum(message.role == "assistant" for message in request.history)
        entry = trial.script[said]
        return entry(request) if callable(entry) else entry

    return answer


def _counted(tool: Tool, life: Life) -> Tool:
    """Return *tool*, which may be what the process dies in."""
    name = tool.context or "_call"

    async def run(**arguments: Any) -> Any:
        ctx: ToolContext = arguments[name]
        life.boundary()
        life.runs[ctx.idempotency_key, tool.name] += 1
        if tool.context is None:
            del arguments[name]
        value = tool.run(**arguments)
        value = await value if tool.awaits else value  # type: ignore[misc]
        life.boundary()
        return value

    return replace(tool, run=run, awaits=True, context=name)


def _results(seen: Seen, tools: frozenset[str]) -> list[tuple[str, object]]:
    """Return what the calls of *tools* came to, as the model read it."""
    parts = [part for message in seen.messages for part in message.parts]
    found = [part for part in parts if isinstance(part, ToolResult)]
    return [(each.name, each.parts) for each in found if each.name in tools]


def _compare(expected: Seen, seen: Seen, known: frozenset[str], where: str) -> None:
    """*known* are the tools whose outcome is never unknown: they run again."""
    assert expected.revision == seen.revision, f"{where}: expected one commit for the turn"
    assert expected.text == seen.text, f"{where}: the turn ends with another answer"
    shape = [[message.role for message in each.messages] for each in (expected, seen)]
    assert shape[0] == shape[1], f"{where}: messages were lost or doubled"
    results = [_results(each, known) for each in (expected, seen)]
    assert results[0] == results[1], f"{where}: a call that may run again came to something else"
    assert expected.states == seen.states, f"{where}: plugin state isn't what it would have been"


def _check_runs(tools: Sequence[Tool], life: Life, at: int) -> None:
    rules = {tool.name: tool.definition.on_recovery for tool in tools}
    for (_key, name), times in life.runs.items():
        most = 1 if rules[name] == "report" else 2
        assert times <= most, f"boundary {at + 1}: {name!r} was called {times} times"


class _Mortal:
    """Passes everything to a store, and has a boundary on each side of a write."""

    def __init__(self, store: MemoryStore, life: Life) -> None:
        self._store = store
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def journal_put(self, claim: Claim, rows: Sequence[JournalRow]) -> None:
        self._life.boundary()
        await self._store.journal_put(claim, rows)
        self._life.boundary()

    async def commit(self, commit: Commit) -> Receipt:
        self._life.boundary()
        receipt = await self._store.commit(commit)
        self._life.boundary()
        return receipt
