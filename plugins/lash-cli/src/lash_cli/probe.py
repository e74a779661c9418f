"""
Imports plugins in a process of its own, and says what's wrong with each.

Run as ``python -P -m lash_cli.probe``: plugins as JSON on standard input, a line of
JSON on standard output before and after each. Whoever prints, exits or crashes
while it's imported harms nobody but itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from lash_sdk.plugins.discovery import Found

PATIENCE: Final = 60.0
"""Seconds that all plugins together may take to be imported."""


@dataclass(slots=True)
class Examined:
    """
    What was learnt of a plugin.

    Attributes:
        findings: Each with "level", "problem", "cause" and "fix".
        hooks: The hooks that it implements; None where it couldn't be imported.
    """

    findings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    hooks: list[str] | None = None


def examine(found: Sequence[Found], sections: Mapping[str, Any]) -> list[Examined]:
    """Return what's to be said of each of *found*; nothing is imported in this process."""
    learnt = [Examined() for _ in found]
    start = 0
    while start < len(found):
        lines, ended = _ask(found[start:], sections)
        done = start
        for line in lines:
            done = start + line["at"]
            learnt[done].findings += line.get("findings", [])
            learnt[done].hooks = line.get("hooks", learnt[done].hooks)
        if not ended:
            break
        guilty = found[done]  # it took the process down
        fix = f"pip install --upgrade {guilty.dist}, or lash plugins disable {guilty.name}"
        row = {"level": "error", "problem": "import failure", "cause": ended, "fix": fix}
        learnt[done].findings.append(row)
        start = done + 1
    return learnt


def _ask(found: Sequence[Found], sections: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Return what the process said, and how it ended if not well."""
    order = json.dumps({"plugins": [asdict(each) for each in found], "sections": sections})
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


def _import_all(found: Sequence[Found], sections: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    from .checks import check

    good = []
    for at, each in enumerate(found):
        yield {"at": at}
        checked = check(each, sections)
        findings = [asdict(finding) for finding in checked.findings]
        hooks = list(checked.hooks) if checked.plugin is not None else None
        yield {"at": at, "findings": findings, "hooks": hooks}
        if checked.plugin is not None and all(f.level != "error" for f in checked.findings):
            good.append((at, checked.plugin))
    yield from _supply_all(good)


def _supply_all(good: Sequence[tuple[int, Any]]) -> Iterable[dict[str, Any]]:
    """Find the schemes that two plugins supply."""
    from lash_sdk.contexts import HostContext
    from lash_sdk.errors import LashError
    from lash_sdk.plugins.discovery import SDK_VERSION
    from lash_sdk.plugins.registry import Registry
    from lash_sdk.plugins.supply import Supplies

    names = {plugin.name: plugin for _at, plugin in good}
    try:
        registry = Registry(list(names.values()))
        Supplies(registry, HostContext(SDK_VERSION, {}), [])
    except LashError as error:
        guilty = [(at, plugin.name) for at, plugin in good if repr(plugin.name) in str(error)]
        at, name = guilty[0] if guilty else (good[0][0], good[0][1].name)
        fix = f"lash plugins disable {name}, or the other one"
        row = {"level": "error", "problem": "conflict", "cause": str(error), "fix": fix}
        yield {"at": at, "findings": [row]}


def _main() -> None:
    order = json.load(sys.stdin)
    found = [Found(**row) for row in order["plugins"]]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what plugins print isn't an answer
    for line in _import_all(found, order["sections"]):
        out.write(json.dumps(line) + "\n")
        out.flush()


if __name__ == "__main__":
    _main()
