"""`lash plugins trace`: the hook calls of a turn, who answered, and how long each took."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from lash_sdk.testing import record_hooks

from .failures import OK
from .interrupts import run_async
from .settings import Options, read_settings
from .turns import opened
from .words import table

if TYPE_CHECKING:
    from lash_sdk.testing import HookCall

HEADS = ("hook", "kind", "plugin", "ms", "what it did")


def trace(prompt: str, model: str | None, store: str, session: str, *, as_json: bool) -> int:
    """Run a turn and print each hook call of it, in the order in which they ended."""
    return run_async(_trace(prompt, Options(model=model, store=store), session, as_json=as_json))


async def _trace(prompt: str, options: Options, session: str, *, as_json: bool) -> int:
    async with opened(read_settings(options)) as lash:
        recorder = record_hooks(lash)
        if as_json:
            recorder.tell = lambda call: print(json.dumps(asdict(call)), flush=True)
        try:
            async with lash.session(session) as opened_session:
                await opened_session.run(prompt)
        finally:
            if not as_json:
                print(table(HEADS, [_row(call) for call in recorder.calls]))
    return OK


def _row(call: HookCall) -> tuple[str, ...]:
    milliseconds = f"{call.seconds * 1000:.3f}"
    return (call.hook, call.kind, f"{call.plugin} {call.version}", milliseconds, call.did)
