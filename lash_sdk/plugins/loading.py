"""From what's installed to what takes part: filtered first, imported after."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from ..errors import PluginConflict
from ..json import frozen
from .discovery import OWN_DIST, SDK_VERSION, Found, disabled, installed
from .registered import Registered, register
from .standard import Standard

log = logging.getLogger("lash.plugins")


@frozen
class Broken:
    """
    A plugin that's installed and doesn't take part.

    Attributes:
        stage: "disabled", "incompatible" or "import".
        cause: What's wrong, and what to do.
    """

    found: Found
    stage: str
    cause: str


def gather(
    explicit: Sequence[object], *, autoload: bool, config: Mapping[str, Any]
) -> tuple[list[Registered], list[Broken]]:
    """
    Return the plugins that take part, and those that can't.

    *explicit* ones come first in the sense that they replace an installed one
    of the same name. With *autoload* off only the SDK's own are looked for.

    Raises:
        InvalidInput: Something explicit isn't a plugin.
        PluginConflict: Two installed plugins have one name.
    """
    given = [register(thing) for thing in explicit]
    names = {plugin.name for plugin in given}
    found = [
        each
        for each in installed()
        if (autoload or each.dist == OWN_DIST) and each.name not in names
    ]
    off = disabled(config.get("plugins"), [each.name for each in found])
    _refuse_clashes([each for each in found if each.name not in off])
    loaded: list[Registered] = []
    broken: list[Broken] = []
    for each in found:
        result = _load(each, off)
        if isinstance(result, Broken):
            broken.append(result)
        elif result.thing not in [plugin.thing for plugin in given]:
            loaded.append(result)
    if not any(plugin.name == Standard.name for plugin in (*given, *loaded)):
        loaded.append(register(Standard, version=SDK_VERSION))
    return [*given, *loaded], broken


def load(found: Found) -> Registered:
    """
    Import a plugin and return it.

    Raises:
        Exception: Whatever its module raises.
        InvalidInput: The entry point names no plugin.
    """
    module, _, path = found.value.partition(":")
    thing: object = import_module(module.strip())
    for name in filter(None, path.strip().split(".")):
        thing = getattr(thing, name)
    plugin = register(thing, name=found.name, version=found.version)
    return replace(plugin, source=f"{found.dist} {found.version}")


def _load(found: Found, off: frozenset[str]) -> Registered | Broken:
    if found.name in off:
        return Broken(found=found, stage="disabled", cause="disabled by configuration")
    if found.fits:
        try:
            return load(found)
        except (Exception, SystemExit) as error:
            stage, cause = "import", f"{type(error).__name__}: {error}"
    else:
        stage, way_out = "incompatible", f"try: pip install --upgrade {found.dist}"
        cause = f"needs lash-sdk {found.requires}, this is {SDK_VERSION}; {way_out}"
    log.warning("plugin %r %s: %s", found.name, found.version, cause)
    return Broken(found=found, stage=stage, cause=cause)


def _refuse_clashes(found: Sequence[Found]) -> None:
    by_name: dict[str, Found] = {}
    for each in found:
        if twin := by_name.get(each.name):
            raise PluginConflict(
                f"two installed plugins are named {each.name!r}: {twin.dist}"
                f" {twin.version} ({twin.path}) and {each.dist} {each.version}"
                f" ({each.path}); uninstall one, or disable it with"
                f' config={{"plugins": {{"disable": ["{each.name}"]}}}}'
            )
        by_name[each.name] = each
