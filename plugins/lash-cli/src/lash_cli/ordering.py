"""`lash plugins order`: who is called by a hook, in what order, and why there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lash_sdk.hooks import HOOKS
from lash_sdk.plugins.loading import gather
from lash_sdk.plugins.registry import Registry

from .failures import CommandError
from .loading import load_plugin
from .settings import guess, read_settings
from .words import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lash_sdk.plugins.registered import Registered


def show_order(hook: str, *, as_json: bool) -> int:
    """
    Print the plugins that implement *hook*, first called first.

    Raises:
        CommandError: There's no such hook.
        PluginConflict: The plugins can't be ordered.
    """
    settings = read_settings()
    given = [load_plugin(spec) for spec in settings.plugins]
    found, _broken = gather(given, autoload=True, config=settings.sections)
    registry = Registry(found)
    if hook not in registry.impls:
        known = guess(hook, HOOKS)
        raise CommandError(
            f"there is no hook {hook!r}{known}", way_out="docs/hooks.md has them all"
        )
    plugins = [impl.plugin for impl in registry.impls[hook]]
    rows = [
        {"plugin": each.name, "version": each.version, "why": _why(each, plugins)}
        for each in plugins
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        print(f"nobody implements {hook}")
    else:
        print(table(("plugin", "version", "why"), [list(row.values()) for row in rows]))
    return 0


def _why(plugin: Registered, others: Sequence[Registered]) -> str:
    """Return what put *plugin* in its place: its phase, its wishes, others' wishes, its name."""
    thing: Any = plugin.thing
    names = {each.name: each for each in others}
    reasons = [f"phase {getattr(thing, 'phase', 'normal')}"]
    reasons += [f"after {name}" for name in getattr(thing, "after", ()) if name in names]
    reasons += [f"before {name}" for name in getattr(thing, "before", ()) if name in names]
    for each in others:
        if plugin.name in getattr(each.thing, "before", ()):
            reasons.append(f"{each.name} wants to be before it")
        if plugin.name in getattr(each.thing, "after", ()):
            reasons.append(f"{each.name} wants to be after it")
    return ", ".join([*reasons, "by name"] if len(reasons) == 1 else reasons)
