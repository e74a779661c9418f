"""
One bad plugin at every hook, in every way that it can be bad.

The plugin misbehaves in the session "bad" alone. Whatever happens there has to be
a turn that's returned or a `LashError`; the session "good" beside it completes; the
fault names plugin and hook; nothing is left running; and without the plugin "bad"
opens and goes on.

Of the specification's list these have no case here:

* F21: a task, thread or timer that a plugin starts is its own, and nothing says whose it
  is. What the kernel starts for a plugin is ended with the session, and counted here.
* F26: two plugins, tools, actions or hooks of one name, in `test_registry`, `test_toolbox`.
* F27: no plugin leaves while its app is open.
* F29, F30: imports and versions that don't fit, in `test_discovery` and the doctor's tests.
* F31 to F33: patching json or asyncio, the working folder, signals, closing our files. No
  sandbox stands between plugins and the process; `docs/publish-a-plugin.md` says so.
* F34: the kernel speaks no protocol on standard output.
* F35: what a plugin logs is its own; a fault's text is cut (F3).
* F36: a state of 100 MiB is kept if it's JSON: nobody has named a limit.
* F37, F38: states of other versions, or of missing plugins, in `test_plugin_state`.
* F39: `lash plugins trace` and the hook recorder have each call's time.
* F41: F1 and the others, at `on_turn_committed` and `on_session_closed`.
* F42: the strongest gate wins, in `test_directives`.
* F43: F1 and the others, at `on_event` and `transform_chunk`.

F6, F28 and F44, and the hooks of an app, are in `hostile_ends`. A host hook is sync but for
`around_app`, which may hold the app for as long as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from lash_sdk import Lash, Plugin
from lash_sdk.commits import Commit
from lash_sdk.contexts import FaultContext
from lash_sdk.errors import LashError, PluginFault
from lash_sdk.hooks import HOOKS, Allow, Ask
from lash_sdk.memory import MemoryStore
from lash_sdk.outcomes import Finished
from lash_sdk.plugins import registry
from lash_sdk.policy import Limits
from lash_sdk.testing import ScriptedModel, call, plugin_of, reply
from lash_sdk.tools import tool

SECRET: Final = "sesame-open"
PATIENCE: Final = 0.05
"""Seconds that a hook call may take here."""

PATIENTLY: Final = 5.0
"""Seconds after which a case is said to hang."""


class Base(BaseException):
    """No `Exception`: what `except Exception` lets through."""


class Anything(BaseModel):
    """A state that lets anything in."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    value: Any = None


class Mute(Exception):
    """An exception that can't be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def nested(depth: int) -> BaseException:
    """Return an exception group, *depth* deep."""
    error: Exception = ValueError("deep")
    for _ in range(depth):
        error = ExceptionGroup[Exception]("group", [error])
    return error


def raising(make: Callable[[], BaseException]) -> Callable[..., Any]:
    def act(self: Any, ctx: Any, *rest: Any) -> Any:
        raise make()

    return act


def recursing(self: Any, ctx: Any, *rest: Any) -> Any:
    return recursing(self, ctx, *rest)


def answering(make: Callable[[], Any]) -> Callable[..., Any]:
    def act(self: Any, ctx: Any, *rest: Any) -> Any:
        return make()

    return act


async def _unawaited() -> None:
    """A coroutine that nobody awaits."""


def _endless() -> Iterator[int]:
    while True:
        yield 1


def _lazy() -> Iterator[object]:
    yield None
    raise ValueError("third item")


def meddling(self: Any, ctx: Any, *rest: Any) -> Any:
    """Change whatever can be changed of what it was given."""
    for thing in (ctx, *rest):
        for name in ("messages", "history", "tools", "arguments", "request", "turn", "records"):
            value = getattr(thing, name, None)
            for change in ("clear", "append", "pop"):
                with contextlib.suppress(Exception):
                    getattr(value, change)()
            with contextlib.suppress(Exception):
                value["planted"] = 1  # type: ignore[index]
    return None


THREADS: Final[list[threading.Thread]] = []
"""Those that hostile plugins started; each ends by itself."""


def keeping(self: Any, ctx: Any, *rest: Any) -> Any:
    """Keep what it was given, and change it from a thread, later."""

    def later() -> None:
        time.sleep(0.002)
        meddling(self, ctx, *rest)

    THREADS.append(threading.Thread(target=later))
    THREADS[-1].start()


def recanting(self: Any, ctx: Any, *rest: Any) -> Any:
    """Answer with a list that isn't finished."""
    answer: list[object] = []
    asyncio.get_running_loop().call_soon(answer.append, object())
    return answer


def sleeping(self: Any, ctx: Any, *rest: Any) -> Any:
    """Keep the loop from everybody else."""
    time.sleep(BLOCKED)


def spinning(self: Any, ctx: Any, *rest: Any) -> Any:
    """Keep the loop, and the processor too."""
    end = time.perf_counter() + BLOCKED
    while time.perf_counter() < end:
        pass


async def _items() -> AsyncIterator[int]:
    yield 1


@dataclass(slots=True)
class Stage:
    """What hostile plugins reach for: the app they're in, and its store."""

    lash: Lash | None = None
    store: MemoryStore | None = None


STAGE: Final = Stage()


async def calling_back(self: Any, ctx: Any, *rest: Any) -> Any:
    """Run a turn in the very session that waits for this hook."""
    assert STAGE.lash is not None
    session = await STAGE.lash.session("bad")
    await session.run("and again")


async def committing(self: Any, ctx: Any, *rest: Any) -> Any:
    """Write to the store, behind everybody's back, as of another revision."""
    assert STAGE.store is not None
    commit = Commit(session="bad", expected=99, operation="stale", at=0.0, turns=0, leaf=None)
    await STAGE.store.commit(commit)


async def going_twice(self: Any, ctx: Any, *rest: Any) -> Any:
    """Go inward, and then once more."""
    await rest[0](ctx)
    return await rest[0](ctx)


async def staying(self: Any, ctx: Any, *rest: Any) -> Any:
    """Never go inward."""


def remembering(make: Callable[[], object]) -> Callable[..., Any]:
    def act(self: Any, ctx: Any, *rest: Any) -> Any:
        self.state = Anything(value=make())

    return act


def looped() -> list[object]:
    """Return a list that holds itself."""
    value: list[object] = []
    value.append(value)
    return value


async def hanging(self: Any, ctx: Any, *rest: Any) -> Any:
    await asyncio.Event().wait()


async def deaf(self: Any, ctx: Any, *rest: Any) -> Any:
    for _ in range(3):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


async def spiteful(self: Any, ctx: Any, *rest: Any) -> Any:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise KeyError("instead") from None


SYNC: Final[dict[str, Callable[..., Any]]] = {
    "F1 raises": raising(lambda: ValueError("broken")),
    "F2 can't be printed": raising(Mute),
    "F3 long and secret": raising(lambda: ValueError("x" * 10_000_000 + SECRET)),
    "F4 nested group": raising(lambda: nested(50)),
    "F5 BaseException": raising(Base),
    "F7 GeneratorExit": raising(GeneratorExit),
    "F8 StopIteration": raising(StopIteration),
    "F8 StopAsyncIteration": raising(StopAsyncIteration),
    "F9 own CancelledError": raising(asyncio.CancelledError),
    "F15 an object": answering(object),
    "F15 a string": answering(lambda: "nonsense"),
    "F15 a number": answering(lambda: 7),
    "F15 a coroutine": answering(_unawaited),
    "F15 a generator": answering(lambda: iter([object()])),
    "F16 an endless generator": answering(_endless),
    "F17 a lazy iterator": answering(_lazy),
    "F18 meddles": meddling,
    "F19 meddles later": keeping,
    "F20 answers, and then changes it": recanting,
    "F22 an async generator": answering(_items),
    "F23 recursion": recursing,
    "F36 remembers an object": remembering(object),
    "F36 remembers a list in itself": remembering(looped),
}
"""In either colour, by the number in the specification."""

ASYNC: Final[dict[str, Callable[..., Any]]] = {
    "F10 swallows its end": deaf,
    "F11 raises another": spiteful,
    "F12 never returns": hanging,
}
"""Where a hook may wait, and has a deadline."""

ANYWHERE: Final[dict[str, Callable[..., Any]]] = {
    "F24 runs a turn in the session that waits": calling_back,
    "F25 commits by itself": committing,
}
"""Where a hook may wait, with a deadline or without."""

BLOCKING: Final[dict[str, Callable[..., Any]]] = {
    "F13 sleeps on the loop": sleeping,
    "F14 spins": spinning,
}
"""Sync implementations, in debug mode; a wrap is never one."""

AROUND: Final[dict[str, Callable[..., Any]]] = {
    "F40 goes on twice": going_twice,
    "F40 never goes on": staying,
}
"""For wraps."""

HARMLESS: Final = ("F18", "F19", "F20", "F24", "F36", "F40")
"""What nobody needs to be blamed for: it may have no effect, or be allowed where it is."""

BLOCKED: Final = 0.06
NOTICED: Final = 0.03
"""Seconds that the loop is blocked, and from which on that's said."""


@dataclass(slots=True)
class Seen:
    """What came of one case."""

    hook: str
    how: str
    called: int = 0
    faults: list[PluginFault] = field(default_factory=list[PluginFault])
    raised: BaseException | None = None
    violations: list[str] = field(default_factory=list[str])

    def check(self, right: bool, what: str) -> None:
        """Note *what* as broken unless it's *right*."""
        if not right:
            self.violations.append(f"{self.hook}, {self.how}: {what}")


def cases() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Yield each hook of a session with each way to be bad that it has."""
    for name, hook in HOOKS.items():
        if hook.life != "session":
            continue
        for how, act in SYNC.items():
            yield name, how, act
        for how, act in ASYNC.items() if hook.timed else ():
            yield name, how, act
        for how, act in ANYWHERE.items() if hook.awaits else ():
            yield name, how, act
        for how, act in (AROUND if hook.kind == "wrap" else BLOCKING).items():
            yield name, how, act


def hostile(seen: Seen, act: Callable[..., Any]) -> type[Plugin]:
    """Return the plugin; anywhere but in "bad" it does what's right."""

    def bad(ctx: Any) -> bool:
        mine: bool = ctx.session_id == "bad"
        seen.called += mine
        return mine

    kind = HOOKS[seen.hook].kind

    async def waits(self: Any, ctx: Any, *rest: Any) -> Any:
        if not bad(ctx):
            return await rest[0](ctx) if kind == "wrap" else None
        value = act(self, ctx, *rest)
        return await value if asyncio.iscoroutine(value) else value

    def plain(self: Any, ctx: Any, *rest: Any) -> Any:
        return act(self, ctx, *rest) if bad(ctx) else None

    sync = not HOOKS[seen.hook].awaits or seen.how in BLOCKING
    form = plugin_of("hostile", **{seen.hook: plain if sync else waits})
    return type("Hostile", (form,), {"State": Anything}) if seen.how.startswith("F36") else form


def watching(seen: Seen) -> type[Plugin]:
    """Return a plugin that hears of faults, and asks about each call."""

    async def faulted(self: Any, ctx: FaultContext) -> None:
        seen.faults.append(ctx.fault)

    async def asks(self: Any, ctx: Any) -> Ask:
        return Ask(question="may it?")

    async def approves(self: Any, ctx: Any) -> Allow:
        return Allow()

    hooks: dict[str, Callable[..., Any]] = {"on_fault": faulted, "decide_tool": asks}
    if seen.hook != "decide_approval":
        hooks["decide_approval"] = approves
    return plugin_of("watching", **hooks)


@tool(on_recovery="rerun")
async def echo(text: str) -> str:
    """Say it again."""
    return text


def script() -> ScriptedModel:
    """Return a model that calls the tool, answers, and answers again."""
    return ScriptedModel([reply(calls=[call("echo", text="a")]), "done", "again"] * 2)


async def live(lash: Lash, seen: Seen) -> None:
    """Let everything happen to "bad" that a session can do."""
    session = await lash.session("bad", model=script())
    try:
        await session.run("go")
        await session.configure(limits=Limits(iterations=9))
        await session.run("on")
        await session.rewrite()
    finally:
        await session.close()


async def run(hook: str, how: str, act: Callable[..., Any]) -> Seen:
    """Return what came of *hook* doing *act*."""
    seen, store = Seen(hook, how), MemoryStore()
    before = set(threading.enumerate())
    try:
        with _debugging(how in BLOCKING):
            await asyncio.wait_for(_run(seen, store, act), PATIENTLY)
    except TimeoutError:
        seen.check(False, "it hangs")
    except BaseException as error:
        seen.check(False, f"{type(error).__name__} got out")
    while THREADS:
        THREADS.pop().join()
    gc.collect()
    left = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    seen.check(not left, f"left running: {left}")
    for task in left:
        task.cancel()
    more = {each.name for each in set(threading.enumerate()) - before}
    seen.check(all(name.startswith("asyncio_") for name in more), f"threads: {more}")
    return seen


@contextlib.contextmanager
def _debugging(wanted: bool) -> Generator[None, None, None]:
    """Have hooks that block the loop named, if that's *wanted*."""
    if not wanted:
        yield
        return
    before, registry.BLOCKING = registry.BLOCKING, NOTICED  # type: ignore[misc]
    os.environ["LASH_DEBUG"] = "1"
    try:
        yield
    finally:
        del os.environ["LASH_DEBUG"]
        registry.BLOCKING = before  # type: ignore[misc]


async def _run(seen: Seen, store: MemoryStore, act: Callable[..., Any]) -> None:
    plugins = [hostile(seen, act), watching(seen)]
    config = {"plugins": {"deadline": PATIENCE}}
    async with Lash(
        store=store, tools=[echo], plugins=plugins, autoload=False, config=config
    ) as lash:
        STAGE.lash, STAGE.store = lash, store
        try:
            await live(lash, seen)
        except LashError as error:
            seen.raised = error
        good = await lash.session("good", model=script())
        turn = await good.run("go")
        seen.check(isinstance(turn.outcome, Finished), "the other session didn't complete")
    async with Lash(store=store, tools=[echo], model=script(), autoload=False) as lash:
        session = await lash.session("bad")
        if session.interrupted:
            await session.discard()
        await session.run("go")
    attribute(seen)


def attribute(seen: Seen) -> None:
    """Check that who misbehaved is named, and that no secret got into the name."""
    if isinstance(seen.raised, PluginFault):
        seen.faults.append(seen.raised)
    mine = [each for each in seen.faults if each.plugin == "hostile"]
    others = [each for each in seen.faults if each.plugin != "hostile"]
    seen.check(not others, f"blamed on {[each.plugin for each in others]}")
    state = {"state"} if seen.how.startswith("F36") else set[str]()
    wrong = {each.hook for each in mine} - {seen.hook} - state
    seen.check(not wrong, f"blamed on {sorted(wrong)}")
    for fault in mine:
        seen.check(len(str(fault)) < 10_000, "a fault of ten megabytes")
    answered = seen.how.startswith(("F15", "F16", "F17", "F22"))
    if seen.called and not answered and not seen.how.startswith(HARMLESS):
        seen.check(bool(mine), "nobody is blamed")
