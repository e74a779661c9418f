"""`lash run`, `lash chat` and `lash resume`: turns in a session, shown while they run."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from lash_sdk import Lash
from lash_sdk.errors import LashError, ModelError
from lash_sdk.outcomes import Stopped

from .failures import INTERRUPTED, OK, STOPPED, CommandError, report
from .fault_notes import FaultNotes
from .interrupts import Interrupts, run_async
from .loading import load_plugin, load_tool
from .schemes import no_model
from .screen import JsonLines, Terminal
from .settings import make_default_folder, read_settings
from .stores import expect_store
from .words import clean

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from lash_sdk.session import Session, TurnRecord
    from lash_sdk.tools import ToolDefinition

    from .screen import Screen
    from .settings import Options, Settings


NOBODY: Final = f"scripted:{os.devnull}"
"""A model with nothing to say, for a turn that asks none."""


@runtime_checkable
class Preparing(Protocol):
    """A model that takes a while to get ready, and says how far it is."""

    async def prepare(
        self, tools: Sequence[ToolDefinition], watch: Callable[[int, int], None]
    ) -> object:
        """Return once the first question can be asked without a wait."""
        ...


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Lash]:
    """
    Enter the app that *settings* describe.

    Raises:
        LashError: As `Lash` does, and for tools and plugins that can't be loaded.
    """
    make_default_folder(settings.store_url)
    lash = Lash(
        model=settings.model,
        store=settings.store_url,
        tools=[load_tool(spec) for spec in settings.tools],
        plugins=[FaultNotes, *[load_plugin(spec) for spec in settings.plugins]],
        autoload=settings.autoload,
        instructions=settings.instructions,
        limits=settings.make_limits(),
        on_interrupted="resume",
        config=settings.sections,
    )
    logging.getLogger("lash.plugins").addHandler(logging.NullHandler())  # said below
    async with lash:
        for each in lash.broken:
            if each.stage != "disabled":
                print(
                    f"warning: plugin {each.found.name!r} was left out: {clean(each.cause)};"
                    " try: lash plugins doctor",
                    file=sys.stderr,
                )
        yield lash


def run(prompt: str, options: Options, *, as_json: bool) -> int:
    """Run one turn on *prompt*; return the exit code."""
    if not prompt.strip():
        raise CommandError("the prompt is empty", way_out='lash run "What is 2 + 2?"')
    settings = read_settings(options)
    screen: Screen = JsonLines() if as_json else Terminal()
    return run_async(_run(prompt, options, settings, screen))


async def _run(prompt: str, options: Options, settings: Settings, screen: Screen) -> int:
    with Interrupts() as interrupts:
        async with opened(settings) as lash, await _session(lash, options, settings) as session:
            code = await _turn(lash, session, prompt, screen, interrupts)
    return code


def resume(id: str, options: Options, *, discard: bool, as_json: bool) -> int:
    """Finish or settle the unfinished turn of session *id*; return the exit code."""
    settings = read_settings(options)
    screen: Screen = JsonLines() if as_json else Terminal()
    model = options.model or (NOBODY if discard else None)

    async def main() -> int:
        await expect_store(settings)
        with Interrupts() as interrupts:
            async with opened(settings) as lash:
                if await lash.store.head(id) is None and not await lash.store.journal(id):
                    raise CommandError(f"no session {id!r}", way_out="lash sessions list")
                async with lash.session(id, model=model) as session:
                    return await _finish_turn(lash, session, screen, interrupts, discard=discard)

    return run_async(main())


async def _finish_turn(
    lash: Lash, session: Session, screen: Screen, interrupts: Interrupts, *, discard: bool
) -> int:
    interrupts.session = session
    if session.interrupted:
        if not session.policy.model:
            raise no_model(lash)
        if not discard:
            await _prepare(lash, session, screen)
    unwatch = session.listen(screen.show)
    try:
        record = await (session.discard() if discard else session.resume())
    except ModelError as error:
        if error.turn is not None:
            _finish(error.turn, screen)
        raise
    finally:
        unwatch()
    if record is None:  # there was none, or somebody else has just done it
        screen.note(f"session {session.id!r} has no unfinished turn")
        return OK
    screen.finish(record)
    return OK if discard else _code(record)


def chat(options: Options) -> int:
    """Run a turn on each line that's read; return the exit code."""
    settings = read_settings(options)
    with asyncio.Runner() as runner:
        stack = _Chat(options, settings)
        runner.run(stack.open())
        try:
            return stack.loop(runner)
        finally:
            runner.run(stack.close())


class _Chat:
    """A session that stays open while a person types between its turns."""

    def __init__(self, options: Options, settings: Settings) -> None:
        self._options = options
        self._settings = settings
        self._screen = Terminal()
        self._app = opened(settings)
        self._lash: Lash | None = None
        self._session: Session | None = None

    async def open(self) -> None:
        """Open app and session, or neither."""
        self._lash = await self._app.__aenter__()
        try:
            self._session = await _session(self._lash, self._options, self._settings)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close what's open."""
        if self._session is not None:
            await self._session.close()
        if self._lash is not None:
            await self._app.__aexit__(None, None, None)

    def loop(self, runner: asyncio.Runner) -> int:
        """Return the exit code once the input ends."""
        assert self._session is not None  # noqa: S101 - it was opened
        asks = sys.stdin.isatty()
        code = OK
        if asks:
            self._screen.note(f"session {self._session.id} · an empty line or Ctrl-D ends it")
        while True:
            try:
                line = input("> " if asks else "")
            except EOFError:
                return code
            except KeyboardInterrupt:
                return INTERRUPTED
            if line.strip():
                code = runner.run(self._turn(line))
            elif asks:
                return code

    async def _turn(self, line: str) -> int:
        assert self._lash is not None and self._session is not None  # noqa: S101
        with Interrupts() as interrupts:
            try:
                return await _turn(self._lash, self._session, line, self._screen, interrupts)
            except LashError as error:
                return report(error)
            except asyncio.CancelledError:
                if interrupts.hits:
                    return INTERRUPTED
                raise


async def _session(lash: Lash, options: Options, settings: Settings) -> Session:
    """
    Return the session to use; without a name it's a new one.

    Raises:
        CommandError: Nobody says which model to use.
    """
    id = settings.session or f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    limits = settings.make_limits() if options.max_iterations is not None else None
    session = await lash.session(
        id, model=options.model, instructions=options.instructions, limits=limits
    )
    if not session.policy.model:
        await session.close()
        raise no_model(lash)
    return session


async def _turn(
    lash: Lash, session: Session, prompt: str, screen: Screen, interrupts: Interrupts
) -> int:
    """Run one turn and show it; return the exit code."""
    interrupts.session = session
    await _prepare(lash, session, screen)
    try:
        async with session.stream(prompt) as stream:
            async for event in stream:
                screen.show(event)
            record = await stream.result()
    except ModelError as error:
        if error.turn is not None:
            _finish(error.turn, screen)
        raise
    screen.finish(record)
    return _code(record)


def _finish(turn: Any, screen: Screen) -> None:  # `ModelError.turn` is an object
    screen.finish(turn)


async def _prepare(lash: Lash, session: Session, screen: Screen) -> None:
    """Get a model ready that takes a while, with progress shown."""
    name = session.policy.model
    model: object = lash.model(name) if ":" in name else None
    if not isinstance(model, Preparing):
        return
    tools = [definition for definition, _source, shown in session.catalogue.values() if shown]
    with screen.progress(f"loading {model_name(model)}") as watch:
        await model.prepare(tools, watch)


def model_name(model: object) -> str:
    """Return what a model calls itself."""
    return str(getattr(model, "name", model))


def _code(record: TurnRecord) -> int:
    if not isinstance(record.outcome, Stopped):
        return OK
    return INTERRUPTED if record.outcome.reason == "cancelled" else STOPPED
