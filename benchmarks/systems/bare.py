"""The floor: a loop by hand, a history of dicts, one SQLite transaction a turn."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.script import DURABLE, FORKED, ON_POSTGRES, SUMS_AS_JSON, Script, ask, server_of

if TYPE_CHECKING:
    from psycopg import AsyncConnection

PACKAGES = ()

Message = dict[str, Any]

INSERT = """
INSERT INTO messages SELECT %s + n, body FROM unnest(%s::text[]) WITH ORDINALITY AS t (body, n)
"""

CALLS = [
    {"id": f"call_{at}", "name": "add", "arguments": arguments}
    for at, arguments in enumerate(SUMS_AS_JSON)
]


@asynccontextmanager
async def open_session(
    scenario: str, folder: Path, script: Script
) -> AsyncGenerator[Callable[[], Awaitable[str]], None]:
    """Yield what runs a turn and returns its answer."""
    db = open_database(folder / "bare.db") if scenario in DURABLE else None
    history = load(db) if db is not None else []
    server = await connect(server_of(folder)) if scenario == ON_POSTGRES else None

    async def model(messages: list[Message]) -> Message:
        if await script.wants_tools():
            return {"role": "assistant", "content": None, "tool_calls": CALLS}
        return {"role": "assistant", "content": script.answer}

    async def call(wanted: dict[str, str]) -> Message:
        value = script.add(**json.loads(wanted["arguments"]))
        return {"role": "tool", "id": wanted["id"], "content": json.dumps(value)}

    async def turn() -> str:
        start = len(history)
        history.append({"role": "user", "content": ask(scenario)})
        while True:
            message = await model(history)
            history.append(message)
            if not message.get("tool_calls"):
                break
            tasks = [asyncio.create_task(call(each)) for each in message["tool_calls"]]
            history.extend([await task for task in tasks])
        if db is not None:
            save(db, start, history[start:])
        if server is not None:
            await insert(server, start, history[start:])
        return str(history[-1]["content"])

    async def commit() -> str:
        script.asked += 1
        history.append({"role": "user", "content": ""})
        if db is not None:
            save(db, len(history) - 1, history[-1:])
        return script.answer

    try:
        yield commit if scenario == FORKED else turn
    finally:
        if db is not None:
            db.close()
        if server is not None:
            await server.close()


def open_database(path: Path) -> sqlite3.Connection:
    """Return the database for one session's messages."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS messages (at INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    return db


def load(db: sqlite3.Connection) -> list[Message]:
    """Return the session's messages."""
    rows = db.execute("SELECT body FROM messages ORDER BY at").fetchall()
    return [json.loads(body) for (body,) in rows]


def save(db: sqlite3.Connection, start: int, messages: list[Message]) -> None:
    """Write a turn's messages in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    rows = [(start + at, json.dumps(message)) for at, message in enumerate(messages)]
    db.executemany("INSERT INTO messages VALUES (?, ?)", rows)
    db.execute("COMMIT")


async def connect(url: str) -> AsyncConnection[Any]:
    """Return a connection to a database that's ready for one session's messages."""
    import psycopg  # in S9 alone

    server = await psycopg.AsyncConnection.connect(url, autocommit=True)
    await server.execute("CREATE TABLE messages (at integer PRIMARY KEY, body text NOT NULL)")
    return server


async def insert(server: AsyncConnection[Any], start: int, messages: list[Message]) -> None:
    """Write a turn's messages in one statement."""
    bodies = [json.dumps(message) for message in messages]
    await server.execute(INSERT, (start, bodies))
