"""
What plugins are written against is on record: nothing of it goes without a word.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from lash_sdk import contexts
from lash_sdk.hooks import HOOKS
from lash_sdk.hooks.kinds import KINDS

RECORD = Path(__file__).parent / "golden" / "plugin-api.json"


def api() -> dict[str, Any]:
    """Return every hook, every context and every kind, as they are."""
    names = sorted({hook.context for hook in HOOKS.values()})
    return {
        "hooks": {
            hook.name: {
                "arguments": list(hook.arguments),
                "awaits": hook.awaits,
                "context": hook.context,
                "kind": hook.kind,
                "life": hook.life,
            }
            for hook in HOOKS.values()
        },
        "contexts": {name: attributes(getattr(contexts, name)) for name in names},
        "kinds": sorted(KINDS),
    }


def attributes(context: Any) -> list[str]:
    """Return the names that a plugin may use of a context, methods too."""
    own = {name for name in dir(context) if not name.startswith("_")}
    return sorted(own | {field.name for field in fields(context)})


def missing(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return what is on record and is gone, or is another."""
    hooks = [name for name, hook in recorded["hooks"].items() if found["hooks"].get(name) != hook]
    names = [
        f"{context}.{name}"
        for context, names in recorded["contexts"].items()
        for name in names
        if name not in found["contexts"].get(context, ())
    ]
    return [*hooks, *names, *sorted(set(recorded["kinds"]) - set(found["kinds"]))]


def test_nothing_that_plugins_use_has_gone() -> None:
    """
    Adding is free; what's taken away or narrowed was deprecated first, by a release.
    """
    assert [] == missing(json.loads(RECORD.read_text(encoding="utf-8")), api())


def test_everything_that_plugins_use_is_on_record() -> None:
    """
    What's new goes in as well, or it could vanish unseen:
    `python -m tests.test_plugin_api` writes it.
    """
    assert [] == missing(api(), json.loads(RECORD.read_text(encoding="utf-8")))


def test_what_is_gone_is_found() -> None:
    """
    A hook, an attribute, a kind, or a colour that changed.
    """
    found = api()
    found["hooks"].pop("before_turn")
    found["hooks"]["on_usage"] = {**found["hooks"]["on_usage"], "awaits": True}
    found["contexts"]["TurnContext"].remove("usage")
    found["kinds"].remove("gate")

    gone = ["before_turn", "on_usage", "TurnContext.usage", "gate"]
    assert sorted(gone) == sorted(missing(api(), found))


if __name__ == "__main__":
    RECORD.write_text(json.dumps(api(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
