"""
Fixtures for tests of plugins. A `conftest.py` needs one line:

    pytest_plugins = ("lash_sdk.testing.pytest",)

Installed plugins don't take part unless a test is marked `installed_plugins`.
Coroutines as tests need pytest-asyncio in its auto mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import pytest

from ..app import Lash
from ..hooks import Plugin
from ..memory import MemoryStore
from ..ports import Store
from ..session import Session
from .broken import broken_plugin as make_broken
from .clock import FakeClock
from .recorder import HookRecorder, record_hooks
from .scripted import ScriptedModel

OURS: Final = "standard,scripted"
"""Plugins of the SDK itself."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers", "installed_plugins: plugins found through entry points take part in this test"
    )


@pytest.fixture(autouse=True)
def only_our_plugins(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave installed plugins out, so that a test depends on what it names alone."""
    if request.node.get_closest_marker("installed_plugins") is None:
        monkeypatch.setenv("LASH_ONLY_PLUGINS", OURS)


@pytest.fixture
def plugins() -> Sequence[object]:
    """Return the plugins of `lash`: override it."""
    return ()


@pytest.fixture
def plugin_config() -> dict[str, Any]:
    """Return the configuration of `lash`, a section per plugin: override it."""
    return {}


@pytest.fixture
def scripted_model() -> ScriptedModel:
    """Return the model of `lash`; tell it what to say with `say`."""
    return ScriptedModel([])


@pytest.fixture
def lash_store() -> Store:
    """Return the store of `lash`: one in memory."""
    return MemoryStore()


@pytest.fixture
async def lash(
    plugins: Sequence[object],
    plugin_config: dict[str, Any],
    scripted_model: ScriptedModel,
    lash_store: Store,
) -> AsyncGenerator[Lash, None]:
    """Return an open app with `plugins`, `scripted_model` and `lash_store`."""
    async with Lash(
        model=scripted_model, store=lash_store, plugins=plugins, config=plugin_config
    ) as lash:
        yield lash


@pytest.fixture
async def session(lash: Lash) -> Session:
    """Return session "test" of `lash`."""
    return await lash.session("test")


@pytest.fixture
async def hook_recorder(lash: Lash) -> HookRecorder:
    """Return what hears the hook calls of `lash`; ask for it before `session`."""
    return record_hooks(lash)


@pytest.fixture
def broken_plugin() -> Callable[..., type[Plugin]]:
    """Return what makes a plugin that misbehaves: `broken_plugin("before_turn", "hangs")`."""
    return make_broken


@pytest.fixture
async def fake_clock() -> AsyncGenerator[FakeClock, None]:
    """Return a clock that stands still until the test moves it."""
    with FakeClock().ticking(asyncio.get_running_loop()) as clock:
        yield clock


__all__ = [
    "broken_plugin",
    "fake_clock",
    "hook_recorder",
    "lash",
    "lash_store",
    "only_our_plugins",
    "plugin_config",
    "plugins",
    "pytest_configure",
    "scripted_model",
    "session",
]
