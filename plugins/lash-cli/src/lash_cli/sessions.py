"""`lash sessions …` and `lash usage`: what a store holds."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lash_sdk.usage import Ledger

from .archive import read, restore, verified, written
from .conversation import branches, print_json, read_head, read_session, told, turns
from .failures import OK, STOPPED, STORE, CommandError
from .interrupts import run_async
from .settings import read_settings
from .stores import expect_store
from .turns import opened
from .words import clean, short, table

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from lash_sdk import Lash, Usage
    from lash_sdk.usage import UsageReport

    from .conversation import Turn
    from .settings import Options

EVERY: Final = 100_000
"""Sessions that a command looks at, at most."""


@asynccontextmanager
async def _looking(options: Options) -> AsyncGenerator[Lash]:
    """Open the store alone, if it's there: a mistyped place isn't to be a new one."""
    await expect_store(read_settings(options))
    async with _filling(options) as lash:
        yield lash


@asynccontextmanager
async def _filling(options: Options) -> AsyncGenerator[Lash]:
    """Open the store alone, or make it: what's configured for turns isn't needed."""
    settings = read_settings(options)
    async with opened(replace(settings, model="", tools=(), limits={})) as lash:
        yield lash


def list_sessions(options: Options, *, limit: int, prefix: str, as_json: bool) -> int:
    """Print the store's sessions, newest first, those with an unfinished turn marked."""

    async def main() -> int:
        async with _looking(options) as lash:
            found = await lash.sessions(limit=limit, prefix=prefix)
        if as_json:
            print_json([asdict(each) for each in found])
            return OK
        rows = [
            (
                short(each.id),
                str(each.turns),
                str(each.revision),
                _when(each.updated),
                "unfinished" if each.unfinished else "",
            )
            for each in found
        ]
        print(table(("session", "turns", "revision", "updated", "last turn"), rows))
        if any(each.unfinished for each in found):
            print(
                "note: an unfinished turn runs, or was interrupted; lash resume ID finishes it",
                file=sys.stderr,
            )
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


def fork_session(id: str, options: Options, *, at: str, name: str, as_json: bool) -> int:
    """Make another session on the same history; print its id."""

    async def main() -> int:
        async with _looking(options) as lash:
            await read_head(lash.store, id)
            async with lash.session(id) as session:
                other = await session.fork(id=name or None, at=at or None)
            async with other:
                made = {
                    "session": other.id,
                    "revision": other.revision,
                    "leaf": other.graph.leaf,
                    "forked_from": id,
                }
        if as_json:
            print_json(made)
        else:
            print(made["session"])
        return OK

    return run_async(main())


def export_session(id: str, options: Options, *, output: str) -> int:
    """Write a session as JSON Lines."""

    async def main() -> int:
        async with _looking(options) as lash:
            lines, damage = await written(lash.store, id)
            unfinished = damage is None and await lash.store.journal(id)
        text = "\n".join(lines) + "\n"
        if output in ("", "-"):
            sys.stdout.write(text)
        else:
            _write(output, text)
            print(f"{len(lines)} lines in {output}", file=sys.stderr)
        if unfinished:
            print(
                f"note: the unfinished turn of session {id!r} isn't in it;"
                f" lash resume {id} finishes it",
                file=sys.stderr,
            )
        if damage is not None:
            print(f"error: {damage}; what's before it was exported", file=sys.stderr)
            return STORE
        return OK

    return run_async(main())


def import_session(file: str, options: Options, *, as_json: bool) -> int:
    """Put an exported session into the store, once the file was found whole."""
    archive = read(_lines(file))

    async def main() -> int:
        async with _filling(options) as lash:
            await restore(lash.store, archive)
        made = {
            "session": archive.session,
            "revision": len(archive.commits),
            "nodes": archive.nodes,
        }
        if as_json:
            print_json(made)
        else:
            print("session {session!r}: {revision} commits, {nodes} nodes".format_map(made))
        return OK

    return run_async(main())


def verify_sessions(ids: Sequence[str], options: Options, *, as_json: bool) -> int:
    """Read every stored part of sessions and check it against its hash."""

    async def main() -> int:
        async with _looking(options) as lash:
            every = [each.id for each in await lash.sessions(limit=EVERY, children=True)]
            found = [await verified(lash.store, id) for id in ids or every]
        if as_json:
            print_json([asdict(each) for each in found])
        else:
            rows = [
                (
                    short(each.session),
                    str(each.revision),
                    str(each.nodes),
                    str(each.blobs),
                    each.problem or "whole",
                )
                for each in found
            ]
            print(table(("session", "revision", "nodes", "blobs", "found"), rows))
        return STORE if any(each.problem for each in found) else OK

    return run_async(main())


def delete_session(id: str, options: Options, *, sure: bool) -> int:
    """Delete a session for good, once that's confirmed."""

    async def main() -> int:
        async with _looking(options) as lash:
            head = await read_head(lash.store, id)
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
            every = () if one else await lash.sessions(limit=EVERY)
            ids = [one] if one else [each.id for each in every if each.revision]
            reports = {id: (await read_session(lash.store, id)).ledger.report() for id in ids}
        if as_json:
            print_json({id: _report_json(report) for id, report in reports.items()})
        else:
            print(_usage_table(reports))
        return OK

    return run_async(main())


def _lines(file: str) -> list[str]:
    try:
        # a line's end is a line feed and nothing else
        data = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file!r}: {error}", way_out="another path") from error
    return data.removesuffix("\n").split("\n")


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


def _turn_json(turn: Turn) -> dict[str, Any]:
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
