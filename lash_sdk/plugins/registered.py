"""A plugin that takes part: its class or module, its name, its place."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from ..errors import InvalidInput
from ..hooks import Plugin
from ..json import frozen


@frozen
class Registered:
    """
    A plugin that takes part.

    Attributes:
        thing: Its class, or its module if it has plain functions.
        index: Its place in the order, which is that of its instance in a session's
            `instances`: None stands there if no session calls a hook of its.
        source: Where it comes from, for errors: a distribution, or "plugins=".
        config: Its parsed configuration.
    """

    name: str
    version: str
    thing: type[Plugin] | ModuleType
    source: str = "plugins="
    index: int = -1
    config: Any = None


def register(thing: object, *, name: str = "", version: str = "") -> Registered:
    """
    Return a class or module as a plugin.

    Raises:
        InvalidInput: It's neither a `Plugin` class nor a module.
    """
    if isinstance(thing, type) and issubclass(thing, Plugin):
        own = thing.name or name or thing.__name__.lower()
        return Registered(name=own, version=thing.version or version or "0", thing=thing)
    if inspect.ismodule(thing):
        own = name or thing.__name__.rpartition(".")[2]
        return Registered(name=own, version=version or "0", thing=thing)
    hint = " (pass the class, not an instance)" if isinstance(thing, Plugin) else ""
    raise InvalidInput(f"expected a Plugin class or a module, found {thing!r}{hint}")
