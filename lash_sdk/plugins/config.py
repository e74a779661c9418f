"""Plugin configuration: each section parsed by its plugin's own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ..errors import ConfigError
from .deadline import PATIENCE
from .discovery import LISTS
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
    problems = _check_own(config.get(OWN, {}))
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
        for problem in error.errors(include_url=False):
            path = ".".join([where, *[str(at) for at in problem["loc"]]])
            problems.append(f"{path}: {_silent(problem['msg'], problem['input'])}")
    except Exception as error:  # of the plugin's own check; what it says may hold values
        problems.append(f"{where}: {form.__name__} raised {type(error).__name__}")
    return plugin


def patience(config: Mapping[str, Any]) -> float:
    """Return the seconds that a hook call may take."""
    return float(config.get(OWN, {}).get("deadline", PATIENCE))


def _check_own(section: Any) -> list[str]:
    """Return what's wrong with the section that concerns all plugins."""
    if not isinstance(section, dict):
        return [f"{OWN}: expected a table, found {type(section).__name__}"]
    known = {"deadline", "disable", "only"}
    problems = [f"{OWN}.{key}: unknown{_guess(key, known)}" for key in sorted({*section} - known)]
    for key in ("disable", "only"):
        names = section.get(key, [])
        if not isinstance(names, LISTS) or not all(isinstance(name, str) for name in names):
            problems.append(f"{OWN}.{key}: expected a list of names, found {type(names).__name__}")
    seconds = section.get("deadline", PATIENCE)
    if type(seconds) not in (int, float) or not 0 < seconds < float("inf"):
        problems.append(f"{OWN}.deadline: expected seconds > 0, found {seconds!r}")
    return problems


def _silent(message: str, value: object) -> str:
    """Return a plugin's own *message* without the value that it's about."""
    return message.replace(value, "***") if isinstance(value, str) and value else message


def _guess(name: str, choices: set[str] | frozenset[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, choices, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
