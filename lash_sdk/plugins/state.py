"""Plugin state: what an instance remembers, as a component of its session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..commits import Component
from ..errors import PluginFault
from ..hooks.plugin import Plugin
from ..json import Json, check

PREFIX: Final = "plugin/"
"""A component's name is this and the plugin's name."""


def read(instance: Plugin, version: int | None, value: Json) -> Any:
    """
    Return the state that was saved, or a fresh one if *version* is None.

    An older form is brought up one version at a time.

    Raises:
        PluginFault: There's no way from that version, or the value doesn't fit.
    """
    form: Any = type(instance).State
    try:
        if version is None:
            return form()
        for step in range(version, type(instance).state_version):
            value = _migration(instance, step)(value)
        if version > type(instance).state_version:
            raise ValueError(
                f"state version {version} is newer than"
                f" {type(instance).state_version}; upgrade the plugin"
            )
        return form.model_validate(value)
    except Exception as error:
        raise PluginFault(instance.name, instance.version, "state", cause=error) from error


def forked(instance: Plugin, state: Any) -> Any:
    """
    Return what *instance*'s session starts with, forked from one that has *state*.

    Raises:
        PluginFault: The plugin's own way of forking failed.
    """
    match type(instance).fork:
        case "share":
            return state
        case "copy":
            return state.model_copy(deep=True)
        case "fresh":
            return read(instance, None, None)
        case own:
            try:
                return own(state)
            except Exception as error:
                raise PluginFault(instance.name, instance.version, "fork", cause=error) from error


def save(instances: Sequence[object], saved: Sequence[Any]) -> list[Component]:
    """
    Return the states that were replaced since *saved*, as components.

    Raises:
        PluginFault: A state isn't what its plugin declared.
    """
    components = []
    for instance, old in zip(instances, saved, strict=True):
        if not isinstance(instance, Plugin) or instance.state is old:
            continue
        form = type(instance).State
        if form is None or not isinstance(instance.state, form):
            cause = f"expected {form and form.__name__}, found {instance.state!r}"
            raise PluginFault(instance.name, instance.version, "state", cause=cause)
        try:
            value = check(instance.state.model_dump(mode="json"), where="state")
        except Exception as error:
            raise PluginFault(instance.name, instance.version, "state", cause=error) from error
        version = type(instance).state_version
        components.append(Component(name=PREFIX + instance.name, version=version, value=value))
    return components


def states(instances: Sequence[object]) -> tuple[Any, ...]:
    """Return each instance's state; None where there's none."""
    return tuple([getattr(instance, "state", None) for instance in instances])


def _migration(instance: Plugin, version: int) -> Callable[[Any], Any]:
    step = type(instance).migrations.get(version)
    if step is None:
        raise ValueError(f"no migration from state version {version}")
    return step
