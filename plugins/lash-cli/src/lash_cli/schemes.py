"""Which models can be used here, for whoever has named none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .failures import CommandError

if TYPE_CHECKING:
    from lash_sdk import Lash

WAYS: Final = {
    "local": "lash models pull smollm2, then --model local:smollm2 (no key; small)",
    "openai": "set OPENAI_API_KEY, then --model openai:gpt-5.2",
    "anthropic": "set ANTHROPIC_API_KEY, then --model anthropic:NAME",
    "scripted": "--model scripted:answers.jsonl (replies from a file)",
}
"""How to get to a model of a scheme that we know."""


def no_model(lash: Lash) -> CommandError:
    """Return the error of a command that was told no model, with every way out."""
    from lash_sdk.plugins.supply import PACKAGES

    here = installed_schemes(lash)
    lines = [f"  {name}: {WAYS.get(name, f'--model {name}:NAME')}" for name in here]
    lines += [
        f"  {name}: pip install {package}"
        for name, package in PACKAGES["model"].items()
        if name not in here
    ]
    return CommandError(
        "no model: name one with --model, LASH_MODEL, or model = … in lash.toml",
        way_out="one of\n" + "\n".join(lines),
    )


def installed_schemes(lash: Lash) -> list[str]:
    """Return the schemes that the app's plugins supply models for."""
    from lash_sdk.contexts import HostContext
    from lash_sdk.hooks import HOOKS
    from lash_sdk.plugins.discovery import SDK_VERSION
    from lash_sdk.plugins.registry import Registry

    registry = Registry(lash.plugins)
    return sorted(registry.supplied(HOOKS["model"], HostContext(SDK_VERSION, {})))
