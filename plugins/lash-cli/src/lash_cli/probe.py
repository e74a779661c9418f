"""
Imports plugins in a process of its own, and says which can't be used, and why.

Run as ``python -P -m lash_cli.probe``: plugins as JSON on standard input, a line of
JSON on standard output before and after each. Whoever prints, exits or crashes
while it's imported harms nobody but itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from lash_sdk.plugins.discovery import Found

PATIENCE: Final = 60.0
"""Seconds that all plugins together may take to be imported."""

Problem = tuple[Found, str, str, str]
"""A plugin, its problem, the cause and the fix."""


def examine(found: Sequence[Found]) -> list[Problem]:
    """Return what's wrong with *found*; nothing is imported in this process."""
    waiting, problems = list(found), list[Problem]()
    while waiting:
        lines, ended = _ask(waiting)
        done = 0
        for line in lines:
            if "at" in line:
                done = line["at"]
            else:
                at = waiting[line["of"]]
                problems.append((at, line["problem"], line["cause"], line["fix"]))
        if not ended:
            break
        guilty = waiting[done]  # it took the process down
        problems.append((guilty, "import failure", ended, _leave_out(guilty)))
        waiting = waiting[done + 1 :]
    return problems


def _ask(found: Sequence[Found]) -> tuple[list[dict[str, Any]], str]:
    """Return what the process said, and how it ended if not well."""
    order = json.dumps([asdict(each) for each in found])
    command = (sys.executable, "-P", "-m", "lash_cli.probe")
    ended = ""
    try:
        process = subprocess.run(  # noqa: S603 - our own script
            command, input=order, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        said = process.stdout
        if process.returncode:
            last = process.stderr.strip().splitlines()[-1:]
            ended = f"importing it ended the process with code {process.returncode}: {last}"
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if error.stdout else ""
        ended = f"importing it took more than {PATIENCE:g} s"
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")], ended


def _leave_out(found: Found) -> str:
    return f"pip install --upgrade {found.dist}, or LASH_DISABLE_PLUGINS={found.name}"


def _import_all(found: Sequence[Found]) -> Iterable[dict[str, Any]]:
    from lash_sdk.plugins.loading import load
    from lash_sdk.plugins.registry import Registry

    good = []
    for at, each in enumerate(found):
        yield {"at": at}
        try:
            plugin = load(each)
            Registry([plugin])
        except (Exception, SystemExit) as error:
            yield {"of": at, **_describe(each, error)}
        else:
            good.append((at, plugin))
    yield from _supply_all(good)


def _supply_all(good: Sequence[tuple[int, Any]]) -> Iterable[dict[str, Any]]:
    """Find the schemes that two plugins supply."""
    from lash_sdk.contexts import HostContext
    from lash_sdk.errors import LashError
    from lash_sdk.plugins.ranges import SDK_VERSION
    from lash_sdk.plugins.registry import Registry
    from lash_sdk.plugins.supply import Supplies

    names = {plugin.name: plugin for _at, plugin in good}
    try:
        registry = Registry(list(names.values()))
        Supplies(registry, HostContext(SDK_VERSION, {}), [])
    except LashError as error:
        at = next((at for at, plugin in good if repr(plugin.name) in str(error)), 0)
        yield {"of": at, "problem": "conflict", "cause": str(error), "fix": "disable one of them"}


def _describe(found: Found, error: BaseException) -> dict[str, str]:
    """Return problem, cause and fix."""
    own = found.value.partition(":")[0].partition(".")[0]
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and missing.partition(".")[0] != own:
        top = missing.partition(".")[0]
        fix = f"pip install {top} (or the package that brings it), or reinstall {found.dist}"
        return {"problem": "missing dependency", "cause": str(error), "fix": fix}
    cause = f"{type(error).__name__}: {error}"
    return {"problem": "import failure", "cause": cause, "fix": _leave_out(found)}


def _main() -> None:
    found = [Found(**row) for row in json.load(sys.stdin)]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what plugins print isn't an answer
    for line in _import_all(found):
        out.write(json.dumps(line) + "\n")
        out.flush()


if __name__ == "__main__":
    _main()
