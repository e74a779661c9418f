"""`lash sessions …` and `lash usage`: what a store holds."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lash_sdk.usage import Ledger

from .conversation import branches, exported, print_json, read_session, told, turns
from .failures import OK, STOPPED, CommandError
from .interrupts import run_async
from .settings import read_settings
from .turns import opened
from .words import clean, short, table

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lash_sdk import Lash, Usage
    from lash_sdk.usage import UsageReport

    from .settings import Options


@asynccontextmanager
async def _looking(options: Options) -> AsyncGenerator[Lash]:
    """Open the store alone: what's configured for turns isn't needed."""
    from dataclasses import replace

    settings = read_settings(options)
    async with opened(replace(settings, model="", tools=(), limits={})) as lash:
        yield lash


def list_sessions(options: Options, *, limit: int, prefix: str, as_json: bool) -> int:
    """Print the store's sessions, newest first."""

    async def main() -> int:
        async with _looking(options) as lash:
            found = await lash.sessions(limit=limit, prefix=prefix)
        if as_json:
            print_json(
                [
                    {
                        "id": each.id,
                        "revision": each.revision,
                        "turns": each.turns,
                        "updated": each.updated,
                        "parent": each.parent,
                    }
                    for each in found
                ]
            )
            return OK
        rows = [
            (short(each.id), str(each.turns), str(each.revision), _when(each.updated))
            for each in found
        ]
        print(table(("session", "turns", "revision", "updated"), rows))
        return OK

    return run_async(main())


def show_session(id: str, options: Options, *, as_json: bool) -> int:
    """Print a session's conversation, turn by turn."""

    async def main() -> int:
        async with _looking(options) as lash:
            stored = await read_session(lash.store, id)
        path = turns(stored.graph.path())
        if as_json:
            print_json([_turn_json(turn) for turn in path])
            return OK
        head = stored.head
        print(f"session {short(head.session)} · revision {head.revision} · {_when(head.updated)}")
        number = 0
        for turn in path:
            number += turn.ending is not None
            print(clean("\n".join(["", *told(turn, number)])))
        return OK

    return run_async(main())


def show_tree(id: str, options: Options, *, as_json: bool) -> int:
    """Print a session's turns on all branches."""

    async def main() -> int:
        async with _looking(options) as lash:
            stored = await read_session(lash.store, id)
        if as_json:
            active = {node.id for node in stored.graph.path()}
            print_json(
                [
                    {
                        "turn": turn.id,
                        "parent": turn.parent,
                        "leaf": turn.nodes[-1].id,
                        "active": turn.nodes[-1].id in active,
                        "ask": turn.ask,
                    }
                    for turn in turns(stored.graph)
                ]
            )
        else:
            print(clean("\n".join(branches(stored)) or "(no turn yet)"))
        return OK

    return run_async(main())


def export_session(id: str, options: Options, *, output: str) -> int:
    """Write a session as JSON Lines."""

    async def main() -> int:
        async with _looking(options) as lash:
            stored = await read_session(lash.store, id)
            lines = [json.dumps(line) async for line in exported(lash.store, stored)]
        text = "\n".join(lines) + "\n"
        if output in ("", "-"):
            sys.stdout.write(text)
            return OK
        _write(output, text)
        print(f"{len(lines)} lines in {output}", file=sys.stderr)
        return OK

    return run_async(main())


def delete_session(id: str, options: Options, *, sure: bool) -> int:
    """Delete a session for good, once that's confirmed."""

    async def main() -> int:
        async with _looking(options) as lash:
            head = await lash.store.head(id)
            if head is None:
                raise CommandError(f"no session {id!r}", way_out="lash sessions list")
            if not sure and not _confirmed(id, head.turns):
                print("not deleted", file=sys.stderr)
                return STOPPED
            await lash.delete(id)
        print(f"deleted session {id!r}", file=sys.stderr)
        return OK

    return run_async(main())


def show_usage(options: Options, *, as_json: bool) -> int:
    """Print tokens by source and model: of one session, or of each."""

    async def main() -> int:
        one = options.session
        async with _looking(options) as lash:
            ids = [one] if one else [each.id for each in await lash.sessions(limit=10_000)]
            reports = {id: (await read_session(lash.store, id)).ledger.report() for id in ids}
        if as_json:
            print_json({id: _report_json(report) for id, report in reports.items()})
        else:
            print(_usage_table(reports))
        return OK

    return run_async(main())


def _write(output: str, text: str) -> None:
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--output {output!r}: {error}", way_out="another path") from error


def _report_json(report: UsageReport) -> dict[str, Any]:
    by = [
        {"source": source, "model": model, "usage": usage.to_json()}
        for (source, model), usage in sorted(report.by.items())
    ]
    used = report.usage.to_json()
    return {"usage": used, "total": report.total, "rows": len(report.rows), "by": by}


def _usage_table(reports: dict[str, UsageReport]) -> str:
    rows = []
    every = Ledger()
    for id, report in reports.items():
        every.add(report.rows)
        rows += [(short(id), *by, *_tokens(usage)) for by, usage in sorted(report.by.items())]
    rows.append(("total", "", "", *_tokens(every.total)))
    heads = ("session", "source", "model", "input", "cached", "output", "total")
    return table(heads, rows)


def _tokens(usage: Usage) -> tuple[str, ...]:
    cached = usage.cache_read + usage.cache_write
    return tuple([str(count) for count in (usage.input, cached, usage.output, usage.total)])


def _turn_json(turn: Any) -> dict[str, Any]:
    ending = turn.ending
    return {
        "turn": turn.id,
        "nodes": [
            {"id": node.id, "kind": node.kind, "body": node.value.to_json()} for node in turn.nodes
        ],
        "ending": ending.to_json() if ending else None,
    }


def _confirmed(id: str, count: int) -> bool:
    """Ask whoever is at the keyboard; nobody there means no."""
    what = f"delete session {id!r} with {count} turn{'' if count == 1 else 's'} for good?"
    print(f"{what} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
