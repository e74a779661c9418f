"""A session out of a file: what's read at once, and what only when it's looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import apsw
import pytest

from lash_sdk import Lash, Plugin, hooks, tool
from lash_sdk.contexts import FaultContext, ModelContext, SessionContext, ToolContext, TurnContext
from lash_sdk.errors import StoreCorrupt, StoreMissing
from lash_sdk.graph import History
from lash_sdk.hooks import Directive
from lash_sdk.outcomes import ToolOutcome
from lash_sdk.ports import ModelAnswer, ModelRequest
from lash_sdk.testing import Reply, ScriptedModel, call, reply
from lash_sdk.usage import Usage
from lash_store_sqlite import SqliteStore


def app(path: Path, *script: str | Callable[..., Any]) -> Lash:
    """Return an app on a file, whose model says so, or what a function says."""
    answers = [
        reply(each, usage=Usage(input=1)) if isinstance(each, str) else each for each in script
    ]
    return Lash(model=ScriptedModel(answers), store=f"sqlite:///{path}")


async def filled(path: Path) -> None:
    """Make sessions "a", of two turns, and "b", of one."""
    async with app(path, "one", "two", "other") as lash:
        session = await lash.session("a")
        await session.run("first")
        await session.run("second")
        await (await lash.session("b")).run("else")


def damage(path: Path, table: str) -> None:
    """Change a byte of what a table has of session "a"."""
    db = apsw.Connection(str(path))
    key, body = next(db.execute(f"select key, body from {table} order by key"))
    db.execute(
        f"update {table} set body=? where key=?",
        (bytes([*body[:-3], body[-3] ^ 1, *body[-2:]]), key),
    )
    db.close()


async def test_opening_a_session_reads_none_of_its_messages(tmp_path: Path) -> None:
    """
    A long one is ready at once; what nobody looks at is never decoded.
    """
    await filled(path := tmp_path / "app.db")
    async with app(path) as lash:
        session = await lash.session("a")
        read = [node._value is not None for node in session.graph]  # pyright: ignore[reportPrivateUsage]

        assert 6 == len(read)
        assert not any(read)
        assert ["first", "one", "second", "two"] == [m.text for m in session.messages]
        assert 2 == session.usage().total


async def test_a_damaged_message_is_noticed_by_who_looks_at_it(tmp_path: Path) -> None:
    """
    The error names it, and the revision up to which all is well.
    """
    await filled(path := tmp_path / "app.db")
    damage(path, "nodes")
    async with app(path) as lash:
        session = await lash.session("a")
        for _ in range(2):
            with pytest.raises(
                StoreCorrupt, match=r"session 'a': message .* revision 0 is the last"
            ):
                _ = session.messages
        assert 2 == session.usage().total
        assert ["else", "other"] == [m.text for m in (await lash.session("b")).messages]


async def test_no_turn_is_built_on_a_message_that_cannot_be_read(tmp_path: Path) -> None:
    """
    The model sees it first; its failure isn't the model's, and nothing is committed.
    """
    await filled(path := tmp_path / "app.db")
    damage(path, "nodes")

    def looks(request: ModelRequest) -> Reply:
        return reply(f"{len([m.text for m in request.history])} messages")

    async with app(path, looks) as lash:
        session = await lash.session("a")
        with pytest.raises(StoreCorrupt, match="isn't what was stored"):
            await session.run("third")

        assert 2 == session.revision
        assert [2] == [row.revision for row in await lash.sessions() if row.id == "a"]


def look(ctx: SessionContext) -> None:
    """Read all that was said in a session."""
    print([message.text for message in ctx.role("snapshot").snapshot_current().messages])


class Directing(Plugin):
    @hooks.before_turn
    async def directives(self, ctx: TurnContext) -> list[Directive]:
        look(ctx)
        return []


class Shortening(Plugin):
    @hooks.transform_context
    async def shorter(self, ctx: TurnContext, value: History) -> None:
        print([message.text for message in value])


class Asking(Plugin):
    @hooks.around_model
    async def ask(self, ctx: ModelContext, call_next: Any) -> ModelAnswer:
        assert ctx.request is not None
        print([message.text for message in ctx.request.history])
        answer: ModelAnswer = await call_next(ctx)
        return answer


class Guarding(Plugin):
    @hooks.decide_tool
    async def guard(self, ctx: ToolContext) -> None:
        look(ctx)


class Wrapping(Plugin):
    @hooks.around_tool
    async def wrap(self, ctx: ToolContext, call_next: Any) -> ToolOutcome:
        look(ctx)
        outcome: ToolOutcome = await call_next(ctx)
        return outcome


class Hearing(Plugin):
    """Notes what's told of others' faults."""

    heard: ClassVar[list[str]] = []

    @hooks.on_fault
    async def hear(self, ctx: FaultContext) -> None:
        self.heard.append(str(ctx.fault))


@tool
async def ping() -> str:
    """Answer."""
    return "pong"


@pytest.mark.parametrize("kind", [Directing, Shortening, Asking, Guarding, Wrapping])
async def test_a_hook_that_meets_damage_is_not_to_blame(tmp_path: Path, kind: type[Plugin]) -> None:
    """
    Mending the plugin, or switching it off, wouldn't help: the turn ends with the truth.
    """
    await filled(path := tmp_path / "app.db")
    damage(path, "nodes")
    Hearing.heard.clear()
    model = ScriptedModel([reply(calls=[call("ping"), call("ping")]), "done"])
    store, plugins = f"sqlite:///{path}", [kind, Hearing]
    async with Lash(model=model, store=store, plugins=plugins, tools=[ping]) as lash:
        session = await lash.session("a")
        with pytest.raises(StoreCorrupt, match="isn't what was stored") as met:
            await session.run("third")

        assert (2, False) == (session.revision, session.running)
        assert [2] == [row.revision for row in await lash.sessions() if row.id == "a"]
    assert [] == Hearing.heard
    assert not hasattr(met.value, "__notes__")


async def test_a_damaged_row_of_the_ledger_is_noticed_by_who_asks_for_it(tmp_path: Path) -> None:
    """
    Every time, and no sum is made up of the rest.
    """
    await filled(path := tmp_path / "app.db")
    damage(path, "usage")
    async with app(path) as lash:
        session = await lash.session("a")
        for _ in range(2):
            with pytest.raises(StoreCorrupt, match="usage"):
                session.usage()
        assert 4 == len(session.messages)


async def test_a_body_that_is_text_by_now_is_damage_as_well(tmp_path: Path) -> None:
    """
    Whoever mends a message by hand in a SQL shell leaves text where bytes were.
    """
    await filled(path := tmp_path / "app.db")
    db = apsw.Connection(str(path))
    db.execute("update nodes set body = replace(body, 'first', 'worst') where kind = 'message'")
    db.close()
    async with app(path) as lash:
        with pytest.raises(StoreCorrupt):
            print((await lash.session("a")).messages[0])


async def test_looking_for_a_store_makes_none(tmp_path: Path) -> None:
    """
    A mistyped path must not become a new, empty file.
    """
    store = SqliteStore(tmp_path / "a.db")
    with pytest.raises(StoreMissing, match=r"there's no store at '.*a\.db'"):
        await store.find()
    assert [] == os.listdir(tmp_path)
    await store.open()
    await store.find()
    await store.close()
