"""
The tools of a session: where they come from and which can be called now.

Sources are the application's tools, and those that plugins provide. What a
layer hides, a stronger one may show again, but for hiding by the host itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ..commits import Component
from ..contexts import SessionContext
from ..errors import InvalidInput, PluginConflict, PluginFault
from ..hooks.answers import Visibility
from ..json import Json, frozen
from ..plugins.registry import Plans
from ..ports import Access
from ..tools import Tool, ToolDefinition
from .directives import noted

HOST: Final = "app"
"""The source of tools that the application handed over."""

COMPONENT: Final = "tools"
VERSION: Final = 1
WORDS: Final = ("hidden", "shown")


@frozen
class ToolState:
    """
    Which tools the session itself hides or shows, at one generation.

    Attributes:
        generation: Grows with each change; applying an old one is refused.
        overrides: By tool name; they stay when a source is refreshed.
    """

    generation: int = 1
    overrides: Mapping[str, Visibility]

    def to_component(self) -> Component:
        """Return the state as it's saved; the generation is this process' own."""
        return Component(name=COMPONENT, version=VERSION, value=dict(self.overrides))


class Toolbox:
    """
    One session's tools.

    Attributes:
        shown: Definitions of what the model may call, in a stable order.
        names: Their names.
        serial: Those of them that run alone.
        barred: Those that nothing can show.
        only: The only ones that anything can show; None means all.
        state: The session's own overrides.
    """

    def __init__(self, host: Sequence[Tool], *, hidden: frozenset[str] = frozenset()) -> None:
        """
        Take the application's tools; *hidden* are those that nothing can show.

        Raises:
            PluginConflict: Two have one name.
        """
        self.barred = hidden
        self.only: frozenset[str] | None = None
        self.state = ToolState(overrides={})
        self._host = _by_name(HOST, host)
        self._plugins: Mapping[str, Visibility] = {}
        self._sources: dict[str, str] = dict.fromkeys(self._host, HOST)
        self._tools: dict[str, Tool] = dict(self._host)
        self._closed = False
        self.shown: tuple[ToolDefinition, ...] = ()
        self.names: frozenset[str] = frozenset()
        self._show()

    @property
    def host(self) -> tuple[Tool, ...]:
        """The tools that the application handed over."""
        return tuple(self._host.values())

    def get(self, name: str) -> Tool | None:
        """Return a tool that can be called now."""
        return self._tools[name] if name in self.names else None

    def catalogue(self) -> Mapping[str, tuple[ToolDefinition, str, bool]]:
        """Return every tool by name: its definition, its source, if it's shown."""
        return {
            name: (tool.definition, self._sources[name], name in self.names)
            for name, tool in self._tools.items()
        }

    def sync(self, ctx: SessionContext, plans: Plans) -> None:
        """
        Ask plugins again for their tools and for what's to be hidden.

        Raises:
            PluginConflict: Two sources have a tool of one name; nothing changed.
            PluginFault: A provider of tools failed; nothing changed.
        """
        tools, sources = dict(self._host), dict.fromkeys(self._host, HOST)
        if plans.provide_tools is not None:
            for plugin, provided in plans.provide_tools(ctx):
                if not _are_tools(provided):
                    wrong = f"expected tools, as @tool makes them, found {provided!r}"
                    raise noted(ctx.scope, plugin, "provide_tools", TypeError(wrong))
                for name, tool in _by_name(plugin.name, provided).items():
                    if name in tools:
                        raise PluginConflict(
                            f"tool {name!r} is provided by {sources[name]!r} and by {plugin.name!r}"
                        )
                    tools[name], sources[name] = tool, plugin.name
        self._ask_availability(ctx, plans)
        if tools.keys() != self._tools.keys():
            self.state = replace(self.state, generation=self.state.generation + 1)
        self._tools, self._sources = tools, sources
        self._show()

    def check(self, state: ToolState) -> None:
        """
        Accept *state* as one that could be applied.

        Raises:
            InvalidInput: It was made from an older generation, or names a tool
                that no source has.
        """
        if state.generation != self.state.generation:
            raise InvalidInput(
                f"tool state: expected generation {self.state.generation}, found {state.generation}"
            )
        known = self._tools.keys() | self.state.overrides.keys()  # some may be absent now
        if unknown := sorted(state.overrides.keys() - known):
            raise InvalidInput(f"tool state: no tool {unknown[0]!r}")

    def apply(self, state: ToolState) -> ToolState:
        """
        Put *state* in place and return it at its new generation.

        Raises:
            InvalidInput: As `check` says; nothing changed.
        """
        self.check(state)
        self.state = replace(state, generation=state.generation + 1)
        self._show()
        return self.state

    def restore(self, value: Json) -> None:
        """Take back the overrides that were saved, at generation 1."""
        overrides: dict[str, Visibility] = {}
        for name, word in value.items() if isinstance(value, dict) else ():
            overrides[name] = "hidden" if word == "hidden" else "shown"
        self.state = ToolState(overrides=overrides)
        self._show()

    def restrict(self, access: Access) -> None:
        """Let *access* be the last word on what can be called."""
        self.barred = frozenset(access.hidden)
        self.only = None if access.only is None else frozenset(access.only)
        self._show()

    def _ask_availability(self, ctx: SessionContext, plans: Plans) -> None:
        self._closed = False
        if plans.provide_availability is None:
            return
        before = self._plugins
        found: dict[str, Visibility] = {}
        for plugin, overrides in plans.provide_availability(ctx):
            words: Mapping[str, Visibility] = overrides
            if not _are_words(overrides):
                if not isinstance(overrides, PluginFault):
                    wrong = f"expected 'hidden' or 'shown' by name, found {overrides!r}"
                    noted(ctx.scope, plugin, "provide_availability", TypeError(wrong))
                self._closed = True  # and what was hidden before stays so
                words = {n: word for n, word in before.items() if word == "hidden"}
            for name, visibility in words.items():
                if found.get(name) != "hidden":
                    found[name] = visibility
        self._plugins = found

    def _show(self) -> None:
        shown = [tool.definition for tool in self._tools.values() if self._sees(tool)]
        self.serial = frozenset([each.name for each in shown if each.serial])
        self.shown = tuple(shown)
        self.names = frozenset([definition.name for definition in shown])

    def _sees(self, tool: Tool) -> bool:
        """Return whether *tool* can be called: the strongest word on it counts."""
        name = tool.name
        if name in self.barred or (self._closed and self._sources[name] != HOST):
            return False
        if self.only is not None and name not in self.only:
            return False
        layers = (self.state.overrides.get(name), self._plugins.get(name))
        for word in layers:
            if word is not None:
                return word == "shown"
        return not tool.definition.hidden


def _are_tools(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, Tool) for each in value)


def _are_words(value: object) -> bool:
    return isinstance(value, Mapping) and all(word in WORDS for word in value.values())


def _by_name(source: str, tools: Iterable[Tool]) -> dict[str, Tool]:
    found: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in found:
            raise PluginConflict(f"tool {tool.name!r} is provided twice by {source!r}")
        found[tool.name] = tool
    return found
