"""
P13: what's stored is data, whatever it looks like.

Sessions are filled with what other libraries revive, and looked at in every way there
is, in a process that hears of all code that's loaded or run meanwhile. The same was done
once before with harmless words, so that what we load ourselves is there already.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from lash_cli.archive import read, restore, verified, written
from lash_cli.settings import Options, read_settings
from lash_sdk import Lash, Plugin, graph, hooks, tool
from lash_sdk.contexts import TurnContext
from lash_sdk.graph import Note
from lash_sdk.json import Json, decode
from lash_sdk.messages import user
from lash_sdk.ports import ModelRequest
from lash_sdk.testing import Reply, ScriptedModel, call, reply
from lash_store_sqlite.plugin import SqlitePlugin

ROOT: Final = Path(__file__).parents[2]
RUN: Final = "touch pwned"
CODE: Final = f"__import__('os').system({RUN!r})"
PICKLED: Final = base64.b64encode(f"cos\nsystem\n(S'{RUN}'\ntR.".encode()).decode()

PAYLOADS: Final[dict[str, Json]] = {
    "langchain": {"lc": 2, "type": "constructor", "id": ["os", "system"], "kwargs": {"c": RUN}},
    "jsonpickle": {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": [RUN]}]},
    "hydra": {"_target_": "os.system", "_args_": [RUN]},
    "typed": {"$type": "os.system", "@class": "os.system", "__class__": "os.system"},
    "a class name": {"__module__": "os", "__name__": "system", "__init__": [RUN]},
    "ours": {"kind": "tool_call", "id": "x", "name": "os.system", "arguments": RUN},
    "yaml": f"!!python/object/apply:os.system ['{RUN}']",
    "pickle": PICKLED,
    "python": CODE,
    "a template": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a format": "{0.__class__.__init__.__globals__}",
    "a shell": f"$({RUN})",
    "backticks": f"`{RUN}`",
    "a path": "../../../../pwned\0.py",
}
"""By whoever would run it."""

HARMLESS: Final[dict[str, Json]] = {"an object": {"a": 1, "b": ["c"]}, "text": "words"}

RUNS_CODE: Final = frozenset(
    (
        "compile",
        "ctypes.dlopen",
        "exec",
        "import",
        "marshal.loads",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pickle.find_class",
        "socket.connect",
        "subprocess.Popen",
    )
)
"""Audit events of code that's loaded or run, or of a call home."""


# --- filling a store -----------------------------------------------------------


class Anything(BaseModel):
    model_config = ConfigDict(frozen=True)
    held: Any = None


class Keeper(Plugin):
    """Keeps in its state what it was told."""

    State = Anything
    told: Json = None

    @hooks.before_turn
    async def keep(self, ctx: TurnContext) -> None:
        """Take it over."""
        self.state = Anything(held=Keeper.told)


@tool
async def echo(given: Any) -> Any:
    """Return what was given."""
    return given


async def fill(folder: Path, payloads: dict[str, Json]) -> None:
    """Put each payload wherever a session, its inbox and a configuration can hold one."""
    for name, payload in payloads.items():
        Keeper.told = payload
        text = payload if isinstance(payload, str) else json.dumps(payload)
        model = ScriptedModel([reply(calls=[call("echo", given=payload)]), reply(text)])
        async with _app(folder, model) as lash:
            session = await lash.session(name)
            await session.run(text)
            await session.append([user(text), Note(plugin="p", type=text[:40], body=payload)])
            await session.configure(instructions=text)
            await session.enqueue(text, key="k")
    settings = {"instructions": json.dumps(payloads), "plugins": {"keeper": {"a": CODE}}}
    lines = [f"instructions = {json.dumps(settings['instructions'])}", "[plugins.keeper]"]
    (folder / "lash.toml").write_text("\n".join([*lines, f"a = {json.dumps(CODE)}", ""]))


def _app(folder: Path, model: ScriptedModel) -> Lash:
    store = f"sqlite:///{folder / 'data.db'}"
    # other plugins read the annotations of tools that they make for a session
    return Lash(
        model=model, store=store, tools=[echo], plugins=[Keeper, SqlitePlugin], autoload=False
    )


# --- looking at it -------------------------------------------------------------


async def look(folder: Path, names: list[str]) -> int:
    """Return how many things were done with the sessions of a store: all there are."""
    done = 0
    os.chdir(folder)
    read_settings(Options())
    async with _app(folder, ScriptedModel([_reads] * 2 * len(names))) as lash:
        done += len(await lash.sessions())
        for name in names:
            session = await lash.session(name)
            done += len(session.messages) + len([node.value for node in session.graph])
            done += len(session.usage().rows)
            lines, damage = await written(lash.store, name)
            whole = await verified(lash.store, name)
            assert damage is None and not whole.problem
            await (await session.fork(id=f"fork of {name}")).run("go on")
            before = session.graph.path()[-1].id
            await session.run("go on")
            await session.checkout(before)
            archive = read(lines)
            async with Lash(model=ScriptedModel([]), autoload=False) as copy:
                await restore(copy.store, archive)
                done += len((await copy.session(name)).messages)
    return done


def _reads(request: ModelRequest) -> Reply:
    return reply(f"{len([repr(message) for message in request.history])} messages")


# --- listening -----------------------------------------------------------------


def heard(act: Callable[[], int]) -> tuple[int, list[str]]:
    """Return what *act* returns, and what code was loaded or run meanwhile."""
    found: list[str] = []
    listening = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event in RUNS_CODE:
            found.append(f"{event} {str(arguments[0])[:80]}")

    sys.addaudithook(hear)
    done = act()
    listening = False
    return done, found


Wrong = Callable[[Any], object]
"""Does with a value what nobody may."""


def _revives(wrong: Wrong) -> Callable[[bytes], Json]:
    def revive(data: bytes) -> Json:
        value = decode(data)
        _walk(value, wrong)
        return value

    return revive


def _walk(value: Any, wrong: Wrong) -> None:
    wrong(value)
    inner = value.values() if isinstance(value, dict) else value
    for each in inner if isinstance(value, (dict, list)) else ():
        _walk(each, wrong)


def _evaluates(value: Any) -> object:
    return eval(value) if value == CODE else None


def _unpickles(value: Any) -> object:
    return pickle.loads(base64.b64decode(PICKLED)) if value == PICKLED else None


def _imports(value: Any) -> object:
    named = isinstance(value, dict) and "_target_" in value
    return importlib.import_module("colorsys") if named else None


def _asks_a_shell(value: Any) -> object:
    shell = isinstance(value, str) and value.startswith("$(")
    return subprocess.run(["/bin/true"], check=True) if shell else None


PLANTED: Final[dict[str, Wrong]] = {
    "evaluates": _evaluates,
    "unpickles": _unpickles,
    "imports": _imports,
    "asks a shell": _asks_a_shell,
}
"""Ways to read a node that run what's in it."""


def main() -> None:
    """Warm up with the first folder, look at the second, and print what was heard."""
    harmless, hostile, fault = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    asyncio.run(look(harmless, list(HARMLESS)))
    if fault:
        setattr(graph, "decode", _revives(PLANTED[fault]))  # noqa: B010 - it isn't exported
    done, found = heard(lambda: asyncio.run(look(hostile, list(PAYLOADS))))
    pwned = sorted(str(path) for path in hostile.rglob("pwned*"))
    print(json.dumps({"done": done, "heard": found, "made": pwned}))


if __name__ == "__main__":
    main()
