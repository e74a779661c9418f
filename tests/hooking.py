"""
What tests of hooks share: a scope without a session behind it, plugins made of
functions, and a short way to a session with both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from lash_sdk import Lash, Plugin
from lash_sdk.contexts import SessionContext
from lash_sdk.errors import Unavailable
from lash_sdk.events import PluginEmitted, SessionEvent
from lash_sdk.hooks import HOOKS
from lash_sdk.json import Json
from lash_sdk.messages import Blob, note
from lash_sdk.plugins.deadline import PATIENCE
from lash_sdk.plugins.faults import Faults
from lash_sdk.plugins.registered import register
from lash_sdk.plugins.registry import Registry
from lash_sdk.ports import ROLES, Store
from lash_sdk.session import Session
from lash_sdk.testing import ScriptedModel

HELLO = note("hello")


class Bare:
    """A scope that keeps what it's told, and has no session behind it."""

    id = "s"
    parent: str | None = None

    def __init__(self, registry: Registry) -> None:
        self.instances = registry.instances()
        self.faults = Faults()
        self.emitted: list[tuple[str, str, Json]] = []
        self.watch: Callable[[SessionEvent], None] | None = self.keep
        self.aside = None

    def role(self, name: str, ctx: Any) -> Any:
        raise Unavailable(name, ROLES[name])

    def progress(self, ctx: Any, text: str) -> None:
        raise Unavailable("progress", why="no call runs here")

    async def read_blob(self, blob: Blob) -> bytes:
        raise Unavailable("blob", why="no call runs here")

    def keep(self, event: SessionEvent) -> None:
        assert isinstance(event, PluginEmitted)
        self.emitted.append((event.plugin, event.name, event.body))

    def listen(self, listener: Any) -> Callable[[], None]:
        raise NotImplementedError


def plugin(name: str, version: str = "1", /, **hooks: Callable[..., Any]) -> type[Plugin]:
    """Return a plugin whose hooks are these functions; each takes `self` first."""
    methods = {f"do_{hook}": mark(hook, function) for hook, function in hooks.items()}
    return type(name, (Plugin,), {"name": name, "version": version, **methods})


def mark(hook: str, function: Callable[..., Any]) -> Any:
    """Return *function* as an implementation of the hook of that name."""
    decorator: Any = HOOKS[hook]
    function.__qualname__ = f"Made.{function.__name__}"  # pluggy looks whether it's a method
    return decorator(function)


def registry(*things: object, patience: float = PATIENCE) -> Registry:
    """Return the registry of these plugins alone; a hook call may take *patience* seconds."""
    return Registry([register(thing) for thing in things], patience=patience)


def context(found: Registry) -> SessionContext:
    """Return a context of a session that has just these plugins."""
    return SessionContext(Bare(found))


@asynccontextmanager
async def opened(
    *plugins: object,
    script: Sequence[Any] = ("hi",),
    tools: Sequence[Any] = (),
    store: str | Store = "memory:",
    config: dict[str, Any] | None = None,
) -> AsyncGenerator[Session, None]:
    """Open session "s" of an app that has only these plugins."""
    async with Lash(
        model=ScriptedModel(list(script)),
        plugins=plugins,
        tools=tools,
        autoload=False,
        store=store,
        config=config,
    ) as lash:
        yield await lash.session("s")
