"""How long `lash` takes to answer among 300 packages, by `import asyncio`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Final

FLOOR: Final = "import asyncio"

COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "lash plugins list": ("plugins", "list"),
    "lash plugins show": ("plugins", "show", "crowd7"),
    "lash plugins doctor": ("plugins", "doctor"),
    "lash --help": ("--help",),
}

LOADED: Final = (
    "import sys; from lash_cli.main import main; code = main(sys.argv[1:]);"
    " print(*sorted(sys.modules), file=sys.stderr); sys.exit(code)"
)


def environment(site: Path, home: Path) -> dict[str, str]:
    """Return what a command sees: the packages of *site*, and nothing of whoever measures."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LASH_", "XDG_"))}
    return {**kept, "HOME": str(home), "LASH_CACHE": str(home / "cache"), "PYTHONPATH": str(site)}


def loaded(words: tuple[str, ...], variables: dict[str, str]) -> set[str]:
    """Return the modules that a command loads, in the environment *variables*."""
    command = [sys.executable, "-P", "-c", LOADED, *words]
    done = subprocess.run(
        command, env=variables, cwd=variables["HOME"], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def lap(variables: dict[str, str]) -> dict[str, float]:
    """Return the milliseconds of each command and of the floor, one after the other."""
    lash = str(Path(sys.executable).with_name("lash"))
    commands = {FLOOR: [sys.executable, "-c", FLOOR]}
    commands |= {name: [lash, *words] for name, words in COMMANDS.items()}
    return {name: _timed(command, variables) for name, command in commands.items()}


def _timed(command: list[str], variables: dict[str, str]) -> float:
    began = perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env=variables, cwd=variables["HOME"]
    )
    return (perf_counter() - began) * 1e3
