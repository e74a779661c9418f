"""
`lash plugins list|show|doctor`: what's installed, and what's wrong with it.

This runs without typer, rich or pydantic and imports no plugin: `doctor` has that
done by another process (`lash_cli.probe`), which a plugin may take down with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from lash_sdk.plugins.discovery import disabled, installed
from lash_sdk.plugins.ranges import SDK_VERSION

from .settings import guess, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lash_sdk.plugins.discovery import Found

SUMMARY: Final = "List plugins, look at one, or find out what is wrong with them."


def main(argv: Sequence[str]) -> int:
    """Run `lash plugins` with *argv*; return the exit code."""
    given = _parser().parse_args(argv)
    match given.command:
        case "list":
            return list_plugins(as_json=given.json)
        case "show":
            return show_plugin(given.name, as_json=given.json)
        case _:
            return doctor(as_json=given.json)


def list_plugins(*, as_json: bool) -> int:
    """Print every installed plugin and whether it takes part."""
    found, off = installed(), _disabled()
    if as_json:
        print(json.dumps([_row(each, off) for each in found], indent=2))
        return 0
    from .words import table

    rows = [(each.name, each.version, each.dist, _state(each, off), each.summary) for each in found]
    print(table(("name", "version", "package", "state", "what it is"), rows))
    return 0


def show_plugin(name: str, *, as_json: bool) -> int:
    """Print what's known of the plugin *name* from its package."""
    found = [each for each in installed() if each.name == name]
    if not found:
        from .failures import CommandError

        hint = guess(name, {each.name: None for each in installed()})
        raise CommandError(f"no plugin {name!r} is installed{hint}", way_out="lash plugins list")
    rows = [_row(each, _disabled()) for each in found]
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        for key, value in row.items():
            print(f"{key + ':':11}{value}")
    return 0


def doctor(*, as_json: bool) -> int:
    """Print a row per problem, with cause and fix; return 1 if there's any."""
    from .probe import examine

    found = installed()
    problems, off = _config_problems()
    problems += _clashes(found)
    healthy = []
    for each in found:
        state = _state(each, off)
        if state == "disabled":
            problems.append(
                _problem(
                    each,
                    "disabled",
                    "disabled by configuration",
                    f"remove {each.name!r} from plugins.disable or LASH_DISABLE_PLUGINS",
                )
            )
        elif state == "incompatible":
            problems.append(
                _problem(
                    each,
                    "incompatible",
                    f"needs lash-sdk {each.requires}, this is {SDK_VERSION}",
                    f"pip install --upgrade {each.dist}",
                )
            )
        else:
            healthy.append(each)
    problems += [_problem(each, *rest) for each, *rest in examine(healthy)]
    if as_json:
        print(json.dumps(problems, indent=2))
    elif not problems:
        print(f"{len(found)} plugins, no problem")
    else:
        _print_problems(problems)
    return 1 if problems else 0


def _print_problems(problems: Sequence[dict[str, str]]) -> None:
    for each in problems:
        where = f" ({each['package']} {each['version']})" if each["package"] else ""
        print(f"{each['plugin']}{where}: {each['problem']}")
        print(f"  cause: {each['cause']}")
        print(f"  fix:   {each['fix']}")
    print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", file=sys.stderr)


def _problem(found: Found, problem: str, cause: str, fix: str) -> dict[str, str]:
    return {
        "plugin": found.name,
        "package": found.dist,
        "version": found.version,
        "problem": problem,
        "cause": cause,
        "fix": fix,
    }


def _config_problems() -> tuple[list[dict[str, str]], frozenset[str]]:
    """Return what's wrong with the files, and which plugins are off."""
    from lash_sdk.errors import ConfigError

    try:
        return [], _disabled()
    except ConfigError as error:
        rows = [
            {
                "plugin": "(configuration)",
                "package": "",
                "version": "",
                "problem": "configuration",
                "cause": problem,
                "fix": "mend the file that the cause names",
            }
            for problem in error.problems
        ]
        return rows, disabled()


def _clashes(found: Sequence[Found]) -> list[dict[str, str]]:
    """Return a row for each plugin whose name another one has as well."""
    rows = []
    for each in found:
        twins = [other for other in found if other.name == each.name and other is not each]
        if twins:
            others = ", ".join([f"{twin.dist} {twin.version} ({twin.path})" for twin in twins])
            cause = f"{each.path} and {others} both bring {each.name!r}"
            rows.append(
                _problem(
                    each,
                    "name clash",
                    cause,
                    f"pip uninstall {each.dist}, or"
                    f' disable both: [plugins] disable = ["{each.name}"]',
                )
            )
    return rows


def _disabled() -> frozenset[str]:
    return disabled(read_settings().sections.get("plugins"))


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


class _Parser(argparse.ArgumentParser):
    """Complains as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """Raise what's wrong with the command line."""
        from .failures import CommandError

        raise CommandError(message, way_out=f"{self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lash plugins",
        description=SUMMARY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  lash plugins list\n  lash plugins show sqlite\n"
        "  lash plugins doctor --json",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help in (
        ("list", "every installed plugin, and whether it takes part"),
        ("show", "what is known of one plugin"),
        ("doctor", "a row per problem, with its cause and its fix; exit code 1 if any"),
    ):
        command = commands.add_parser(name, help=help, description=help)
        if name == "show":
            command.add_argument("name", metavar="NAME")
        command.add_argument("--json", action="store_true", help="for a machine to read")
    return parser
