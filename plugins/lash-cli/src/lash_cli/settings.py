"""
Settings: what a command goes by, and where each value comes from.

A value comes from the first of these that has it: the command's option, the
environment (`LASH_MODEL`, `LASH_STORE`), `lash.toml` in the working folder or the
nearest folder above, the user's `lash/config.toml`, the default. A plugin's settings come
from the files, then from the environment: `LASH_PLUGIN__WEATHER__MOST=3` is `most = 3` of
`[plugins.weather]`. Lists replace each other; the tables `limits` and `plugins` are merged
key by key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lash_sdk import Limits

SQLITE: Final = "sqlite:///"
PROJECT_FILE: Final = "lash.toml"
VARIABLE: Final = "LASH_PLUGIN__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What a command goes by.

    Attributes:
        store: Empty means the default; see `store_url`.
        tools: Each "MODULE:NAME" or "path/to/file.py:NAME".
        plugins: The same, beside those that are installed.
        autoload: Whether installed plugins take part.
        limits: By name, as `Limits` takes them.
        sections: Configuration by plugin, and "plugins" for all of them.
    """

    model: str = ""
    store: str = ""
    session: str = ""
    instructions: str = ""
    tools: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    autoload: bool = True
    limits: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)

    @property
    def store_url(self) -> str:
        """The store's URL; without plugins there's only memory."""
        if self.store:
            return self.store
        return default_store() if self.autoload else "memory:"

    def make_limits(self) -> Limits:
        """
        Return the limits as the SDK takes them.

        Raises:
            InvalidInput: A value is out of range.
        """
        from lash_sdk import Limits

        return Limits(**self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says; None means that it doesn't say."""

    model: str | None = None
    store: str | None = None
    session: str | None = None
    instructions: str | None = None
    tools: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    autoload: bool = True
    max_iterations: int | None = None


def read_settings(options: Options | None = None) -> Settings:
    """
    Return what *options*, environment and files come to.

    Raises:
        ConfigError: A file isn't TOML, or has a key or value that doesn't fit; it
            lists every problem.
    """
    options = options or Options()
    values: dict[str, Any] = {"limits": {}, "sections": {}}
    problems: list[str] = []
    for plugin, key, value, _ in _variables():
        values["sections"].setdefault(plugin, {})[key] = value
    for path in (user_file(), project_file()):  # the later one wins
        if path is not None and path.is_file():
            _merge(values, _read_file(path, problems))
    if problems:
        from lash_sdk.errors import ConfigError

        raise ConfigError(problems)
    for name, variable in (("model", "LASH_MODEL"), ("store", "LASH_STORE")):
        if found := os.environ.get(variable):
            values[name] = found
    if options.max_iterations is not None:
        values["limits"]["iterations"] = options.max_iterations
    said = {
        name: getattr(options, name)
        for name in ("model", "store", "session", "instructions")
        if getattr(options, name) is not None
    }
    if options.tools:
        said["tools"] = options.tools
    settings = Settings(**values | said)
    plugins = (*settings.plugins, *options.plugins)
    return replace(settings, plugins=plugins, autoload=options.autoload)


def project_file() -> Path | None:
    """Return `lash.toml` of the working folder or of the nearest folder above."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (path := folder / PROJECT_FILE).is_file():
            return path
    return None


def user_file() -> Path:
    """Return the path of the user's own file, whether or not it's there."""
    return _base("XDG_CONFIG_HOME", "~/.config") / "lash" / "config.toml"


def data_folder() -> Path:
    """Return the user's folder for what commands keep."""
    return _base("XDG_DATA_HOME", "~/.local/share") / "lash"


def default_store() -> str:
    """Return the URL of the store in the user's data folder."""
    from urllib.parse import quote

    return f"{SQLITE}{quote(str(data_folder() / 'sessions.db'))}"


def make_default_folder(url: str) -> None:
    """Make the folder of the default store, if *url* is that store's."""
    if url == default_store():
        data_folder().mkdir(mode=0o700, parents=True, exist_ok=True)


def _base(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path(fallback).expanduser())


def plugin_sources(plugin: str) -> dict[str, str]:
    """Return which file or variable a plugin's settings come from; defaults have none."""
    sources = {key: name for of, key, _, name in _variables() if of == plugin}
    for path in (user_file(), project_file()):
        if path is not None and path.is_file():
            section = _read_file(path, []).get("sections", {}).get(plugin, {})
            sources |= dict.fromkeys(section, str(path))
    return sources


def _variables() -> list[tuple[str, str, Any, str]]:
    """Return plugin, key, value and name of each variable that sets something of a plugin."""
    found = []
    for name, text in sorted(os.environ.items()):
        plugin, between, key = name.removeprefix(VARIABLE).partition("__")
        if name.startswith(VARIABLE) and between:
            found.append((plugin.lower().replace("_", "-"), key.lower(), _value(text), name))
    return found


def _value(text: str) -> Any:
    """Return what *text* is in TOML, or else the text itself."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text


def _merge(values: dict[str, Any], found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        if name == "limits":
            values[name] = values[name] | value
        elif name == "sections":
            before = values[name]
            values[name] = before | {
                plugin: before.get(plugin, {}) | section for plugin, section in value.items()
            }
        else:
            values[name] = value


def _read_file(path: Path, problems: list[str]) -> dict[str, Any]:
    """Return the settings of one file; what's wrong goes to *problems*."""
    import tomllib

    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(f"{path}: {error}")
        return {}
    found: dict[str, Any] = {}
    for key, value in body.items():
        read = _READERS.get(key)
        if read is None:
            problems.append(f"{path}: unknown key {key!r}{guess(key, _READERS)}")
            continue
        try:
            found |= read(value, path.parent)
        except ValueError as error:
            problems.append(f"{path}: {key}{error}")
    return found


def guess(name: str, choices: Mapping[str, object]) -> str:
    """Return " (did you mean 'x'?)" for the choice that's closest, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, choices, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


# Each reader takes a key's value and its file's folder; a ValueError's message
# starts with what comes after the key's name.


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f": expected text, found {value!r}")
    return value


def _read_store(value: Any, folder: Path) -> dict[str, Any]:
    """A relative SQLite file lies beside the file that names it."""
    from urllib.parse import quote, unquote

    url = _text(value)
    if url.startswith(SQLITE):
        path = folder / unquote(url.removeprefix(SQLITE))
        url = f"{SQLITE}{quote(str(path))}"
    return {"store": url}


def _read_tools(value: Any, folder: Path) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f": expected a list of 'MODULE:NAME', found {value!r}")
    return {"tools": tuple([_beside(each, folder) for each in value])}


_LIMITS: Final[Mapping[str, tuple[type, ...]]] = {
    "iterations": (int,),
    "seconds": (int, float),
    "tokens": (int,),
}


def _read_limits(value: Any, folder: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f": expected a table, found {value!r}")
    limits: dict[str, Any] = value
    for name, number in limits.items():
        if name not in _LIMITS:
            raise ValueError(f".{name}: unknown key{guess(name, _LIMITS)}")
        if type(number) not in _LIMITS[name] or number <= 0:
            raise ValueError(f".{name}: expected a number > 0, found {number!r}")
    return {"limits": limits}


_FOR_ALL: Final[Mapping[str, None]] = dict.fromkeys(("add", "deadline", "disable", "only"))


def _read_plugins(value: Any, folder: Path) -> dict[str, Any]:
    """`[plugins] disable = […]` concerns all, `[plugins.NAME]` is that plugin's."""
    if not isinstance(value, dict):
        raise ValueError(f": expected a table, found {value!r}")
    sections: dict[str, Any] = {}
    found: dict[str, Any] = {"sections": sections}
    for name, section in value.items():
        if isinstance(section, dict):
            sections[name] = section
        elif name == "deadline":
            if type(section) not in (int, float) or section <= 0:
                raise ValueError(f".deadline: expected seconds > 0, found {section!r}")
            sections.setdefault("plugins", {})[name] = section
        elif name not in _FOR_ALL:
            known = guess(name, _FOR_ALL)
            raise ValueError(f".{name}: expected a table [plugins.{name}]{known}")
        elif not isinstance(section, list) or not all(isinstance(s, str) for s in section):
            raise ValueError(f".{name}: expected a list of names, found {section!r}")
        elif name == "add":
            found["plugins"] = tuple([_beside(each, folder) for each in section])
        else:
            sections.setdefault("plugins", {})[name] = section
    return found


def _beside(spec: str, folder: Path) -> str:
    """Return *spec* with its file taken from *folder*; a module is taken as it is."""
    where, colon, name = spec.rpartition(":")
    if where.endswith(".py"):
        return f"{folder / where}{colon}{name}"
    return str(folder / spec) if spec.endswith(".py") else spec


_READERS: Final[Mapping[str, Callable[[Any, Path], dict[str, Any]]]] = {
    "model": lambda value, folder: {"model": _text(value)},
    "store": _read_store,
    "session": lambda value, folder: {"session": _text(value)},
    "instructions": lambda value, folder: {"instructions": _text(value)},
    "tools": _read_tools,
    "limits": _read_limits,
    "plugins": _read_plugins,
}
