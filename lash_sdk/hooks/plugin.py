"""The class that a plugin is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from .kinds import Hook


class Plugin:
    """
    The base of every plugin: methods marked with `lash_sdk.hooks` decorators.

    A class has two lives. Host hooks are class methods, called once per `Lash`.
    All others are called on an instance that belongs to one session.

    Attributes:
        name: What configuration, order and faults call it; by default its
            entry point's name, else the class' name in lower case.
        version: By default its distribution's.
        phase: "early", "normal" or "late"; decides order first.
        before: Names of plugins of its phase that come after it.
        after: Names of plugins of its phase that come before it.
        Config: A pydantic model for its section of the configuration.
        State: A frozen pydantic model for what it remembers of a session.
        state_version: Of `State`; raise it when the form changes.
        fork: What a fork of the session begins with: "share" the state (it's frozen),
            a "copy" of it, a "fresh" one, or what a static method makes of it.
        migrations: From a version to the next: takes and returns JSON.
        specs: Hooks of its own, for other plugins to implement.
        config: An instance of `Config`, ready before any session hook.
        state: An instance of `State`: replace it, never change it. It's saved
            with the session's commit when it was replaced.
        shared: What the plugin's `around_app` handed to `call_next`.
    """

    name: str = ""
    version: str = ""
    phase: ClassVar[Literal["early", "normal", "late"]] = "normal"
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()
    Config: ClassVar[type[Any] | None] = None
    State: ClassVar[type[Any] | None] = None
    state_version: ClassVar[int] = 1
    fork: ClassVar[Literal["share", "copy", "fresh"] | Callable[[Any], Any]] = "share"
    migrations: ClassVar[Mapping[int, Callable[[Any], Any]]] = {}
    specs: ClassVar[tuple[Hook[Any], ...]] = ()

    config: Any = None
    state: Any = None
    shared: Any = None

    @property
    def log(self) -> logging.Logger:
        """A logger named "lash.plugin.<name>"."""
        return logging.getLogger(f"lash.plugin.{self.name}")
