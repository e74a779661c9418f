"""Plugin configuration: each section parsed by its plugin's own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ..errors import ConfigError
from .registered import Registered

OWN: Final = "plugins"
"""The section that isn't a plugin's: `{"plugins": {"disable": ["name"]}}`."""


def configured(
    plugins: Sequence[Registered], config: Mapping[str, Any], known: frozenset[str] = frozenset()
) -> list[Registered]:
    """
    Return *plugins* with their sections of *config* parsed.

    *known* are plugins that exist but don't take part; their sections wait.

    Raises:
        ConfigError: It lists every problem: unknown plugins, unknown keys,
            values that don't fit. Values are never printed.
    """
    problems: list[str] = []
    names = {plugin.name for plugin in plugins}
    for name in sorted(set(config) - names - known - {OWN}):
        problems.append(f"{OWN}.{name}: no such plugin{_guess(name, names | known)}")
    done = [_configure(plugin, config.get(plugin.name), problems) for plugin in plugins]
    if problems:
        raise ConfigError(problems)
    return done


def _configure(plugin: Registered, section: Any, problems: list[str]) -> Registered:
    form = getattr(plugin.thing, "Config", None)
    where = f"{OWN}.{plugin.name}"
    if form is None or not isinstance(plugin.thing, type):
        if section:
            problems.append(f"{where}: takes no configuration")
        return plugin
    if isinstance(section, form):
        return replace(plugin, config=section)
    values = {} if section is None else section
    if not isinstance(values, dict):
        problems.append(f"{where}: expected a table, found {type(values).__name__}")
        return plugin
    fields = set(form.model_fields) | {
        field.alias for field in form.model_fields.values() if field.alias
    }
    unknown = sorted(set(values) - fields)
    problems += [f"{where}.{key}: unknown{_guess(key, fields)}" for key in unknown]
    from pydantic import ValidationError

    try:
        kept = {key: value for key, value in values.items() if key in fields}
        return replace(plugin, config=form.model_validate(kept))
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            path = ".".join([where, *[str(at) for at in problem["loc"]]])
            problems.append(f"{path}: {problem['msg']}")
        return plugin


def _guess(name: str, choices: set[str] | frozenset[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, choices, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
