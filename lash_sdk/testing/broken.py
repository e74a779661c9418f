"""Plugins that misbehave on purpose, to see what becomes of everything else."""

from __future__ import annotations

import asyncio
import time
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from ..errors import InvalidInput
from ..hooks import HOOKS, Plugin

if TYPE_CHECKING:
    from collections.abc import Callable

How: TypeAlias = Literal["raises", "hangs", "blocks", "cancels", "nonsense"]
"""What it does: raise, never return, block the loop, raise a cancellation, or answer nonsense."""

NONSENSE = object()
"""What no hook may answer."""


def broken_plugin(hook: str, how: How = "raises", *, name: str = "broken") -> type[Plugin]:
    """
    Return a plugin whose *hook* misbehaves as *how* says.

    Raises:
        InvalidInput: There's no such hook, or it can't do that: a sync hook hangs
            only by blocking.
    """
    if hook not in HOOKS or how not in get_args(How):
        raise InvalidInput(f"broken_plugin: no hook {hook!r} that {how!r}")
    spec = HOOKS[hook]
    if how == "hangs" and not spec.awaits:
        raise InvalidInput(f"broken_plugin: {hook!r} is sync, it can only block")
    return plugin_of(name, **{hook: _waiting(how) if spec.awaits else _plain(how)})


def plugin_of(name: str, /, **hooks: Callable[..., Any]) -> type[Plugin]:
    """
    Return a plugin whose hooks are these functions.

    Each takes `self` first; one that takes `*rest` fits every hook.
    """
    methods: dict[str, Any] = {}
    for hook, function in hooks.items():
        if any(each.kind is each.VAR_POSITIONAL for each in _parameters(function)):
            names = ("self", *HOOKS[hook].arguments)
            fitting = [Parameter(each, Parameter.POSITIONAL_OR_KEYWORD) for each in names]
            function.__signature__ = Signature(fitting)  # type: ignore[attr-defined]
        function.__qualname__ = f"{name}.{function.__name__}"  # pluggy looks whether it's a method
        methods[f"do_{hook}"] = HOOKS[hook](function)
    return type(name, (Plugin,), {"name": name, **methods})


def _parameters(function: Callable[..., Any]) -> list[Parameter]:
    return list(signature(function).parameters.values())


def _plain(how: How) -> Callable[..., Any]:
    def misbehave(self: Any, ctx: Any, *value: Any) -> Any:
        match how:
            case "raises":
                raise ValueError("broken on purpose")
            case "cancels":
                raise asyncio.CancelledError
            case "blocks":
                time.sleep(0.2)
                return None
            case _:
                return NONSENSE

    return misbehave


def _waiting(how: How) -> Callable[..., Any]:
    plain = _plain(how)

    async def misbehave(self: Any, ctx: Any, *value: Any) -> Any:
        await asyncio.sleep(0)
        if how == "hangs":
            await asyncio.Event().wait()
        return plain(self, ctx, *value)

    return misbehave
