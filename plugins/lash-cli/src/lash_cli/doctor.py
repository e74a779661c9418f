"""`lash plugins doctor`: a row per problem, with one cause and one fix."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lash_sdk.plugins.discovery import SDK_VERSION, disabled, installed

from .examined import learnt
from .notes import read_notes
from .settings import read_settings

if TYPE_CHECKING:
    from lash_sdk.plugins.discovery import Found

Row = dict[str, str]
"""Plugin, package, version, problem, cause and fix."""


def doctor(*, as_json: bool) -> int:
    """Print a row per problem, with cause and fix; return 1 if there's any."""
    found = installed()
    problems, sections = _config_problems()
    off = disabled(sections.get("plugins"), [each.name for each in found])
    problems += _clashes([each for each in found if each.name not in off])
    twins = {row["plugin"] for row in problems}
    healthy = []
    for each in found:
        if each.name in off:
            fix = f"lash plugins enable {each.name}, if that isn't meant; see LASH_DISABLE_PLUGINS"
            problems.append(row(each, "disabled", "disabled by configuration", fix))
        elif not each.fits:
            cause = f"needs lash-sdk {each.requires}, this is {SDK_VERSION}"
            fix = f"pip install --upgrade {each.dist}"
            problems.append(row(each, "incompatible", cause, fix))
        elif stale := _stale(each):
            problems.append(stale)
        else:
            healthy.append(each)
    for each, examined in zip(healthy, learnt(healthy, sections), strict=True):
        problems += [
            row(each, finding["problem"], finding["cause"], finding["fix"])
            for finding in examined.findings
            if finding["level"] == "error"
        ]
    seen = twins | {problem["plugin"] for problem in problems}
    problems += _noted([each for each in found if each.name not in seen | off])
    if as_json:
        print(json.dumps(problems, indent=2))
    elif not problems:
        print(f"{len(found)} plugins, no problem")
    else:
        _print(problems)
    return 1 if problems else 0


def row(found: Found, problem: str, cause: str, fix: str) -> Row:
    """Return what's wrong with one plugin."""
    return {
        "plugin": found.name,
        "package": found.dist,
        "version": found.version,
        "problem": problem,
        "cause": cause,
        "fix": fix,
    }


def _print(problems: Sequence[Row]) -> None:
    for each in problems:
        where = f" ({each['package']} {each['version']})" if each["package"] else ""
        print(f"{each['plugin']}{where}: {each['problem']}")
        print(f"  cause: {each['cause']}")
        print(f"  fix:   {each['fix']}")
    print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", file=sys.stderr)


def _config_problems() -> tuple[list[Row], Mapping[str, Any]]:
    """Return what's wrong with the files, and what they say of plugins."""
    from lash_sdk.errors import ConfigError

    try:
        return [], read_settings().sections
    except ConfigError as error:
        fix = "mend the file that the cause names"
        blank = {"plugin": "(configuration)", "package": "", "version": ""}
        return [
            {**blank, "problem": "configuration", "cause": problem, "fix": fix}
            for problem in error.problems
        ], {}


def _clashes(found: Sequence[Found]) -> list[Row]:
    """Return a row for each plugin whose name another one has as well."""
    rows = []
    for each in found:
        twins = [other for other in found if other.name == each.name and other is not each]
        if twins:
            others = ", ".join([f"{twin.dist} {twin.version} ({twin.path})" for twin in twins])
            cause = f"{each.path} and {others} both bring {each.name!r}"
            fix = f"pip uninstall {each.dist}, or lash plugins disable {each.name} for both"
            rows.append(row(each, "name clash", cause, fix))
    return rows


def _stale(found: Found) -> Row | None:
    """Return that the index doesn't say what the metadata says, if it doesn't."""
    try:
        text = (Path(found.path) / "entry_points.txt").read_text(encoding="utf-8")
    except (OSError, ValueError):
        text = ""
    lines = {line.replace(" ", "") for line in text.splitlines()}
    if f"{found.name}={found.value}".replace(" ", "") in lines:
        return None
    cause = f"the index says {found.value!r}, {found.path} says something else"
    fix = f"touch {Path(found.path) / 'entry_points.txt'}: the index is made again"
    return row(found, "stale index", cause, fix)


def _noted(found: Sequence[Found]) -> list[Row]:
    """Return what went wrong while sessions ran, with the versions that are installed."""
    rows, notes = [], read_notes()
    for each in found:
        note = notes.get(each.name)
        if note is None or note.get("version") != each.version:
            continue
        times = f"{note['count']} time{'s' if note['count'] > 1 else ''}"
        cause = f"{note['message']} ({times}{', switched off' if note.get('off') else ''})"
        hook, where = note["hook"], note["where"]
        if "blocked the loop" in cause:
            fix = f"make {hook} async, or do the work in a thread; its author finds it at {where}"
            rows.append(row(each, "blocked loop", cause, fix))
        elif hook == "state":
            fix = f"upgrade {each.dist}, or go back to the version that saved the state"
            rows.append(row(each, "failing migration", cause, fix))
        else:
            fix = f"upgrade {each.dist}, or lash plugins disable {each.name}"
            rows.append(row(each, "faults", cause, fix))
    return rows
