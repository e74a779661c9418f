"""
`lash plugins …`: what's installed, what's wrong with it, how it's called, how it's set.

This module, `list`, `show` and `doctor` run without typer, rich or pydantic, and import no
plugin; what has to, is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from lash_sdk.plugins.discovery import disabled, installed

from .settings import guess, read_settings
from .words import PLUGINS

if TYPE_CHECKING:
    from lash_sdk.plugins.discovery import Found


def main(argv: Sequence[str]) -> int:
    """Run `lash plugins` with *argv*; return the exit code."""
    given = _parser().parse_args(argv)
    return _COMMANDS[given.command](given)


def list_plugins(*, as_json: bool) -> int:
    """Print every installed plugin and whether it takes part."""
    found = installed()
    off = _disabled(found)
    if as_json:
        print(json.dumps([_row(each, off) for each in found], indent=2))
        return 0
    from .words import table

    rows = [(each.name, each.version, each.dist, _state(each, off), each.summary) for each in found]
    print(table(("name", "version", "package", "state", "what it is"), rows))
    return 0


def show_plugin(name: str, *, as_json: bool) -> int:
    """Print what's known of the plugin *name* from its package."""
    found = named(name)
    off = _disabled(found)
    from .examined import known_hooks

    rows = []
    for each in found:
        hooks = known_hooks(each)
        unknown = None if as_json else "not known yet: lash plugins check " + name
        rows.append(_row(each, off) | {"hooks": unknown if hooks is None else hooks})
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        for key, value in row.items():
            text = ", ".join(value) if isinstance(value, list) else value
            print(f"{key + ':':11}{text}")
    return 0


def named(name: str) -> list[Found]:
    """
    Return the installed plugins of that name.

    Raises:
        CommandError: There's none.
    """
    everything = installed()
    found = [each for each in everything if each.name == name]
    if not found:
        from .failures import CommandError

        hint = guess(name, {each.name: None for each in everything})
        raise CommandError(f"no plugin {name!r} is installed{hint}", way_out="lash plugins list")
    return found


def _disabled(found: Sequence[Found]) -> frozenset[str]:
    names = [each.name for each in found]
    return disabled(read_settings().sections.get("plugins"), names)


def _state(found: Found, off: frozenset[str]) -> str:
    if found.name in off:
        return "disabled"
    return "on" if found.fits else "incompatible"


def _row(found: Found, off: frozenset[str]) -> dict[str, Any]:
    return {
        "name": found.name,
        "version": found.version,
        "package": found.dist,
        "state": _state(found, off),
        "summary": found.summary,
        "entry": found.value,
        "requires": f"lash-sdk {found.requires}".strip(),
        "path": found.path,
    }


# --- the command line ----------------------------------------------------------


def _doctor(given: argparse.Namespace) -> int:
    from .doctor import doctor

    return doctor(as_json=given.json)


def _check(given: argparse.Namespace) -> int:
    from .checking import check_plugins

    return check_plugins(given.name, strict=given.strict, as_json=given.json)


def _order(given: argparse.Namespace) -> int:
    from .ordering import show_order

    return show_order(given.hook, as_json=given.json)


def _trace(given: argparse.Namespace) -> int:
    from .tracing import trace

    return trace(given.prompt, given.model, given.store, given.session, as_json=given.json)


def _config(given: argparse.Namespace) -> int:
    from .configuring import explain_config, show_schema

    if given.schema:
        return show_schema(given.name)
    return explain_config(given.name, sources=given.explain, as_json=given.json)


def _switch(given: argparse.Namespace) -> int:
    from .switches import disable, enable

    switch = enable if given.command == "enable" else disable
    return switch(given.name, user=given.user)


def _new(given: argparse.Namespace) -> int:
    from .scaffold import new_plugin

    answers = {
        name: getattr(given, name)
        for name in ("name", "kind", "description", "author", "licence", "ci")
        if getattr(given, name) is not None
    }
    return new_plugin(answers, given.output, ask=not given.no_input)


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "list": lambda given: list_plugins(as_json=given.json),
    "show": lambda given: show_plugin(given.name, as_json=given.json),
    "doctor": _doctor,
    "check": _check,
    "order": _order,
    "trace": _trace,
    "config": _config,
    "enable": _switch,
    "disable": _switch,
    "new": _new,
}


_EXAMPLES: Final[Mapping[str, str]] = {
    "list": "lash plugins list",
    "show": "lash plugins show sqlite",
    "doctor": "lash plugins doctor --json",
    "check": "lash plugins check weather --strict",
    "order": "lash plugins order before_turn",
    "trace": 'lash plugins trace "Hello" --model openai:gpt-5.2',
    "config": "lash plugins config openai --explain",
    "enable": "lash plugins enable weather",
    "disable": "lash plugins disable weather --user",
    "new": "lash plugins new weather --kind tools",
}


class _Parser(argparse.ArgumentParser):
    """Complains as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """Raise what's wrong with the command line."""
        from .failures import CommandError

        raise CommandError(message, way_out=f"{self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lash plugins",
        description=PLUGINS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n  ".join(("examples:", *_EXAMPLES.values())),
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str, *, as_json: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help, description=help, epilog=f"example: {_EXAMPLES[name]}"
        )
        if as_json:
            made.add_argument("--json", action="store_true", help="for a machine to read")
        return made

    command("list", "every installed plugin, and whether it takes part")
    command("show", "what is known of one plugin").add_argument("name", metavar="NAME")
    command("doctor", "a row per problem, with its cause and its fix; exit code 1 if any")
    check = command("check", "import plugins, and compare them with what the SDK expects")
    check.add_argument("name", metavar="NAME", nargs="*", help="all of them, if none is named")
    check.add_argument("--strict", action="store_true", help="warnings count as well")
    order = command("order", "who is called by a hook, in what order, and why")
    order.add_argument("hook", metavar="HOOK")
    _add_trace(command("trace", "run a turn, and print each hook call of it"))
    config = command("config", "a plugin's settings, with their values")
    config.add_argument("name", metavar="NAME")
    config.add_argument("--explain", action="store_true", help="where each value comes from")
    config.add_argument("--schema", action="store_true", help="a JSON schema, for editors")
    for name, what in (("enable", "let a plugin take part"), ("disable", "leave a plugin out")):
        switch = command(name, f"{what}, in lash.toml", as_json=False)
        switch.add_argument("name", metavar="NAME")
        switch.add_argument("--user", action="store_true", help="in the user's file instead")
    _add_new(command("new", "start a plugin from the template", as_json=False))
    return parser


def _add_trace(trace: argparse.ArgumentParser) -> None:
    trace.add_argument("prompt", metavar="PROMPT")
    trace.add_argument("--model", "-m", metavar="SCHEME:NAME")
    trace.add_argument("--store", metavar="URL", default="memory:", help="default: %(default)s")
    trace.add_argument("--session", "-s", metavar="ID", default="trace")


def _add_new(new: argparse.ArgumentParser) -> None:
    new.add_argument("name", metavar="NAME", nargs="?", help='without "lash-"')
    new.add_argument("--kind", choices=("tools", "hooks", "model", "store"))
    new.add_argument("--description", metavar="TEXT")
    new.add_argument("--author", metavar="NAME")
    new.add_argument("--licence", choices=("MIT", "Proprietary"))
    new.add_argument("--ci", choices=("yes", "no"))
    new.add_argument("--output", "-o", metavar="FOLDER", default=".", help="default: %(default)s")
    new.add_argument("--no-input", action="store_true", help="ask nothing, take the defaults")
