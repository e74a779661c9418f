"""`lash plugins config`: a plugin's settings, their values, and where each comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lash_sdk.plugins.config import configured
from lash_sdk.plugins.loading import load

from .failures import CommandError
from .plugins import named
from .settings import plugin_sources, read_settings
from .words import table

if TYPE_CHECKING:
    from lash_sdk.plugins.registered import Registered

HIDDEN: Final = "***"
SECRET: Final = ("key", "password", "secret", "token")
"""Words in a setting's name that make its value nobody's business."""


def explain_config(name: str, *, sources: bool, as_json: bool) -> int:
    """
    Print a plugin's settings; with *sources* where each value comes from.

    Raises:
        CommandError: There's no such plugin, or it takes no settings.
        ConfigError: What's set doesn't fit.
    """
    plugin = _loaded(name)
    section = read_settings().sections.get(name)
    (done,) = configured([plugin], {name: section} if section else {})
    found = plugin_sources(name)
    rows = []
    for key, field in type(done.config).model_fields.items():
        said = field.alias if field.alias in found else key
        value = _shown(key, getattr(done.config, key))
        row = {"setting": key, "value": value, "source": found.get(said, "default")}
        rows.append(row if sources else {"setting": key, "value": value})
    if as_json:
        print(json.dumps(rows, indent=2, default=str))
    else:
        heads = ("setting", "value", "source") if sources else ("setting", "value")
        print(table(heads, [[str(each) for each in row.values()] for row in rows]))
    return 0


def show_schema(name: str) -> int:
    """Print the JSON schema of a plugin's settings."""
    thing: Any = _loaded(name).thing
    print(json.dumps(thing.Config.model_json_schema(), indent=2))
    return 0


def _loaded(name: str) -> Registered:
    plugin = load(named(name)[0])
    if getattr(plugin.thing, "Config", None) is None:
        raise CommandError(f"plugin {name!r} has no settings", way_out=f"lash plugins show {name}")
    return plugin


def _shown(key: str, value: object) -> object:
    """Return a value to print; a secret is never printed, and a plain one in its name neither."""
    words = key.lower().split("_")
    secret = any(word in words for word in SECRET) and not key.endswith("_env")
    if type(value).__name__ in ("SecretStr", "SecretBytes") or (secret and value):
        return HIDDEN
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
