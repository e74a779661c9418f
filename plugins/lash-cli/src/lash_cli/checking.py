"""`lash plugins check`: plugins compared with what the SDK expects of them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from lash_sdk.plugins.discovery import installed

from .examined import learnt
from .plugins import named
from .settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_plugins(names: Sequence[str], *, strict: bool, as_json: bool) -> int:
    """
    Print what's wrong with the plugins *names*, or with all; return 1 for errors.

    With *strict* warnings count as well.

    Raises:
        CommandError: One isn't installed.
    """
    found = [each for name in names for each in named(name)] if names else list(installed())
    rows = []
    for each, examined in zip(found, learnt(found, read_settings().sections), strict=True):
        about = {"plugin": each.name, "package": each.dist, "version": each.version}
        rows += [{**about, **finding} for finding in examined.findings]
    if as_json:
        print(json.dumps(rows, indent=2))
    for row in rows if not as_json else ():
        print(f"{row['plugin']} ({row['package']} {row['version']}): {row['problem']}")
        print(f"  {row['level'] + ':':9}{row['cause']}")
        print(f"  {'fix:':9}{row['fix']}")
    counted = [row for row in rows if strict or row["level"] == "error"]
    if not as_json:
        errors = sum(row["level"] == "error" for row in rows)
        said = f"{len(found)} checked, {errors} errors, {len(rows) - errors} warnings"
        print(said, file=sys.stderr)
    return 1 if counted else 0
