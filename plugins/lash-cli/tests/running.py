"""A person's machine: a home, a working folder, and the `lash` command in it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lash_cli.main import main

LASH: Final = Path(sys.executable).with_name("lash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Its output, read as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def body(self) -> Any:
        """Its output, read as one JSON value."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A home and a working folder of their own; only the plugin index is shared."""

    home: Path
    work: Path
    cache: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command sees: nothing of whoever runs the tests."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LASH_", "XDG_"))}
        kept.pop("OPENAI_API_KEY", None)
        return {
            **kept,
            "HOME": str(self.home),
            "LASH_CACHE": str(self.cache),
            "PYTHONWARNINGS": "error",
            "COLUMNS": "120",
        }

    def lash(self, *words: str, stdin: str = "", **variables: str) -> Ran:
        """Run `lash` in this process."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as here, redirect_stdout(out), redirect_stderr(err):
            here.chdir(self.work)
            for name in set(os.environ) - set(self.environment):
                here.delenv(name)
            for name, value in {**self.environment, **variables}.items():
                here.setenv(name, value)
            here.setattr(sys, "stdin", io.StringIO(stdin))
            here.setattr(sys, "path", list(sys.path))
            code = main(words)
        return Ran(code=code, out=out.getvalue(), err=err.getvalue())

    def shell(self, *words: str, stdin: str = "", **variables: str) -> Ran:
        """Run `lash` in a process of its own."""
        done = subprocess.run(
            [str(LASH), *words],
            cwd=self.work,
            env={**self.environment, **variables},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(
        self, *words: str, stdin: str = os.devnull, **variables: str
    ) -> subprocess.Popen[str]:
        """Start `lash` as the leader of a process group of its own; *stdin* is a file."""
        with (self.work / stdin).open() as given:
            return subprocess.Popen(
                [str(LASH), *words],
                cwd=self.work,
                env={**self.environment, **variables},
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
            )

    def script(self, *entries: Any, name: str = "script.jsonl") -> str:
        """Write a scripted model's answers; return the model's name."""
        return f"scripted:{self.write(name, *[json.dumps(entry) for entry in entries])}"

    def write(self, name: str, *lines: str) -> str:
        """Write a file in the working folder; return its name."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return name


def asking(name: str, **arguments: Any) -> dict[str, Any]:
    """Return a scripted answer that calls a tool."""
    return {"calls": [{"name": name, "arguments": arguments}]}
