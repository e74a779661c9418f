"""Stores, models and the host of several sessions, made by whoever supplies their name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

from ..contexts import HostContext
from ..errors import InvalidInput, LashError, PluginFault, Unavailable
from ..hooks import HOOKS
from ..ports import Model, SessionHost, SessionManager, Store
from .loading import Broken
from .registered import Registered
from .registry import Registry

PACKAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "store": {"sqlite": "lash-store-sqlite", "postgresql": "lash-store-postgres"},
    "model": {
        "openai": "lash-model-openai",
        "anthropic": "lash-model-anthropic",
        "local": "lash-model-local",
    },
}
"""First-party packages, so that a missing one can be named."""

Supplied: TypeAlias = tuple[Registered, Callable[[Any], object]]
"""Whose it is, and what makes one."""


class Supplies:
    """What the plugins of one `Lash` supply by scheme."""

    def __init__(self, registry: Registry, ctx: HostContext, broken: list[Broken]) -> None:
        """
        Ask every plugin once.

        Raises:
            PluginConflict: Two supply one scheme.
            PluginFault: A hook failed.
        """
        self._broken = broken
        self._stores = registry.supplied(HOOKS["store"], ctx)
        self._models = registry.supplied(HOOKS["model"], ctx)
        self._managers = registry.supplied(HOOKS["session_manager"], ctx)

    def store(self, url: str) -> Store:
        """
        Return a store for *url*; it's not open yet.

        Raises:
            InvalidInput: The URL has no scheme.
            Unavailable: Nobody supplies it; the message names the package.
        """
        scheme, colon, _rest = url.partition(":")
        if not colon:
            raise InvalidInput(
                f"store {url!r}: expected a URL such as 'sqlite:///app.db' or 'memory:'"
            )
        plugin, made = self._make("store", scheme, self._stores, url)
        if not isinstance(made, Store):
            wrong = f"expected a Store, found {made!r}"
            raise PluginFault(plugin.name, plugin.version, "store", cause=wrong)
        return made

    def model(self, spec: str) -> Model:
        """
        Return a model for *spec*, "<scheme>:<name>".

        Raises:
            InvalidInput: There's no model, or it has no scheme.
            Unavailable: Nobody supplies it; the message names the package.
        """
        scheme, colon, name = spec.partition(":")
        if not spec:
            raise InvalidInput(
                "no model: pass model='openai:gpt-5.2' or a Model to Lash, to the"
                " session or to the turn"
            )
        if not colon or not name:
            known = ", ".join(sorted(self._models)) or "none"
            raise InvalidInput(f"model {spec!r}: expected '<scheme>:<name>'; schemes: {known}")
        _plugin, made = self._make("model", scheme, self._models, name)
        return cast(Model, made)

    def manager(self, host: SessionHost) -> SessionManager | None:
        """Return the host of several sessions, if a plugin brings one."""
        if "default" not in self._managers:
            return None
        _plugin, made = self._make("session manager", "default", self._managers, host)
        return cast(SessionManager, made)

    def _make(
        self, kind: str, scheme: str, supplied: Mapping[str, Supplied], given: Any
    ) -> tuple[Registered, object]:
        """Return what a factory makes; its own errors pass, others are its fault."""
        if scheme not in supplied:
            raise self._missing(kind, scheme, supplied)
        plugin, factory = supplied[scheme]
        try:
            return plugin, factory(given)
        except LashError:
            raise
        except Exception as error:
            raise PluginFault(plugin.name, plugin.version, kind, cause=error) from error

    def _missing(self, kind: str, scheme: str, supplied: Iterable[str]) -> Unavailable:
        package = PACKAGES[kind].get(scheme, "")
        for broken in self._broken:
            if broken.found.dist == package or broken.found.name == scheme:
                how = "import failed" if broken.stage == "import" else broken.stage
                why = f"{broken.found.dist} is installed but {how}: {broken.cause}"
                return Unavailable(f"{kind} scheme {scheme!r}", why=why)
        known = ", ".join(sorted(supplied)) or "none"
        return Unavailable(f"{kind} scheme {scheme!r}", package, why=f"installed schemes: {known}")
