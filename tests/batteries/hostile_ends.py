"""
What a bad plugin does at the ends: of a process, of an app, and on the way back.

An exit goes through, and the session is safe behind it; a hook that fails on replay
alone keeps a turn from going on, and nothing else; a hook of the whole app keeps the
app from opening, by its name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from lash_sdk import Lash, Plugin
from lash_sdk.errors import LashError, PluginFault
from lash_sdk.hooks import HOOKS
from lash_sdk.memory import MemoryStore
from lash_sdk.outcomes import Finished
from lash_sdk.plugins.registered import register
from lash_sdk.plugins.registry import Registry
from lash_sdk.testing import ScriptedModel, call, plugin_of, reply

from .hostile import ASYNC, SYNC, Seen, attribute, echo, hostile, live, script, watching

EXITS: Final[dict[str, type[BaseException]]] = {
    "F6 SystemExit": SystemExit,
    "F6 KeyboardInterrupt": KeyboardInterrupt,
}
MISSHAPEN: Final = "F28 takes what there isn't"
REPLAYED: Final = "F44 raises on replay alone"

UNBOUND: Final = ("F36", "F18", "F19", "F20")
"""Ways that need a session or an answer to work on."""


class Died(BaseException):
    """The process' end."""


def cases() -> Iterator[tuple[str, str]]:
    """Yield each case: a hook, and how it's bad."""
    for name, hook in HOOKS.items():
        yield name, MISSHAPEN
        if hook.life == "session":
            for how in (*EXITS, REPLAYED):
                yield name, how
        elif name != "provide_commands":  # the command line's; it asks outside of any session
            for how in (*SYNC, *(ASYNC if hook.timed else ())):
                if not how.startswith(UNBOUND):
                    yield name, how


async def run(hook: str, how: str) -> Seen:
    """Return what came of a case."""
    seen = Seen(hook, how)
    if how == MISSHAPEN:
        _misshapen(seen)
    elif how in EXITS:
        await _exits(seen, EXITS[how])
    elif how == REPLAYED:
        await _replayed(seen)
    else:
        await _host(seen, SYNC[how])
    return seen


# --- F28 -----------------------------------------------------------------------


def _misshapen(seen: Seen) -> None:
    """A hook that can't be called is refused before anything runs, by its name."""

    def act(self: Any, ctx: Any, value: Any, more: Any) -> Any:
        return None

    seen.called = 1
    try:
        Registry([register(plugin_of("hostile", **{seen.hook: act}))])
    except PluginFault as error:
        seen.check("hostile" == error.plugin, f"blamed on {error.plugin}")
        seen.check(seen.hook in str(error), f"the hook isn't named: {error}")
    else:
        seen.check(False, "it's accepted")


# --- F6 ------------------------------------------------------------------------


async def _exits(seen: Seen, how: type[BaseException]) -> None:
    """An exit isn't a fault: it goes through; what's behind it can go on."""
    store = MemoryStore()

    def act(self: Any, ctx: Any, *rest: Any) -> Any:
        raise how

    async def process() -> None:
        plugins = [hostile(seen, act), watching(seen)]
        async with Lash(store=store, tools=[echo], plugins=plugins, autoload=False) as lash:
            await live(lash, seen)

    def runs() -> BaseException | None:
        try:
            asyncio.run(process())
        except BaseException as error:
            return error
        return None

    error = await asyncio.to_thread(runs)
    if seen.called:
        seen.check(isinstance(error, how), f"it ended with {error!r}")
    await _goes_on(seen, store)


async def _goes_on(seen: Seen, store: MemoryStore) -> None:
    """Without the plugin both sessions go on."""
    async with Lash(store=store, tools=[echo], autoload=False) as lash:
        for id in ("bad", "good"):
            session = await lash.session(id, model=script())
            if session.interrupted:
                await session.discard()
            turn = await session.run("go")
            seen.check(isinstance(turn.outcome, Finished), f"{id} can't go on")


# --- F44 -----------------------------------------------------------------------


async def _replayed(seen: Seen) -> None:
    """A turn is left behind by a process; the next one has a plugin that fails."""
    store = MemoryStore()

    def dies(request: Any) -> Any:
        raise Died

    first = ScriptedModel([reply(calls=[call("echo", text="a")]), dies])
    with contextlib.suppress(Died):
        async with Lash(model=first, store=store, tools=[echo], autoload=False) as lash:
            await (await lash.session("bad")).run("go")
    await _resume(seen, store)
    seen.check(not [each for each in seen.faults if each.plugin != "hostile"], "another is blamed")
    wrong = {each.hook for each in seen.faults} - {seen.hook}
    seen.check(not wrong, f"blamed on {sorted(wrong)}")
    seen.check(bool(seen.faults) or not seen.called, "nobody is blamed")
    async with Lash(
        model=ScriptedModel(["done"] * 3), store=store, tools=[echo], autoload=False
    ) as lash:
        session = await lash.session("bad")
        turn = await session.resume() or await session.run("on")
        seen.check(isinstance(turn.outcome, Finished), "the turn can't be finished")
    await _goes_on(seen, store)


async def _resume(seen: Seen, store: MemoryStore) -> None:
    def act(self: Any, ctx: Any, *rest: Any) -> Any:
        raise ValueError("on replay")

    async with Lash(
        model=ScriptedModel(["done"] * 3),
        store=store,
        tools=[echo],
        plugins=[hostile(seen, act), watching(seen)],
        autoload=False,
    ) as lash:
        try:
            session = await lash.session("bad")
            await session.resume()
            await session.close()
        except PluginFault as fault:
            seen.faults.append(fault)
        except LashError as error:
            seen.raised = error


# --- hooks of the app ------------------------------------------------------------


async def _host(seen: Seen, act: Callable[..., Any]) -> None:
    """An app whose plugin fails doesn't open, and says whose doing that is."""
    store = MemoryStore()
    hosted = _hosted(seen, act)
    try:
        async with Lash(
            model=script(), store=store, tools=[echo], plugins=[hosted], autoload=False
        ) as lash:
            await (await lash.session("bad")).run("go")
    except LashError as error:
        seen.raised = error
    except BaseException as error:
        seen.check(False, f"{type(error).__name__} got out")
    attribute(seen)
    await _goes_on(seen, store)


def _hosted(seen: Seen, act: Callable[..., Any]) -> type[Plugin]:
    async def around(cls: Any, ctx: Any, call_next: Any) -> Any:
        seen.called += 1
        return act(cls, ctx, call_next)

    def plain(cls: Any, ctx: Any) -> Any:
        seen.called += 1
        return act(cls, ctx)

    wraps = HOOKS[seen.hook].kind == "wrap"
    return plugin_of("hostile", **{seen.hook: around if wraps else plain})
